"""What a tick should do to one table: a pure function of what is true, the policy and the time.

The truth is the ledger (what the catalog's keys say), the table's PITR window, and what AWS says of
the exports in flight. Nothing here remembers anything: the same truth gives the same plan, and
once everything wanted is there the plan is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coldtable.core.chain import (
    Desk,
    all_still_wanted,
    carriers,
    former_head,
    in_gap,
    is_lost,
    start_of,
    walk,
)
from coldtable.core.records import base_slot, iso_z, slot_of, unstamp
from coldtable.core.schedule import latest_moment
from coldtable.core.timeline import ledger_timeline
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
        desk = Desk(
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


def _continuous(desk: Desk) -> Iterator[Action]:
    """Keep the chain unbroken: retry, go on from where it ends, or begin a new one."""
    yield from _again(desk)
    yield from _lost(desk, desk.ledger.windows)
    yield from _unnoted(desk)
    if any(b.last.export_id is None and not b.settled for b in desk.ledger.bases):
        desk.notes.append("whether the last full export was started is asked first")
        return
    moment = max(carriers(desk), default=None)
    if moment is None:
        first = "this table has no full export yet"
        again = "the full export that the chain should begin with cannot be had any more"
        yield from _new_base(desk, again if desk.ledger.bases else first)
        return
    reach = walk(desk.ledger, moment, desk.earliest)
    if reach.broken:
        yield from _new_base(desk, f"the chain breaks at {iso_z(reach.cursor)}")
    elif reach.cursor < desk.earliest:
        why = (
            f"the next window would start at {iso_z(reach.cursor)}, and the history begins at "
            f"{iso_z(desk.earliest)}"
        )
        yield MarkGap(table_id=desk.ledger.table_id, start=reach.cursor, cause="pitr", reason=why)
        yield from _new_base(desk, f"the chain breaks at {iso_z(reach.cursor)}")
    else:
        if reach.cursor - moment >= desk.policy.full_every and reach.cursor <= desk.latest:
            days = desk.policy.full_every / timedelta(days=1)
            yield Start(
                slot=_next_base(desk.ledger),
                attempt=1,
                span=Snapshot(moment=reach.cursor),
                reason=f"the chain is {days:g} days old: a new one begins where it ends",
            )
        yield from _next_windows(desk, reach.cursor)


def _snapshots(desk: Desk) -> Iterator[Action]:
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


def _again(desk: Desk) -> Iterator[Action]:
    """Ask again for what was begun and has not come: intents nobody answered, and failures."""
    for wanted in all_still_wanted(desk):
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


def _due(wanted: Wanted, desk: Desk) -> datetime:
    """When a failed slot is tried again; sooner if PITR is about to leave it behind."""
    ended = wanted.last.ended or desk.now
    pause = min(_FIRST_PAUSE * (1 << min(wanted.spoilt - 1, 10)), _LONGEST_PAUSE)
    left = start_of(wanted) - desk.earliest
    return ended + min(pause, max(left / 2, timedelta()))


def _next_windows(desk: Desk, cursor: datetime) -> Iterator[Start]:
    every, limits = desk.policy.every, desk.limits
    available = (desk.latest - cursor) // every * every
    # What is proven further on is not paid for again: a rebuilt catalog may lack what comes before.
    ahead = min((r.window.start for r in desk.ledger.runs if r.window.start > cursor), default=None)
    if ahead is not None and ahead - cursor >= limits.shortest:
        available = min(available, ahead - cursor)
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


def _lost(desk: Desk, wanted: Iterable[Wanted]) -> Iterator[MarkGap]:
    """What never came and never will: PITR does not reach its start any more.

    One gap is noted once: what else is lost before the next base lies in it.
    """
    marked = set(desk.ledger.gaps)
    for one in wanted:
        start = unstamp(one.slot.name)
        if is_lost(one, desk) and not in_gap(start, marked, desk):
            marked.add(start)
            yield MarkGap(
                table_id=desk.ledger.table_id,
                start=start,
                cause="failed" if one.spoilt else "pitr",
                reason=f"{_attempts(one)}, and the history begins at {iso_z(desk.earliest)}",
            )


def _unnoted(desk: Desk) -> Iterator[MarkGap]:
    """Gaps between proven chains that nothing can close and nobody has noted: a full export can
    turn out to be there after another one was chosen."""
    hoped_for = {unstamp(w.slot.name) for w in desk.ledger.windows if not is_lost(w, desk)}
    for gap in ledger_timeline(desk.ledger).gaps:
        if gap.start < desk.earliest and gap.start not in {*desk.ledger.gaps, *hoped_for}:
            yield MarkGap(
                table_id=desk.ledger.table_id,
                start=gap.start,
                cause="pitr",
                reason=f"no window follows, and the history begins at {iso_z(desk.earliest)}",
            )


def _attempts(wanted: Wanted) -> str:
    if wanted.spoilt:
        return f"attempt {wanted.last.number} ended with {wanted.last.reason}"
    return "it was never started"


def _new_base(desk: Desk, why: str) -> Iterator[Start]:
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
