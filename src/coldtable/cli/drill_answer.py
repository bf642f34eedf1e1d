"""What ``coldtable drill`` shows: the plan, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from coldtable.cli.context import Context, print_table
from coldtable.cli.restore_answer import duration, price, size
from coldtable.core.drill import Drill, RtoBy, outcome, remove_command, summary
from coldtable.core.records import iso_z
from coldtable.core.request import exact_iso
from coldtable.ops.drill_plan import DrillPlan
from coldtable.ops.drill_run import DrillReport

SCHEMA = "coldtable.drill/1"


def say_plan(context: Context, plan: DrillPlan) -> None:
    """The plan on stderr, before it is carried out."""
    for name, value in _plan_rows(plan):
        context.note(f"{name:<10} {value}")


def body_of(plan: DrillPlan, report: DrillReport | None) -> Mapping[str, Any]:
    """The answer as JSON: what is planned, or what came of it."""
    drill = report.drill if report else plan.drill
    planned = plan.restore
    return {
        "done": report is not None,
        "table": drill.source.arn,
        "tableId": drill.source.table_id,
        "result": str(drill.result) if drill.result else None,
        "summary": summary(drill) if drill.result else None,
        **outcome(drill),
        "resumes": plan.resumes,
        "plan": {
            "way": str(planned.way),
            "because": planned.because,
            "compare": str(planned.wish.compare),
            "comparedBecause": plan.because,
            "definedBy": planned.defined_by,
            "items": planned.estimate.items,
            "storedBytes": planned.estimate.stored_bytes,
            "jsonBytes": planned.estimate.json_bytes,
            "seconds": planned.estimate.seconds,
            "dollars": planned.estimate.dollars,
            "notes": list(planned.notes),
        }
        if planned
        else None,
        "record": report.noted if report else None,
    }


def print_drill(plan: DrillPlan, report: DrillReport | None) -> None:
    """The plan on stdout, or the report of what was done."""
    if report is None:
        print_table(["", "PLAN"], _plan_rows(plan, begun=plan.resumes))
        return
    print_table(["", "REPORT"], _report_rows(report.drill))
    sys.stdout.write(f"\nThe drill of {report.drill.source.name} {report.drill.result}.\n")


def _plan_rows(plan: DrillPlan, *, begun: bool = True) -> list[tuple[str, str]]:
    """One that is not ``begun`` has no name yet: each run draws its own."""
    drill, planned = plan.drill, plan.restore
    name = drill.name if begun else drill.name.removesuffix(drill.drill_id[:8]) + "…"
    first, *more = [arn.rpartition("/")[2] for arn in drill.exports]
    increments = f" and {len(more)} incremental exports" if more else ""
    rows = [
        ("from", f"{drill.source.name} at {exact_iso(drill.moment)}"),
        ("exports", first + increments),
        ("to", f"{name}, {'kept' if plan.wish.keep else 'deleted'} in the end"),
    ]
    if planned:
        rows += [
            ("like", planned.defined_by),
            ("way", f"{planned.way}: {planned.because}"),
            ("items", f"{planned.estimate.items:,}" + (" and what changed since" if more else "")),
            ("size", size(planned)),
            ("duration", duration(planned)),
            ("price", price(planned)),
            ("compare", f"{planned.wish.compare}: {plan.because}"),
        ]
    if plan.resumes:
        rows.append(("resumes", f"the drill that was begun at {iso_z(drill.began)}"))
    if plan.lost:
        rows.append(("lost", plan.lost.message))
    return rows + [("note", note) for note in (planned.notes if planned else ())]


def _report_rows(drill: Drill) -> list[tuple[str, str]]:
    parts = ", ".join(f"{name} {_time(took)}" for name, took in drill.seconds.items())
    rows = [
        ("result", str(drill.result)),
        ("summary", summary(drill)),
        ("RTO", _rto(drill)),
        ("parts", parts or "nothing was done"),
        ("lag", f"{_time((drill.began - drill.moment).total_seconds())} at its beginning"),
    ]
    if drill.facts.get("dollars") is not None:
        rows.append(("price", f"about {drill.facts['dollars']:.2f} USD, as planned"))
    if drill.kept:
        rows.append(("kept", f"{drill.name}. To remove it: {remove_command(drill.name)}"))
    return rows + [("note", note) for note in drill.facts.get("notes", ())]


def _rto(drill: Drill) -> str:
    if drill.rto_seconds is not None:
        until = "until the table was ready with all items"
        if drill.rto_by is RtoBy.IMPORT:
            until = "until DynamoDB had imported all items, by its own times"
        return f"{_time(drill.rto_seconds)}, {until}"
    if drill.filled is None:
        return "none: the table was not filled"
    passed = _time((drill.filled - drill.began).total_seconds())
    return f"none: it was interrupted, and filled {passed} after its beginning"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
