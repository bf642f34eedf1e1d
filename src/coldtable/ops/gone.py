"""Is a table gone for good, and for how long? Asked of DynamoDB only where the answer matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from coldtable.core.retention import Gone
from coldtable.errors import TableNotFound
from coldtable.model import Table
from coldtable.model_policy import Retention
from coldtable.ops.shelf import Shelf


def reach(shelves: Iterable[Shelf], now: datetime) -> datetime | None:
    """How far the exports of any table reach: the archive's own clock. No export is from a moment
    that has not come, so neither a clock nor a record that is wrong can move it ahead alone."""
    newest = max((s.newest for s in shelves if s.newest), default=None)
    return min(newest, now) if newest else None


def find_gone(
    shelf: Shelf, retention: Retention, until: datetime | None, ask: Callable[[str], Table]
) -> Gone | None:
    """Whether the table is gone: another one has its name, or ``ask`` raises ``TableNotFound``.

    ``until`` is the archive's time. Nobody is asked before ``retention`` would let go of it.
    """
    if shelf.newest is None or until is None:
        return None
    gone = Gone(length=max(until - shelf.newest, timedelta()))
    if shelf.ledger.ended:
        return gone
    if not gone.is_over(retention):
        return None
    try:
        table = ask(shelf.home.name)
    except TableNotFound:
        return gone
    return gone if table.table_id != shelf.table_id else None
