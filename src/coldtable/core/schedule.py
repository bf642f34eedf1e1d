"""Which moment a run exports: the most recent one of the rule that is not in the future.

The naive reading, today at that time, asks for a time in the future whenever the schedule fires
earlier in the day, and AWS refuses it. Here the moment is looked for backwards from the scheduled
time, so it can be as old as one period and is never later than ``not_after``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from coldtable.model import MomentRule


def latest_moment(rule: MomentRule, not_after: datetime) -> datetime:
    """The most recent moment of ``rule`` that is at or before ``not_after``; UTC, whole second.

    ``not_after`` is aware, in any zone: the scheduled time of the run. Never later than it, and
    no other moment of the rule lies between the two.
    """
    # A day later than the local date: where clocks go back over midnight, a moment of "tomorrow"
    # can be in the past already.
    tomorrow = not_after.astimezone(rule.zone).date() + timedelta(days=1)
    for day in _days_backwards(rule.day, tomorrow):
        moment = resolve_local(day, rule.at, rule.zone)
        if moment <= not_after:
            return moment
    raise AssertionError("unreachable: the calendar is infinite")


def resolve_local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a local date and time.

    A local time that clocks skip (DST begins) is the first one that exists after it; one that
    occurs twice (DST ends) is the first of the two.
    """
    local = datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap PEP 495 has fold=0 use the offset before it and fold=1 the one after it, which puts
    # the two readings on either side of the transition.
    return _transition(local.replace(fold=1).astimezone(UTC), instant, zone)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second in ``(before, after]`` at which the zone has the offset of ``after``."""
    target = after.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == target:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def _days_backwards(day_of_month: int | None, start: date) -> Iterator[date]:
    """The days of the rule from ``start`` into the past; a short month's last day stands in."""
    if day_of_month is None:
        while True:
            yield start
            start -= timedelta(days=1)
    year, month = start.year, start.month
    while True:
        candidate = date(year, month, min(day_of_month, monthrange(year, month)[1]))
        if candidate <= start:
            yield candidate
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
