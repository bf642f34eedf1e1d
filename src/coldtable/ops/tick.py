"""The tick: observe, plan, apply, report, for every table. Stateless, idempotent, without waiting.

What does not fit into the time is left for the next tick; the table whose newest restore point is
oldest comes first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from coldtable.core.incidents import Condition, lag, losses, newest_full, tellings, troubles
from coldtable.core.planner import Observation, plan
from coldtable.core.records import Home
from coldtable.core.timeline import ledger_timeline
from coldtable.errors import ColdtableError, Deferred, NotFound
from coldtable.model import Destination, Export, Table
from coldtable.model_archive import EndTable, Ledger, Limits, Plan, Timeline
from coldtable.model_policy import Policy
from coldtable.ops.apply import Bench, Room, Step, apply
from coldtable.ops.catalog import HORIZON, Catalog, Heads, Library, former_ids
from coldtable.ops.compact import Candidate, Compaction, compact_due
from coldtable.ops.pace import PacedExporter, Watch
from coldtable.ops.tell import Desk, tell, trouble_of
from coldtable.ports import Exporter, Notifier, ObjectStore, TableDirectory

log = logging.getLogger("coldtable.tick")

# Most of a table's time is waiting for answers; more threads would only meet AWS's throttles.
_LOOKING, _WORKING = 16, 8
# A table is not begun when less than this is left: its own calls take a few seconds.
_TAIL_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a tick asks or changes."""

    exporter: Exporter
    directory: TableDirectory
    objects: Callable[[Destination], ObjectStore]
    notifier: Notifier | None
    watch: Watch
    now: datetime
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTick:
    """What the tick planned and did for one table.

    ``steps`` has what each planned action came to, as far as they were carried out; ``error`` what
    stopped it. ``told`` are the subjects of the messages sent.
    """

    name: str
    policy: Policy
    plan: Plan = field(default_factory=Plan)
    steps: tuple[Step, ...] = ()
    timeline: Timeline = field(default_factory=Timeline)
    lag: timedelta | None = None
    stale: bool = False
    told: tuple[str, ...] = ()
    error: ColdtableError | None = None
    untold: bool = False

    def count(self, *kinds: str) -> int:
        """How many steps are of these kinds."""
        return sum(step.kind in kinds for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What one tick did. ``uncovered`` are the tables that no policy covers; ``compaction`` is
    what became of the catalog's indexes, which nothing depends on."""

    at: datetime
    tables: tuple[TableTick, ...] = ()
    uncovered: tuple[str, ...] = ()
    compaction: Compaction = field(default_factory=Compaction)

    def count(self, *kinds: str) -> int:
        """How many steps of all tables are of these kinds."""
        return sum(table.count(*kinds) for table in self.tables)

    @property
    def left(self) -> tuple[str, ...]:
        """The tables that the next tick goes on with."""
        return tuple(t.name for t in self.tables if isinstance(t.error, Deferred))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """A table after the cheap look: who it is, and what the catalog says of it."""

    table: Table
    policy: Policy
    heads: Heads
    ledger: Ledger
    catalog: Catalog

    @property
    def home(self) -> Home:
        return Home.of(self.table)


def tick(
    policies: Mapping[str, Policy],
    world: World,
    *,
    uncovered: Sequence[str] = (),
    dry_run: bool = False,
) -> TickReport:
    """One tick over the tables of ``policies`` (by name).

    With ``dry_run`` everything is observed and planned, and nothing is changed, started or told.
    """
    world = replace(world, exporter=PacedExporter(world.exporter, world.limits, world.watch))
    library = Library(world.objects)
    names = list(policies)
    with ThreadPoolExecutor(_LOOKING) as threads:
        looked = list(threads.map(lambda name: _look(name, policies[name], world, library), names))
    good = [one for one in looked if isinstance(one, _Looked)]
    bad = [one for one in looked if isinstance(one, TableTick)]
    good.sort(key=_urgency)
    in_flight = sum(a.in_flight for one in good for w in one.ledger.pending for a in w.attempts)
    room = Room(world.limits.in_flight - in_flight)
    with ThreadPoolExecutor(_WORKING) as threads:
        done = list(threads.map(lambda one: _work(one, world, room, dry_run=dry_run), good))
    order = {name: number for number, name in enumerate(names)}
    lines = sorted([*done, *bad], key=lambda line: order[line.name])
    compaction = Compaction() if dry_run else compact_due(_candidates(good), world.watch, world.now)
    return TickReport(
        at=world.now, tables=tuple(lines), uncovered=tuple(uncovered), compaction=compaction
    )


def _candidates(looked: Sequence[_Looked]) -> list[Candidate]:
    found = [(one, ledger_timeline(one.ledger).chains) for one in looked]
    return [
        Candidate(
            catalog=one.catalog,
            home=one.home,
            table_id=one.table.table_id,
            head=chains[-1].end if chains else None,
        )
        for one, chains in found
    ]


def _look(name: str, policy: Policy, world: World, library: Library) -> _Looked | TableTick:
    try:
        table = world.exporter.table(name)
        home = Home.of(table)
        catalog, heads = library.open(policy.to, home)
        ledger = catalog.ledger(home, table.table_id, heads, world.now - HORIZON)
    except ColdtableError as error:
        return _failed(name, policy, error)
    return _Looked(table=table, policy=policy, heads=heads, ledger=ledger, catalog=catalog)


def _urgency(one: _Looked) -> tuple[bool, float]:
    """Oldest restore point first; a table without any is first of all."""
    newest = ledger_timeline(one.ledger).newest
    return (newest is not None, newest.timestamp() if newest else 0.0)


def _work(one: _Looked, world: World, room: Room, *, dry_run: bool) -> TableTick:
    policy = one.policy
    if world.watch.left < _TAIL_SECONDS:
        return _not_worked(one, world, Deferred("No time is left for it in this run"))
    try:
        observed = observe(one.table, one.ledger, _former(one, world), world.exporter)
    except ColdtableError as error:
        return _not_worked(one, world, error)
    planned = plan(observed, policy, world.now, world.limits)
    if dry_run:
        return _line(one, policy, world, planned, one.ledger)
    bench = Bench(
        table=one.table,
        policy=policy,
        now=world.now,
        catalog=one.catalog,
        exporter=world.exporter,
        directory=world.directory,
        objects=lambda: world.objects(policy.to),
        room=room,
    )
    steps, problem = _apply(planned, bench)
    return _conclude(one, observed, world, planned, bench, steps, problem)


def observe(
    table: Table, ledger: Ledger, former: Sequence[Ledger], exporter: Exporter
) -> Observation:
    """What is true of one table: its PITR window, and the exports in flight."""
    pitr = exporter.pitr(table)
    seen: dict[str, Export] = {}
    forgotten: set[str] = set()
    for wanted in ledger.pending:
        for attempt in wanted.attempts:
            if attempt.in_flight and attempt.export_id:
                try:
                    arn = f"{table.arn}/export/{attempt.export_id}"
                    seen[attempt.export_id] = exporter.describe(arn)
                except NotFound:
                    forgotten.add(attempt.export_id)
    return Observation(
        table=table,
        pitr=pitr,
        ledger=ledger,
        seen=seen,
        forgotten=frozenset(forgotten),
        former=tuple(former),
    )


def _former(one: _Looked, world: World) -> list[Ledger]:
    return [
        one.catalog.ledger(one.home, table_id, one.heads, world.now - 2 * HORIZON)
        for table_id in former_ids(one.heads, one.table.table_id)
    ]


def _apply(planned: Plan, bench: Bench) -> tuple[list[Step], ColdtableError | None]:
    """Each action on its own: one that fails does not keep the others from being done. That a
    former table is gone is noted last of all, after people were told of its gap."""
    steps: list[Step] = []
    first: ColdtableError | None = None
    for action in planned.actions:
        if isinstance(action, EndTable):
            continue
        try:
            steps.append(apply(action, bench))
        except ColdtableError as error:
            log.error(
                "not done",
                extra={
                    "table": bench.table.name,
                    "action": type(action).__name__,
                    "code": error.code,
                    "error": error.message,
                    "hint": error.hint,
                },
            )
            # What cannot be mended by waiting is what people should read.
            if first is None or (first.retryable and not error.retryable):
                first = error
    return steps, first


def _conclude(
    one: _Looked,
    observed: Observation,
    world: World,
    planned: Plan,
    bench: Bench,
    steps: list[Step],
    error: ColdtableError | None,
) -> TableTick:
    """Look at the catalog again, tell what is to be told, and note former tables as gone."""
    told: list[str] = []
    untold: ColdtableError | None = None
    ledger, former = one.ledger, list(observed.former)
    try:
        if steps or error:
            heads = one.catalog.heads(one.home)
            since = world.now - HORIZON
            ledger = one.catalog.ledger(one.home, one.table.table_id, heads, since)
            former = _former(replace(one, heads=heads), world)
        condition = Condition(
            table=one.table,
            pitr=observed.pitr,
            ledger=ledger,
            timeline=ledger_timeline(ledger),
            policy=one.policy,
            now=world.now,
            error=error,
        )
        told = _tell(one, condition, former, world)
        steps += [apply(a, bench) for a in planned.actions if isinstance(a, EndTable)]
    except ColdtableError as problem:
        untold = problem
    line = _line(one, one.policy, world, planned, ledger)
    return replace(
        line,
        steps=tuple(steps),
        told=tuple(filter(None, told)),
        error=error or untold,
        untold=untold is not None or (error is not None and world.notifier is None),
    )


def _tell(one: _Looked, condition: Condition, former: Sequence[Ledger], world: World) -> list[str]:
    if world.notifier is None:
        return []
    desk = Desk(
        home=one.home,
        catalog=one.catalog,
        notifier=world.notifier,
        now=world.now,
        timeline=condition.timeline,
    )
    found = troubles(condition)
    trouble = found[0] if found else None
    lost = losses(condition, former)
    full = newest_full(condition.ledger)
    return [
        tell(telling, trouble_of(telling, trouble, lost), desk)
        for telling in tellings(one.heads.incidents, trouble, lost, full)
    ]


def _line(one: _Looked, policy: Policy, world: World, planned: Plan, ledger: Ledger) -> TableTick:
    found = ledger_timeline(ledger)
    behind = lag(found, world.now)
    return TableTick(
        name=one.table.name,
        policy=policy,
        plan=planned,
        timeline=found,
        lag=behind,
        stale=policy.pause is None and behind is not None and behind > policy.rpo,
    )


def _not_worked(one: _Looked, world: World, error: ColdtableError) -> TableTick:
    """A table that was looked at and no more: its lag is known all the same."""
    line = _line(one, one.policy, world, Plan(), one.ledger)
    failed = _failed(line.name, line.policy, error)
    return replace(line, error=failed.error, untold=failed.untold)


def _failed(name: str, policy: Policy, error: ColdtableError) -> TableTick:
    """A table of which so little is known that its incident cannot be noted either."""
    if not isinstance(error, Deferred):
        log.error(
            "table not observed",
            extra={"table": name, "code": error.code, "error": error.message, "hint": error.hint},
        )
    return TableTick(name=name, policy=policy, error=error, untold=not error.retryable)
