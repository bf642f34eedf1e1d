"""What a metric alarm's state should be. Pure: points in, a state and a reason out.

[docs: CloudWatch, evaluating an alarm and configuring how missing data is treated.] The periods end
now and slide, so that an alarm goes off with the point that causes it; CloudWatch looks once a
minute, and at period borders in UTC. UNVERIFIED: the words of the reason.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``state``: OK, ALARM or INSUFFICIENT_DATA."""

    state: str
    reason: str


def judge(
    alarm: Mapping[str, Any],
    points: Sequence[tuple[float, float]],
    statistic: Callable[[Sequence[float]], float],
    now: float,
) -> Verdict:
    """``points`` are epoch seconds and values of the alarm's metric; ``statistic`` folds a period.

    An alarm whose comparison is not known here keeps its state.
    """
    compare = _COMPARE.get(str(alarm.get("ComparisonOperator")))
    current = str(alarm.get("StateValue", "INSUFFICIENT_DATA"))
    if compare is None:
        return Verdict(state=current, reason=str(alarm.get("StateReason", "")))
    period = float(alarm.get("Period") or 60)
    periods = int(alarm.get("EvaluationPeriods") or 1)
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    threshold = float(alarm.get("Threshold") or 0)
    missing = str(alarm.get("TreatMissingData") or "missing")
    breaching = fine = 0
    worst: float | None = None
    for number in range(periods):
        end = now - number * period
        inside = [value for when, value in points if end - period < when <= end]
        if inside:
            value = statistic(inside)
            if compare(value, threshold):
                breaching, worst = breaching + 1, value
            else:
                fine += 1
        elif missing == "breaching":
            breaching += 1
        elif missing == "notBreaching":
            fine += 1
    if breaching >= needed:
        shown = "missing data" if worst is None else f"[{worst:g}]"
        text = f"Threshold Crossed: {breaching} datapoint {shown} crossed {threshold:g}."
        return Verdict(state="ALARM", reason=text)
    if breaching or fine:
        return Verdict(
            state="OK", reason=f"Threshold not crossed: {fine} of {periods} datapoints were fine."
        )
    if missing == "ignore":
        return Verdict(state=current, reason=str(alarm.get("StateReason", "")))
    return Verdict(state="INSUFFICIENT_DATA", reason="Insufficient Data: no datapoints.")
