"""The bar: what a day or a month of coverage looks like."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from coldtable.core.bar import BLOCKS, PLAIN, Share, covered, days, draw, made, months
from coldtable.model import MomentRule, Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = NOON.replace(hour=0)
ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("share", "block", "plain"),
    [
        (1.0, "█", "#"),
        (0.99999, "▆", "+"),
        (0.5, "▆", "+"),
        (0.49, "▂", "-"),
        (0.0001, "▂", "-"),
        (0.0, "x", "x"),
        (None, "·", "."),
    ],
)
def test_a_share_is_a_character(share: Share, block: str, plain: str) -> None:
    """A minute that is missing shows, and a minute that is there."""
    assert draw([share]) == block
    assert draw([share], PLAIN) == plain
    assert len(set(BLOCKS)) == len(set(PLAIN)) == 5


def test_cells_are_days_and_months_of_a_zone() -> None:
    """35 days and 12 months, today's too; a day on which clocks change has 23 or 25 hours."""
    cells = days(NOON, ZONE)
    assert len(cells) == 35
    assert cells[-1] == Window(start=TODAY, stop=TODAY + DAY)
    assert cells[0].start == TODAY - 34 * DAY
    berlin = days(NOON, ZoneInfo("Europe/Berlin"))
    assert {(c.stop - c.start) / HOUR for c in berlin} == {24, 25}
    assert all(a.stop == b.start for a, b in pairwise(berlin))
    found = months(NOON, ZONE)
    assert len(found) == 12
    assert found[0].start == datetime(2025, 12, 1, tzinfo=UTC)
    assert found[-1] == Window(start=TODAY.replace(day=1), stop=datetime(2026, 12, 1, tzinfo=UTC))
    tokyo = days(datetime(2026, 11, 25, 16, tzinfo=UTC), ZoneInfo("Asia/Tokyo"))
    assert tokyo[-1].start == datetime(2026, 11, 25, 15, tzinfo=UTC)


def test_coverage_is_a_share_of_what_could_be_there() -> None:
    """Before the first export and after what the objective asks for nothing is missing."""
    cells = days(NOON, ZONE, 6)
    coverage = [
        Window(start=TODAY - 4 * DAY + 12 * HOUR, stop=TODAY - 2 * DAY),
        Window(start=TODAY - 1 * DAY + 18 * HOUR, stop=TODAY + 10 * HOUR),
    ]
    begin, until = coverage[0].start, TODAY + 10 * HOUR
    shares = covered(coverage, cells, begin, until)
    assert shares == [None, 1.0, 1.0, 0.0, 0.25, 1.0]
    assert draw(shares) == "·██x▂█"
    # Two hours more were to be expected.
    assert covered(coverage, cells, begin, until + 2 * HOUR)[-1] == 10 / 12
    assert covered([], cells, None, until) == [None] * 6


def test_a_bare_full_export_covers_an_instant() -> None:
    """A chain without any window is a restore point, and no time."""
    moment = TODAY - DAY
    shares = covered([Window(start=moment, stop=moment)], days(NOON, ZONE, 2), moment, NOON)
    assert shares == [0.0, 0.0]


def test_snapshots_are_counted_against_their_rule() -> None:
    """Each day one is due; one that is missing shows, and so does one more than the rule wants."""
    rule = MomentRule(day=None, at=time(3), zone=ZONE)
    cells = days(NOON, ZONE, 6)
    moments = [TODAY + 3 * HOUR - n * DAY for n in (4, 3, 1)]
    assert made(moments, rule, cells, moments[0], NOON - 5 * HOUR) == [None, 1, 1, 0, 1, 0]
    # The rule's moment of today is younger than the objective asks for.
    assert made(moments, rule, cells, moments[0], TODAY + 2 * HOUR) == [None, 1, 1, 0, 1, None]
    rare = MomentRule(day=1, at=time(3), zone=ZONE)
    assert made(moments, rare, cells, moments[0], NOON) == [None, 1, 1, None, 1, None]
    year = made(
        [datetime(2026, 10, 1, 3, tzinfo=UTC)], rare, months(NOON, ZONE), TODAY - 90 * DAY, NOON
    )
    assert draw(year) == "·········x█x"


def test_what_has_expired_is_not_due() -> None:
    """Neither a stretch nor a moment that retention let go of looks as if it were missing."""
    cells = days(NOON, ZONE, 4)
    known = [Window(start=TODAY - 3 * DAY, stop=NOON)]
    kept = [
        Window(start=TODAY - 3 * DAY, stop=TODAY - 3 * DAY + 6 * HOUR),
        Window(start=TODAY - DAY, stop=NOON),
    ]
    shares = covered(kept, cells, kept[0].start, NOON, known)
    assert shares == [1.0, None, 1.0, 1.0]
    rule = MomentRule(day=None, at=time(3), zone=ZONE)
    moments = [TODAY + 3 * HOUR - n * DAY for n in range(4)]
    shares = made([moments[3], moments[0]], rule, cells, moments[3], NOON, {moments[2]})
    assert shares == [1, None, 0, 1]
