"""Drill in the stack: go on with what is under way, begin what waits longest, tell how it went.

A run has minutes and an import may take hours, so no run waits for it: the next one goes on, by
what lies in the bucket. A table is looked at once a day, at its hour (``core.rotation``), and what
is drilled is its newest full export, imported as it lies. Nothing is folded or written here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coldtable.core.drill import Drill, due_for_drill
from coldtable.core.evidence import Noted
from coldtable.core.policy import destinations, is_covered, is_left_out
from coldtable.core.records import Home
from coldtable.core.rotation import hour_of
from coldtable.errors import ColdtableError
from coldtable.model import Destination
from coldtable.model_policy import Configuration
from coldtable.ops.catalog import Catalog
from coldtable.ops.drill_hands import PATIENCE, Patience
from coldtable.ops.drill_plan import BY_STACK, drills_of, is_kept, last_drill
from coldtable.ops.drill_step import Did, Drilled, Step
from coldtable.ops.evidence import bad_of, noted
from coldtable.ops.history import History
from coldtable.ops.reread import Kept, kept_exports, record_of
from coldtable.ops.restore_plan import Windows
from coldtable.ops.shelf import folder_of
from coldtable.ops.turn import Lives, World, lives_of

log = logging.getLogger("coldtable.drill")

# DynamoDB imports 50 at a time for a whole account [DOC-QUOTA]: others want some of them.
AT_ONCE = 10
# Seconds that planning a drill may take, and asking for its import.
_LEAST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillWorld(World):
    """A turn's world, with the windows of a drill on the archive in a destination, and how many
    seconds a run may wait for AWS."""

    windows: Callable[[Destination], Windows]
    patience: float = PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillTurnReport:
    """What one run did. ``errors`` are those that no table of its own has."""

    at: datetime
    hour: int
    tables: tuple[Drilled, ...] = ()
    errors: tuple[ColdtableError, ...] = ()

    @property
    def on_time(self) -> bool:
        """Whether nothing was left, and nothing takes longer than it should."""
        return not self.errors and not any(table.late or table.error for table in self.tables)

    @property
    def problems(self) -> Iterator[str]:
        """What went wrong, table by table; that a drill failed is no error."""
        yield from (error.message for error in self.errors)
        for table in self.tables:
            if table.error:
                yield f"{table.name}: {table.error.message}"


def drill_turn(
    moment: datetime, every: timedelta, configuration: Configuration, world: DrillWorld
) -> DrillTurnReport:
    """One run at the hour of ``moment``, in every bucket that tables are exported to."""
    tables, errors = list[Drilled](), list[ColdtableError]()
    at, patience = world.now(), Patience(world.watch, world.patience)
    under_way = set[Home]()
    for to in {(to.bucket, to.owner): to for to in destinations(configuration)}.values():
        windows = replace(world.windows(to), pause=patience.pause, now=world.now, say=log.info)
        place = _Place(
            to=to,
            catalog=Catalog(world.objects(to)),
            windows=windows,
            world=world,
            configuration=configuration,
            hour=moment.hour,
            every=every,
            under_way=under_way,
        )
        try:
            tables += place.drill()
        except ColdtableError as error:
            errors.append(error)
    return DrillTurnReport(at=at, hour=moment.hour, tables=tuple(tables), errors=tuple(errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A table whose hour it is, and what was noted of its drills and verifications."""

    step: Step
    history: History
    base_names: Sequence[str]
    listed: Sequence[tuple[str, Noted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One bucket's part of a run. ``under_way`` are the tables of all buckets."""

    to: Destination
    catalog: Catalog
    windows: Windows
    world: World
    configuration: Configuration
    hour: int
    every: timedelta
    under_way: set[Home]

    def drill(self) -> Iterator[Drilled]:
        """What is under way, then what is due at this hour; a listing for each table."""
        known = [drill for drill in drills_of(self.windows.scratch, "") if self._is_here(drill)]
        mine = [drill for drill in known if drill.asked == BY_STACK and not drill.over]
        # One that takes all of a run must not keep the others from theirs.
        first = self.hour % len(mine) if mine else 0
        for drill in (*mine[first:], *mine[:first]):
            home = Home.of(drill.source)
            done = self._go_on(drill, self._step(home, drill.source.table_id))
            if done.did in (Did.GOES_ON, Did.LEFT, Did.REFUSED):
                self.under_way.add(home)
            yield done
        been = {Home.of(drill.source) for drill in mine}
        lives = lives_of(self.catalog, self.world, self._is_meant)
        candidates = dict[str, _Candidate]()
        for home, life in lives.items():
            if home in been:
                continue
            try:
                if found := self._candidate(home, life):
                    candidates[home.name] = found
            except ColdtableError as error:
                yield self._step(home, "").failed(error)
        yield from self._due(candidates, known)

    def _go_on(self, drill: Drill, step: Step) -> Drilled:
        if self.world.watch.left <= 0:
            text = "There was no time left to go on with it"
            return Drilled(name=step.home.name, did=Did.LEFT, text=text, late=True)
        return step.drill(drill.source.arn, drill.folder)

    def _due(self, candidates: dict[str, _Candidate], known: Sequence[Drill]) -> Iterator[Drilled]:
        now = self.world.now()
        last = {name: last_drill(one.listed, now) for name, one in candidates.items()}
        ends = {name: found[1].at if found else None for name, found in last.items()}
        due = due_for_drill(ends, now, self.every)
        for name in due:
            yield self._begin(candidates[name], known)
        for name, one in candidates.items():
            if name in due:
                continue
            # Somebody may have drilled it by hand, or a run have ended before it could tell.
            done = one.step.tell(Drilled(name=name, did=Did.NOTHING))
            if done.told or done.error:
                yield done

    def _begin(self, one: _Candidate, known: Sequence[Drill]) -> Drilled:
        step = one.step
        kept = [drill for drill in known if Home.of(drill.source) == step.home]
        try:
            if any(is_kept(drill, self.windows.tables) for drill in kept):
                text = "Its last drill failed, and the table of that is still there"
                return step.tell(Drilled(name=step.home.name, did=Did.KEPT, text=text))
            if len(self.under_way) >= AT_ONCE or self.world.watch.left < _LEAST:
                text = "There was no time or no room left for it"
                return Drilled(name=step.home.name, did=Did.LEFT, text=text, late=True)
            bad = bad_of(self.catalog, one.listed)
            newest = _newest_full(one.history, one.base_names, bad)
            if newest is None:
                return Drilled(name=step.home.name, did=Did.NOTHING, text="It has no full export")
            folder = folder_of(newest.piece, record_of(one.history, newest))
        except ColdtableError as error:
            return step.failed(error)
        done = step.drill(self.world.table(step.home.name, step.table_id).arn, folder)
        if done.did is Did.GOES_ON:
            self.under_way.add(step.home)
        return done

    def _candidate(self, home: Home, life: Lives) -> _Candidate | None:
        """The table that has this name now; of several the one with the newest full export."""
        bases = life.heads.bases
        alive = [i for i in life.histories if "ended.json" not in bases.get(i, ())]
        if len(alive) > 1:
            alive.sort(key=lambda i: _moment(_newest_full(life.histories[i], bases.get(i, ()))))
        if not alive:
            return None
        table_id = alive[-1]
        step = replace(self._step(home, table_id), incidents=life.heads.incidents)
        return _Candidate(
            step=step,
            history=life.histories[table_id],
            base_names=bases.get(table_id, ()),
            listed=list(noted(self.catalog, home, table_id)),
        )

    def _step(self, home: Home, table_id: str) -> Step:
        return Step(
            home=home,
            table_id=table_id,
            catalog=self.catalog,
            windows=self.windows,
            world=self.world,
        )

    def _is_here(self, drill: Drill) -> bool:
        home = Home.of(drill.source)
        return (home.account, home.region) == (self.world.account, self.world.region)

    def _is_meant(self, home: Home) -> bool:
        """Whether it is the table's hour, and it is kept here. A tag is not looked up: what has an
        archive and may have one is kept."""
        if hour_of(home) != self.hour:
            return False
        said = self.configuration
        kept = is_covered(said, home.name)
        kept = kept or (said.selection.tagged and not is_left_out(said, home.name))
        places = destinations(said, [home.name])
        return kept and (self.to.bucket, self.to.owner) in {(to.bucket, to.owner) for to in places}


def _newest_full(
    history: History, base_names: Sequence[str], bad: dict[str, str] | None = None
) -> Kept | None:
    """The newest full export that is proven and there, and not known to be bad."""
    fulls = (
        kept
        for kept in kept_exports(history, base_names)
        if kept.piece.is_full and kept.export_id not in (bad or {})
    )
    return max(fulls, key=lambda kept: kept.piece.stop, default=None)


def _moment(kept: Kept | None) -> float:
    return kept.piece.stop.timestamp() if kept else 0.0
