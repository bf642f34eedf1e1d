"""Retention for any history: what it must never do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.retention import Piece, decide, gather
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from tests.unit.keeping import HOUR, full, window

START = datetime(2025, 12, 20, 5, tzinfo=UTC)
LATER = START + timedelta(days=1200)
COUNTS = st.integers(0, 6)
KEEPS = st.builds(
    Retention,
    within=st.integers(0, 60).map(lambda days: timedelta(days=days)),
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    minimum=st.integers(1, 4),
    zone=st.sampled_from([UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Piece]:
    """Chains, snapshots, gaps and lonely increments, in any order, some running into others."""
    pieces: dict[object, Piece] = {}
    cursor = START
    for number in range(1, draw(st.integers(1, 9))):
        cursor += draw(st.integers(-30, 400)) * HOUR
        begins = draw(st.sampled_from(["base", "snapshot", "nothing"]))
        if begins != "nothing":
            piece = full(cursor, number if begins == "base" else None)
            pieces.setdefault(piece.slot, piece)
        for _ in range(draw(st.integers(0, 6))):
            piece = window(cursor, draw(st.integers(1, 24)) * HOUR)
            cursor = pieces.setdefault(piece.slot, piece).stop
    return list(pieces.values())


def holds_of(pieces: list[Piece], places: list[int]) -> list[Hold]:
    chosen = [pieces[place % len(pieces)] for place in places] if pieces else []
    return [
        Hold(number=n, reason="r", at=START, export_id=p.attempt.export_id)
        for n, p in enumerate(chosen)
    ]


def reachable(pieces: list[Piece]) -> set[Piece]:
    """The increments that a full export leads to, and the full exports: worked out step by step."""
    points = {p.start for p in pieces if p.is_full}
    found = {p for p in pieces if p.is_full}
    while more := {p for p in pieces if p not in found and p.start in points}:
        found |= more
        points |= {p.stop for p in more}
    return found


def kept(pieces: list[Piece], keep: Retention, holds: list[Hold] | None = None) -> set[Piece]:
    """The pieces that stay, those in no unit too."""
    found = gather(pieces)
    decisions = decide(found.units, keep, holds or [], LATER)
    gone = {p for d in decisions if not d.keep for p in d.unit.pieces}
    return set(pieces) - gone


@settings(deadline=None)
@given(histories(), KEEPS)
def test_no_increment_is_stranded(pieces: list[Piece], keep: Retention) -> None:
    """What could be rebuilt through an increment that stays can still be rebuilt through it."""
    stays = kept(pieces, keep)
    assert reachable(list(stays)) == reachable(pieces) & stays


@settings(deadline=None)
@given(histories(), KEEPS)
def test_units_are_removed_newest_increment_last_never_first_full(
    pieces: list[Piece], keep: Retention
) -> None:
    """Each piece is in one unit at most, and full exports are the first of theirs."""
    units = gather(pieces).units
    every = [p for u in units for p in u.pieces]
    assert len(every) == len(set(every))
    for unit in units:
        fulls = [p.is_full for p in unit.pieces]
        assert fulls == sorted(fulls, reverse=True)
        assert fulls[0]
    assert len(kept(pieces, keep)) <= len(pieces)


@settings(deadline=None)
@given(histories(), KEEPS)
def test_never_below_the_minimum_nor_without_a_newer_one(
    pieces: list[Piece], keep: Retention
) -> None:
    """The newest units stay, as many as the minimum says; whatever goes is older than they are."""
    decisions = decide(gather(pieces).units, keep, [], LATER)
    stay = [d.unit.end for d in decisions if d.keep]
    assert len(stay) >= min(keep.minimum, len(decisions))
    for decision in decisions:
        if not decision.keep:
            assert sum(end >= decision.unit.end for end in stay) >= keep.minimum


@settings(deadline=None)
@given(histories(), KEEPS, st.lists(st.integers(0, 40), max_size=3))
def test_again_removes_no_more(pieces: list[Piece], keep: Retention, places: list[int]) -> None:
    """What the first run left, the second leaves."""
    holds = holds_of(pieces, places)
    stays = kept(pieces, keep, holds)
    assert kept(list(stays), keep, holds) == stays


@settings(deadline=None)
@given(histories(), KEEPS, KEEPS, st.lists(st.integers(0, 40), max_size=3))
def test_more_to_keep_never_removes_more(
    pieces: list[Piece], keep: Retention, more: Retention, places: list[int]
) -> None:
    """With every rule at least as large, and holds besides, at least as much stays."""
    larger = Retention(
        within=max(keep.within, more.within),
        daily=max(keep.daily, more.daily),
        weekly=max(keep.weekly, more.weekly),
        monthly=max(keep.monthly, more.monthly),
        yearly=max(keep.yearly, more.yearly),
        minimum=max(keep.minimum, more.minimum),
        zone=keep.zone,
    )
    if keep.is_set:
        assert kept(pieces, larger, holds_of(pieces, places)) >= kept(pieces, keep)


@settings(deadline=None)
@given(histories(), KEEPS, st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_a_held_one_stays(pieces: list[Piece], keep: Retention, places: list[int]) -> None:
    """Whatever is held stays, with all that it needs."""
    holds = holds_of(pieces, places)
    names = {h.export_id for h in holds}
    stays = kept(pieces, keep, holds)
    assert {p for p in pieces if p.attempt.export_id in names} <= stays


@settings(deadline=None)
@given(histories(), KEEPS, st.integers(1, 4000))
def test_a_later_clock_removes_no_more(pieces: list[Piece], keep: Retention, days: int) -> None:
    """How late it is does not matter; earlier than the newest restore point removes nothing."""
    units = gather(pieces).units
    assert decide(units, keep, [], LATER) == decide(units, keep, [], LATER + timedelta(days=days))
    if units:
        before = max(u.end for u in units) - timedelta(seconds=1)
        assert all(d.keep for d in decide(units, keep, [], before))


@settings(deadline=None)
@given(histories(), KEEPS)
def test_no_rule_removes_nothing(pieces: list[Piece], keep: Retention) -> None:
    """Whatever the minimum, without a rule everything stays."""
    none = replace(Retention(), minimum=keep.minimum)
    assert kept(pieces, none) == set(pieces)
