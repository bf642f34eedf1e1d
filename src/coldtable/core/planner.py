"""What a tick should do to one table: a pure function of what is true, the policy and the time.

The truth is the ledger (what the catalog's keys say), the table's PITR window, and what AWS says of
the exports in flight. Nothing here remembers anything: the same truth gives the same plan, and
once everything wanted is there the plan is empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from coldtable.core.records import base_slot, iso_z, slot_of, unstamp
from coldtable.core.schedule import latest_moment
from coldtable.model import Export, ExportStatus, Pitr, Snapshot, Table, Window
from coldtable.model_archive import (
    Action,
    Adopt,
    EndTable,
    Ledger,
    Limits,
    MarkGap,
    Plan,
    Resume,
    Settle,
    Slot,
    SlotKind,
    Start,
    Wanted,
)
from coldtable.model_policy import Mode, Policy

# After a failure: 15 minutes, then twice as long each time. A cause that lasts for days should
# not cost (and bill) an attempt every quarter of an hour.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=4)
# The reason of an attempt that AWS refused because of its time, and never started.
REFUSED = "InvalidExportTime"
# The nightly schedule starts its snapshots itself; later than this the tick makes up for it.
LATE = timedelta(hours=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is true of one table now.

    ``seen`` has DescribeExport's answer for each export in flight, by export id; an id in
    ``forgotten`` is one that AWS does not know any more. ``former`` are the ledgers of tables that
    had this name before and are not noted as gone yet.
    """

    table: Table
    pitr: Pitr
    ledger: Ledger
    seen: Mapping[str, Export] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    former: tuple[Ledger, ...] = ()


def plan(observed: Observation, policy: Policy, now: datetime, limits: Limits) -> Plan:
    """The actions for one table, in their order, each with its reason; and notes on what waits."""
    actions: list[Action] = list(_settle(observed))
    actions += _end_former(observed)
    notes: list[str] = []
    pitr = observed.pitr
    if policy.pause:
        notes.append(f"paused since {iso_z(policy.pause.since)}: {policy.pause.reason}")
    elif not pitr.enabled or pitr.earliest is None or pitr.latest is None:
        notes.append("point-in-time recovery is off: nothing can be exported")
    else:
        desk = _Desk(
            ledger=observed.ledger,
            policy=policy,
            earliest=pitr.earliest,
            latest=pitr.latest,
            now=now,
            limits=limits,
            notes=notes,
        )
        mode = _continuous if policy.mode is Mode.CONTINUOUS else _snapshots
        actions += mode(desk)
    return Plan(actions=tuple(actions), notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What planning one table needs at hand; ``notes`` is written to."""

    ledger: Ledger
    policy: Policy
    earliest: datetime
    latest: datetime
    now: datetime
    limits: Limits
    notes: list[str]


def _settle(observed: Observation) -> Iterator[Settle]:
    for wanted in observed.ledger.pending:
        for attempt in wanted.attempts:
            if not attempt.in_flight or attempt.export_id is None:
                continue
            export = observed.seen.get(attempt.export_id)
            if attempt.export_id in observed.forgotten:
                reason = "AWS does not know the export any more"
            elif export is None or export.status is ExportStatus.IN_PROGRESS:
                continue
            else:
                reason = f"the export is {export.status}"
            yield Settle(slot=wanted.slot, attempt=attempt, export=export, reason=reason)


def _end_former(observed: Observation) -> Iterator[Action]:
    """A table of this name that is not this one: its history ends where its chain ended."""
    for former in observed.former:
        why = f"the name now belongs to another table, {observed.table.table_id}"
        if (head := former_head(former)) is not None and head not in former.gaps:
            yield MarkGap(table_id=former.table_id, start=head, cause="recreated", reason=why)
        yield EndTable(table_id=former.table_id, reason=why)


def former_head(ledger: Ledger) -> datetime | None:
    """Where the chain of a table that is gone ended: nothing after it can come any more."""
    moments = [
        w.span.moment
        for w in (*ledger.bases, *ledger.snapshots)
        if w.verified and isinstance(w.span, Snapshot)
    ]
    return max((_walk(ledger, moment, None).cursor for moment in moments), default=None)


def _continuous(desk: _Desk) -> Iterator[Action]:
    """Keep the chain unbroken: retry, go on from where it ends, or begin a new one."""
    yield from _again(desk)
    yield from _lost(desk, desk.ledger.windows)
    if any(b.last.export_id is None and not b.verified for b in desk.ledger.bases):
        desk.notes.append("whether the last full export was started is asked first")
        return
    moment = max(_carriers(desk), default=None)
    if moment is None:
        first = "this table has no full export yet"
        again = "the full export that the chain should begin with cannot be had any more"
        yield from _new_base(desk, again if desk.ledger.bases else first)
        return
    walk = _walk(desk.ledger, moment, desk.earliest)
    if walk.broken:
        yield from _new_base(desk, f"the chain breaks at {iso_z(walk.cursor)}")
    elif walk.cursor < desk.earliest:
        why = (
            f"the next window would start at {iso_z(walk.cursor)}, and the history begins at "
            f"{iso_z(desk.earliest)}"
        )
        yield MarkGap(table_id=desk.ledger.table_id, start=walk.cursor, cause="pitr", reason=why)
        yield from _new_base(desk, f"the chain breaks at {iso_z(walk.cursor)}")
    else:
        if walk.cursor - moment >= desk.policy.full_every and walk.cursor <= desk.latest:
            days = desk.policy.full_every / timedelta(days=1)
            yield Start(
                slot=_next_base(desk.ledger),
                attempt=1,
                span=Snapshot(moment=walk.cursor),
                reason=f"the chain is {days:g} days old: a new one begins where it ends",
            )
        yield from _next_windows(desk, walk.cursor)


def _snapshots(desk: _Desk) -> Iterator[Action]:
    """Make every moment of the rule that PITR still reaches, since the newest one there is."""
    yield from _again(desk)
    known = {w.slot.name for w in desk.ledger.snapshots}
    missing: list[datetime] = []
    moment = latest_moment(desk.policy.rule, desk.latest)
    while moment >= desk.earliest and slot_of(SlotKind.SNAPSHOT, moment).name not in known:
        missing.append(moment)
        if not known:
            break  # A new table: what was before it was never promised.
        moment = latest_moment(desk.policy.rule, moment - timedelta(seconds=1))
    for moment in reversed(missing):
        late = desk.now - moment >= LATE
        slot, span = slot_of(SlotKind.SNAPSHOT, moment), Snapshot(moment=moment)
        if desk.policy.scheduled and not late:
            why = f"the schedule should have started the export of {iso_z(moment)} by now"
            yield Adopt(slot=slot, span=span, reason=why)
            continue
        yield Start(
            slot=slot,
            attempt=1,
            span=span,
            reason=f"the moment {iso_z(moment)} has no export"
            + (", and its schedule is late" if desk.policy.scheduled else ""),
        )
    yield from _lost(desk, desk.ledger.snapshots)


def still_wanted(ledger: Ledger, pitr: Pitr, policy: Policy) -> tuple[Wanted, ...]:
    """What was begun, is not proven and can still come: it is under way, or will be tried again."""
    if pitr.earliest is None:
        return ()
    desk = _Desk(
        ledger=ledger,
        policy=policy,
        earliest=pitr.earliest,
        latest=pitr.latest or pitr.earliest,
        now=pitr.latest or pitr.earliest,
        limits=Limits(),
        notes=[],
    )
    return tuple(_still_wanted(desk))


def _still_wanted(desk: _Desk) -> Iterator[Wanted]:
    kinds: tuple[SlotKind, ...] = (SlotKind.SNAPSHOT,)
    if desk.policy.mode is Mode.CONTINUOUS:
        kinds = (SlotKind.BASE, SlotKind.WINDOW)
    for wanted in desk.ledger.pending:
        if wanted.slot.kind not in kinds or _is_lost(wanted, desk):
            continue
        if wanted.slot.kind is SlotKind.BASE and wanted.last.reason == REFUSED:
            continue
        # After a gap a window has nothing to stand on: it would be paid for and never used.
        if wanted.slot.kind is SlotKind.WINDOW and _in_gap(
            unstamp(wanted.slot.name), desk.ledger.gaps, desk
        ):
            continue
        yield wanted


def _again(desk: _Desk) -> Iterator[Action]:
    """Ask again for what was begun and has not come: intents nobody answered, and failures."""
    for wanted in _still_wanted(desk):
        last = wanted.last
        if last.in_flight or wanted.span is None:
            continue
        if not last.spoilt:
            yield Resume(
                slot=wanted.slot,
                attempt=last.number,
                reason="it was about to be started, and whether it was is not known",
            )
        elif (due := _due(wanted, desk)) <= desk.now:
            yield Start(
                slot=wanted.slot,
                attempt=last.number + 1,
                span=wanted.span,
                reason=f"attempt {last.number} ended with {last.reason}",
            )
        else:
            desk.notes.append(
                f"{wanted.slot.kind} {wanted.slot.name} is tried again at {iso_z(due)}: attempt "
                f"{last.number} ended with {last.reason}"
            )


def _due(wanted: Wanted, desk: _Desk) -> datetime:
    """When a failed slot is tried again; sooner if PITR is about to leave it behind."""
    ended = wanted.last.ended or desk.now
    pause = min(_FIRST_PAUSE * (1 << min(wanted.spoilt - 1, 10)), _LONGEST_PAUSE)
    left = _start_of(wanted) - desk.earliest
    return ended + min(pause, max(left / 2, timedelta()))


def _next_windows(desk: _Desk, cursor: datetime) -> Iterator[Start]:
    every, limits = desk.policy.every, desk.limits
    available = (desk.latest - cursor) // every * every
    if available <= timedelta():
        desk.notes.append(f"the next window starts at {iso_z(cursor)} and is not over yet")
    while available > timedelta():
        length = min(available, limits.longest)
        rest = available - length
        if timedelta() < rest < limits.shortest:
            length -= limits.shortest - rest
        stop = cursor + length
        late = " (catching up)" if length > every or rest else ""
        yield Start(
            slot=slot_of(SlotKind.WINDOW, cursor),
            attempt=1,
            span=Window(start=cursor, stop=stop),
            reason=f"the chain ends at {iso_z(cursor)}{late}",
        )
        cursor, available = stop, available - length


def _lost(desk: _Desk, wanted: Iterable[Wanted]) -> Iterator[MarkGap]:
    """What never came and never will: PITR does not reach its start any more.

    One gap is noted once: what else is lost before the next base lies in it.
    """
    marked = set(desk.ledger.gaps)
    for one in wanted:
        start = unstamp(one.slot.name)
        if _is_lost(one, desk) and not _in_gap(start, marked, desk):
            marked.add(start)
            yield MarkGap(
                table_id=desk.ledger.table_id,
                start=start,
                cause="failed" if one.spoilt else "pitr",
                reason=f"{_attempts(one)}, and the history begins at {iso_z(desk.earliest)}",
            )


def _in_gap(start: datetime, gaps: Collection[datetime], desk: _Desk) -> bool:
    """Whether ``start`` lies in a noted gap: no full export stands between the gap and it."""
    before = max((gap for gap in gaps if gap <= start), default=None)
    if before is None or before == start:
        return before is not None
    return not any(before <= moment <= start for moment in _carriers(desk))


def _attempts(wanted: Wanted) -> str:
    if wanted.spoilt:
        return f"attempt {wanted.last.number} ended with {wanted.last.reason}"
    return "it was never started"


def _is_lost(wanted: Wanted, desk: _Desk) -> bool:
    """Not proven, nothing of it under way, and out of PITR's reach."""
    return not wanted.verified and not wanted.under_way and _start_of(wanted) < desk.earliest


def _start_of(wanted: Wanted) -> datetime:
    match wanted.span:
        case Snapshot(moment=moment):
            return moment
        case Window(start=start):
            return start
    # An intent whose record could not be read; a base's name is no time, so it is never lost.
    if wanted.slot.kind is SlotKind.BASE:
        return datetime.max.replace(tzinfo=UTC)
    return unstamp(wanted.slot.name)


def _new_base(desk: _Desk, why: str) -> Iterator[Start]:
    """A full export at the latest whole minute that PITR has (or second, right after enabling)."""
    moment = desk.latest.replace(second=0, microsecond=0)
    if moment < desk.earliest:
        moment = desk.latest.replace(microsecond=0)
    if moment < desk.earliest:
        desk.notes.append("the history begins only now; the first full export comes a little later")
        return
    yield Start(slot=_next_base(desk.ledger), attempt=1, span=Snapshot(moment=moment), reason=why)


def _next_base(ledger: Ledger) -> Slot:
    return base_slot(max((int(b.slot.name) for b in ledger.bases), default=0) + 1)


def _carriers(desk: _Desk) -> list[datetime]:
    """The moments of the full exports that a chain can stand on: proven, or still to come.

    Snapshots do where there is no base at all: the table was in snapshot mode before.
    """
    bases = [
        w.span.moment
        for w in desk.ledger.bases
        if isinstance(w.span, Snapshot) and _can_carry(w, w.span.moment, desk)
    ]
    snapshots = [
        w.span.moment
        for w in desk.ledger.snapshots
        if isinstance(w.span, Snapshot) and w.verified and not desk.ledger.bases
    ]
    return bases or snapshots


def _can_carry(base: Wanted, moment: datetime, desk: _Desk) -> bool:
    if base.verified or any(a.in_flight for a in base.attempts):
        return True
    # AWS has refused this very moment: another one is chosen, not the same again.
    return moment >= desk.earliest and base.last.reason != REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """How far a chain reaches, counting what is under way; and whether a lost window ends it."""

    cursor: datetime
    broken: bool = False


def _walk(ledger: Ledger, base: datetime, earliest: datetime | None) -> _Walk:
    """Follow the windows from ``base``; with ``earliest``, count those that can still come."""
    steps = {r.window.start: r.window.stop for r in ledger.runs if r.window.start < r.window.stop}
    waiting: dict[datetime, Wanted] = {}
    if earliest is not None:
        waiting = {unstamp(w.slot.name): w for w in ledger.windows}
    cursor = base
    while True:
        if cursor in steps:
            cursor = steps[cursor]
            continue
        if cursor in ledger.gaps:
            return _Walk(cursor=cursor, broken=True)
        wanted = waiting.get(cursor)
        if wanted is None or not isinstance(wanted.span, Window) or wanted.span.stop <= cursor:
            return _Walk(cursor=cursor)
        if earliest is not None and not wanted.under_way and cursor < earliest:
            return _Walk(cursor=cursor, broken=True)
        cursor = wanted.span.stop
