"""Plan a drill: go on with the one that is under way, or choose what to restore. Only reads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from coldtable.core.archive import ArchivedExport
from coldtable.core.drill import (
    Drill,
    compare_level,
    decode,
    drill_key,
    drill_of,
    drill_price,
    drills_folder,
    remove_command,
)
from coldtable.core.evidence import Kind, Noted
from coldtable.core.pace import Rate
from coldtable.core.records import Home, iso_z
from coldtable.core.request import exact_iso
from coldtable.core.restore_point import RestorePlan, plan_restore
from coldtable.errors import ColdtableError, Conflict, NotCovered, NotFound
from coldtable.model import Table
from coldtable.model_policy import DRILL_PREFIX
from coldtable.model_restore import Compare, KeySchema, Parts, Way
from coldtable.ops.restore_plan import (
    RestoreWish,
    TablePlan,
    Windows,
    exports_of,
    gate_of,
    plan_table,
)
from coldtable.ops.retrieve import Gate
from coldtable.ports import ObjectStore
from coldtable.ports_restore import Tables

# A restore's own table, as a real one has it; nothing that would act on it or outlive it.
PARTS = Parts(ttl=False, tags=False, streams=False, pitr=False, protection=False)
LATEST, LATEST_FULL = "latest", "latest-full"
# What the stack's own function asks for: people go on with theirs, and it with its own.
BY_STACK = "stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillWish:
    """What somebody asks for. ``at`` is ``None`` for the newest restore point, with ``full_only``
    for the newest full export's: that one needs no folding. ``compare`` is ``None`` for every item
    unless that takes hours; ``keep`` leaves the table; ``record`` notes the drill in the catalog.
    Without ``prove`` damage is only found on the way. ``folder`` is where the full export lies that
    the stack has chosen from the catalog: nothing else of the archive is looked at."""

    table: str
    at: datetime | None = None
    full_only: bool = False
    way: Way | None = None
    compare: Compare | None = None
    rate: Rate | None = None
    key: KeySchema | None = None
    allow_gap: bool = False
    prefix: str = DRILL_PREFIX
    keep: bool = False
    prove: bool = True
    record: bool = True
    folder: str = ""

    @property
    def asked(self) -> str:
        """The instant as it was asked for."""
        if self.folder:
            return BY_STACK
        if self.at is not None:
            return exact_iso(self.at)
        return LATEST_FULL if self.full_only else LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlan:
    """One drill, ready to be done. ``restore`` is ``None`` where nothing is left of it but to clean
    up, or where ``lost`` says why it cannot be gone on with. ``clock`` is when planning began."""

    wish: DrillWish
    drill: Drill
    restore: TablePlan | None
    because: str
    resumes: bool
    lost: ColdtableError | None
    clock: float


def plan_drill(wish: DrillWish, windows: Windows) -> DrillPlan:
    """Look for a drill that is under way, else choose what to restore; only reads.

    Raises what ``plan_table`` does, and ``Conflict`` while the table of one that failed is kept,
    and for a table of the name that is not the drill's own.
    """
    clock, gate = monotonic(), gate_of(windows, wish.folder)
    home, exports = _exports(wish, windows, gate)
    known = drills_of(windows.scratch, windows.scratch_prefix, home)
    drill = next((d for d in known if d.asked == wish.asked and not d.over), None)
    source: RestorePlan | None = None
    if drill is None:
        source = gate.choose(lambda: _chosen(wish, exports), wish.at, lambda found: found.moment)
        drill = _new(wish, source, windows.now())
        same = (d for d in known if drill_key(d) == drill_key(drill) and not d.over)
        drill = next(same, drill)
    resumes = drill in known
    if not resumes:
        _refuse_beside(known, windows.tables)
    restore, because, lost = None, "", None
    if drill.result is None:
        if resumes:
            source, lost = _again(drill, exports, gate)
        if lost is None:
            restore, because = _restore(wish, drill, windows, gate, source)
    return DrillPlan(
        wish=wish,
        drill=drill,
        restore=restore,
        because=because,
        resumes=resumes,
        lost=lost,
        clock=clock,
    )


def _exports(
    wish: DrillWish, windows: Windows, gate: Gate
) -> tuple[Home, tuple[ArchivedExport, ...]]:
    """The archive's exports of the table, and whose they are."""
    try:
        found = gate.choose(
            lambda: exports_of(gate, windows, wish.table), windows.now(), lambda _: windows.now()
        )
    except NotFound:
        if not wish.folder:
            raise
        # It has expired since: a drill that is under way must learn of it.
        return Home.of(Table(name=wish.table.rpartition("/")[2], arn=wish.table, table_id="")), ()
    return Home.of(found[0].table), found


def drills_of(store: ObjectStore, prefix: str, home: Home | None = None) -> tuple[Drill, ...]:
    """What is known of one table's drills that are not over, or of all tables'; oldest first.

    Those that have failed are among them (``over``) while nobody has removed their tables.
    """
    found = []
    for key in list(store.keys(prefix + drills_folder(home))):
        with suppress(NotFound):
            found.append(decode(key, b"".join(store.read(key))))
    return tuple(sorted(found, key=lambda drill: (drill.began, drill.drill_id)))


def last_drill(listed: Iterable[tuple[str, Noted]], until: datetime) -> tuple[str, Noted] | None:
    """The last drill of a TableId, however it ended, of what ``ops.evidence.noted`` has listed; the
    key of its record first.

    What was noted by a clock that was ahead does not count before its time: else it would keep the
    table from its drills for as long as that.
    """
    drills = (one for one in listed if one[1].kind is Kind.DRILL and one[1].at <= until)
    return max(drills, key=lambda one: (one[1].at, one[1].number), default=None)


def _chosen(wish: DrillWish, exports: tuple[ArchivedExport, ...]) -> RestorePlan:
    if not wish.full_only:
        return plan_restore(exports, wish.at, allow_gap=wish.allow_gap)
    fulls = [export for export in exports if export.is_full]
    if not fulls:
        raise NotCovered(f"The archive holds no full export of {wish.table}")
    return plan_restore(fulls, wish.at, allow_gap=wish.allow_gap)


def _new(wish: DrillWish, source: RestorePlan, now: datetime) -> Drill:
    exports = [e.manifest.export_arn for e in (source.base, *source.increments)]
    return drill_of(
        source.base.table,
        wish.asked,
        source.moment,
        exports,
        began=now,
        allow_gap=wish.allow_gap,
        prefix=wish.prefix,
        folder=wish.folder,
    )


def _refuse_beside(known: tuple[Drill, ...], tables: Tables) -> None:
    for drill in known:
        if is_kept(drill, tables):
            raise Conflict(
                f"The drill of {iso_z(drill.began)} failed, and its table {drill.name} is "
                f"still there: {drill.error}",
                hint=f"Have a look at it, and remove it: {remove_command(drill.name)}",
            )


def is_kept(drill: Drill, tables: Tables) -> bool:
    """Whether it has failed, and its table is still there for a look."""
    state = tables.state(drill.name) if drill.over else None
    return state is not None and drill.table_id in ("", state.table_id)


def _again(
    drill: Drill, exports: tuple[ArchivedExport, ...], gate: Gate
) -> tuple[RestorePlan | None, ColdtableError | None]:
    """The same exports once more: newer ones must not make another restore of it. If some of them
    are gone, that is told."""

    def choose() -> RestorePlan:
        meant = [e for e in exports if e.manifest.export_arn in drill.exports]
        if {e.manifest.export_arn for e in meant} != set(drill.exports):
            raise NotCovered(
                f"The drill of {iso_z(drill.began)} cannot be gone on with: exports that it read "
                "are not in the archive any more"
            )
        return plan_restore(meant, drill.moment, allow_gap=drill.allow_gap)

    try:
        return gate.choose(choose, drill.moment, lambda found: found.moment), None
    except NotCovered as error:
        return None, error


def _restore(
    wish: DrillWish, drill: Drill, windows: Windows, gate: Gate, source: RestorePlan | None
) -> tuple[TablePlan, str]:
    """The restore that it is, with the comparison that suits it, and why that one."""
    restore = plan_table(
        RestoreWish(
            table=wish.table,
            at=drill.moment,
            to=drill.name,
            way=wish.way,
            parts=PARTS,
            rate=wish.rate,
            key=wish.key,
            allow_gap=drill.allow_gap,
            prove=wish.prove,
            marks=drill.marks,
        ),
        replace(windows, own=drill.drill_id),
        gate,
        source,
    )
    found, definition = restore.estimate, restore.definition
    level, because = compare_level(wish.compare, found, definition)
    found = replace(found, dollars=drill_price(found, level, definition))
    return replace(restore, wish=replace(restore.wish, compare=level), estimate=found), because
