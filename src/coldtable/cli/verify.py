"""``coldtable verify``: are the bytes of an archive right?"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from coldtable.cli.archive import Place, configured_archive, open_archive
from coldtable.cli.context import Context, print_table
from coldtable.core.definition import parse_key
from coldtable.core.request import exact_iso
from coldtable.core.verification import Checked, Level, Problem, Report, Verdict, parse_subset
from coldtable.errors import (
    ColdtableError,
    DamagedError,
    NotCovered,
    PartialError,
    UsageError,
)

SCHEMA = "coldtable.verify/1"

# Of a large archive only what is not verified is shown, unless --verbose asks for all.
_MOST_ROWS = 50
_MOST_LINES = 20
# Of a bucket each process reads so many objects at a time.
_THREADS = 8
# So many compressed bytes take a second: other processes would only just have begun.
_ALONE = 48 * 1024 * 1024


def verify(
    table: Annotated[str | None, Parameter(help="Only this table, by name or ARN.")] = None,
    /,
    *,
    archive: str | None = None,
    level: Level = Level.OBJECTS,
    subset: str | None = None,
    since: str | None = None,
    key: tuple[str, ...] = (),
    allow_gap: bool = False,
    cores: int | None = None,
    fresh: bool = False,
    state: Path | None = None,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Verify that an archive holds the bytes that DynamoDB wrote, all of them.

    Reads any folder of exports, also one that coldtable never saw, wherever it was copied to.
    Each export gets a verdict, and each bad object a reason. An interrupted run goes on where it
    stopped.

    Examples:

    `coldtable verify orders`

    `coldtable verify --archive s3://bucket/prefix --level items`

    `coldtable verify --archive ./copied --subset 5% --output json`

    Exit codes: 0; 3 if objects could not be read; 4 if an increment joins on to nothing; 5 if
    anything is damaged or missing; 11 without the rights; 12 if there is no such table or bucket.

    IAM: `s3:ListBucket` on the bucket and `s3:GetObject` on its objects (`kms:Decrypt` if they are
    encrypted with a key); without --archive `ssm:GetParametersByPath`.

    Parameters
    ----------
    archive
        The exports to verify: `s3://BUCKET/PREFIX` or a folder. Without it, the bucket that the
        settings name.
    level
        How deep to look: `manifest` (what manifests promise, and that it is there), `objects` (each
        byte against its checksum), or `items` (each line, too).
    subset
        Read only a part of the objects: `5%` is another part each day, and all of them in 20 days;
        `3/20` is that part.
    since
        Only exports of states from then on: `2026-11-01`, `2026-11-01T03:00Z` or `30d`.
    key
        The table's key, where no increment tells it: `--key pk:S --key sk:N`. For the level items.
    allow_gap
        Do not mind increments that join on to nothing.
    cores
        How many processes read at a time. Default: one for each core.
    fresh
        Begin from the start, whatever an interrupted run has done.
    state
        A folder for what an interrupted run has done. Default: coldtable/verify in
        $XDG_STATE_HOME or ~/.local/state.
    parameter_path
        Where the settings are in SSM Parameter Store.
    """
    from coldtable.ops.crew import Crew, cores_here
    from coldtable.ops.verify import Wanted, verify_archive

    now = datetime.now(UTC)
    since_then, part = _parse_since(since, now), None
    if subset:
        part = parse_subset(subset, now.date())
    keys = dict(sorted((a.name, a.kind) for a in parse_key(key).attributes)) if key else None
    if cores is not None and cores < 1:
        raise UsageError("--cores must be at least 1")
    place = (
        open_archive(context, archive)
        if archive
        else configured_archive(context, parameter_path, table)
    )
    wanted = Wanted(
        where=place.shown + place.prefix,
        prefix=place.prefix,
        level=level,
        state=state or _state_folder(),
        table=table,
        since=since_then,
        subset=part,
        keys=keys,
        fresh=fresh,
    )
    crew = Crew(
        cores=cores or cores_here(),
        threads=_THREADS if place.waits else 1,
        alone=0 if cores else _ALONE,
    )
    with _Shown(context) as shown:
        report = verify_archive(place.open, wanted, crew, now, shown)
    _answer(context, place, report)
    if problem := _problem(report, place, allow_gap=allow_gap):
        raise problem
    return 0


def _state_folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "coldtable" / "verify"


def _parse_since(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,5})([dh])", text):
        unit = timedelta(days=1) if found[2] == "d" else timedelta(hours=1)
        return now - int(found[1]) * unit
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time", hint="Write 2026-11-01, 2026-11-01T03:00Z or 30d"
        ) from None
    # A bare date is midnight in UTC; a time of day without an offset could be many moments.
    if moment.tzinfo is None and len(text) > len("2026-11-01"):
        raise UsageError(f"--since {text!r} has no offset", hint=f"Write {text}Z for UTC")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


class _Shown:
    """What a run shows on stderr: a bar on a terminal, and each bad export as it is judged."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bar: Progress | None = None
        if context.verbosity >= 0 and context.err.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=context.err,
                transient=True,
            )
            self._line = self._bar.add_task("looking for exports", total=None)

    def __enter__(self) -> _Shown:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, exports: int, objects: int, size: int, resumed: int) -> None:
        """See ``ops.verify.Watch``."""
        if resumed:
            self._context.note(f"Going on: {resumed} objects were read by an interrupted run")
        self._context.detail(f"{exports} exports, {objects} objects, {size} bytes")
        if self._bar:
            self._bar.update(self._line, description=f"{exports} exports", total=size)

    def advance(self, objects: int, size: int) -> None:  # noqa: ARG002  # bytes say more
        """See ``ops.verify.Watch``."""
        if self._bar:
            self._bar.advance(self._line, size)

    def judged(self, checked: Checked) -> None:
        """See ``ops.verify.Watch``."""
        say = self._context.note if checked.is_bad else self._context.detail
        say(f"{_table(checked)} {checked.export_id}: {checked.verdict}")


def _answer(context: Context, place: Place, report: Report) -> None:
    body = {
        "archive": place.shown + place.prefix,
        "level": str(report.level),
        "exports": [_checked_body(place, one) for one in report.checked],
        "orphans": [place.name(key) for key in report.orphans],
        "orphanCount": report.orphan_count,
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
    return [_table(one), one.export_id, covers, str(one.verdict), read, items]


def _table(one: Checked) -> str:
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


def _problem(report: Report, place: Place, *, allow_gap: bool) -> ColdtableError | None:
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
        return PartialError(
            f"{len(unread)} objects could not be read. {_problem_line(place, unread[0])}",
            hint="Run it again: it goes on with those alone",
        )
    if report.unjoined and not allow_gap:
        first = report.unjoined[0]
        return NotCovered(
            f"{len(report.unjoined)} increments join on to nothing. {first.export.table.name} "
            f"{first.export.export_id}: {first.reason}",
            hint="Nothing can be rebuilt exactly through them. --allow-gap accepts that",
        )
    return None
