"""Make a table, and give it what it gets when its items are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from coldtable.errors import Conflict, LimitReached, WaitTimeout
from coldtable.model_restore import TableRequest, TableState
from coldtable.ports_restore import Tables

_PAUSE = 1.0
# Empty tables take seconds, their indexes minutes; a table with items is another matter.
_READY_PAUSES = 1800
# A change waits for the one before it, or for AWS to prepare the table's backups [QUIRKS].
_BUSY_PAUSES = 120


def make_table(
    tables: Tables,
    request: TableRequest,
    pause: Callable[[float], None],
) -> TableState:
    """Create the table; it need not be ready yet when it shows itself."""
    _ask(tables, request, pause, busy=(LimitReached,))
    name = request.body["TableName"]
    for _ in range(_BUSY_PAUSES):
        if (state := tables.state(name)) is not None:
            return state
        pause(_PAUSE)
    raise WaitTimeout(f"The table {name} was created, and AWS does not show it")


def wait_until_ready(
    tables: Tables, name: str, pause: Callable[[float], None], *, pauses: int = _READY_PAUSES
) -> TableState:
    """The table once it and its indexes are ACTIVE; ``WaitTimeout`` if that takes too long."""
    for _ in range(pauses):
        state = tables.state(name)
        if state is not None and state.ready:
            return state
        pause(_PAUSE)
    raise WaitTimeout(
        f"The table {name} is still not ready after {pauses * _PAUSE / 60:g} minutes",
        hint=f"It may still become so: aws dynamodb describe-table --table-name {name}",
    )


def finish_table(
    tables: Tables,
    name: str,
    requests: Sequence[TableRequest],
    pause: Callable[[float], None],
    say: Callable[[str], None],
) -> None:
    """Carry out what is left to be asked for; to do it again changes nothing."""
    for request in requests:
        wait_until_ready(tables, name, pause)
        ask(tables, request, pause)
        say(f"{name}: {request.what}")


def ask(tables: Tables, request: TableRequest, pause: Callable[[float], None]) -> None:
    """Ask for a change of a table that may be busy with another one."""
    _ask(tables, request, pause, busy=(Conflict, LimitReached))


def _ask(
    tables: Tables,
    request: TableRequest,
    pause: Callable[[float], None],
    *,
    busy: tuple[type[Conflict] | type[LimitReached], ...],
) -> None:
    for _ in range(_BUSY_PAUSES):
        with suppress(*busy):
            tables.ask(request)
            return
        pause(_PAUSE)
    tables.ask(request)
