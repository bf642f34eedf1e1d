"""Folding windows into runs: as few as can be, and none that hides where another one joins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from coldtable.core.ledger import fold
from coldtable.core.records import Home, record_key, slot_of
from coldtable.core.timeline import timeline
from coldtable.model import Window
from coldtable.model_archive import Attempt, Outcome, Run, SlotKind

HOME = Home(account="000000000000", region="us-east-1", name="orders")
START = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)


def runs(*hours: tuple[int, int]) -> tuple[Run, ...]:
    """The runs of verified windows from hour to hour."""
    names = []
    for start, stop in hours:
        span = Window(start=START + start * HOUR, stop=START + stop * HOUR)
        done = Attempt(number=1, span=span, export_id="e-1", outcome=Outcome.VERIFIED)
        slot = slot_of(SlotKind.WINDOW, span.start)
        names.append(record_key(HOME, "x", slot, done).rsplit("/", 1)[1])
    return fold("x", [], sorted(names)).runs


def shown(found: tuple[Run, ...]) -> list[tuple[int, int, int]]:
    return [
        (int((r.window.start - START) / HOUR), int((r.window.stop - START) / HOUR), r.count)
        for r in found
    ]


def test_windows_that_join_are_one_run() -> None:
    """A hole parts them."""
    assert shown(runs((0, 1), (1, 2), (2, 4), (5, 6))) == [(0, 4, 3), (5, 6, 1)]


def test_windows_that_overlap_hide_nothing() -> None:
    """Two that end at the same hour: what follows joins both, so it is a run of its own."""
    found = runs((0, 2), (1, 2), (2, 3), (3, 4))
    assert shown(found) == [(0, 2, 1), (1, 2, 1), (2, 4, 2)]
    assert timeline([START], found).newest == START + 4 * HOUR
    assert timeline([START + HOUR], found).newest == START + 4 * HOUR


def test_a_window_that_ends_within_a_run() -> None:
    """A longer one in between keeps no chain from going on."""
    found = runs((0, 3), (1, 2), (2, 3), (3, 4), (4, 5))
    assert timeline([START], found).newest == START + 5 * HOUR
    assert timeline([START + HOUR], found).newest == START + 5 * HOUR
