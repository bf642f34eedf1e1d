"""When a schedule fires: ``at(...)``, ``rate(...)`` and ``cron(...)`` of EventBridge Scheduler.

[MODEL; docs schedule-types.] A local time that daylight saving skips is not run, one that it
repeats is run once. ``rate`` counts elapsed time and fires at once when it has no start.

UNVERIFIED: a one-time schedule whose local time does not exist runs at the moment that the clocks
would show it; one that is created for a time in the past never runs; ``L-n`` and ``LW``.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_YEAR, LAST_YEAR = 1970, 2199
_MONTHS = {name.upper(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


class ExpressionInvalid(ValueError):
    """EventBridge would refuse the expression; the message says which part is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Once, at a wall-clock time."""

    wall: datetime

    def next_after(self, moment: datetime, zone: ZoneInfo, base: datetime) -> datetime | None:  # noqa: ARG002
        due = self.wall.replace(tzinfo=zone).astimezone(UTC)
        return due if due > moment else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Every ``seconds`` from the base on, the base itself included."""

    seconds: int

    def next_after(self, moment: datetime, zone: ZoneInfo, base: datetime) -> datetime | None:  # noqa: ARG002
        if moment < base:
            return base
        passed = (moment - base) // timedelta(seconds=self.seconds)
        return base + (passed + 1) * timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Wall-clock times. ``days`` is a rule of day of month or of week, as text."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int]
    month_days: str
    week_days: str

    def next_after(self, moment: datetime, zone: ZoneInfo, base: datetime) -> datetime | None:  # noqa: ARG002
        start = moment.astimezone(zone).date()
        for day in self._days_from(start):
            for hour in self.hours:
                for minute in self.minutes:
                    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    due = wall.astimezone(UTC)
                    exists = due.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None)
                    if due > moment and exists:
                        return due
        return None

    def _days_from(self, start: date) -> Iterator[date]:
        for year in range(max(start.year, min(self.years)), max(self.years) + 1):
            if year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for number in self._month(year, month):
                    day = date(year, month, number)
                    if day >= start:
                        yield day

    def _month(self, year: int, month: int) -> list[int]:
        if self.month_days != "?":
            return _days_of_month(self.month_days, year, month)
        return _days_of_week(self.week_days, year, month)


Expression = At | Rate | Cron


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A schedule's expression in its zone, between its dates.

    ``created`` is when it began to count; ``start`` and ``end`` do not bind a one-time schedule.
    """

    expression: Expression
    zone: ZoneInfo
    created: datetime
    start: datetime | None = None
    end: datetime | None = field(default=None)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first firing later than ``moment``, aware UTC; ``None`` when there is none."""
        if isinstance(self.expression, At):
            return self.expression.next_after(moment, self.zone, self.created)
        if self.start is not None and moment < self.start:
            moment = self.start - timedelta(microseconds=1)
        due = self.expression.next_after(moment, self.zone, self.start or self.created)
        return None if due is None or (self.end is not None and due > self.end) else due

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every firing in ``(after, until]``, in order."""
        while (due := self.next_after(after)) is not None and due <= until:
            yield due
            after = due


def zone_of(name: str) -> ZoneInfo:
    """Raises ``ExpressionInvalid`` for a name that is no IANA zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ExpressionInvalid(f"{name} is no time zone") from None


@lru_cache(1024)
def parse(text: str) -> Expression:
    """Raises ``ExpressionInvalid``."""
    match = re.fullmatch(r"(at|rate|cron)\((.+)\)", text.strip())
    if match is None:
        raise ExpressionInvalid(f"{text} is none of at(...), rate(...), cron(...)")
    kind, inside = match.groups()
    if kind == "at":
        return _parse_at(inside)
    if kind == "rate":
        return _parse_rate(inside)
    return _parse_cron(inside)


def _parse_at(inside: str) -> At:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", inside):
        raise ExpressionInvalid(f"{inside} is not yyyy-mm-ddThh:mm:ss")
    try:
        return At(wall=datetime.fromisoformat(inside))
    except ValueError as error:
        raise ExpressionInvalid(f"{inside}: {error}") from None


def _parse_rate(inside: str) -> Rate:
    match = re.fullmatch(r"(\d+) (minute|hour|day)(s?)", inside)
    if match is None or int(match[1]) < 1:
        raise ExpressionInvalid(f"{inside} is not a number of minutes, hours or days")
    return Rate(seconds=int(match[1]) * _UNITS[match[2]])


def _parse_cron(inside: str) -> Cron:
    fields = inside.upper().split()
    if len(fields) != 6:
        raise ExpressionInvalid(f"cron has six fields, not {len(fields)}")
    minute, hour, month_day, month, week_day, year = fields
    if (month_day == "?") == (week_day == "?"):
        raise ExpressionInvalid("exactly one of day of month and day of week must be ?")
    cron = Cron(
        minutes=tuple(sorted(_numbers(minute, 0, 59))),
        hours=tuple(sorted(_numbers(hour, 0, 23))),
        months=frozenset(_numbers(month, 1, 12, _MONTHS)),
        years=frozenset(_numbers(year, FIRST_YEAR, LAST_YEAR)),
        month_days=month_day,
        week_days=week_day,
    )
    # A month and a year of every length, so that a bad day is an error now and not at night.
    for month_number in (1, 2, 4):
        cron._month(2024, month_number)
    return cron


def _numbers(text: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
    """The numbers of a field: ``*``, ``a``, ``a-b``, ``a/n``, ``a-b/n``, ``*/n`` and lists."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, low, high, names)
        open_end = span == "*" or (step and not dash)
        end = high if open_end else _number(last or first, low, high, names)
        if begin > end:
            raise ExpressionInvalid(f"{part} runs backwards")
        found.update(range(begin, end + 1, _number(step, 1, high) if step else 1))
    return found


def _number(text: str, low: int, high: int, names: dict[str, int] | None = None) -> int:
    value = (names or {}).get(text)
    if value is None:
        if not text.isdigit():
            raise ExpressionInvalid(f"{text or 'nothing'} is no number from {low} to {high}")
        value = int(text)
    if not low <= value <= high:
        raise ExpressionInvalid(f"{text} is not from {low} to {high}")
    return value


def _days_of_month(rule: str, year: int, month: int) -> list[int]:
    last = calendar.monthrange(year, month)[1]
    days: set[int] = set()
    for part in rule.split(","):
        if part == "L":
            days.add(last)
        elif part == "LW":
            days.add(_weekday_near(last, year, month, last))
        elif match := re.fullmatch(r"L-(\d+)", part):
            days.add(last - _number(match[1], 0, 30))
        elif match := re.fullmatch(r"(\d+)W", part):
            day = _number(match[1], 1, 31)
            if day <= last:
                days.add(_weekday_near(day, year, month, last))
        else:
            days |= _numbers(part, 1, 31)
    return sorted(day for day in days if 1 <= day <= last)


def _weekday_near(day: int, year: int, month: int, last: int) -> int:
    """The weekday nearest to ``day`` in the same month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _days_of_week(rule: str, year: int, month: int) -> list[int]:
    last = calendar.monthrange(year, month)[1]
    by_name: dict[int, list[int]] = {n: [] for n in range(1, 8)}
    for day in range(1, last + 1):
        by_name[(calendar.weekday(year, month, day) + 1) % 7 + 1].append(day)
    days: set[int] = set()
    for part in rule.split(","):
        if part == "L":
            days.update(by_name[7])
        elif match := re.fullmatch(r"(\w+)#(\d)", part):
            days.update(by_name[_number(match[1], 1, 7, _DAYS)][_number(match[2], 1, 5) - 1 :][:1])
        elif match := re.fullmatch(r"(\d|[A-Z]{3})L", part):
            days.add(by_name[_number(match[1], 1, 7, _DAYS)][-1])
        else:
            for number in _numbers(part, 1, 7, _DAYS):
                days.update(by_name[number])
    return sorted(days)
