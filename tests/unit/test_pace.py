"""The rate of writing: what people write, what it means for a table, and how it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtable.core.definition import parse_key
from coldtable.core.pace import Pace, Rate, back_off, parse_rate, units_a_second
from coldtable.errors import UsageError
from coldtable.testing.tables import FakeTables

KEY = parse_key(["pk:S"])


def test_what_a_rate_is() -> None:
    """A number is items a second, a percentage a share of the write capacity."""
    assert parse_rate("500") == Rate(items=500.0)
    assert parse_rate(" 0.5 ") == Rate(items=0.5)
    assert parse_rate("50%") == Rate(share=0.5)
    assert parse_rate("100%") == Rate(share=1.0)


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-5", "fast", "5/s", "1e3", "50 %"])
def test_what_is_no_rate(text: str) -> None:
    """Nothing else is, and nothing means standing still."""
    with pytest.raises(UsageError):
        parse_rate(text)


def test_a_share_is_of_what_the_table_takes() -> None:
    """Of its capacity or limit; of 4,000 units where AWS does not say."""
    tables = FakeTables()
    slow = tables.add("slow", KEY, write_units=10)
    fresh = tables.add("fresh", KEY)
    assert units_a_second(Rate(share=0.5), slow) == 5
    assert units_a_second(Rate(share=0.5), fresh) == 2000
    assert units_a_second(Rate(items=5), slow) is None
    assert units_a_second(None, slow) is None


def test_nobody_waits_without_a_rate() -> None:
    """A pace without a rate gives time out freely."""
    pace = Pace(None, lambda: 0.0)
    assert [pace.reserve(1000) for _ in range(3)] == [0.0, 0.0, 0.0]


@given(
    st.floats(1, 1000),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 50)), min_size=5, max_size=60),
)
def test_a_pace_is_never_exceeded(rate: float, steps: list[tuple[float, float]]) -> None:
    """Whoever waits as told, in whatever rhythm they ask, uses no more than the rate and one
    second's credit."""
    clock, used, began = [0.0], 0.0, 0.0
    pace = Pace(rate, lambda: clock[0])
    for idle, amount in steps:
        clock[0] += idle
        clock[0] += pace.reserve(amount)
        used += amount
    assert used - steps[-1][1] <= rate * (clock[0] - began + 1) + 1e-6


def test_waits_grow_and_end_growing() -> None:
    """Failure after failure the wait doubles, up to 20 seconds, however long it goes on."""
    waits = [back_off(attempt, 1.0) for attempt in range(1, 2000)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(0.1)
    assert waits[-1] == 20
    assert back_off(50, 0.0) == 10
