"""Whatever exports there are: the plan is the best of all ways, found one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coldtable.core.archive import ArchivedExport
from coldtable.core.restore_point import chains, plan_restore, restore_points
from coldtable.errors import NotCovered
from tests.unit.test_restore_point import DAY, export

HOURS = st.integers(0, 6)
WINDOWS = st.tuples(HOURS, st.integers(1, 3)).map(lambda w: (w[0], w[0] + w[1]))

fulls = st.lists(HOURS, unique=True, max_size=3)
windows = st.lists(WINDOWS, unique=True, max_size=6)


def hour(number: int) -> datetime:
    return DAY + timedelta(hours=number)


def made(fulls: list[int], windows: list[tuple[int, int]]) -> list[ArchivedExport]:
    return [
        *(export(hour(h)) for h in fulls),
        *(export(hour(start), hour(stop)) for start, stop in windows),
    ]


def ways(fulls: list[int], windows: list[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Every way: where it leads, hours lost, its base, its increments."""
    for base in fulls:
        yield base, 0, base, 0
        for count in range(1, len(windows) + 1):
            for chosen in itertools.permutations(windows, count):
                here, lost = base, 0
                for number, (start, stop) in enumerate(chosen):
                    # Only the base may lie inside the window that is applied to it.
                    if (start < here and number) or stop <= here:
                        break
                    lost += abs(start - here)
                    here = stop
                else:
                    yield here, lost, base, count


@given(fulls, windows)
def test_exact_plans_are_the_best_there_are(
    fulls: list[int], windows: list[tuple[int, int]]
) -> None:
    """A restore point is an instant with a way that loses nothing; the base is the latest of
    all such ways, with the fewest increments; each joins on to the one before."""
    exports = made(fulls, windows)
    best: dict[int, tuple[int, int]] = {}
    for there, lost, base, count in ways(fulls, windows):
        if not lost:
            best[there] = min(best.get(there, (1, 0)), (-base, count))
    assert restore_points(exports) == tuple(DAY + timedelta(hours=h) for h in sorted(best))
    for there, (base, count) in best.items():
        plan = plan_restore(exports, hour(there))
        assert plan.base.stop == hour(-base)
        assert len(plan.increments) == count
        assert plan.seams == ()
        here = plan.base.stop
        for increment in plan.increments:
            assert increment.start == here
            here = increment.stop
        assert here == plan.moment


@given(fulls, windows)
def test_with_gaps_the_least_is_lost(fulls: list[int], windows: list[tuple[int, int]]) -> None:
    """With gaps allowed every instant that any way leads to is rebuilt, losing the least."""
    exports = made(fulls, windows)
    best: dict[int, tuple[int, int]] = {}
    for there, lost, base, _ in ways(fulls, windows):
        best[there] = min(best.get(there, (99, 0)), (lost, -base))
    for there in range(10):
        moment = hour(there)
        if there not in best:
            try:
                plan_restore(exports, moment, allow_gap=True)
            except NotCovered:
                continue
            raise AssertionError(f"there is no way to {there}")
        plan = plan_restore(exports, moment, allow_gap=True)
        found = sum((seam.length for seam in plan.seams), timedelta())
        hours, base = best[there]
        assert (found, plan.base.stop) == (timedelta(hours=hours), hour(-base))


@given(fulls, windows)
def test_chains_reach_every_restore_point(fulls: list[int], windows: list[tuple[int, int]]) -> None:
    """Chains hold only joined exports, begin at each full one, and lead to the last point."""
    exports = made(fulls, windows)
    found = chains(exports)
    assert [chain.base.stop for chain in found] == [DAY + timedelta(hours=h) for h in sorted(fulls)]
    for chain in found:
        here = chain.base.stop
        for increment in chain.increments:
            assert increment.start == here
            here = increment.stop
        assert here == chain.stop
        assert here in restore_points(exports)
    assert max((chain.stop for chain in found), default=None) == max(
        restore_points(exports), default=None
    )
