"""The state of an alarm, from its points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from coldtable.local.alarm import judge

_NOW = 1_000_000.0


def _state(points: Sequence[tuple[float, float]], **alarm: Any) -> str:
    """``points`` are seconds ago and a value."""
    whole = {
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1,
        "Period": 60,
        "EvaluationPeriods": 1,
        "StateValue": "OK",
        **alarm,
    }
    absolute = [(_NOW - ago, value) for ago, value in points]
    return judge(whole, absolute, sum, _NOW).state


@pytest.mark.parametrize(
    ("treat", "expected"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("ignore", "OK"),
    ],
)
def test_missing_data_counts_as_the_alarm_says(treat: str, expected: str) -> None:
    """No point at all is what TreatMissingData is for."""
    assert _state([], TreatMissingData=treat) == expected


def test_one_breach_is_enough_for_one_period() -> None:
    """The point that crosses the threshold raises the alarm at once."""
    assert _state([(1, 1)]) == "ALARM"
    assert _state([(1, 0)]) == "OK"


def test_a_breach_is_over_when_its_period_has_passed() -> None:
    """With notBreaching the alarm goes back by itself."""
    assert _state([(61, 5)], TreatMissingData="notBreaching") == "OK"


def test_m_of_n_periods_must_breach() -> None:
    """DatapointsToAlarm 2 of 3, and all of them when it is not given."""
    points = [(10, 1), (130, 1), (70, 0)]
    assert _state(points, EvaluationPeriods=3, DatapointsToAlarm=2) == "ALARM"
    assert _state(points, EvaluationPeriods=3) == "OK"


@pytest.mark.parametrize(
    ("comparison", "state"),
    [
        ("GreaterThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("NoSuchThing", "OK"),
    ],
)
def test_the_comparison_is_the_alarms(comparison: str, state: str) -> None:
    """Exactly on the threshold; one that is not known keeps the state."""
    assert _state([(1, 1)], ComparisonOperator=comparison) == state
