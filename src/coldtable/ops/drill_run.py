"""Carry a drill out, from wherever it is; who fills its table is given.

What is known of a drill is one object in the scratch place, written before anything is made, so
that whoever comes after an interruption goes on with it. It deletes one table only: the one whose
TableId it has noted and that bears its tag. What waits for AWS goes through ``windows.pause``, and
what reads or writes items tells ``progress``: both may raise to stop it, at any time. Only the
comparison does neither.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from coldtable.core.archive import SUMMARY
from coldtable.core.drill import (
    TAG,
    Drill,
    Result,
    decode,
    drill_key,
    encode,
    evidence_fields,
    remove_command,
)
from coldtable.core.evidence import Kind
from coldtable.core.records import Home
from coldtable.errors import (
    AccessDenied,
    ColdtableError,
    Conflict,
    DamagedError,
    Different,
    ImportFailed,
    ItemRefused,
    LimitReached,
    NotFound,
    WaitTimeout,
)
from coldtable.model_restore import TableState
from coldtable.ops.catalog import Catalog
from coldtable.ops.compare import compare, difference
from coldtable.ops.content import Content
from coldtable.ops.drill_plan import DrillPlan, drills_of
from coldtable.ops.evidence import note_evidence
from coldtable.ops.fill import Filled
from coldtable.ops.restore_plan import TablePlan, Windows
from coldtable.ports_restore import Tables

_PAUSE = 1.0
# AWS deletes a large table with many indexes within minutes.
_GONE_PAUSES = 1800
# New tags show themselves within seconds [MODEL].
_TAG_PAUSES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """What came of it. ``error`` is why it failed; ``noted`` the record's key, ``unnoted`` what
    kept it from being written."""

    drill: Drill
    error: ColdtableError | None = None
    noted: str | None = None
    unnoted: ColdtableError | None = None


class Hands(Protocol):
    """Who gets items into a drill's table."""

    def gather(self, plan: TablePlan) -> Content:
        """What is written into it."""
        ...

    def fill(self, plan: TablePlan, content: Content) -> Filled:
        """The table with all of it; what was done already stays so."""
        ...


class Run:
    """One run of a drill, from wherever it is. ``windows.own`` is its id.

    A drill that fails (damage, a failed import, a difference) is told in the report, and noted;
    its table is kept. Raises what only keeps it from going on, ``Conflict`` if another run of the
    same drill has ended it meanwhile, and if its table has lost its tag.
    """

    def __init__(self, plan: DrillPlan, windows: Windows, hands: Hands) -> None:
        self._plan = plan
        self._drill = plan.drill
        self._windows = windows
        self._hands = hands
        self._key = f"{windows.scratch_prefix}{drill_key(plan.drill)}"
        self._error: ColdtableError | None = None

    def carry_out(self) -> DrillReport:
        """Do all that is left of it."""
        self._begin()
        if self._plan.lost:
            self._fail(self._plan.lost)
        elif self._plan.restore:
            try:
                self._restore(self._plan.restore)
            except (DamagedError, Different, ImportFailed, ItemRefused) as error:
                self._fail(error)
        if self._drill.ended is None:
            self._throw_away()
        return self._end()

    def _begin(self) -> None:
        if self._plan.resumes:
            # Once it has ended its record says so, and must not become another one.
            if self._drill.ended is None:
                since = self._drill.resumed_at or self._windows.now()
                self._save(runs=self._drill.runs + 1, resumed_at=since)
            return
        self._drill = replace(self._drill, facts=_facts(self._plan))
        # What is left of one that failed, whose table somebody has removed, makes room.
        left = drills_of(
            self._windows.scratch, self._windows.scratch_prefix, Home.of(self._drill.source)
        )
        for old in left:
            if old.over:
                self._windows.scratch.remove(f"{self._windows.scratch_prefix}{drill_key(old)}")
        if not self._windows.scratch.put_new(self._key, encode(self._drill)):
            raise Conflict("The same drill was begun a moment ago", hint="Run it again to go on")

    def _restore(self, restore: TablePlan) -> None:
        windows = self._windows
        clock = self._part("plan", self._plan.clock)
        content = self._hands.gather(restore)
        clock = self._part("read", clock)
        filled = self._hands.fill(restore, content)
        clock = self._part("fill", clock)
        self._note_filled(filled)
        found = compare(restore, windows, content, filled.table)
        self._part("compare", clock)
        self._drill = replace(self._drill, comparison=found)
        if not found.same:
            raise Different(difference(found, self._drill.name))
        self._save(result=Result.PASSED)

    def _note_filled(self, filled: Filled) -> None:
        drill, table = self._drill, filled.table
        made = filled.imported.table_id if filled.imported else None
        if made not in (None, table.table_id):
            raise Conflict(f"The table {table.name} is not the one that was imported")
        if drill.filled is None:
            drill = drill.measured(
                now=self._windows.now(),
                seconds=monotonic() - self._plan.clock,
                imported=filled.imported,
            )
        self._drill = replace(drill, table_id=table.table_id)
        self._save()

    def _fail(self, error: ColdtableError) -> None:
        self._check_known()
        drill = self._drill
        there = self._windows.tables.state(drill.name) is not None
        self._save(
            result=Result.FAILED,
            error=error.message,
            exit_code=error.exit_code,
            ended=self._windows.now(),
            kept=there,
        )
        error.hint = "Nothing is left of it"
        if there:
            error.hint = (
                f"Its table was kept for a look. To remove it: {remove_command(drill.name)}"
            )
        self._error = error

    def _check_known(self) -> None:
        """Another run of it may have deleted what this one has compared."""
        if not is_under_way(self._drill, self._windows):
            raise Conflict(
                "Another run has ended this drill meanwhile", hint="See: coldtable report"
            )

    def _throw_away(self) -> None:
        clock, windows = monotonic(), self._windows
        if not self._plan.wish.keep:
            remove_table(self._drill, windows.tables, windows.pause)
            self._part("delete", clock)
            # Whoever deleted it meanwhile has noted it, too.
            self._check_known()
        self._save(ended=windows.now(), kept=self._plan.wish.keep)

    def _end(self) -> DrillReport:
        self._clear()
        report = DrillReport(drill=self._drill, error=self._error or _told(self._drill))
        if self._plan.wish.record:
            try:
                report = replace(report, noted=_note(self._drill, self._windows))
            except ColdtableError as error:
                # It stays under way until somebody notes it, or says that nobody shall.
                return replace(report, unnoted=error)
        if report.error and self._drill.kept:
            self._save(over=True)
        else:
            self._windows.scratch.remove(self._key)
        return report

    def _clear(self) -> None:
        """Remove the checkpoints, and what increments were folded into."""
        windows, scratch = self._windows, self._windows.scratch
        folds = list(scratch.keys(f"{windows.fold_place}/"))
        # Summaries first: without them nobody takes the rest for an export.
        keys = sorted(folds, key=lambda key: not key.endswith(SUMMARY))
        keys += scratch.keys(windows.checkpoints(self._drill.name))
        refused = scratch.remove_many(keys)
        for key, error in list(refused.items())[:1]:
            windows.say(f"{len(refused)} objects of the drill are still there: {key}: {error}")

    def _part(self, name: str, clock: float) -> float:
        """This part of it is done now."""
        now = monotonic()
        seconds = {**self._drill.seconds, name: round(now - clock, 3)}
        self._drill = replace(self._drill, seconds=seconds)
        return now

    def _save(self, **changes: object) -> None:
        self._drill = replace(self._drill, **changes)  # type: ignore[arg-type]
        self._windows.scratch.put(self._key, encode(self._drill))


def is_under_way(drill: Drill, windows: Windows) -> bool:
    """Whether that very drill is known, and nobody has ended it."""
    key = f"{windows.scratch_prefix}{drill_key(drill)}"
    try:
        known = decode(key, b"".join(windows.scratch.read(key)))
    except NotFound:
        return False
    return known.drill_id == drill.drill_id and known.ended is None


def remove_table(drill: Drill, tables: Tables, pause: Callable[[float], None]) -> None:
    """Delete the drill's table and wait until it is gone; no other one, whatever its name is.

    Raises ``Conflict`` if it does not bear the drill's tag (any more).
    """
    tagged = asked = False
    for _ in range(_GONE_PAUSES):
        state = tables.state(drill.name)
        if state is None or state.table_id != drill.table_id:
            return
        if not tagged:
            tagged = _bears_tag(drill, state, tables, pause)
            continue
        if not asked:
            # Busy with its indexes, it is asked again.
            with suppress(Conflict, LimitReached, NotFound):
                tables.delete_table(drill.name)
                asked = True
        pause(_PAUSE)
    raise WaitTimeout(
        f"The table {drill.name} is still being deleted", hint="Run the same command again"
    )


def _bears_tag(
    drill: Drill, state: TableState, tables: Tables, pause: Callable[[float], None]
) -> bool:
    """Whether its tag says so; ``False`` if the table is just going."""
    for _ in range(_TAG_PAUSES):
        try:
            if set(drill.marks) <= set(tables.tags(state.arn).items()):
                return True
        except (AccessDenied, NotFound):
            # What is gone is denied, too (the embedded AWS does that; of AWS it is UNVERIFIED).
            there = tables.state(drill.name)
            if there is not None and there.table_id == drill.table_id and there.ready:
                raise
            pause(_PAUSE)
            return False
        pause(_PAUSE)
    raise Conflict(
        f"The table {drill.name} has lost the tag {TAG}={drill.drill_id}, and is left as it is",
        hint=f"To be rid of it: {remove_command(drill.name)}. Then run the same command again",
    )


def _facts(plan: DrillPlan) -> dict[str, object]:
    restore = plan.restore
    if restore is None:
        return {}
    found = restore.estimate
    return {
        "way": str(restore.way),
        "items": found.items,
        "storedBytes": found.stored_bytes,
        "jsonBytes": found.json_bytes,
        "dollars": None if found.dollars is None else round(found.dollars, 4),
        "notes": list(restore.notes),
    }


def _note(drill: Drill, windows: Windows) -> str:
    if drill.ended is None:
        raise AssertionError("only what has ended is noted")
    catalog = Catalog(windows.store)
    fields, result = evidence_fields(drill), str(drill.result)
    return note_evidence(catalog, drill.source, Kind.DRILL, drill.ended, result, fields)


def _told(drill: Drill) -> ColdtableError | None:
    """Why it failed, where an earlier run met it."""
    if drill.result is not Result.FAILED:
        return None
    error = ColdtableError(drill.error)
    error.exit_code = drill.exit_code
    if drill.kept:
        error.hint = _look(drill)
    return error


def _look(drill: Drill) -> str:
    return f"Its table was kept for a look. To remove it: {remove_command(drill.name)}"
