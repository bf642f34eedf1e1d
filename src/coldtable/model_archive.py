"""The nouns of an archive: what was wanted, what came of it, and what can be rebuilt from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from coldtable.model import Export, Span, Window


class SlotKind(StrEnum):
    """Why an export is wanted.

    A base begins a chain, a window extends one; a snapshot stands for itself.
    """

    BASE = "base"
    SNAPSHOT = "snapshot"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slot:
    """The place of one wanted export: there is never a second export for it unless one failed.

    ``name`` is the number of a base, else the moment of a snapshot or the start of a window: what
    any two ticks agree on, whatever their clocks say.
    """

    kind: SlotKind
    name: str


class Outcome(StrEnum):
    """How an attempt ended. Damaged: AWS completed it, and what lies in the bucket is not whole.

    Expired: it was verified, and its objects are being removed; removed: they are gone. Cleared: it
    was damaged, and its objects are gone.
    """

    VERIFIED = "verified"
    FAILED = "failed"
    DAMAGED = "damaged"
    CLEARED = "cleared"
    EXPIRED = "expired"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One export that was asked for, or is about to be.

    Without ``export_id`` only the intent is known: AWS may have accepted it, or never heard of it.
    ``span`` is ``None`` where the intent has not been read. ``ended`` and ``reason`` (a failure
    code) belong to one that did not end well, or that has expired.
    """

    number: int
    span: Span | None = None
    export_id: str | None = None
    outcome: Outcome | None = None
    ended: datetime | None = None
    reason: str = ""

    @property
    def in_flight(self) -> bool:
        """Started, and its end is not known yet."""
        return self.export_id is not None and self.outcome is None

    @property
    def spoilt(self) -> bool:
        """Ended without an export that counts."""
        return self.outcome in (Outcome.FAILED, Outcome.DAMAGED, Outcome.CLEARED)

    @property
    def expired(self) -> bool:
        """Was verified once, and is no more."""
        return self.outcome in (Outcome.EXPIRED, Outcome.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A slot and its attempts, oldest first."""

    slot: Slot
    attempts: tuple[Attempt, ...] = ()

    @property
    def last(self) -> Attempt:
        """The newest attempt; there is always one."""
        return self.attempts[-1]

    @property
    def span(self) -> Span | None:
        """What the slot's exports cover; all its attempts cover the same."""
        return next((a.span for a in self.attempts if a.span is not None), None)

    @property
    def verified(self) -> bool:
        """Whether an attempt is proven whole, and there."""
        return any(a.outcome is Outcome.VERIFIED for a in self.attempts)

    @property
    def settled(self) -> bool:
        """Whether an attempt was proven whole, be it that it has expired since: there is no
        second one for it."""
        return any(a.outcome is Outcome.VERIFIED or a.expired for a in self.attempts)

    @property
    def under_way(self) -> bool:
        """Whether an export may be running: started, or asked for and not answered yet."""
        return any(a.in_flight for a in self.attempts) or self.last.export_id is None

    @property
    def spoilt(self) -> int:
        """How many attempts ended badly."""
        return sum(a.spoilt for a in self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Run:
    """Verified windows that join without a gap: their outer ends, and how many they are."""

    window: Window
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the catalog says of one table (one TableId), folded from the keys of its records.

    ``bases`` are all that there ever were, by number. ``runs``, ``windows`` (those that are not
    verified) and ``snapshots`` reach back as far as was listed: to ``since``, if not to the
    beginning. ``expired`` are runs of windows that were verified and are not kept any more.
    ``gaps`` are the starts of windows that are noted as lost. ``ended`` tells that the table is
    noted as gone.
    """

    table_id: str
    bases: tuple[Wanted, ...] = ()
    runs: tuple[Run, ...] = ()
    windows: tuple[Wanted, ...] = ()
    snapshots: tuple[Wanted, ...] = ()
    expired: tuple[Run, ...] = ()
    gaps: frozenset[datetime] = frozenset()
    defined: frozenset[str] = frozenset()
    ended: bool = False
    since: datetime | None = None

    @property
    def pending(self) -> tuple[Wanted, ...]:
        """Everything wanted that was never verified."""
        every = (*self.bases, *self.windows, *self.snapshots)
        return tuple(w for w in every if not w.settled)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever wanted of this table."""
        return not (self.bases or self.runs or self.windows or self.snapshots or self.expired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One full export and the contiguous windows after it, all verified.

    Its restore points are the base's moment and every window's end; ``end`` is the last of them.
    """

    base: datetime
    end: datetime
    windows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What can be rebuilt: chains by base; ``coverage`` merges them, ``gaps`` lie between.

    In ``coverage`` a window's ``stop`` is the last restore point of it. What expired leaves no gap.
    """

    chains: tuple[Chain, ...] = ()
    coverage: tuple[Window, ...] = ()
    gaps: tuple[Window, ...] = ()

    @property
    def newest(self) -> datetime | None:
        """The newest restore point."""
        return max((c.end for c in self.chains), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A pin: what it is about is not removed until it is released.

    That is all of a table name's exports, or whatever is needed for an instant of it, or what one
    export belongs to. ``number`` counts the holds of a table name. ``rebuilt`` tells that nobody
    asked for it: the catalog was lost, and with it may have been holds. ``at`` is ``None`` of a
    hold whose record is lost.
    """

    number: int
    reason: str
    at: datetime | None
    by: str = ""
    moment: datetime | None = None
    export_id: str | None = None
    rebuilt: bool = False


class IncidentKind(StrEnum):
    """What people are told about: trouble that can be mended, history that is lost, exports whose
    bytes are not what they were, and drills that failed or cannot be done. The last two are told by
    whoever verifies and whoever drills, not by the tick.
    """

    TROUBLE = "trouble"
    LOSS = "loss"
    DAMAGE = "damage"
    DRILL = "drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong now, in words for whoever is on call. ``exports`` are the ids of
    the damaged ones that it is about."""

    cause: str
    since: datetime
    what: str
    consequence: str
    mend: str
    exports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What was noted: told once when it begins, and once when it is over.

    ``name`` is the start of the gap for a loss, and a number for anything else.
    """

    kind: IncidentKind
    name: str
    told: bool = False
    over: bool = False
    over_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """AWS's limits, and how we keep within them [DOC-QUOTA, QUIRKS, MODEL].

    ``shortest`` and ``longest`` bound a window. ``in_flight`` is how many exports may run at once
    in an account and region. Exports throttle after about ``export_burst`` quick calls, and then
    want ``export_pause`` seconds each; ``pitr_rate`` is how many DescribeContinuousBackups a
    second are allowed.
    """

    shortest: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(hours=24)
    in_flight: int = 280
    export_burst: int = 15
    export_pause: float = 1.5
    describe_burst: int = 10
    describe_pause: float = 0.5
    pitr_rate: float = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Ask AWS for an export: the slot's first attempt, or a further one after a failure."""

    slot: Slot
    attempt: int
    span: Span
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """An intent is noted and nobody knows whether AWS heard it: ask again, with its own token."""

    slot: Slot
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """An export has ended: prove it whole and note it, or note why it does not count.

    ``export`` is DescribeExport's answer; ``None`` if AWS does not know the export any more.
    """

    slot: Slot
    attempt: Attempt
    export: Export | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """See whether the nightly schedule has started this snapshot; if so, it is ours to follow."""

    slot: Slot
    span: Span
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkGap:
    """Note that nothing after ``start`` can be rebuilt until the next base; ``cause`` says why."""

    table_id: str
    start: datetime
    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTable:
    """Note that a table is gone and another one has its name."""

    table_id: str
    reason: str


Action = Start | Resume | Adopt | Settle | MarkGap | EndTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a tick would do to one table, in this order; and why it does no more."""

    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = field(default=())
