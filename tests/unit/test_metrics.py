"""The tick's metrics: lines that CloudWatch understands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from coldtable.core.metrics import metric_lines
from coldtable.local.emf import points

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_what_cloudwatch_reads() -> None:
    """Counts by stack, the lag by stack and table and by stack alone, and the heartbeat."""
    lags = {"orders": timedelta(hours=1), "users": timedelta(days=1)}
    lines = list(metric_lines("prod", AT, {"ExportsFailed": 2}, lags))
    found = {
        (p.name, tuple(sorted(p.dimensions.items())), p.value, p.unit)
        for line in lines
        for p in points(line)
    }
    stack = ("Stack", "prod")
    assert found == {
        ("ExportsFailed", (stack,), 2, "Count"),
        ("Tick", (stack,), 1, "Count"),
        ("LagSeconds", (stack,), 3600, "Seconds"),
        ("LagSeconds", (stack, ("Table", "orders")), 3600, "Seconds"),
        ("LagSeconds", (stack,), 86400, "Seconds"),
        ("LagSeconds", (stack, ("Table", "users")), 86400, "Seconds"),
    }
    assert {p.namespace for line in lines for p in points(line)} == {"Coldtable"}
    assert {p.when for line in lines for p in points(line)} == {AT.timestamp()}


def test_a_metric_is_one_line() -> None:
    """CloudWatch reads line by line, and every line by itself is JSON."""
    for line in metric_lines("prod", AT, {}, {"orders": timedelta(0)}):
        assert "\n" not in line
        assert json.loads(line)["_aws"]["Timestamp"] == 1_795_608_000_000
