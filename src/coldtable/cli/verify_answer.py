"""The answer of ``coldtable verify``: a table for people, JSON, and what the run ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coldtable.cli.archive import Place
from coldtable.cli.context import Context, print_table
from coldtable.core.request import exact_iso
from coldtable.core.verification import Checked, Fault, Problem, Report, Verdict
from coldtable.errors import ColdtableError, DamagedError, NotCovered, PartialError

SCHEMA = "coldtable.verify/1"

# Of a large archive only what is not verified is shown, unless --verbose asks for all.
_MOST_ROWS = 50
_MOST_LINES = 20


def answer(
    context: Context, place: Place, report: Report, drill: Mapping[str, Any] | None = None
) -> None:
    """Print the report: a row for each export, and a line for each thing that is wrong.

    In JSON ``drill`` is the part about the drill that followed.
    """
    body = {
        "archive": place.shown + place.prefix,
        "level": str(report.level),
        "exports": [_checked_body(place, one) for one in report.checked],
        "orphans": [place.name(key) for key in report.orphans],
        "orphanCount": report.orphan_count,
        "notes": list(report.notes),
        "unjoined": [
            {
                "exportId": u.export.export_id,
                "tableName": u.export.table.name,
                "tableId": u.export.table.table_id,
                "from": exact_iso(u.export.start),
                "gapFrom": exact_iso(u.seam.end) if u.seam else None,
                "gapSeconds": u.seam.length.total_seconds() if u.seam else None,
                "overlap": bool(u.seam and not u.seam.is_gap),
                "reason": u.reason,
            }
            for u in report.unjoined
        ],
        **({"drill": drill} if drill is not None else {}),
    }

    def table() -> None:
        rows = [one for one in report.checked if context.verbosity > 0 or not _plain(one)]
        if len(report.checked) <= _MOST_ROWS:
            rows = list(report.checked)
        print_table(
            ["TABLE", "EXPORT", "COVERS", "VERDICT", "OBJECTS", "ITEMS"], [_row(r) for r in rows]
        )
        for line in _lines(place, report):
            print(line)  # noqa: T201  # stdout is the answer

    context.answer(SCHEMA, body, table)


def _checked_body(place: Place, one: Checked) -> dict[str, Any]:
    return {
        "exportId": one.export_id,
        "manifest": place.name(one.key),
        "tableName": one.table.name if one.table else None,
        "tableArn": one.table.arn if one.table else None,
        "tableId": one.table.table_id if one.table else None,
        "exportType": "FULL_EXPORT" if one.full else "INCREMENTAL_EXPORT",
        "from": exact_iso(one.start) if one.start else None,
        "to": exact_iso(one.stop) if one.stop else None,
        "verdict": str(one.verdict),
        "objects": one.objects,
        "objectsRead": one.read,
        "items": one.items,
        "bytes": one.compressed,
        "problems": [
            {
                "object": place.name(p.key),
                "line": p.line,
                "fault": str(p.fault),
                "reason": p.reason,
            }
            for p in one.problems
        ],
        "notes": list(one.notes),
    }


def _plain(one: Checked) -> bool:
    return one.verdict is Verdict.VERIFIED and not one.notes


def _row(one: Checked) -> Sequence[str]:
    covers = exact_iso(one.stop) if one.stop else ""
    if one.start and one.start != one.stop:
        covers = f"{exact_iso(one.start)} to {covers}"
    read = f"{one.read}/{one.objects}" if one.objects else ""
    items = str(one.items) if one.table else ""
    return [table_name(one), one.export_id, covers, str(one.verdict), read, items]


def table_name(one: Checked) -> str:
    """The table of an export; empty if its manifest cannot be read."""
    return one.table.name if one.table else ""


def _lines(place: Place, report: Report) -> list[str]:
    """What is wrong or strange, a line each."""
    lines = [_problem_line(place, p) for one in report.checked for p in one.problems]
    lines += [f"{place.name(one.key)}: {note}" for one in report.checked for note in one.notes]
    lines += [
        f"{u.export.table.name} {u.export.export_id} does not join on: {u.reason}"
        for u in report.unjoined
    ]
    orphans = [f"{place.name(key)}: no manifest names it" for key in report.orphans[:_MOST_LINES]]
    if report.orphan_count > len(orphans):
        orphans.append(f"and {report.orphan_count - len(orphans)} more objects that none names")
    counts = {v: sum(one.verdict is v for one in report.checked) for v in Verdict}
    total = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    return [*lines, *orphans, f"{len(report.checked)} exports: {total or 'none'}"]


def _problem_line(place: Place, problem: Problem) -> str:
    where = f", line {problem.line}" if problem.line else ""
    return f"{place.name(problem.key)}{where}: {problem.reason}"


def problem_of(report: Report, place: Place, *, allow_gap: bool) -> ColdtableError | None:
    """What the run ends with."""
    bad = [one for one in report.checked if one.is_bad]
    if bad:
        return DamagedError(
            f"{len(bad)} of {len(report.checked)} exports are damaged or incomplete. "
            f"{_problem_line(place, bad[0].problems[0])}",
            hint="Nothing can be restored through them: copy them from elsewhere, or export again "
            "while the table's history reaches back",
        )
    unread = [p for one in report.checked for p in one.problems]
    if unread:
        asleep = all(p.fault is Fault.ARCHIVED for p in unread)
        return PartialError(
            f"{len(unread)} objects could not be read. {_problem_line(place, unread[0])}",
            hint="S3 must bring them back first: coldtable materialize --retrieve asks for what it "
            "reads. --level manifest needs no more than the listing"
            if asleep
            else "Run it again: it goes on with those alone",
        )
    if report.unjoined and not allow_gap:
        first = report.unjoined[0]
        return NotCovered(
            f"{len(report.unjoined)} increments join on to nothing. {first.export.table.name} "
            f"{first.export.export_id}: {first.reason}",
            hint="Nothing can be rebuilt exactly through them. --allow-gap accepts that",
        )
    return None
