"""One table's drill in the stack: as far as it goes in this run, and what people are told of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from coldtable.core.drill import Drill, Result, summary
from coldtable.core.drill_trouble import drill_tellings, failure, refusal
from coldtable.core.records import Home, iso_z
from coldtable.errors import (
    Archived,
    ColdtableError,
    ConfigError,
    Conflict,
    DamagedError,
    LimitReached,
    NotCovered,
    UsageError,
)
from coldtable.model_archive import Incident
from coldtable.model_restore import Compare, Way
from coldtable.ops.catalog import Catalog
from coldtable.ops.drill_hands import Imports
from coldtable.ops.drill_plan import BY_STACK, DrillWish, last_drill, plan_drill
from coldtable.ops.drill_run import DrillReport, Run, is_under_way
from coldtable.ops.evidence import noted
from coldtable.ops.restore_plan import Windows
from coldtable.ops.tell import Desk, tell
from coldtable.ops.turn import World

log = logging.getLogger("coldtable.drill")

# So long an import and its comparison may take until people should know.
_LONG = timedelta(days=2)
# What the next run would meet again, and only a person can decide about.
_REFUSED = (UsageError, ConfigError, Archived, DamagedError, NotCovered)


class Did(StrEnum):
    """What became of a table in one run."""

    PASSED = "passed"
    FAILED = "failed"
    GOES_ON = "goes on"
    REFUSED = "refused"
    # Its last drill failed, and the table of that is still there.
    KEPT = "kept"
    BY_HAND = "by hand"
    # There was no time or no room for it.
    LEFT = "left"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What a run did for one table. ``text`` says it in words; ``late`` that people should know;
    ``error`` is what kept it from being drilled, noted or told, and is no finding of a drill."""

    name: str
    did: Did
    text: str = ""
    record: str | None = None
    told: tuple[str, ...] = ()
    late: bool = False
    error: ColdtableError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One table, and where it is drilled. ``incidents`` are those that are known, if somebody has
    listed them."""

    home: Home
    table_id: str
    catalog: Catalog
    windows: Windows
    world: World
    incidents: Sequence[Incident] | None = None

    def drill(self, table: str, folder: str) -> Drilled:
        """Begin a drill of the full export in that folder, or go on with the one under way."""
        wish = DrillWish(
            table=table,
            full_only=True,
            way=Way.IMPORT,
            compare=Compare.SAMPLE,
            prove=False,
            folder=folder,
        )
        drill: Drill | None = None
        try:
            plan = plan_drill(wish, self.windows)
            drill = plan.drill
            if plan.resumes and drill.asked != BY_STACK:
                return self._waits(Did.BY_HAND, f"{drill.name} is somebody's", drill)
            own = replace(self.windows, own=drill.drill_id)
            hands = Imports(windows=own, watch=self.world.watch)
            report = Run(plan, own, hands).carry_out()
        except LimitReached as error:
            return self._waits(Did.GOES_ON if drill else Did.LEFT, error.message, drill)
        except _REFUSED as error:
            refused = Drilled(name=self.home.name, did=Did.REFUSED, text=error.message)
            return self.tell(refused, error)
        except Conflict as error:
            if drill and not is_under_way(drill, self.windows):
                return self._waits(Did.GOES_ON, "Another run was first with it", drill)
            return self.failed(error)
        except ColdtableError as error:
            return self.failed(error)
        return self.tell(self._ended(report))

    def tell(self, done: Drilled, refused: ColdtableError | None = None) -> Drilled:
        """``done``, with what people were told: of a drill that failed or was ``refused``, once,
        and once more when one has passed."""
        try:
            told = self._tell(refused)
        except ColdtableError as error:
            return replace(done, error=done.error or error)
        return replace(done, told=told)

    def failed(self, error: ColdtableError) -> Drilled:
        """What kept it from being drilled."""
        self._log("table not drilled", error)
        return Drilled(name=self.home.name, did=Did.LEFT, text=error.message, error=error)

    def _waits(self, did: Did, text: str, drill: Drill | None) -> Drilled:
        """Nothing is wrong with it yet; unless it takes very long, or all of a run."""
        began = drill.began if drill else self.world.now()
        late = self.world.now() - began > _LONG or self.world.watch.left <= 0
        since = f" (since {iso_z(began)})" if drill else ""
        return Drilled(name=self.home.name, did=did, text=f"{text}{since}", late=late)

    def _ended(self, report: DrillReport) -> Drilled:
        drill = report.drill
        if report.unnoted:
            self._log("drill not noted", report.unnoted)
        return Drilled(
            name=self.home.name,
            did=Did.PASSED if drill.result is Result.PASSED else Did.FAILED,
            text=summary(drill),
            record=report.noted,
            error=report.unnoted,
        )

    def _tell(self, refused: ColdtableError | None) -> tuple[str, ...]:
        now = self.world.now()
        newest = last_drill(noted(self.catalog, self.home, self.table_id), now)
        result = newest[1].result if newest else ""
        incidents = self.incidents
        if incidents is None:
            incidents = self.catalog.heads(self.home).incidents
        wrong = refused is not None or result == Result.FAILED
        tellings = drill_tellings(incidents, wrong=wrong, passed=not wrong and bool(result))
        desk = Desk(home=self.home, catalog=self.catalog, notifier=self.world.notifier, now=now)
        told = []
        for one in tellings:
            trouble = None
            if refused:
                trouble = refusal(self.home.name, now, refused)
            elif newest and wrong:
                trouble = failure(self.home.name, self.catalog.read(newest[0]))
            told.append(tell(one, trouble, desk))
        return tuple(filter(None, told))

    def _log(self, what: str, error: ColdtableError) -> None:
        said = {"code": error.code, "error": error.message, "hint": error.hint}
        log.error(what, extra={"table": self.home.name, **said})
