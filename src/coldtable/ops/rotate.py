"""Verify what is due at an hour of the rotation: record it, and tell people of damage.

Nothing is remembered between the hours: what is due follows from the time (``core.rotation``), so
that a late or repeated run reads the same again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from coldtable.core.damage import damage_tellings, damage_trouble, untold
from coldtable.core.evidence import Run
from coldtable.core.records import Home, incident_key
from coldtable.core.rotation import Turn
from coldtable.core.verification import Checked, Level, Report
from coldtable.errors import ColdtableError, Deferred
from coldtable.model import Destination, Span
from coldtable.model_archive import IncidentKind
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import known_bad, record_verification
from coldtable.ops.history import History
from coldtable.ops.reread import AT_A_TIME, Reader, Reread, kept_exports
from coldtable.ops.tell import Desk, tell
from coldtable.ops.turn import Lives, World, lives_of

log = logging.getLogger("coldtable.verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyWorld(World):
    """A turn's world, and how many objects are read at a time."""

    threads: int = AT_A_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTurn:
    """What a run did for one table. ``left`` counts the files that it had no time for; ``bad`` are
    the exports that are known to be bad now; ``error`` is what kept the table from being read,
    noted or told."""

    name: str
    exports: int = 0
    objects: int = 0
    size: int = 0
    left: int = 0
    bad: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    error: ColdtableError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnReport:
    """What one run did. ``errors`` are those that no table of its own has."""

    turn: Turn
    at: datetime
    tables: tuple[TableTurn, ...] = ()
    errors: tuple[ColdtableError, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything was read that was due."""
        return not self.errors and not any(t.left or t.error for t in self.tables)

    @property
    def problems(self) -> Iterator[str]:
        """What went wrong, table by table; that there was no time is no error."""
        yield from (error.message for error in self.errors)
        for table in self.tables:
            if table.error and not isinstance(table.error, Deferred):
                yield f"{table.name}: {table.error.message}"


def rotate(turn: Turn, places: Iterable[Destination], world: VerifyWorld) -> TurnReport:
    """Verify the tables of this hour in every bucket of ``places``, former ones too."""
    tables, errors = list[TableTurn](), list[ColdtableError]()
    at = world.now()
    for to in {(to.bucket, to.owner): to for to in places}.values():
        catalog = Catalog(world.objects(to))
        try:
            lives = lives_of(catalog, world, turn.has)
        except ColdtableError as error:
            errors.append(error)
            continue
        for home in turn.in_order(lives):
            tables.append(_Table(catalog, home, lives[home], turn, world).verify())
    return TurnReport(turn=turn, at=at, tables=tuple(tables), errors=tuple(errors))


@dataclass(frozen=True, slots=True)
class _Table:
    """One table's turn."""

    catalog: Catalog
    home: Home
    lives: Lives
    turn: Turn
    world: VerifyWorld

    def verify(self) -> TableTurn:
        name = self.home.name
        if self.world.watch.left <= 0:
            return TableTurn(name=name, left=1, error=Deferred("There was no time left for it"))
        began = self.world.now()
        spans: dict[str, Span] = {}
        try:
            done = [self._read(history, spans) for history in self.lives.histories.values()]
            checked = [one for read in done for one in read.checked]
            records = self._record(checked, began)
            bad = self._bad(spans)
            told = self._tell(bad, spans)
        except ColdtableError as error:
            log.error(
                "table not verified",
                extra={
                    "table": name,
                    "code": error.code,
                    "error": error.message,
                    "hint": error.hint,
                },
            )
            return TableTurn(name=name, error=error)
        return TableTurn(
            name=name,
            exports=len(checked),
            objects=sum(one.read for one in checked),
            size=sum(one.read_bytes for one in checked),
            left=sum(read.left for read in done),
            bad=tuple(bad),
            records=records,
            told=told,
        )

    def _read(self, history: History, spans: dict[str, Span]) -> Reread:
        """One TableId's slice; ``spans`` gets what every export covers that may be told of."""
        known = known_bad(self.catalog, self.home, history.table_id)
        subset, chosen = self.turn.subset, []
        for kept in kept_exports(history, self.lives.heads.bases.get(history.table_id, ())):
            due = subset.touches(kept.export_id, full=kept.piece.is_full)
            if due:
                chosen.append(kept)
            if (due or kept.export_id in known) and kept.piece.attempt.span:
                spans[kept.export_id] = kept.piece.attempt.span
        table = self.world.table(self.home.name, history.table_id)
        reader = Reader(
            history=history,
            table=table,
            turn=self.turn,
            watch=self.world.watch,
            threads=self.world.threads,
        )
        return reader.read(chosen)

    def _record(self, checked: Sequence[Checked], began: datetime) -> tuple[str, ...]:
        report = Report(level=Level.OBJECTS, began=began, checked=tuple(checked))
        run = Run(prefix="", began=began, ended=self.world.now(), subset=self.turn.subset)
        return record_verification(self.catalog, report, run).keys

    def _bad(self, spans: Mapping[str, Span]) -> dict[str, str]:
        """The exports that are known to be bad and have not expired, whoever found it."""
        found: dict[str, str] = {}
        for table_id in self.lives.histories:
            known = known_bad(self.catalog, self.home, table_id)
            found |= {one: why for one, why in known.items() if one in spans}
        return found

    def _tell(self, bad: Mapping[str, str], spans: Mapping[str, Span]) -> tuple[str, ...]:
        incidents = self.lives.heads.incidents
        about = {
            one.name: self._about(one.name)
            for one in incidents
            if one.kind is IncidentKind.DAMAGE and not one.over
        }
        now = self.world.now()
        desk = Desk(home=self.home, catalog=self.catalog, notifier=self.world.notifier, now=now)
        new = {one: bad[one] for one in untold(about, bad)}
        trouble = damage_trouble(self.home.name, now, new, spans) if new else None
        told = [tell(one, trouble, desk) for one in damage_tellings(incidents, about, bad)]
        return tuple(filter(None, told))

    def _about(self, name: str) -> Sequence[str]:
        record = self.catalog.read(incident_key(self.home, IncidentKind.DAMAGE, name, "open"))
        return [str(one) for one in record.get("exports", ())]
