"""What ``coldtable restore`` shows: the plan, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from coldtable.cli.context import Context, print_table
from coldtable.cli.retrieval import need_body, need_rows
from coldtable.core.prices import SOURCE
from coldtable.core.request import exact_iso
from coldtable.model_restore import Compare
from coldtable.ops.restore import RestoreReport
from coldtable.ops.restore_plan import TablePlan

SCHEMA = "coldtable.restore/1"


def say_plan(context: Context, plan: TablePlan) -> None:
    """The plan on stderr, before it is carried out."""
    for name, value in _plan_rows(plan):
        context.note(f"{name:<10} {value}")


def _plan_rows(plan: TablePlan) -> list[tuple[str, str]]:
    wish = plan.wish
    exports = [export.export_id for export in plan.exports]
    more = f" and {len(exports) - 1} incremental exports" if exports[1:] else ""
    rows = [
        ("from", f"{plan.base.table.name} at {exact_iso(plan.source.moment)}"),
        ("exports", exports[0] + more),
        ("to", wish.to + (", which exists" if plan.target else ", a new table")),
        ("like", plan.defined_by),
        ("way", f"{plan.way}: {plan.because}"),
        ("items", _items(plan)),
        ("size", size(plan)),
        ("duration", duration(plan)),
        ("price", price(plan)),
        ("compare", str(wish.compare)),
    ]
    rows += need_rows(plan.need)
    if plan.resumes:
        rows.append(("resumes", "an earlier run of the same command"))
    return rows + [("note", note) for note in plan.notes]


def _items(plan: TablePlan) -> str:
    count = f"{plan.estimate.items:,}"
    if plan.wish.keys:
        return f"those of {', '.join(plan.wish.keys)}, looked for among {count}"
    return f"{count} and what changed since" if plan.source.increments else count


def size(plan: TablePlan) -> str:
    """How much it is, for people."""
    found = plan.estimate
    parts = [f"{_bytes(found.stored_bytes)} compressed"] if found.stored_bytes is not None else []
    parts += [f"about {_bytes(found.json_bytes)} of JSON"] if found.json_bytes is not None else []
    return ", ".join(parts) or "not known"


def duration(plan: TablePlan) -> str:
    """How long it takes, for people."""
    seconds = plan.estimate.seconds
    if seconds is None:
        return "AWS promises none; a small import takes some minutes"
    return f"about {timedelta(seconds=max(1, round(seconds)))}"


def price(plan: TablePlan) -> str:
    """What it costs, for people."""
    if plan.estimate.dollars is None:
        return "that of the provisioned capacity"
    return f"about {plan.estimate.dollars:.2f} USD ({SOURCE})"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def answer(context: Context, plan: TablePlan, report: RestoreReport | None) -> None:
    """The plan on stdout, or the report of what was done."""
    body: dict[str, Any] = {"done": report is not None, **_plan_body(plan)}
    if report is not None:
        body["report"] = _report_body(report)

    def table() -> None:
        if report is None:
            print_table(["", "PLAN"], _plan_rows(plan))
            return
        print_table(["", "REPORT"], _report_rows(report))
        sys.stdout.write("\n")
        sys.stdout.write(f"The table {plan.wish.to} is restored.\n")

    context.answer(SCHEMA, body, table)


def _plan_body(plan: TablePlan) -> Mapping[str, Any]:
    estimate = plan.estimate
    return {
        "table": plan.base.table.arn,
        "at": exact_iso(plan.source.moment),
        "exports": [export.manifest.export_arn for export in plan.exports],
        "to": plan.wish.to,
        "exists": plan.target is not None,
        "definedBy": plan.defined_by,
        "way": str(plan.way),
        "because": plan.because,
        "items": estimate.items,
        "storedBytes": estimate.stored_bytes,
        "jsonBytes": estimate.json_bytes,
        "seconds": estimate.seconds,
        "dollars": estimate.dollars,
        "resumes": plan.resumes,
        "notes": list(plan.notes),
        **need_body(plan.need),
    }


def _report_body(report: RestoreReport) -> Mapping[str, Any]:
    comparison, tally, imported = report.comparison, report.tally, report.imported
    return {
        "tableArn": report.table.arn,
        "seconds": round(report.seconds, 3),
        "written": tally.written if tally else imported.imported_items if imported else None,
        "kept": tally.kept if tally else 0,
        "writeUnits": tally.units if tally else None,
        "importArn": imported.arn if imported else None,
        "comparison": {
            "level": str(comparison.level),
            "checked": comparison.checked,
            "wanted": comparison.wanted,
            "found": comparison.found,
            "same": comparison.same,
        },
    }


def _report_rows(report: RestoreReport) -> Sequence[tuple[str, str]]:
    comparison, tally, imported = report.comparison, report.tally, report.imported
    rows = [("table", report.table.arn)]
    if imported:
        rows.append(("imported", f"{imported.imported_items:,} items ({imported.arn})"))
    if tally:
        kept = f", {tally.kept:,} left as they were" if tally.kept else ""
        rows.append(("written", f"{tally.written:,} items{kept}"))
        if tally.units is not None:
            rows.append(("units", f"{tally.units:,.0f} write units"))
    rows.append(("duration", str(timedelta(seconds=round(report.seconds)))))
    match comparison.level:
        case Compare.NONE:
            rows.append(("compared", "nothing"))
        case Compare.SAMPLE:
            rows.append(("compared", f"{comparison.checked:,} items drawn by lot: all the same"))
        case Compare.FULL:
            rows.append(("compared", f"all {comparison.checked:,} items: the same"))
    return rows + [("note", note) for note in report.plan.notes]
