"""A tick's report as JSON, for whoever asked: the same from the Lambda and from a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from coldtable.core.records import iso_z
from coldtable.ops.tick import TableTick, TickReport

SCHEMA = "coldtable.tick/1"


def tick_body(report: TickReport) -> dict[str, Any]:
    """The whole report, fit for JSON; times in UTC, spans of time in seconds."""
    return {
        "schema": SCHEMA,
        "at": iso_z(report.at),
        "started": report.count("started"),
        "completed": report.count("verified"),
        "failed": report.count("failed", "damaged"),
        "stale": [t.name for t in report.tables if t.stale],
        "uncovered": list(report.uncovered),
        "left": list(report.left),
        "indexed": list(report.compaction.written),
        "indexError": report.compaction.error and report.compaction.error.told,
        "tables": [_table(line) for line in report.tables],
    }


def _table(line: TableTick) -> dict[str, Any]:
    return {
        "table": line.name,
        "mode": str(line.policy.mode),
        "newest": _iso(line.timeline.newest),
        "lagSeconds": int(line.lag.total_seconds()) if line.lag is not None else None,
        "rpoSeconds": int(line.policy.rpo.total_seconds()),
        "stale": line.stale,
        "plan": [
            {"action": type(action).__name__, "reason": action.reason}
            for action in line.plan.actions
        ],
        "notes": list(line.plan.notes),
        "done": [
            {"kind": step.kind, "text": step.text, "exportArn": step.arn or None}
            for step in line.steps
        ],
        "told": list(line.told),
        "error": line.error and line.error.told,
    }


def _iso(moment: datetime | None) -> str | None:
    return iso_z(moment) if moment else None
