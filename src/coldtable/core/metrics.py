"""A run's metrics as lines of a log: CloudWatch's embedded metric format.

One line for the stack, and one for each table's lag: a line has one value for each dimension.
CloudWatch makes metrics of such lines of a Lambda's log, so that no further call is needed
[docs: CloudWatch, embedded metric format specification].
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

NAMESPACE = "Coldtable"
STACK, TABLE = "Stack", "Table"
LAG = "LagSeconds"
# 1 for every tick that came to its end: what is missing when nothing runs any more.
TICK = "Tick"
# 1 for every run of the verifying function that read all that was due, else 0.
SLICE = "SliceRead"
# 1 for every run of the drilling function in which nothing was left or takes long; else 0.
ON_TIME = "DrillsOnTime"


def metric_lines(
    stack: str,
    at: datetime,
    counts: Mapping[str, int],
    lags: Mapping[str, timedelta],
    *,
    beat: str | None = TICK,
) -> Iterator[str]:
    """The lines for a run of ``stack`` at the time ``at``: its ``counts`` by metric name, with
    ``beat`` beside them if it has one, and the lag of each table that has one."""
    counted = {**counts, beat: 1} if beat else dict(counts)
    values: dict[str, str | int] = {STACK: stack, **counted}
    yield _line(at, [[STACK]], dict.fromkeys(counted, "Count"), values)
    for table, lag in lags.items():
        values = {STACK: stack, TABLE: table, LAG: int(lag.total_seconds())}
        yield _line(at, [[STACK], [STACK, TABLE]], {LAG: "Seconds"}, values)


def _line(
    at: datetime,
    dimensions: list[list[str]],
    units: Mapping[str, str],
    values: Mapping[str, str | int],
) -> str:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
    }
    meta = {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": meta, **values}, separators=(",", ":"))
