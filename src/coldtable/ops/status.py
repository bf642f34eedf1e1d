"""Status: how each table stands, from the catalog alone. Nothing is changed by it.

DynamoDB is only asked which table it is; what is under way is what the last tick saw of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from coldtable.core.evidence import Kind
from coldtable.core.index import Line
from coldtable.core.ledger import export_of, fold, proven_exports
from coldtable.core.records import Home, gap_key, incident_key, iso_z, parse_base_name
from coldtable.core.standing import Gap, Standing, first_listed, is_troubled, standing
from coldtable.errors import ColdtableError, NotFound
from coldtable.model import Destination, Table
from coldtable.model_archive import IncidentKind
from coldtable.model_policy import Policy
from coldtable.ops.catalog import Catalog, Heads, Library
from coldtable.ops.evidence import bad_of, noted
from coldtable.ops.history import History, Indexes, index_names
from coldtable.ports import Exporter, ObjectStore

# Most of a table's time is waiting for answers.
_AT_A_TIME = 16
# So many gaps are explained; each costs a read.
_EXPLAINED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """Something that people were told of and that is not over; ``what`` is what they were told."""

    kind: IncidentKind
    name: str
    since: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The newest verification that was noted: when it ended, what of the archive it read, and its
    result. ``subset`` is a slice like ``3/20``, or ``None`` for all of it."""

    at: str
    level: str
    subset: str | None
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """One table. ``error`` is why nothing is known of it.

    ``failure_text`` is DynamoDB's message of the last failure; ``reasons`` say of noted gaps, by
    their start, how they came about. ``bad`` are the exports of the months that are shown that
    count as there, and that ``coldtable verify`` found bad, by their ids, with why.
    """

    name: str
    policy: Policy
    table: Table | None = None
    standing: Standing | None = None
    failure_text: str = ""
    reasons: Mapping[datetime, str] = field(default_factory=dict)
    incidents: tuple[OpenIncident, ...] = ()
    verified: Verified | None = None
    bad: Mapping[str, str] = field(default_factory=dict)
    error: ColdtableError | None = None

    @property
    def stale(self) -> bool:
        """Whether its objective is missed."""
        return self.standing is not None and self.standing.stale


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """Every table that was asked for. ``uncovered`` are those that no policy covers."""

    at: datetime
    tables: tuple[TableStatus, ...] = ()
    uncovered: tuple[str, ...] = ()

    @property
    def stale(self) -> tuple[str, ...]:
        """The names of the tables whose objective is missed."""
        return tuple(t.name for t in self.tables if t.stale)

    @property
    def damaged(self) -> tuple[str, ...]:
        """The names of the tables with an export that is known to be bad."""
        return tuple(t.name for t in self.tables if t.bad)


def status(
    policies: Mapping[str, Policy],
    exporter: Exporter,
    objects: Callable[[Destination], ObjectStore],
    now: datetime,
    *,
    uncovered: Sequence[str] = (),
) -> StatusReport:
    """How the tables of ``policies`` (by name) stand now."""
    desk = _Desk(exporter=exporter, library=_IndexedLibrary(objects), now=now)
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        lines = list(threads.map(lambda name: _line(name, policies[name], desk), policies))
    return StatusReport(at=now, tables=tuple(lines), uncovered=tuple(uncovered))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    exporter: Exporter
    library: _IndexedLibrary
    now: datetime


class _IndexedLibrary:
    """The catalogs with their heads and their indexes, listed once for all tables."""

    def __init__(self, objects: Callable[[Destination], ObjectStore]) -> None:
        self._library = Library(objects)
        self._lock = Lock()
        self._indexes: dict[tuple[Catalog, str, str], Indexes] = {}

    def open(self, to: Destination, home: Home, table_id: str) -> tuple[History, Heads]:
        """The history of a table, and its heads."""
        catalog, heads = self._library.open(to, home)
        place = (catalog, home.account, home.region)
        with self._lock:
            if place not in self._indexes:
                self._indexes[place] = index_names(*place)
            names = self._indexes[place].get((home, table_id), [])
        history = History(catalog=catalog, home=home, table_id=table_id, indexes=tuple(names))
        return history, heads


def _line(name: str, policy: Policy, desk: _Desk) -> TableStatus:
    try:
        table = desk.exporter.table(name)
        history, heads = desk.library.open(policy.to, Home.of(table), table.table_id)
        return _known(table, policy, history, heads, desk.now)
    except ColdtableError as error:
        return TableStatus(name=name, policy=policy, error=error)


def _known(
    table: Table, policy: Policy, history: History, heads: Heads, now: datetime
) -> TableStatus:
    bases = heads.bases.get(table.table_id, [])
    since = first_listed(now, policy, bases)
    troubled: dict[str, Line] = {name: Line(name) for name in bases if is_troubled(name)}
    verified, bad = _evidence(history)
    told = [name for name in bases if bad and export_of(name) in bad]

    def names() -> Iterator[str]:
        for line in history.lines(since):
            if is_troubled(line.name):
                troubled[line.name] = line
            if bad and export_of(line.name) in bad:
                told.append(line.name)
            yield line.name

    ledger = replace(fold(table.table_id, bases, names()), since=since)
    found = standing(ledger, list(troubled), policy, now)
    return TableStatus(
        name=table.name,
        policy=policy,
        table=table,
        standing=found,
        failure_text=_failure_text(history, found),
        reasons=_reasons(history, found.gaps, troubled),
        incidents=tuple(_incidents(history, heads)),
        verified=verified,
        bad={one: bad[one] for one in sorted(bad) if one in proven_exports(told)},
    )


def _evidence(history: History) -> tuple[Verified | None, Mapping[str, str]]:
    """The newest verification, and what is known to be bad: one listing, and one record unless
    there was ever damage."""
    catalog = history.catalog
    listed = [
        one
        for one in noted(catalog, history.home, history.table_id)
        if one[1].kind is Kind.VERIFICATION
    ]
    if not listed:
        return None, {}
    record = _read(catalog, listed[-1][0])
    newest = Verified(
        at=str(record.get("endedAt", iso_z(listed[-1][1].at))),
        level=str(record.get("level", "")),
        subset=record.get("subset"),
        result=str(record.get("result", listed[-1][1].result)),
    )
    return newest, bad_of(catalog, listed)


def _failure_text(history: History, found: Standing) -> str:
    if found.failure is None:
        return ""
    name, home, table_id = found.failure.name, history.home, history.table_id
    folder = home.base(table_id) if parse_base_name(name) else home.log(table_id)
    record = _read(history.catalog, folder + name)
    return str(record.get("message", ""))


def _reasons(
    history: History, gaps: Sequence[Gap], troubled: Mapping[str, Line]
) -> dict[datetime, str]:
    noted = [gap.start for gap in gaps if gap.noted][-_EXPLAINED:]
    found: dict[datetime, str] = {}
    for start in noted:
        name = gap_key(history.home, history.table_id, start).rsplit("/", 1)[-1]
        if name in troubled:
            found[start] = str(history.details(troubled[name]).get("reason", ""))
    return found


def _incidents(history: History, heads: Heads) -> Iterator[OpenIncident]:
    for incident in heads.incidents:
        if incident.over:
            continue
        key = incident_key(history.home, incident.kind, incident.name, "open")
        record = _read(history.catalog, key)
        yield OpenIncident(
            kind=incident.kind,
            name=incident.name,
            since=str(record.get("since", "")),
            what=str(record.get("what", "")),
        )


def _read(catalog: Catalog, key: str) -> dict[str, Any]:
    """A record, for its text alone: somebody may have removed it since its index was written."""
    try:
        return catalog.read(key)
    except NotFound:
        return {}
