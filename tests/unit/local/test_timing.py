"""When a schedule fires: expressions, time zones, daylight saving, dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtable.local.timing import At, ExpressionInvalid, Rate, Timing, parse, zone_of

_CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def _timing(expression: str, zone: str = "UTC", **more: datetime) -> Timing:
    given = {"created": _CREATED, **more}
    return Timing(expression=parse(expression), zone=ZoneInfo(zone), **given)


def _firings(expression: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    """The next firings as local wall-clock text."""
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    far = start + timedelta(days=4000)
    found = islice(_timing(expression, zone).between(start, far), count)
    return [due.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for due in found]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 4 * * ? *)", "2026-03-01T04:00", ["2026-03-02 04:00", "2026-03-03 04:00"]),
        ("cron(0/20 9-10 * * ? *)", "2026-03-01T09:30", ["2026-03-01 09:40", "2026-03-01 10:00"]),
        ("cron(*/30 0 * * ? *)", "2026-03-01T00:00", ["2026-03-01 00:30", "2026-03-02 00:00"]),
        ("cron(15 10 ? * MON-FRI *)", "2026-03-06T11:00", ["2026-03-09 10:15", "2026-03-10 10:15"]),
        ("cron(0 8 1 * ? *)", "2026-01-01T08:00", ["2026-02-01 08:00", "2026-03-01 08:00"]),
        ("cron(0 0 31 * ? *)", "2026-01-31T00:00", ["2026-03-31 00:00", "2026-05-31 00:00"]),
        ("cron(0 0 L * ? *)", "2026-01-31T00:00", ["2026-02-28 00:00", "2026-03-31 00:00"]),
        ("cron(0 0 L-2 * ? *)", "2026-01-30T00:00", ["2026-02-26 00:00", "2026-03-29 00:00"]),
        ("cron(0 0 29 FEB ? *)", "2026-01-01T00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-01-31T00:00", ["2026-02-02 00:00", "2026-03-02 00:00"]),
        ("cron(0 0 31W * ? *)", "2026-05-01T00:00", ["2026-05-29 00:00", "2026-07-31 00:00"]),
        ("cron(0 0 LW * ? *)", "2026-02-01T00:00", ["2026-02-27 00:00", "2026-03-31 00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-01-01T00:00", ["2026-01-30 00:00", "2026-02-27 00:00"]),
        ("cron(0 0 ? * L *)", "2026-01-01T00:00", ["2026-01-03 00:00", "2026-01-10 00:00"]),
        ("cron(0 0 ? * 3#1 *)", "2026-01-01T00:00", ["2026-01-06 00:00", "2026-02-03 00:00"]),
        ("cron(0 0 ? * TUE#5 *)", "2026-01-01T00:00", ["2026-03-31 00:00", "2026-06-30 00:00"]),
        ("cron(0 0 ? * 1,7 *)", "2026-01-01T00:00", ["2026-01-03 00:00", "2026-01-04 00:00"]),
        ("cron(0 12 24 12 ? 2027,2029)", "2026-01-01T00:00", ["2027-12-24 12:00"]),
        ("cron(5 0 1 jan-mar/2 ? *)", "2026-01-01T00:05", ["2026-03-01 00:05"]),
    ],
)
def test_cron_fires_when_its_fields_say(expression: str, after: str, expected: list[str]) -> None:
    """Steps, ranges, lists, names, L, W and # mean what EventBridge documents."""
    assert _firings(expression, after, len(expected)) == expected


def test_a_skipped_local_time_is_not_run() -> None:
    """Berlin has no 02:30 on 2026-03-29; the next run is a day later."""
    found = _firings("cron(30 2 * * ? *)", "2026-03-27T12:00", 2, "Europe/Berlin")
    assert found == ["2026-03-28 02:30", "2026-03-30 02:30"]


def test_a_repeated_local_time_runs_once() -> None:
    """New York has 01:30 twice on 2026-11-01; only the first counts."""
    timing = _timing("cron(30 1 * * ? *)", "America/New_York")
    start = datetime(2026, 10, 31, 12, tzinfo=UTC)
    found = list(timing.between(start, start + timedelta(days=2)))
    assert found == [
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        datetime(2026, 11, 2, 6, 30, tzinfo=UTC),
    ]


def test_a_cron_keeps_its_local_hour_over_the_change() -> None:
    """04:00 in Berlin is 03:00 UTC in winter and 02:00 UTC in summer."""
    start = datetime(2026, 3, 28, tzinfo=UTC)
    found = _timing("cron(0 4 * * ? *)", "Europe/Berlin").between(start, start + timedelta(days=2))
    assert [due.hour for due in found] == [3, 2]


def test_rate_fires_at_once_and_then_in_elapsed_time() -> None:
    """Without a start the first firing is the creation itself."""
    timing = _timing("rate(5 minutes)")
    before = _CREATED - timedelta(seconds=1)
    found = list(timing.between(before, _CREATED + timedelta(minutes=10)))
    assert found == [_CREATED + timedelta(minutes=n) for n in (0, 5, 10)]


def test_rate_counts_from_its_start_date() -> None:
    """A start date moves the first firing, and the grid with it."""
    start = _CREATED + timedelta(hours=1)
    found = _timing("rate(1 day)", start=start).between(_CREATED, _CREATED + timedelta(days=2))
    assert list(found) == [start, start + timedelta(days=1)]


def test_dates_bind_recurring_schedules_only() -> None:
    """Start and end cut a cron, both ends included; a one-time schedule ignores them."""
    start, end = datetime(2026, 1, 3, 4, tzinfo=UTC), datetime(2026, 1, 4, 4, tzinfo=UTC)
    far = _CREATED + timedelta(days=30)
    cron = _timing("cron(0 4 * * ? *)", start=start, end=end)
    assert list(cron.between(_CREATED, far)) == [start, end]
    once = _timing("at(2026-01-10T00:00:00)", "Asia/Tokyo", start=start, end=end)
    assert list(once.between(_CREATED, far)) == [datetime(2026, 1, 9, 15, tzinfo=UTC)]


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 4 * * * *)",
        "cron(0 4 ? * ? *)",
        "cron(0 4 * * ?)",
        "cron(60 4 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 4 32 * ? *)",
        "cron(0 4 ? * 8 *)",
        "cron(0 4 ? * MON#6 *)",
        "cron(0 4 * 13 ? *)",
        "cron(0 4 * * ? 2300)",
        "cron(30-10 4 * * ? *)",
        "cron(a 4 * * ? *)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "rate(5minutes)",
        "at(2026-01-01 00:00:00)",
        "at(2026-02-30T00:00:00)",
        "every day",
    ],
)
def test_a_bad_expression_is_refused(expression: str) -> None:
    """What EventBridge refuses is refused here when it is created, not at night."""
    with pytest.raises(ExpressionInvalid):
        parse(expression)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """The error names the zone."""
    with pytest.raises(ExpressionInvalid, match="Mars/Base"):
        zone_of("Mars/Base")


_EXPRESSIONS = st.sampled_from(
    ["cron(0 4 * * ? *)", "cron(*/7 1-3 L * ? *)", "cron(30 2 ? * 2-6 *)", "rate(3 hours)"]
)
_ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


@given(
    expression=_EXPRESSIONS,
    zone=_ZONES,
    at=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_firing_is_later_and_none_lies_between(
    expression: str, zone: str, at: datetime
) -> None:
    """``next_after`` moves forward, and asking from anywhere before it gives the same answer."""
    timing = _timing(expression, zone)
    due = timing.next_after(at)
    assert due is not None
    assert due > at
    assert timing.next_after(at + (due - at) / 2) == due


def test_expressions_are_what_they_say() -> None:
    """The three kinds are told apart."""
    assert isinstance(parse("at(2026-01-01T00:00:00)"), At)
    assert parse("rate(2 hours)") == Rate(seconds=7200)
