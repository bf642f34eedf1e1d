"""Which exports to keep, and why: a pure function of what is verified, the rules and the holds.

What is kept or removed is a *unit*: a full export with all increments that join on to it, so that
no increment is left without its full export. The time that counts is that of the archive: rules
count back from its newest restore point, not from a clock, so that a clock that jumps removes
nothing, and a table that is exported no more keeps what it has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import accumulate
from typing import NamedTuple

from coldtable.core.records import iso_z
from coldtable.model import Window
from coldtable.model_archive import Attempt, Hold, Slot
from coldtable.model_policy import Retention

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One verified export: its slot, and the attempt that is there."""

    slot: Slot
    attempt: Attempt

    @property
    def start(self) -> datetime:
        """Where its window begins; a full export's moment."""
        span = self.attempt.span
        assert span is not None  # noqa: S101  a verified attempt's key has its span
        return span.start if isinstance(span, Window) else span.moment

    @property
    def stop(self) -> datetime:
        """The instant whose state it leads to."""
        span = self.attempt.span
        return span.stop if isinstance(span, Window) else self.start

    @property
    def is_full(self) -> bool:
        """Whether it holds the whole table."""
        return not isinstance(self.attempt.span, Window)

    def is_held_by(self, hold: Hold) -> bool:
        """Whether the hold is about all of the table, an instant of this export, or itself."""
        if hold.export_id is not None:
            return self.attempt.export_id == hold.export_id
        return hold.moment is None or self.start <= hold.moment <= self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A chain, or a single full export. ``pieces`` are in order of time, full exports first.

    ``growing`` tells that an export is wanted that would join on to it.
    """

    pieces: tuple[Piece, ...]
    growing: bool = False

    @property
    def start(self) -> datetime:
        """Its first restore point."""
        return min(p.start for p in self.pieces if p.is_full)

    @property
    def end(self) -> datetime:
        """Its last restore point."""
        return max(p.stop for p in self.pieces)

    @property
    def windows(self) -> int:
        """How many increments it has."""
        return sum(not p.is_full for p in self.pieces)

    def is_held_by(self, hold: Hold) -> bool:
        """Whether the hold is about all of the table, an instant of this unit, or a piece of it."""
        if hold.export_id is not None:
            return any(p.attempt.export_id == hold.export_id for p in self.pieces)
        return hold.moment is None or self.start <= hold.moment <= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a unit is kept, and every reason for it; or why it is not."""

    unit: Unit
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """That a table is gone, and for how long the archive has gone on after its last restore point.

    That is the archive's time, too: how far the exports of any table reach.
    """

    length: timedelta

    @property
    def text(self) -> str:
        """Why all of it goes."""
        return f"the table is gone, and other tables' exports reach {self.length.days} days further"

    def is_over(self, retention: Retention) -> bool:
        """Whether nothing of it is to be kept any more."""
        return bool(retention.gone) and self.length > retention.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What a table has: units in order of time, and increments that join on to none."""

    units: tuple[Unit, ...] = ()
    loose: tuple[Piece, ...] = ()


def gather(pieces: Iterable[Piece], wanted: Iterable[datetime] = ()) -> Units:
    """The units of one TableId. ``wanted`` are the starts of windows that may still come.

    Each increment is in one unit at most: chains that run into each other are one unit.
    """
    every = sorted(pieces, key=lambda p: (p.start, not p.is_full, p.stop))
    onward: dict[datetime, list[Piece]] = {}
    heads: dict[datetime, list[Piece]] = {}
    for piece in every:
        (heads if piece.is_full else onward).setdefault(piece.start, []).append(piece)
    owner: dict[datetime, int] = {}
    groups: dict[int, list[Piece]] = {}
    for number, moment in enumerate(sorted(heads)):
        groups[number] = [*heads[moment]]
        todo, seen = [moment], {moment}
        while todo:
            here = todo.pop()
            if here in owner:
                # Somebody else's increments: whoever removes one of the two breaks the other.
                other = owner[here]
                if other != number:
                    groups[number] += groups.pop(other)
                    owner = {at: number if of == other else of for at, of in owner.items()}
                continue
            for piece in onward.get(here, ()):
                groups[number].append(piece)
                # A chain ends where the next one begins.
                if piece.stop not in heads and piece.stop not in seen:
                    todo.append(piece.stop)
                    seen.add(piece.stop)
            owner[here] = number
    growing = _growing([*groups.items()], wanted)
    units = [
        Unit(pieces=tuple(sorted(found, key=_in_order)), growing=number in growing)
        for number, found in groups.items()
    ]
    used = {piece.slot for unit in units for piece in unit.pieces}
    return Units(
        units=tuple(sorted(units, key=lambda u: (u.start, u.end))),
        loose=tuple(p for p in every if p.slot not in used),
    )


def decide(
    units: Sequence[Unit],
    retention: Retention,
    holds: Sequence[Hold],
    now: datetime,
    gone: Gone | None = None,
) -> tuple[Decision, ...]:
    """Keep or remove, for each unit, in the same order.

    Nothing is removed while no rule is set, while any restore point lies after ``now`` (one of
    the two clocks is wrong), or of the ``minimum`` newest units; so what is removed has a newer
    verified one after it. More to keep never removes more. Only of a table that is ``gone`` for
    longer than its retention says all of it goes, but what is held.
    """
    if not units:
        return ()
    if why := wrong_clock([unit.end for unit in units], now):
        return _all(units, why, holds)
    if gone and gone.is_over(retention):
        return tuple(_released(unit, gone, holds) for unit in units)
    if not retention.is_set:
        return _all(units, "no retention is set", holds)
    reasons: dict[int, list[str]] = {n: [] for n in range(len(units))}
    for rule in (_minimum, _within, _periods, _growth):
        for number, why in rule(units, retention):
            reasons[number].append(why)
    for number, unit in enumerate(units):
        reasons[number] += _held(unit, holds)
    return tuple(
        Decision(unit=unit, keep=True, reasons=tuple(reasons[n]))
        if reasons[n]
        else Decision(unit=unit, keep=False, reasons=("no rule keeps it",))
        for n, unit in enumerate(units)
    )


def wrong_clock(points: Iterable[datetime], now: datetime) -> str:
    """Why nothing may be removed, if any of these restore points has not come yet."""
    newest = max(points, default=now)
    if newest <= now:
        return ""
    return f"the archive reaches to {iso_z(newest)}, and it is {iso_z(now)}: a clock is wrong"


def retention_text(retention: Retention) -> str:
    """The rules in words."""
    end = f"; nothing of a table gone for {retention.gone.days} days" if retention.gone else ""
    if not retention.is_set:
        return f"everything is kept{end}"
    counts = ("daily", "weekly", "monthly", "yearly")
    rules = [f"within {retention.within.days} days"] if retention.within else []
    rules += [f"{getattr(retention, name)} {name}" for name in counts if getattr(retention, name)]
    return f"{', '.join(rules)}, and at least the newest {retention.minimum}{end}"


def _all(units: Sequence[Unit], why: str, holds: Sequence[Hold]) -> tuple[Decision, ...]:
    return tuple(
        Decision(unit=unit, keep=True, reasons=(why, *_held(unit, holds))) for unit in units
    )


def _released(unit: Unit, gone: Gone, holds: Sequence[Hold]) -> Decision:
    held = tuple(_held(unit, holds))
    return Decision(unit=unit, keep=bool(held), reasons=held or (gone.text,))


def _held(unit: Unit, holds: Sequence[Hold]) -> Iterator[str]:
    return (f"held: {hold.reason}" for hold in holds if unit.is_held_by(hold))


Reasons = Iterator[tuple[int, str]]


def _minimum(units: Sequence[Unit], retention: Retention) -> Reasons:
    ranked = sorted(range(len(units)), key=lambda n: (units[n].end, units[n].start), reverse=True)
    for place, number in enumerate(ranked[: max(retention.minimum, 1)], 1):
        yield number, "newest" if place == 1 else f"newest but {place - 1}"


def _within(units: Sequence[Unit], retention: Retention) -> Reasons:
    if not retention.within:
        return
    limit = max(unit.end for unit in units) - retention.within
    for number, unit in enumerate(units):
        if unit.end >= limit:
            yield number, f"within {retention.within.days} days"


def _growth(units: Sequence[Unit], _: Retention) -> Reasons:
    for number, unit in enumerate(units):
        if unit.growing:
            yield number, "an export that joins on to it is under way"


class _Period(NamedTuple):
    """A kind of period: the first day of that which holds a day, and its name."""

    kind: str
    first: Callable[[date], date]
    name: Callable[[date], str]


_PERIODS = (
    _Period("daily", lambda day: day, lambda day: day.isoformat()),
    _Period(
        "weekly",
        lambda day: day - timedelta(days=day.weekday()),
        lambda day: f"{day:%G-W%V}",
    ),
    _Period("monthly", lambda day: day.replace(day=1), lambda day: f"{day:%Y-%m}"),
    _Period("yearly", lambda day: day.replace(month=1, day=1), lambda day: f"{day:%Y}"),
)


def _periods(units: Sequence[Unit], retention: Retention) -> Reasons:
    counts = (retention.daily, retention.weekly, retention.monthly, retention.yearly)
    for period, count in zip(_PERIODS, counts, strict=True):
        named: dict[int, list[str]] = {}
        for number, point in _newest_of_each(units, period, retention.zone, count):
            name = period.name(point.astimezone(retention.zone).date())
            named.setdefault(number, []).append(name)
        for number, names in named.items():
            # Newest first; of a long chain the ends say enough.
            span = names[0] if len(names) == 1 else f"{names[-1]} to {names[0]}"
            yield number, f"{period.kind} {span}"


def _newest_of_each(
    units: Sequence[Unit], period: _Period, zone: tzinfo, count: int
) -> Iterator[tuple[int, datetime]]:
    """Of each of the last ``count`` periods that have a restore point at all, newest first, the
    unit with the newest one. A chain has one in each period that it touches: a window is at most
    a day long."""
    order = sorted(range(len(units)), key=lambda n: (units[n].start, units[n].end))
    starts = [units[n].start for n in order]

    def further(one: int, other: int) -> int:
        return one if units[one].end > units[other].end else other

    furthest = list(accumulate(order, further))
    before: datetime | None = None
    for _ in range(count):
        last = len(order) if before is None else bisect_left(starts, before)
        if not last:
            return
        number = furthest[last - 1]
        point = units[number].end
        if before is not None and point >= before:
            point = before - _INSTANT
            # Of those that reach so far the one with the fewest increments to read.
            number = next(n for n in reversed(order[:last]) if units[n].end >= before)
        yield number, point
        day = period.first(point.astimezone(zone).date())
        before = min(datetime.combine(day, time(), zone).astimezone(point.tzinfo), point)


def _growing(
    groups: Sequence[tuple[int, Sequence[Piece]]], wanted: Iterable[datetime]
) -> frozenset[int]:
    """The groups that the wanted windows would belong to: the last one that begins before each."""
    starts = sorted((p.start, number) for number, found in groups for p in found if p.is_full)
    places = (bisect_left(starts, (at + _INSTANT, -1)) for at in wanted)
    return frozenset(starts[place - 1][1] for place in places if place)


def _in_order(piece: Piece) -> tuple[bool, datetime, datetime, Slot]:
    return not piece.is_full, piece.start, piece.stop, piece.slot
