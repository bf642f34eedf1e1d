"""``coldtable drill``: prove that a table can be restored, by doing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.archive import Place, find_archive
from coldtable.cli.context import Context
from coldtable.cli.drill_answer import SCHEMA, body_of, print_drill, say_plan
from coldtable.cli.instant import parse_instant
from coldtable.cli.restore import restore_windows, shown
from coldtable.cli.retrieval import parse_asked, retrieval_of
from coldtable.cli.verify_answer import answer
from coldtable.core.definition import parse_key
from coldtable.core.pace import parse_rate
from coldtable.core.retrieval import Asked, Tier
from coldtable.core.verification import Report
from coldtable.errors import PartialError, UsageError
from coldtable.model_policy import DRILL_PREFIX
from coldtable.model_restore import Compare, Way
from coldtable.ops.drill import drill_table
from coldtable.ops.drill_plan import LATEST_FULL, DrillPlan, DrillWish, plan_drill
from coldtable.ops.drill_run import DrillReport
from coldtable.ops.evidence import has_catalog
from coldtable.ops.fold_limits import DEFAULT_MEGABYTES, limits
from coldtable.ops.restore_windows import RestoreWindows


def drill(
    table: str,
    /,
    *,
    at: str = "latest",
    archive: str | None = None,
    parameter_path: str = "/coldtable/prod",
    way: Way | None = None,
    compare: Compare | None = None,
    rate: str | None = None,
    key: list[str] | None = None,
    allow_gap: bool = False,
    prefix: str = DRILL_PREFIX,
    keep: bool = False,
    record: Annotated[bool | None, Parameter(negative="--no-record")] = None,
    scratch: str | None = None,
    memory: int = DEFAULT_MEGABYTES,
    retrieve: Tier | None = None,
    retrieve_days: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Restore a table into one of its own, compare, throw it away, and note how long it took.

    Without --yes it only shows what it would do, how long that takes and what it costs. The new
    table has the indexes of the old one, and no time to live, stream, tags or recovery. It is
    tagged; nothing but the table that this very drill has made is ever deleted. If anything differs
    the table is kept for a look. Run again after any interruption, the same command goes on where
    it was.

    Examples:

    `coldtable drill orders`

    `coldtable drill orders --yes`

    `coldtable drill orders --at 2026-11-01T03:00+09:00 --way write --yes`

    `coldtable drill orders --archive ./copied --key pk:S --key sk:N --yes --output json`

    Exit codes: 0 if the table is what the archive holds; 1 if it is not, or the import failed; 3
    if that could not be noted; 4 if the archive does not cover the instant; 5 if anything is
    damaged or missing; 10 if the key schema is not known; 11 without the rights; 12 if there is no
    such table or bucket; 13 if a table of the name is not the drill's own, if the table of a drill
    that failed is still there, or if S3 has archived what is read and has no copies yet.

    IAM: `dynamodb:DescribeTable`, `dynamodb:CreateTable`, `dynamodb:TagResource`,
    `dynamodb:ListTagsOfResource`, `dynamodb:Scan`, `dynamodb:BatchGetItem` and
    `dynamodb:DeleteTable` on tables of the prefix; to write `dynamodb:BatchWriteItem`; to import
    `dynamodb:ImportTable`, `dynamodb:DescribeImport`, `dynamodb:ListImports`, `logs:GetLogEvents`,
    and what ImportTable itself asks for: `logs:CreateLogGroup`, `logs:CreateLogStream`,
    `logs:DescribeLogGroups`, `logs:DescribeLogStreams`, `logs:PutLogEvents`,
    `logs:PutRetentionPolicy`. `s3:ListBucket` on the archive's bucket, `s3:GetObject` on its
    objects, and to know of filters `dynamodb:DescribeExport` on the exports; for what is known of
    the drill, for its record, and for what increments are folded into (see --scratch)
    `s3:PutObject`, `s3:AbortMultipartUpload` and `s3:DeleteObject`; with --retrieve
    `s3:RestoreObject`; without --archive `ssm:GetParametersByPath`.

    Parameters
    ----------
    table
        The table whose exports are restored: its name or ARN. It need not exist any more.
    at
        The instant, with its offset (2026-11-01T03:00+09:00), `latest`, or `latest-full` for the
        newest full export's, which needs no folding.
    archive
        The exports: s3://BUCKET/PREFIX, or a folder. Default: the bucket of the settings.
    parameter_path
        Where the settings are in SSM Parameter Store; only for their bucket.
    way
        `import` lets DynamoDB import from S3; `write` puts the items with BatchWriteItem. Default:
        import where it applies.
    compare
        How to hold the new table against the archive: `full` (every item) or `sample` (up to 1,000
        items). Default: full, unless that would take hours.
    rate
        How fast to write: 500 for items a second, 50% for a share of the write capacity. Default:
        as fast as the table takes it.
    key
        The key schema, where the archive does not know it: --key pk:S --key sk:N.
    allow_gap
        Restore over a gap between exports, and say what may be missing.
    prefix
        What the name of the new table begins with.
    keep
        Leave the table when all is well, too.
    record
        Note the drill in the archive's catalog, also if that begins with it; --no-record notes
        nothing. Default: note it if there is a catalog, or no --archive.
    scratch
        Where to keep how far it is, and what incremental exports are folded into:
        s3://BUCKET/PREFIX or a folder. Default: the archive.
    memory
        How many megabytes the folding may take.
    retrieve
        What S3 has archived (GLACIER, DEEP_ARCHIVE) is asked for first: `bulk`, `standard` or
        `expedited`. With --yes it is asked for, and the same command goes on once it is there.
    retrieve_days
        For how many days the retrieved copies stay: 7.
    dry_run
        Only show the plan, also with --yes.
    yes
        Really do it.
    """
    asked = parse_asked(retrieve, retrieve_days)
    wish = DrillWish(
        table=table,
        at=None if at == LATEST_FULL else parse_instant(at),
        full_only=at == LATEST_FULL,
        way=way,
        compare=_compare(compare),
        rate=parse_rate(rate) if rate else None,
        key=parse_key(key) if key else None,
        allow_gap=allow_gap,
        prefix=prefix,
        keep=keep,
    )
    place = find_archive(context, archive, parameter_path, table)
    windows = restore_windows(context, place, scratch, limits(memory))
    if record is None:
        record = archive is None or has_catalog(place.store)
    wish = replace(wish, record=record)
    run = run_drill(context, wish, windows, place, asked, really=yes and not dry_run)
    if run is None:
        return 0
    context.answer(SCHEMA, run.body, run.show)
    return run.end()


def _compare(wanted: Compare | None) -> Compare | None:
    if wanted is Compare.NONE:
        raise UsageError("A drill that compares nothing proves nothing", hint="Use sample or full")
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRun:
    """A drill that was planned, and done if somebody really wanted it."""

    plan: DrillPlan
    report: DrillReport | None

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer as JSON."""
        return body_of(self.plan, self.report)

    def show(self) -> None:
        """The answer for people, on stdout."""
        print_drill(self.plan, self.report)

    def end(self) -> int:
        """What the command ends with; raises why the drill failed, or was not noted."""
        if self.report and self.report.error:
            raise self.report.error
        if self.report and (unnoted := self.report.unnoted):
            raise PartialError(
                f"The drill passed, and could not be noted in the catalog: {unnoted.message}",
                hint="The same command tries that again; with --no-record nothing is noted"
                + (f"\n{unnoted.hint}" if unnoted.hint else ""),
            )
        return 0


def run_drill(
    context: Context,
    wish: DrillWish,
    windows: RestoreWindows,
    place: Place,
    asked: Asked | None = None,
    *,
    really: bool,
) -> DrillRun | None:
    """Plan the drill, and carry it out if it is ``really`` wanted; says on stderr what it does.

    ``None`` if only the retrieval of what S3 has archived was planned and shown.
    """
    retrieval = retrieval_of(context, SCHEMA, windows, wish.table, asked, yes=really)
    plan = retrieval.plan(lambda: plan_drill(wish, windows))
    if plan is None:
        return None
    if plan.restore:
        retrieval.keep(plan.restore.need)
    if not really:
        context.note("Nothing was drilled. To do it, add --yes")
        return DrillRun(plan=plan, report=None)
    say_plan(context, plan)
    with shown(context) as show:
        report = drill_table(plan, windows, show)
    if report.noted:
        context.note(f"Noted in {place.name(report.noted)}")
    if report.error and report.unnoted:
        context.note(f"It could not be noted in the catalog: {report.unnoted.message}")
    return DrillRun(plan=plan, report=report)


def drill_after(
    context: Context,
    place: Place,
    verified: Report,
    wish: DrillWish,
    windows: Callable[[], RestoreWindows],
    *,
    really: bool,
) -> None:
    """The drill that ``verify --level drill`` ends with; it prints the answer of both.

    Raises why the drill failed. Whatever keeps it from being done, the verdicts are printed.
    """
    run: DrillRun | None = None
    if context.output == "table":
        answer(context, place, verified)
    try:
        run = run_drill(context, wish, windows(), place, really=really)
    finally:
        if context.output == "json":
            body = {"schema": SCHEMA, **run.body} if run else {}
            answer(context, place, verified, body)
    if run and context.output == "table":
        sys.stdout.write("\n")
        run.show()
    if run:
        run.end()
