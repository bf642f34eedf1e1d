"""Compact the log: once a month has settled, one index object stands for all of its records.

The loose records stay where they are and are only not listed any more, so that nothing can be lost
by it, and a second writer of the same index does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from coldtable.core.index import (
    Index,
    Line,
    Period,
    due_day,
    due_until,
    due_year,
    encode,
    final_names,
    indexed_until,
    make_line,
    month_of,
    next_revision,
    settled,
    standing_for,
)
from coldtable.core.records import Home
from coldtable.errors import ColdtableError
from coldtable.ops.catalog import Catalog
from coldtable.ops.history import History, Indexes, index_names
from coldtable.ops.pace import Watch

log = logging.getLogger("coldtable.tick")

# One small read for each record that counts, most of which is waiting for S3.
_AT_A_TIME = 16
# A month of one table takes seconds; what does not fit in is for the next tick.
_LEFT_SECONDS = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A table whose log may have a month to be indexed; ``head`` is where its chain ends."""

    catalog: Catalog
    home: Home
    table_id: str
    head: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """The keys of the indexes that were written, and what kept others from it, if anything."""

    written: tuple[str, ...] = ()
    error: ColdtableError | None = None


def compact_due(candidates: Sequence[Candidate], watch: Watch, now: datetime) -> Compaction:
    """At most one index for each table, and no call at all but on the one day of each month on
    which another month has become old enough.

    On that day a listing for each bucket tells which indexes there are. A table that is behind
    catches up by one index a tick; whoever is not done by the end of the day goes on in a month.
    """
    if not candidates or not due_day(now):
        return Compaction()
    written: list[str] = []
    try:
        library = _Indexes()
        for one in candidates:
            if watch.left < _LEFT_SECONDS:
                break
            if key := compact(library.history(one), one.head, now):
                written.append(key)
    except ColdtableError as error:
        log.error("not indexed", extra={"code": error.code, "error": error.message})
        return Compaction(written=tuple(written), error=error)
    return Compaction(written=tuple(written))


def compact(history: History, head: datetime | None, now: datetime) -> str | None:
    """Write the next index of this log, if a month or a year is due; its key, if one was.

    ``head`` is where the chain ends that could still be extended, or be noted as broken.
    """
    if year := due_year(history.indexes):
        return write_index(history, Index(period=year))
    until, due = indexed_until(history.indexes), due_until(now)
    if head is None or (until and until >= due):
        return None
    months = filter(None, map(month_of, history.names(since=until, until=due)))
    if (month := next(months, None)) is None:
        return None
    if not settled(history.names(month.start, month.stop), month, head, now):
        return None
    return write_index(history, Index(period=month))


def revise(history: History, months: Iterable[Period]) -> list[str]:
    """Write the indexes again that stand for these months, which have got records since."""
    until = indexed_until(history.indexes)
    stale = {standing_for(history.indexes, month) for month in months}
    return [
        write_index(history, next_revision(history.indexes, period))
        for period in sorted(stale, key=lambda period: (period.start, period.stop))
        if until and period.stop <= until
    ]


def write_index(history: History, index: Index) -> str:
    """Write one index of all that is known of its period: what is indexed, and what is loose."""
    period = index.period
    lines = {line.name: line for line in history.loose(period.start, period.stop)}
    lines |= {line.name: line for line in history.lines(period.start, period.stop)}
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        full = list(
            threads.map(lambda name: _full(history, lines[name]), final_names(sorted(lines)))
        )
    key = history.home.index(history.table_id) + index.name
    history.catalog.note(key, encode(history.home, history.table_id, period, full))
    return key


def _full(history: History, line: Line) -> Line:
    return line if line.raw else make_line(line.name, history.details(line))


class _Indexes:
    """Which indexes there are: listed once for each catalog, account and region."""

    def __init__(self) -> None:
        self._known: dict[tuple[Catalog, str, str], Indexes] = {}

    def history(self, one: Candidate) -> History:
        place = (one.catalog, one.home.account, one.home.region)
        if place not in self._known:
            self._known[place] = index_names(*place)
        names = self._known[place].get((one.home, one.table_id), [])
        return History(
            catalog=one.catalog, home=one.home, table_id=one.table_id, indexes=tuple(names)
        )
