"""What holds for every rule, every zone and every scheduled time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from coldtable.core.schedule import latest_moment, resolve_local
from coldtable.model import MomentRule

# Whole-hour, half-hour and day-skipping zones; DST in both hemispheres, at midnight, and none.
ZONES = [
    "UTC",
    "Asia/Tokyo",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]

zones = st.sampled_from(ZONES).map(ZoneInfo)
times = st.times().map(lambda t: t.replace(microsecond=0))
rules = st.builds(MomentRule, day=st.none() | st.integers(1, 31), at=times, zone=zones)
instants = st.datetimes(
    min_value=datetime(2005, 1, 1),
    max_value=datetime(2037, 1, 1),
).map(lambda d: d.replace(microsecond=0, tzinfo=UTC))


@given(rules, instants)
def test_never_in_the_future(rule: MomentRule, scheduled: datetime) -> None:
    """The moment is at or before the scheduled time, and a whole second."""
    found = latest_moment(rule, scheduled)
    assert found <= scheduled
    assert found.microsecond == 0


@given(rules, instants)
def test_at_most_one_period_old(rule: MomentRule, scheduled: datetime) -> None:
    """Never older than a day (a month), give or take what clocks were moved meanwhile."""
    longest = timedelta(days=1 if rule.day is None else 31) + timedelta(days=1, hours=2)
    usual = timedelta(days=1 if rule.day is None else 31, hours=2)
    age = scheduled - latest_moment(rule, scheduled)
    # Only Samoa's skipped day can make it a day more.
    assert age <= (longest if rule.zone.key == "Pacific/Apia" else usual)


@given(rules, instants, st.integers(0, 10**7))
def test_time_never_turns_it_back(rule: MomentRule, scheduled: datetime, later: int) -> None:
    """A later run never exports an earlier moment."""
    first = latest_moment(rule, scheduled)
    assert latest_moment(rule, scheduled + timedelta(seconds=later)) >= first


@given(rules, instants)
def test_the_moment_is_its_own_moment(rule: MomentRule, scheduled: datetime) -> None:
    """Scheduled exactly at a moment, a run exports that moment."""
    found = latest_moment(rule, scheduled)
    assert latest_moment(rule, found) == found


# Which of two readings a time of day once was says nothing of another day: it is not looked at.
@example(date(2030, 2, 10), time(2, fold=1), ZoneInfo("Africa/Casablanca"))
@given(st.dates(date(2005, 1, 1), date(2037, 1, 1)), times, zones)
def test_a_local_time_resolves_to_itself_or_to_the_end_of_a_gap(
    day: date, at: time, zone: ZoneInfo
) -> None:
    """The instant reads as the local time, or it is the first second after a gap around it."""
    found = resolve_local(day, at, zone)
    wanted = datetime.combine(day, at)
    shown = found.astimezone(zone).replace(tzinfo=None)
    if shown != wanted:
        before = (found - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
        assert before < wanted < shown
