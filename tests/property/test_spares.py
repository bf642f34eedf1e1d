"""Retention where exports are damaged, for any history: what it must never do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.retention import Decision, Gone, Piece, gather
from coldtable.core.spares import Spare, Stock, sort_out
from coldtable.model_archive import Attempt, Hold, Outcome, Slot
from coldtable.model_policy import Retention
from tests.property.test_retention import (
    KEEPS,
    LATER,
    START,
    histories,
    holds_of,
    reachable,
)
from tests.unit.keeping import HOUR, full, window

DAY = timedelta(days=1)


@st.composite
def stocks(draw: st.DrawFn) -> Stock:
    """A history of which some is bad; beside it damaged attempts, some of them retried well."""
    kept = draw(histories())
    places = st.sets(st.integers(0, 60), max_size=5)
    bad = {kept[n % len(kept)].attempt.export_id for n in draw(places)} if kept else set()
    attempts: dict[Slot, list[Attempt]] = {}
    for piece in kept:
        attempts.setdefault(piece.slot, []).append(replace(piece.attempt, number=2))
    damaged = [_spoilt(kept[n % len(kept)]) for n in draw(places)] if kept else []
    for hours in draw(st.lists(st.integers(-100, 2500), max_size=3)):
        moment = START + hours * HOUR
        damaged.append(_spoilt(full(moment, 900 + hours) if hours % 2 else window(moment)))
    unique = {piece.slot: piece for piece in damaged}
    for piece in unique.values():
        attempts.setdefault(piece.slot, []).append(piece.attempt)
    return Stock(
        kept=[replace(p, attempt=replace(p.attempt, number=2)) for p in kept],
        damaged=list(unique.values()),
        attempts=attempts,
        bad=frozenset(filter(None, bad)),
    )


def _spoilt(piece: Piece) -> Piece:
    gone = replace(piece.attempt, outcome=Outcome.DAMAGED, export_id=f"d-{piece.slot.name}")
    return replace(piece, attempt=gone)


def run(
    stock: Stock, keep: Retention, holds: Sequence[Hold] = (), gone: Gone | None = None
) -> tuple[tuple[Decision, ...], tuple[Spare, ...]]:
    return sort_out(stock, keep, holds, LATER, gone)


def staying(stock: Stock, keep: Retention, holds: Sequence[Hold] = ()) -> set[Piece]:
    decisions, spares = run(stock, keep, holds)
    going = {p for d in decisions if not d.keep for p in d.unit.pieces}
    going |= {s.piece for s in spares if not s.keep}
    return {*stock.kept, *stock.damaged} - going


def sound(stock: Stock) -> list[Piece]:
    return [p for p in stock.kept if p.attempt.export_id not in stock.bad]


@settings(deadline=None)
@given(stocks(), KEEPS)
def test_each_export_is_judged_once(stock: Stock, keep: Retention) -> None:
    """Everything is in one chain, or is a spare; damage is told as such."""
    decisions, spares = run(stock, keep)
    judged = [p for d in decisions for p in d.unit.pieces] + [s.piece for s in spares]
    assert sorted(judged, key=repr) == sorted([*stock.kept, *stock.damaged], key=repr)
    intact = set(sound(stock))
    assert all(s.damaged == (s.piece not in intact) for s in spares)
    assert all(d.reasons for d in decisions)
    assert all(s.reasons for s in spares)


@settings(deadline=None)
@given(stocks(), KEEPS)
def test_what_is_bad_lets_nothing_go(stock: Stock, keep: Retention) -> None:
    """What would stay if all were well stays, unless it is bad itself and replaced; so a newer
    chain that is bad makes no older one go, and none of its own parts but those."""
    well = staying(replace(stock, bad=frozenset()), keep) - set(stock.damaged)
    lost = well - staying(stock, keep)
    replaced = {s.piece for s in run(stock, keep)[1] if s.instead}
    assert lost <= replaced - set(sound(stock))


@settings(deadline=None)
@given(stocks(), KEEPS)
def test_no_increment_is_stranded(stock: Stock, keep: Retention) -> None:
    """What could be rebuilt through an intact increment that stays still can be."""
    stays = staying(stock, keep)
    intact = sound(stock)
    left = [p for p in intact if p in stays]
    assert reachable(left) == reachable(intact) & stays


@settings(deadline=None)
@given(stocks(), KEEPS)
def test_never_below_the_minimum_of_intact_chains(stock: Stock, keep: Retention) -> None:
    """So many intact chains stay as the minimum says, or all; each that goes has so many newer."""
    units = gather(sound(stock)).units
    stays = staying(stock, keep)
    ends = [u.end for u in units if set(u.pieces) <= stays]
    assert len(ends) >= min(keep.minimum, len(units))
    for unit in units:
        if not set(unit.pieces) <= stays:
            assert sum(end >= unit.end for end in ends) >= keep.minimum


@settings(deadline=None)
@given(stocks(), KEEPS)
def test_what_is_replaced_is_there_in_another_form(stock: Stock, keep: Retention) -> None:
    """A damaged export goes only if a proven attempt for the same slot was there, if both of its
    ends can be rebuilt from what stays, or if nothing as old stays."""
    decisions, spares = run(stock, keep)
    stays = staying(stock, keep)
    points = {p.stop for p in reachable([p for p in sound(stock) if p in stays])}
    oldest = min((d.unit.start for d in decisions if d.keep), default=None)
    intact = {p.slot: p for p in sound(stock)}
    for spare in spares:
        piece = spare.piece
        if spare.keep:
            continue
        twin = intact.get(piece.slot)
        assert (
            (spare.damaged and {piece.start, piece.stop} <= points)
            or (spare.damaged and twin is not None and twin.attempt.span == piece.attempt.span)
            or (oldest is not None and piece.stop < oldest)
        )
        assert not spare.instead or spare.instead.attempt.export_id not in stock.bad


@settings(deadline=None)
@given(stocks(), KEEPS, st.lists(st.integers(0, 60), max_size=3))
def test_again_removes_no_more(stock: Stock, keep: Retention, places: list[int]) -> None:
    """What the first run left, the second leaves."""
    holds = holds_of(list(stock.kept), places)
    stays = staying(stock, keep, holds)
    left = replace(
        stock,
        kept=[p for p in stock.kept if p in stays],
        damaged=[p for p in stock.damaged if p in stays],
    )
    assert staying(left, keep, holds) == stays


@settings(deadline=None)
@given(stocks(), KEEPS, st.lists(st.integers(0, 60), min_size=1, max_size=3), st.booleans())
def test_what_is_held_stays_with_its_chain(
    stock: Stock, keep: Retention, places: list[int], over: bool
) -> None:
    """Held before anybody knew that something is bad, or of a table that is gone since: all of the
    chain stays."""
    holds = holds_of(list(stock.kept), places)
    names = {h.export_id for h in holds}
    held = {
        piece
        for unit in gather(stock.kept).units
        if any(p.attempt.export_id in names for p in unit.pieces)
        for piece in unit.pieces
    } | {p for p in stock.kept if p.attempt.export_id in names}
    ending = replace(keep, gone=DAY)
    decisions, spares = run(stock, ending, holds, Gone(length=2 * DAY) if over else None)
    going = {p for d in decisions if not d.keep for p in d.unit.pieces}
    going |= {s.piece for s in spares if not s.keep}
    assert not held & going


@settings(deadline=None)
@given(stocks(), KEEPS, st.integers(0, 4000))
def test_the_clock_removes_nothing(stock: Stock, keep: Retention, days: int) -> None:
    """However late it is, the same goes; before the last restore point nothing does."""
    later = sort_out(stock, keep, [], LATER + timedelta(days=days))
    assert later == run(stock, keep)
    points = [p.stop for p in (*stock.kept, *stock.damaged)]
    if points:
        early = sort_out(stock, keep, [], min(points) - HOUR)
        assert all(one.keep for some in early for one in some)


@settings(deadline=None)
@given(stocks(), KEEPS, st.integers(0, 60), st.integers(1, 60))
def test_of_a_table_that_is_gone_all_or_no_more_goes(
    stock: Stock, keep: Retention, length: int, limit: int
) -> None:
    """Up to its days the rules count and nothing else; after them nothing is left."""
    ending, gone = replace(keep, gone=limit * DAY), Gone(length=length * DAY)
    judged = run(stock, ending, gone=gone)
    if length <= limit:
        assert judged == run(stock, keep)
    else:
        assert not any(one.keep for some in judged for one in some)
