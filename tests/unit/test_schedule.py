"""The schedule arithmetic as a table: rule, scheduled time, the moment that is exported."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from coldtable.core.schedule import latest_moment, resolve_local
from coldtable.model import MomentRule

TOKYO, NEW_YORK, BERLIN = "Asia/Tokyo", "America/New_York", "Europe/Berlin"

CASES = [
    # every day
    ("later the same day", None, "03:00:00", "UTC", "2026-11-23T04:00:00Z", "2026-11-23T03:00:00Z"),
    ("earlier the same day", None, "05:00:00", "UTC", "2026-11-23T04:00:00Z", "2026-11-22T05:00:00Z"),
    ("the very second", None, "04:00:00", "UTC", "2026-11-23T04:00:00Z", "2026-11-23T04:00:00Z"),
    ("a minute before", None, "04:00:00", "UTC", "2026-11-23T03:59:00Z", "2026-11-22T04:00:00Z"),
    ("a minute after", None, "04:00:00", "UTC", "2026-11-23T04:01:00Z", "2026-11-23T04:00:00Z"),
    ("seconds count", None, "04:00:30", "UTC", "2026-11-23T04:00:29Z", "2026-11-22T04:00:30Z"),
    ("the zone's date", None, "03:00:00", TOKYO, "2026-11-22T19:00:00Z", "2026-11-22T18:00:00Z"),
    ("year end in Tokyo", None, "23:59:59", TOKYO, "2025-12-31T15:00:00Z", "2025-12-31T14:59:59Z"),
    ("year end in UTC", None, "12:00:00", "UTC", "2026-01-01T00:00:00Z", "2025-12-31T12:00:00Z"),
    # a day of the month
    ("that day", 15, "03:00:00", "UTC", "2026-11-15T04:00:00Z", "2026-11-15T03:00:00Z"),
    ("that day, too early", 15, "03:00:00", "UTC", "2026-11-15T02:00:00Z", "2026-10-15T03:00:00Z"),
    ("days later", 15, "03:00:00", "UTC", "2026-11-23T04:00:00Z", "2026-11-15T03:00:00Z"),
    ("before it in the month", 15, "03:00:00", "UTC", "2026-11-14T04:00:00Z", "2026-10-15T03:00:00Z"),
    ("31 in June is the 30th", 31, "03:00:00", "UTC", "2026-06-30T04:00:00Z", "2026-06-30T03:00:00Z"),
    ("31 before the 30th", 31, "03:00:00", "UTC", "2026-06-29T04:00:00Z", "2026-05-31T03:00:00Z"),
    ("31 in February", 31, "03:00:00", "UTC", "2026-03-01T00:00:00Z", "2026-02-28T03:00:00Z"),
    ("29 in a leap year", 29, "03:00:00", "UTC", "2028-03-01T00:00:00Z", "2028-02-29T03:00:00Z"),
    ("30 in a leap year", 30, "03:00:00", "UTC", "2028-03-01T00:00:00Z", "2028-02-29T03:00:00Z"),
    ("29 in a common year", 29, "03:00:00", "UTC", "2027-03-01T00:00:00Z", "2027-02-28T03:00:00Z"),
    ("over the year", 20, "03:00:00", "UTC", "2026-01-10T04:00:00Z", "2025-12-20T03:00:00Z"),
    # clocks go forward: 2026-03-08 in New York (02:00 to 03:00), 2026-03-29 in Berlin
    ("gap, New York", None, "02:30:00", NEW_YORK, "2026-03-08T08:00:00Z", "2026-03-08T07:00:00Z"),
    ("gap, Berlin", None, "02:30:00", BERLIN, "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"),
    ("gap, the end itself", None, "03:00:00", BERLIN, "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"),
    ("gap, a second before", None, "02:30:00", BERLIN, "2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z"),
    ("gap, monthly", 8, "02:00:00", NEW_YORK, "2026-03-20T00:00:00Z", "2026-03-08T07:00:00Z"),
    # clocks go back: 2026-11-01 in New York (02:00 to 01:00), 2026-10-25 in Berlin
    ("overlap, New York", None, "01:30:00", NEW_YORK, "2026-11-01T06:45:00Z", "2026-11-01T05:30:00Z"),
    ("overlap, second time", None, "01:30:00", NEW_YORK, "2026-11-01T06:30:00Z", "2026-11-01T05:30:00Z"),
    ("overlap, Berlin", None, "02:30:00", BERLIN, "2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z"),
    ("overlap, just before", None, "02:30:00", BERLIN, "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z"),
    # over midnight: St. John's went back at 00:01 until 2011, so the next date came twice
    ("tomorrow has been", None, "00:00:30", "America/St_Johns", "2010-11-07T02:45:00Z",
     "2010-11-07T02:30:30Z"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "at", "zone", "scheduled", "expected"),
    [c[1:] for c in CASES],
    ids=[c[0] for c in CASES],
)
def test_the_moment_is_the_most_recent_one(
    day: int | None, at: str, zone: str, scheduled: str, expected: str
) -> None:
    """A run exports the rule's most recent moment at or before the scheduled time."""
    rule = MomentRule(day=day, at=time.fromisoformat(at), zone=ZoneInfo(zone))
    found = latest_moment(rule, datetime.fromisoformat(scheduled))
    assert found == datetime.fromisoformat(expected)
    assert found.tzinfo is UTC


def test_a_day_that_the_calendar_skipped_becomes_the_next_one() -> None:
    """Samoa had no 2011-12-30: a moment on it is the first one that exists after it."""
    found = resolve_local(date(2011, 12, 30), time(3), ZoneInfo("Pacific/Apia"))
    assert found == datetime(2011, 12, 30, 10, tzinfo=UTC)
