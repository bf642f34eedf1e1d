"""Every record of a table, however many years there are: from its indexes, and from a listing
where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from coldtable.core.index import Index, Line, chosen, counts, decode, details_of
from coldtable.core.ledger import fold
from coldtable.core.records import ROOT, Home, stamp
from coldtable.model_archive import Ledger
from coldtable.ops.catalog import Catalog, Heads

# Indexes of one table by its home and TableId: the last parts of their keys.
Indexes = Mapping[tuple[Home, str], list[str]]

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)
# Greater than any character that a name or a folder of ours has.
_LAST = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The log of one TableId, windows and snapshots. ``indexes`` are its index objects' names."""

    catalog: Catalog
    home: Home
    table_id: str
    indexes: tuple[str, ...] = ()

    def lines(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Line]:
        """The records whose slots begin in ``[since, until)``, in order.

        Only those from an index have details so far. One request for each index, and one for each
        thousand records that no index stands for.
        """
        first, last = since or _BEGINNING, until or _END
        for start, stop, index in self._pieces(first, last):
            lines = self._listed(start, stop) if index is None else self._indexed(index)
            yield from _between(lines, max(start, first), min(stop, last))

    def loose(self, since: datetime, until: datetime) -> Iterator[Line]:
        """The same from a listing alone, whatever indexes there are."""
        return self._listed(since, until)

    def names(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[str]:
        """The names of the records alone."""
        return (line.name for line in self.lines(since, until))

    def ledger(self, heads: Heads, since: datetime | None = None) -> Ledger:
        """The ledger, as ``Catalog.ledger`` folds it from loose records; nothing else is read."""
        found = fold(self.table_id, heads.bases.get(self.table_id, []), self.names(since))
        return replace(found, since=since)

    def details(self, line: Line) -> Mapping[str, Any]:
        """What a record says beyond its name; reads it, if it was listed."""
        if line.details is not None or not counts(line.name):
            return line.details or {}
        return details_of(self.catalog.read(self.home.log(self.table_id) + line.name))

    def _pieces(
        self, first: datetime, last: datetime
    ) -> Iterator[tuple[datetime, datetime, Index | None]]:
        """Indexes, and between them, before and after what has to be listed."""
        cursor = _BEGINNING
        for index in chosen(self.indexes):
            if cursor < index.period.start:
                yield from _overlapping(cursor, index.period.start, None, first, last)
            yield from _overlapping(index.period.start, index.period.stop, index, first, last)
            cursor = index.period.stop
        yield from _overlapping(cursor, _END, None, first, last)

    def _indexed(self, index: Index) -> Iterator[Line]:
        key = self.home.index(self.table_id) + index.name
        return decode(key, b"".join(self.catalog.store.read(key)))

    def _listed(self, start: datetime, stop: datetime) -> Iterator[Line]:
        folder = self.home.log(self.table_id)
        after = folder if start == _BEGINNING else folder + _before(start)
        for entry in self.catalog.store.entries(folder, after=after):
            name = entry.key.removeprefix(folder)
            if name >= _before(stop):
                return
            yield Line(name)


def _between(lines: Iterable[Line], start: datetime, stop: datetime) -> Iterator[Line]:
    low, high = _before(start), _before(stop)
    return (line for line in lines if low <= line.name < high)


def _overlapping(
    start: datetime, stop: datetime, index: Index | None, first: datetime, last: datetime
) -> Iterator[tuple[datetime, datetime, Index | None]]:
    if start < last and first < stop:
        if index is None:
            start, stop = max(start, first), min(stop, last)
        yield start, stop, index


def _before(moment: datetime) -> str:
    # Without its Z: a moment with milliseconds comes before that of its whole second.
    return stamp(moment)[:-1]


def index_names(catalog: Catalog, account: str, region: str, name: str = "") -> Indexes:
    """The indexes of every table of an account and region, or of one name: one listing."""
    folder = f"{ROOT}/index/{account}/{region}/" + (f"{name}/" if name else "")
    found: dict[tuple[Home, str], list[str]] = {}
    for key in catalog.store.keys(folder):
        parts = key.removeprefix(f"{ROOT}/index/").split("/")
        if len(parts) == 5:
            home = Home(account=parts[0], region=parts[1], name=parts[2])
            found.setdefault((home, parts[3]), []).append(parts[4])
    return found


def logs(catalog: Catalog, below: str = "") -> Iterator[tuple[Home, str]]:
    """Every table that has a log, by home and TableId; one request for each.

    ``below`` narrows it: ``<account>/<region>/<table>/``.
    """
    folder = f"{ROOT}/log/"
    after = ""
    while key := next((e.key for e in catalog.store.entries(folder + below, after=after)), None):
        parts = key.removeprefix(folder).split("/")
        if len(parts) != 5:
            after = key
            continue
        account, region, name, table_id, _ = parts
        yield Home(account=account, region=region, name=name), table_id
        after = f"{folder}{account}/{region}/{name}/{table_id}/{_LAST}"


def histories(catalog: Catalog, account: str, region: str) -> Iterator[History]:
    """The histories of every table of an account and region, former ones too."""
    indexes = index_names(catalog, account, region)
    for home, table_id in logs(catalog, f"{account}/{region}/"):
        yield History(
            catalog=catalog,
            home=home,
            table_id=table_id,
            indexes=tuple(indexes.get((home, table_id), ())),
        )
