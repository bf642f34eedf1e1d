"""``coldtable tick``: what the second schedule does every quarter of an hour, from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.core.configuration import parse_configuration
from coldtable.core.records import iso_z
from coldtable.core.settings import parse_path
from coldtable.errors import ColdtableError, NotFound, in_part
from coldtable.model import Destination
from coldtable.model_policy import Configuration, Policy
from coldtable.ops.cover import Cover, cover
from coldtable.ops.pace import Watch
from coldtable.ops.tick import TableTick, TickReport, World, tick
from coldtable.ops.tick_report import SCHEMA, tick_body

# Nobody waits longer at a terminal; the schedule's next tick goes on.
_SECONDS = 15 * 60.0

_Tables = Annotated[
    str, Parameter(help="Only these tables; without any, all that the configuration covers.")
]
_Path = Annotated[str, Parameter(help="Where the settings are in SSM Parameter Store.")]
_DryRun = Annotated[bool, Parameter(help="Print the plan with its reasons, and do nothing.")]
_Topic = Annotated[
    str | None,
    Parameter(
        help="Tell of incidents through this SNS topic. Without it, the schedule's tick does."
    ),
]


def run_tick(
    *tables: _Tables,
    dry_run: _DryRun = False,
    tell: _Topic = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Look at every table, prove what has been exported, and start what is due.

    The same as the schedule does, as often as you like: nothing is started twice, and nothing
    waits for an export. What runs is seen by the next tick.

    Examples:

    `coldtable tick --dry-run`

    `coldtable tick orders`

    Exit codes: 0; 3 if some tables could not be done; 10 if the configuration is wrong; 11 without
    the rights; 12 if there is no such table; 14 if AWS still throttles.

    IAM: those of the tick's function: `coldtable policy lambda`.
    """
    path = parse_path(parameter_path)
    world = _world(context, tell)
    configuration = read_configuration(context, path)
    covered = cover(configuration, world.directory, uncovered=not tables)
    if covered.problem and not tables:
        context.note(f"Not every table could be found: {covered.problem.message}")
    report = tick(
        chosen(covered, tables, path),
        world,
        uncovered=covered.uncovered,
        dry_run=dry_run,
    )
    context.answer(SCHEMA, _without_schema(report), lambda: _print(context, report, dry_run))
    if problem := _problem(report):
        raise problem
    return 0


def read_configuration(context: Context, path: str) -> Configuration:
    """The configuration below a path."""
    from coldtable.aws.parameters import SsmParameters

    return parse_configuration(path, SsmParameters(context.session.client("ssm")).read(path))


def _world(context: Context, topic: str | None) -> World:
    from coldtable.aws.directory import DynamoDbDirectory
    from coldtable.aws.exporter import DynamoDbExporter
    from coldtable.aws.notifier import SnsNotifier
    from coldtable.aws.objects import S3Objects

    session = context.session
    dynamodb, s3 = session.client("dynamodb"), session.client("s3")

    def objects(to: Destination) -> S3Objects:
        return S3Objects(s3, to.bucket, owner=to.owner)

    return World(
        exporter=DynamoDbExporter(dynamodb),
        directory=DynamoDbDirectory(dynamodb, lambda: session.client("resourcegroupstaggingapi")),
        objects=objects,
        notifier=SnsNotifier(session.client("sns"), topic) if topic else None,
        watch=Watch.lasting(_SECONDS),
        now=datetime.now(UTC),
    )


def chosen(covered: Cover, tables: tuple[str, ...], path: str) -> dict[str, Policy]:
    """The policies of these tables, or of all; ``NotFound`` if one is not covered."""
    if not tables:
        return dict(covered.policies)
    missing = [name for name in tables if name not in covered.policies]
    if missing:
        if covered.problem:
            raise covered.problem
        raise NotFound(
            f"No policy below {path} covers {', '.join(missing)}",
            hint="To see what is covered: coldtable config show; to cover a table, name it in "
            "TABLE_NAMES or in POLICY",
        )
    return {name: covered.policies[name] for name in tables}


def _without_schema(report: TickReport) -> dict[str, object]:
    body = tick_body(report)
    del body["schema"]
    return body


def _print(context: Context, report: TickReport, dry_run: bool) -> None:
    rows = [row for line in report.tables for row in _rows(line, dry_run)]
    print_table(["TABLE", "ACTION", "REASON", "RESULT"], rows)
    for name in report.uncovered:
        context.note(f"{name}: no policy covers this table")
    for line in report.tables:
        for subject in line.told:
            context.note(f"{line.name}: told: {subject}")


def _rows(line: TableTick, dry_run: bool) -> list[list[str]]:
    """A row an action; one that came to no step has failed, and the table's error is told below."""
    done = {id(step.action): step.text for step in line.steps}
    rows: list[list[str]] = []
    for action in line.plan.actions:
        what = type(action).__name__
        result = "planned" if dry_run else done.get(id(action), "not done")
        rows.append([line.name, what, action.reason, result])
    rows += [[line.name, "-", note, ""] for note in line.plan.notes]
    if not rows and not line.error:
        newest = line.timeline.newest
        safe = f"restorable up to {iso_z(newest)}" if newest else ""
        rows.append([line.name, "-", "nothing to do", safe])
    if line.error:
        rows.append([line.name, "-", "", f"{line.error.code}: {line.error.message}"])
    return rows


def _problem(report: TickReport) -> ColdtableError | None:
    """The one error that there is; of several, one that lists them with the code they share."""
    failed = [(line.name, line.error) for line in report.tables if line.error]
    if not failed:
        return None
    if len(failed) == 1 and len(report.tables) == 1:
        return failed[0][1]
    total = len(report.tables)
    return in_part(failed, total, f"{len(failed)} of {total} tables could not be done")
