"""The chain of one table as it stands: what carries it, how far it reaches, what can still come.

A chain stands on a full export that is proven, or still to come; it reaches as far as windows join,
proven ones and such as are under way. What PITR does not reach any more can only be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from coldtable.core.records import unstamp
from coldtable.model import Pitr, Snapshot, Window
from coldtable.model_archive import Ledger, Limits, SlotKind, Wanted
from coldtable.model_policy import Mode, Policy

# The reason of an attempt that AWS refused because of its time, and never started.
REFUSED = "InvalidExportTime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What planning one table needs at hand; ``notes`` is written to."""

    ledger: Ledger
    policy: Policy
    earliest: datetime
    latest: datetime
    now: datetime
    limits: Limits
    notes: list[str]


def still_wanted(ledger: Ledger, pitr: Pitr, policy: Policy) -> tuple[Wanted, ...]:
    """What was begun, is not proven and can still come: it is under way, or will be tried again."""
    if pitr.earliest is None:
        return ()
    desk = Desk(
        ledger=ledger,
        policy=policy,
        earliest=pitr.earliest,
        latest=pitr.latest or pitr.earliest,
        now=pitr.latest or pitr.earliest,
        limits=Limits(),
        notes=[],
    )
    return tuple(all_still_wanted(desk))


def all_still_wanted(desk: Desk) -> Iterator[Wanted]:
    kinds: tuple[SlotKind, ...] = (SlotKind.SNAPSHOT,)
    if desk.policy.mode is Mode.CONTINUOUS:
        kinds = (SlotKind.BASE, SlotKind.WINDOW)
    for wanted in desk.ledger.pending:
        if wanted.slot.kind not in kinds or is_lost(wanted, desk):
            continue
        if wanted.slot.kind is SlotKind.BASE and wanted.last.reason == REFUSED:
            continue
        # After a gap a window has nothing to stand on: it would be paid for and never used.
        if wanted.slot.kind is SlotKind.WINDOW and in_gap(
            unstamp(wanted.slot.name), desk.ledger.gaps, desk
        ):
            continue
        yield wanted


def former_head(ledger: Ledger) -> datetime | None:
    """Where the chain of a table that is gone ended: nothing after it can come any more."""
    moments = [
        w.span.moment
        for w in (*ledger.bases, *ledger.snapshots)
        if w.verified and isinstance(w.span, Snapshot)
    ]
    return max((walk(ledger, moment, None).cursor for moment in moments), default=None)


def carriers(desk: Desk) -> list[datetime]:
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
        if isinstance(w.span, Snapshot)
        and _is_sound(w)
        and not desk.ledger.bases
        # A window starts at a whole second: it cannot join a moment between two.
        and not w.span.moment.microsecond
    ]
    return bases or snapshots


def _is_sound(wanted: Wanted) -> bool:
    """Proven, or running: nothing speaks against it yet."""
    return wanted.verified or any(a.in_flight for a in wanted.attempts)


def _can_carry(base: Wanted, moment: datetime, desk: Desk) -> bool:
    if base.settled:
        return base.verified
    if _is_sound(base):
        return True
    # AWS has refused this very moment: another one is chosen, not the same again.
    return moment >= desk.earliest and base.last.reason != REFUSED


def is_lost(wanted: Wanted, desk: Desk) -> bool:
    """Never proven, nothing of it under way, and out of PITR's reach."""
    return not wanted.settled and not wanted.under_way and start_of(wanted) < desk.earliest


def start_of(wanted: Wanted) -> datetime:
    match wanted.span:
        case Snapshot(moment=moment):
            return moment
        case Window(start=start):
            return start
    # An intent whose record could not be read; a base's name is no time, so it is never lost.
    if wanted.slot.kind is SlotKind.BASE:
        return datetime.max.replace(tzinfo=UTC)
    return unstamp(wanted.slot.name)


def in_gap(start: datetime, gaps: Collection[datetime], desk: Desk) -> bool:
    """Whether ``start`` lies in a noted gap: no full export stands between the gap and it."""
    before = max((gap for gap in gaps if gap <= start), default=None)
    if before is None or before == start:
        return before is not None
    return not any(before <= moment <= start for moment in carriers(desk))


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How far a chain reaches, counting what is under way; and whether a lost window ends it."""

    cursor: datetime
    broken: bool = False


def walk(ledger: Ledger, base: datetime, earliest: datetime | None) -> Walk:
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
            return Walk(cursor=cursor, broken=True)
        wanted = waiting.get(cursor)
        if wanted is None or not isinstance(wanted.span, Window) or wanted.span.stop <= cursor:
            return Walk(cursor=cursor)
        if earliest is not None and not wanted.under_way and cursor < earliest:
            return Walk(cursor=cursor, broken=True)
        cursor = wanted.span.stop
