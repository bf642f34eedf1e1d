"""Retention as tables of cases: what is kept, what is removed, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coldtable.core.retention import Decision, Gone, Piece, decide, gather, retention_text
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from tests.unit.keeping import DAY, HOUR, chain, day, full, snapshots, window

NONE = Retention()
NOW = day("2026-11-25T12")
MONTH = snapshots(day("2026-11-10"), day("2026-11-25"))
THREE = [
    *chain(day("2026-09-25"), 30, number=1),
    *chain(day("2026-10-25"), 30, number=2),
    *chain(day("2026-11-24"), 1, number=3),
]


@dataclass(frozen=True, kw_only=True)
class Case:
    """``says`` is a line a unit: keep or remove, from, to, increments, the reasons."""

    name: str
    pieces: Sequence[Piece]
    says: str
    keep: Retention = NONE
    holds: Sequence[Hold] = ()
    wanted: Sequence[datetime] = ()
    now: datetime = NOW
    gone: Gone | None = None


def held(number: int = 1, moment: datetime | None = None, export_id: str | None = None) -> Hold:
    return Hold(number=number, reason="case 7", at=NOW, moment=moment, export_id=export_id)


CASES = [
    Case(
        name="no rule keeps everything",
        pieces=snapshots(day("2026-11-24"), day("2026-11-25")),
        says="""
        keep   11-24T03 11-24T03 0 no retention is set
        keep   11-25T03 11-25T03 0 no retention is set
        """,
    ),
    Case(
        name="a minimum alone is no rule",
        pieces=snapshots(day("2026-11-24"), day("2026-11-25")),
        keep=Retention(minimum=1),
        says="""
        keep   11-24T03 11-24T03 0 no retention is set
        keep   11-25T03 11-25T03 0 no retention is set
        """,
    ),
    Case(
        name="snapshots: within, daily, weekly, monthly, yearly",
        pieces=[*snapshots(day("2026-10-30"), day("2026-11-01")), *MONTH[-8:]],
        keep=Retention(within=1 * DAY, daily=3, weekly=2, monthly=2, yearly=1),
        says="""
        remove 10-30T03 10-30T03 0 no rule keeps it
        keep   10-31T03 10-31T03 0 monthly 2026-10
        remove 11-01T03 11-01T03 0 no rule keeps it
        remove 11-18T03 11-18T03 0 no rule keeps it
        remove 11-19T03 11-19T03 0 no rule keeps it
        remove 11-20T03 11-20T03 0 no rule keeps it
        remove 11-21T03 11-21T03 0 no rule keeps it
        keep   11-22T03 11-22T03 0 weekly 2026-W47
        keep   11-23T03 11-23T03 0 daily 2026-11-23
        keep   11-24T03 11-24T03 0 within 1 days; daily 2026-11-24
        keep   11-25T03 11-25T03 0 newest; within 1 days; daily 2026-11-25; weekly 2026-W48; monthly 2026-11; yearly 2026
        """,
    ),
    Case(
        name="days without an export do not count",
        pieces=[*snapshots(day("2026-11-01"), day("2026-11-02")), full(day("2026-11-25"))],
        keep=Retention(daily=2),
        says="""
        remove 11-01T03 11-01T03 0 no rule keeps it
        keep   11-02T03 11-02T03 0 daily 2026-11-02
        keep   11-25T03 11-25T03 0 newest; daily 2026-11-25
        """,
    ),
    Case(
        name="of a day the newest",
        pieces=snapshots(day("2026-11-24T01"), day("2026-11-24T23"), 11 * HOUR),
        keep=Retention(daily=1),
        says="""
        remove 11-24T01 11-24T01 0 no rule keeps it
        remove 11-24T12 11-24T12 0 no rule keeps it
        keep   11-24T23 11-24T23 0 newest; daily 2026-11-24
        """,
    ),
    Case(
        name="days begin where the table's zone says",
        pieces=snapshots(day("2026-11-24T14"), day("2026-11-24T16"), HOUR),
        keep=Retention(daily=2, zone=ZoneInfo("Asia/Tokyo")),
        says="""
        keep   11-24T14 11-24T14 0 daily 2026-11-24
        remove 11-24T15 11-24T15 0 no rule keeps it
        keep   11-24T16 11-24T16 0 newest; daily 2026-11-25
        """,
    ),
    Case(
        name="chains go whole, and a month is the chain with its last restore point",
        pieces=THREE,
        keep=Retention(within=5 * DAY, monthly=2),
        says="""
        remove 09-25T03 10-25T03 30 no rule keeps it
        keep   10-25T03 11-24T03 30 within 5 days; monthly 2026-10
        keep   11-24T03 11-25T03 1 newest; within 5 days; monthly 2026-11
        """,
    ),
    Case(
        name="a chain within which the days lie is one unit with all of them",
        pieces=THREE,
        keep=Retention(daily=5),
        says="""
        remove 09-25T03 10-25T03 30 no rule keeps it
        keep   10-25T03 11-24T03 30 daily 2026-11-21 to 2026-11-23
        keep   11-24T03 11-25T03 1 newest; daily 2026-11-24 to 2026-11-25
        """,
    ),
    Case(
        name="the minimum counts the newest",
        pieces=THREE,
        keep=Retention(daily=1, minimum=2),
        says="""
        remove 09-25T03 10-25T03 30 no rule keeps it
        keep   10-25T03 11-24T03 30 newest but 1
        keep   11-24T03 11-25T03 1 newest; daily 2026-11-25
        """,
    ),
    Case(
        name="what is held stays: an instant of a chain, an export in one, or everything",
        pieces=THREE,
        keep=Retention(daily=1),
        holds=[held(moment=day("2026-10-01T17")), held(2, export_id="inc-20261101T03")],
        says="""
        keep   09-25T03 10-25T03 30 held: case 7
        keep   10-25T03 11-24T03 30 held: case 7
        keep   11-24T03 11-25T03 1 newest; daily 2026-11-25
        """,
    ),
    Case(
        name="a hold of the table holds all of it",
        pieces=MONTH[-2:],
        keep=Retention(daily=1),
        holds=[held()],
        says="""
        keep   11-24T03 11-24T03 0 held: case 7
        keep   11-25T03 11-25T03 0 newest; daily 2026-11-25; held: case 7
        """,
    ),
    Case(
        name="a chain that an export would still join on to stays, until it has come",
        pieces=[*chain(day("2026-11-01"), 22), full(day("2026-11-24"), 2)],
        keep=Retention(daily=1),
        wanted=[day("2026-11-23")],
        says="""
        keep   11-01T03 11-23T03 22 an export that joins on to it is under way
        keep   11-24T03 11-24T03 0 newest; daily 2026-11-24
        """,
    ),
    Case(
        name="a clock that went back removes nothing",
        pieces=MONTH[-3:],
        keep=Retention(daily=1),
        now=day("2026-11-24T12"),
        says="""
        keep   11-23T03 11-23T03 0 the archive reaches to 2026-11-25T03:00:00Z, and it is 2026-11-24T12:00:00Z: a clock is wrong
        keep   11-24T03 11-24T03 0 the archive reaches to 2026-11-25T03:00:00Z, and it is 2026-11-24T12:00:00Z: a clock is wrong
        keep   11-25T03 11-25T03 0 the archive reaches to 2026-11-25T03:00:00Z, and it is 2026-11-24T12:00:00Z: a clock is wrong
        """,
    ),
    Case(
        name="a clock that went ten years ahead removes no more than today's",
        pieces=MONTH[-3:],
        keep=Retention(within=1 * DAY),
        now=day("2036-11-25T12"),
        says="""
        remove 11-23T03 11-23T03 0 no rule keeps it
        keep   11-24T03 11-24T03 0 within 1 days
        keep   11-25T03 11-25T03 0 newest; within 1 days
        """,
    ),
    Case(
        name="a table that is gone is kept by its own moments for ever, unless somebody says",
        pieces=THREE,
        keep=Retention(monthly=2),
        gone=Gone(length=4000 * DAY),
        says="""
        remove 09-25T03 10-25T03 30 no rule keeps it
        keep   10-25T03 11-24T03 30 monthly 2026-10
        keep   11-24T03 11-25T03 1 newest; monthly 2026-11
        """,
    ),
    Case(
        name="a table that is gone is kept by the rules until its days are over",
        pieces=THREE,
        keep=Retention(monthly=2, gone=365 * DAY),
        gone=Gone(length=365 * DAY),
        says="""
        remove 09-25T03 10-25T03 30 no rule keeps it
        keep   10-25T03 11-24T03 30 monthly 2026-10
        keep   11-24T03 11-25T03 1 newest; monthly 2026-11
        """,
    ),
    Case(
        name="afterwards nothing of it is kept but what is held",
        pieces=THREE,
        keep=Retention(monthly=2, minimum=3, gone=365 * DAY),
        gone=Gone(length=366 * DAY),
        holds=[held(moment=day("2026-10-01T17"))],
        says="""
        keep   09-25T03 10-25T03 30 held: case 7
        remove 10-25T03 11-24T03 30 the table is gone, and other tables' exports reach 366 days further
        remove 11-24T03 11-25T03 1 the table is gone, and other tables' exports reach 366 days further
        """,
    ),
    Case(
        name="its days alone are a rule, and only about tables that are gone",
        pieces=MONTH[-2:],
        keep=Retention(gone=365 * DAY),
        says="""
        keep   11-24T03 11-24T03 0 no retention is set
        keep   11-25T03 11-25T03 0 no retention is set
        """,
    ),
    Case(
        name="nothing of a table that is gone goes while a clock is wrong",
        pieces=MONTH[-1:],
        keep=Retention(gone=365 * DAY),
        gone=Gone(length=366 * DAY),
        now=day("2026-11-24T12"),
        says="""
        keep   11-25T03 11-25T03 0 the archive reaches to 2026-11-25T03:00:00Z, and it is 2026-11-24T12:00:00Z: a clock is wrong
        """,
    ),
]


def said(decisions: Sequence[Decision]) -> str:
    return "\n".join(
        f"{'keep' if d.keep else 'remove':6} {d.unit.start:%m-%dT%H} {d.unit.end:%m-%dT%H} "
        f"{d.unit.windows} {'; '.join(d.reasons)}"
        for d in decisions
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_kept_and_why(case: Case) -> None:
    """Each case gives its table, word for word."""
    units = gather(case.pieces, case.wanted).units
    expected = "\n".join(line.strip() for line in case.says.strip().splitlines())
    assert said(decide(units, case.keep, case.holds, case.now, case.gone)) == expected


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        (NONE, "everything is kept"),
        (Retention(gone=9 * DAY), "everything is kept; nothing of a table gone for 9 days"),
        (
            Retention(within=35 * DAY, monthly=12, minimum=2, gone=9 * DAY),
            "within 35 days, 12 monthly, and at least the newest 2; nothing of a table gone for "
            "9 days",
        ),
    ],
)
def test_the_rules_in_words(keep: Retention, text: str) -> None:
    """As the evidence report says them."""
    assert retention_text(keep) == text


def test_nothing_is_nothing() -> None:
    """A table without a verified export has nothing to decide."""
    assert decide((), Retention(daily=1), (), NOW) == ()


def test_increments_without_a_full_export_are_in_no_unit() -> None:
    """What joins on to nothing is told apart, and so is what comes behind a gap."""
    lone, behind = window(day("2026-10-01")), window(day("2026-11-20"))
    found = gather([*chain(day("2026-11-01"), 3), lone, behind])
    assert [u.windows for u in found.units] == [3]
    assert found.loose == (lone, behind)


def test_a_full_export_inside_a_window_is_a_unit_of_its_own() -> None:
    """Its moment is no end of a window, so the chain goes on past it and needs it not."""
    inside = full(day("2026-11-02T12"))
    found = gather([*chain(day("2026-11-01"), 3), inside])
    assert [(u.start, u.windows) for u in found.units] == [
        (day("2026-11-01"), 3),
        (day("2026-11-02T12"), 0),
    ]


def test_chains_that_share_an_increment_go_together() -> None:
    """Two chains whose ways meet are one unit: no rule can take what the other stands on."""
    one = [full(day("2026-11-01"), 1), window(day("2026-11-01"), 2 * DAY)]
    two = [full(day("2026-11-02"), 2), window(day("2026-11-02"))]
    (unit,) = gather([*one, *two, window(day("2026-11-03"))]).units
    assert (unit.windows, unit.start, unit.end) == (3, day("2026-11-01"), day("2026-11-04"))


def test_three_chains_that_share_an_increment_go_together() -> None:
    """A third one joins the unit that the first two became."""
    ends = day("2026-11-04")
    starts = [day("2026-11-01"), day("2026-11-02"), day("2026-11-03")]
    chains = [(full(at, n), window(at, ends - at)) for n, at in enumerate(starts, start=1)]
    (unit,) = gather([*(piece for one in chains for piece in one), window(ends)]).units
    assert (unit.windows, unit.start, unit.end) == (4, starts[0], ends + DAY)


@pytest.mark.parametrize(
    ("keep", "days"),
    [
        (Retention(yearly=2), ["2024-12-31", "2025-01-01", "2025-06-01"]),
        (Retention(monthly=2), ["2025-04-30", "2025-05-01", "2025-05-20"]),
        (Retention(weekly=2), ["2025-05-18", "2025-05-19", "2025-05-23"]),
        (Retention(daily=2), ["2025-05-18T23:59", "2025-05-19T00:00", "2025-05-19T12"]),
    ],
    ids=["years", "months", "weeks", "days"],
)
def test_the_first_moment_of_a_period_is_no_other_one(keep: Retention, days: list[str]) -> None:
    """Of two periods the newest of each stays: neither's first moment counts as the one before."""
    last, first, newest = map(day, days)
    units = gather(map(full, (last, first, newest))).units
    decided = {one.unit.end: one.keep for one in decide(units, keep, (), NOW)}
    assert decided == {last: True, first: False, newest: True}


def test_a_chain_that_ends_as_a_period_begins_stands_for_the_one_before() -> None:
    """Its end is the next month's first moment; what it is kept for is the month that it ends."""
    units = gather([*chain(day("2025-04-20T00"), 11), full(day("2025-05-20"))]).units
    assert units[0].end == day("2025-05-01T00")
    older, newest = decide(units, Retention(monthly=2), (), NOW)
    assert (older.reasons, older.keep) == (("monthly 2025-04",), True)
    assert "monthly 2025-05" in newest.reasons


def test_two_full_exports_of_one_moment_are_one_unit() -> None:
    """A snapshot and a base of the same instant carry the same increments."""
    moment = day("2026-11-01")
    (unit,) = gather([full(moment), *chain(moment, 2)]).units
    assert len(unit.pieces) == 4
    assert [p.is_full for p in unit.pieces] == [True, True, False, False]


def test_years_of_days_take_no_time() -> None:
    """Ten years of daily snapshots under the largest counts are decided at once."""
    units = gather(snapshots(day("2016-11-25"), day("2026-11-24"))).units
    keep = Retention(daily=10_000, weekly=10_000, monthly=10_000, yearly=10_000)
    assert all(d.keep for d in decide(units, keep, (), NOW))
    assert NOW - units[0].start > timedelta(days=3650)
