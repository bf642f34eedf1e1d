"""``coldtable catalog``: the records beside the exports, and how to get them back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from coldtable.cli.archive import Opener, Place, open_archive
from coldtable.cli.context import Context, print_table
from coldtable.cli.tick import read_configuration
from coldtable.core.rebuild import Left, Recovered
from coldtable.core.records import iso_z
from coldtable.core.request import exact_iso
from coldtable.core.settings import parse_path
from coldtable.errors import DamagedError
from coldtable.model import Snapshot
from coldtable.model_archive import Limits
from coldtable.model_policy import Policy
from coldtable.ops.catalog import Catalog
from coldtable.ops.cover import cover
from coldtable.ops.pace import PacedExporter, Watch
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.rebuild_report import RebuildReport, TableRebuilt
from coldtable.ports import Exporter

SCHEMA = "coldtable.catalog-rebuild/1"
_FOREVER = 1e12

catalog = App(name="catalog", help="The records of what was exported, beside the exports.")

_Archive = Annotated[
    str | None,
    Parameter(
        help="The archive: `s3://BUCKET`, `s3://BUCKET/PREFIX` to look for exports only below "
        "there, or a folder. Without it, every bucket that the configuration exports to."
    ),
]
_DryRun = Annotated[bool, Parameter(help="Say what would be recorded, and write nothing.")]
_Offline = Annotated[
    bool,
    Parameter(
        help="Ask DynamoDB nothing: what it still works at is not found, and whether somebody "
        "else's export was filtered stays unknown."
    ),
]
_Path = Annotated[
    str | None,
    Parameter(
        help="Where the settings are in SSM Parameter Store. Default: /coldtable/prod; with "
        "--archive, none are read."
    ),
]


@catalog.command(name="rebuild")
def rebuild_catalog(
    *,
    archive: _Archive = None,
    dry_run: _DryRun = False,
    offline: _Offline = False,
    parameter_path: _Path = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Recreate the catalog from the manifests that DynamoDB wrote, and from nothing else.

    Every export is held against its MD5s, its counts and the objects that it names; what is whole
    and not in the catalog is recorded there. Nothing is changed or removed, so it can run at any
    time; on a complete catalog it does nothing. What no manifest tells is said at the end.

    Run it as soon as a catalog was lost: a tick that comes before it begins new chains.

    Examples:

    `coldtable catalog rebuild --dry-run`

    `coldtable catalog rebuild --archive s3://bucket`

    `coldtable catalog rebuild --archive ./copied --output json`

    Exit codes: 0; 5 if an export is not whole and nothing else stands for it; 10 if the
    configuration is wrong; 11 without the rights; 12 if there is no such bucket or folder; 14 if
    AWS still throttles.

    IAM: `s3:ListBucket` on the bucket, `s3:GetObject` on its objects, and, but for --dry-run,
    `s3:PutObject` below `coldtable/`; unless --offline `dynamodb:DescribeExport` and
    `dynamodb:ListExports`; without --archive also `ssm:GetParametersByPath`,
    `dynamodb:DescribeTable`, and where globs and tags count `dynamodb:ListTables` and
    `tag:GetResources`.
    """
    now = datetime.now(UTC)
    reports: list[tuple[str, RebuildReport]] = []
    for place, source in _sources(context, archive, parameter_path, offline=offline):
        context.note(f"Reading every manifest below {place.shown}{place.prefix}")
        reports.append((f"{place.shown}{place.prefix}", rebuild(source, now, dry_run=dry_run)))
    _answer(context, reports, dry_run=dry_run)
    damaged = [one for _, report in reports for one in report.damaged]
    if damaged:
        raise DamagedError(
            f"{len(damaged)} exports are not whole, and nothing else stands for them: "
            + ", ".join(one.export_id for one in damaged[:5])
            + ("" if len(damaged) <= 5 else ", …"),
            hint="The others are recorded. To see what is wrong: coldtable verify"
            + (f" --archive {archive}" if archive else ""),
        )
    return 0


def _sources(
    context: Context, archive: str | None, path: str | None, *, offline: bool
) -> Iterator[tuple[Place, Source]]:
    """Each archive, and who may be asked about it."""
    exporter = None
    place = open_archive(context, archive) if archive else None
    if not offline and (place is None or place.open.folder is None):
        exporter = _exporter(context)
    policies = _policies(context, path) if path or place is None else {}
    if place is not None:
        yield place, _source(place, exporter, policies)
        return
    places = dict.fromkeys((policy.to.bucket, policy.to.owner) for policy in policies.values())
    for bucket, owner in places:
        found = Place(
            open=Opener(context=context, bucket=bucket, owner=owner),
            prefix="",
            shown=f"s3://{bucket}/",
        )
        here = {
            name: policy
            for name, policy in policies.items()
            if (policy.to.bucket, policy.to.owner) == (bucket, owner)
        }
        yield found, _source(found, exporter, here)


def _source(place: Place, exporter: Exporter | None, policies: dict[str, Policy]) -> Source:
    # The catalog is the bucket's, wherever below it the exports lie: there the tick looks for it.
    store = place.store
    return Source(
        store=store,
        prefix=place.prefix,
        catalog=Catalog(store),
        exporter=exporter,
        policies=policies,
    )


def _policies(context: Context, path: str | None) -> dict[str, Policy]:
    from coldtable.aws.directory import DynamoDbDirectory

    client = context.session.client
    configuration = read_configuration(context, parse_path(path or "/coldtable/prod"))
    directory = DynamoDbDirectory(client("dynamodb"), lambda: client("resourcegroupstaggingapi"))
    covered = cover(configuration, directory, uncovered=False)
    if covered.problem:
        context.note(f"Not every table could be found: {covered.problem.message}")
    return dict(covered.policies)


def _exporter(context: Context) -> Exporter:
    from coldtable.aws.exporter import DynamoDbExporter

    watch = Watch(read=time.monotonic, pause=time.sleep, deadline=_FOREVER)
    return PacedExporter(DynamoDbExporter(context.session.client("dynamodb")), Limits(), watch)


def _answer(context: Context, reports: list[tuple[str, RebuildReport]], *, dry_run: bool) -> None:
    body = {
        "dryRun": dry_run,
        "added": sum(report.added for _, report in reports),
        "archives": [
            {
                "archive": where,
                "tables": [_table_body(line) for line in report.tables],
                "unreadable": [_left_body(one) for one in report.unreadable],
                "unfinished": report.unfinished,
                "notRecovered": list(report.lost),
                "held": [
                    {"tableName": home.name, "holdsKnown": list(numbers)}
                    for home, numbers in report.held.items()
                ],
                "indexes": list(report.indexes),
            }
            for where, report in reports
        ],
    }
    context.answer(SCHEMA, body, lambda: _print(reports, dry_run=dry_run))
    for where, report in reports:
        for one in report.unreadable:
            context.note(f"{where}{one.key}: {one.why}")
        for line in report.tables:
            for one in line.left:
                context.note(f"{line.table.name}: export {one.export_id}: {one.why}")


def _print(reports: list[tuple[str, RebuildReport]], *, dry_run: bool) -> None:
    columns = ["TABLE", "EXPORTS", "KNOWN", "TO ADD" if dry_run else "ADDED"]
    columns += ["RUNNING", "LEFT OUT", "RESTORABLE UP TO", "GAPS"]
    rows = [_row(line) for _, report in reports for line in report.tables]
    print_table(columns, rows)
    lost = [text for _, report in reports for text in report.lost]
    if lost:
        sys.stdout.write("\nNot recovered:\n" + "".join(f"- {text}.\n" for text in lost))
    elif not any(report.added for _, report in reports):
        sys.stdout.write("\nThe catalog lacks nothing that a manifest tells.\n")


def _row(line: TableRebuilt) -> list[str]:
    newest = line.timeline.newest
    return [
        line.table.name + (f" ({line.table.table_id}, gone)" if line.ended else ""),
        str(line.found),
        str(line.known),
        str(len(line.added)),
        str(len(line.under_way)),
        str(len(line.left)),
        exact_iso(newest).replace("+00:00", "Z") if newest else "",
        str(len(line.timeline.gaps)),
    ]


def _table_body(line: TableRebuilt) -> dict[str, Any]:
    table, newest = line.table, line.timeline.newest
    return {
        "table": {"name": table.name, "arn": table.arn, "id": table.table_id},
        "exports": line.found,
        "known": line.known,
        "added": [_added_body(one) for one in line.added],
        "underWay": [export_id for _, export_id in line.under_way],
        "leftOut": [_left_body(one) for one in line.left],
        "ended": line.ended,
        "newest": exact_iso(newest) if newest else None,
        "gaps": [{"from": iso_z(g.start), "to": iso_z(g.stop)} for g in line.timeline.gaps],
    }


def _added_body(one: Recovered) -> dict[str, Any]:
    span = one.attempt.span
    if isinstance(span, Snapshot):
        times = {"moment": exact_iso(span.moment), "from": None, "to": None}
    elif span is not None:
        times = {"moment": None, "from": iso_z(span.start), "to": iso_z(span.stop)}
    else:
        times = {}
    return {
        "exportId": one.attempt.export_id,
        "kind": str(one.slot.kind),
        **times,
        "madeByColdtable": one.source.own,
        "filtered": one.source.filtered,
    }


def _left_body(one: Left) -> dict[str, Any]:
    return {"exportId": one.export_id, "key": one.key, "why": one.why, "damaged": one.damaged}
