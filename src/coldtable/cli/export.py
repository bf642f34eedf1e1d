"""``coldtable export``: the schedule's code path, from a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.cli.instant import parse_instant
from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import nightly, settings_for
from coldtable.core.policy_fields import BY_NAME
from coldtable.core.prefix import DEFAULT_TEMPLATE, check_template
from coldtable.core.request import iso
from coldtable.core.schedule import latest_moment
from coldtable.core.settings import (
    parse_bucket,
    parse_path,
    parse_table_names,
    parse_zone,
)
from coldtable.errors import PartialError, UsageError
from coldtable.model import (
    Destination,
    Export,
    ExportReport,
    FailedTable,
    MomentRule,
    Settings,
    StartedExport,
)
from coldtable.ops.export import export_tables, report_error
from coldtable.ops.follow import failure_of, follow_exports
from coldtable.ops.proof import read_manifest
from coldtable.ports import Exporter, ParameterStore


def export(
    *tables: str,
    at: str | None = None,
    wait: bool = False,
    parameter_path: str = "/coldtable/prod",
    bucket: str | None = None,
    bucket_owner: str | None = None,
    kms_key: str | None = None,
    timezone: str | None = None,
    prefix_template: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Export tables to S3 as they were at a moment.

    The same settings, requests and tokens as the schedule's: exporting a moment again within eight
    hours of its export's end returns that export, and costs nothing.

    Examples:

    `coldtable export`

    `coldtable export orders --at latest --wait`

    `coldtable export orders --at 2026-11-01T03:00+09:00 --bucket acme-archive`

    Exit codes: 0; 1 if an export failed; 2 if an option is wrong; 3 if some tables could not be
    exported; 5 if what arrived is damaged; 10 if a setting is wrong, or PITR is off; 11 without
    the rights; 12 if there is no such table or bucket; 13 if another export is in the way; 14 if
    AWS takes no more of them now.

    IAM: on the tables `dynamodb:ExportTableToPointInTime`, `dynamodb:DescribeTable` and
    `dynamodb:DescribeContinuousBackups`; `dynamodb:ListExports`; on the bucket's objects
    `s3:PutObject`, `s3:PutObjectAcl` and `s3:AbortMultipartUpload`, with a KMS key
    `kms:GenerateDataKey` and `kms:Decrypt`; without --bucket `ssm:GetParametersByPath`; with
    --wait `dynamodb:DescribeExport`, `s3:ListBucket` and `s3:GetObject`.

    Parameters
    ----------
    tables
        The tables to export; without any, all that the schedule exports: those that the
        parameters name, less those that are paused or in continuous mode.
    at
        The moment, with its offset (2026-11-01T03:00+09:00), or `latest`. Without it, the moment
        that the schedule would export now; with --bucket, the latest.
    wait
        Follow the exports until they end, and prove their manifests.
    parameter_path
        Where the settings are in SSM Parameter Store.
    bucket
        Export into this bucket, and read no parameters at all.
    bucket_owner
        With --bucket: the account that owns it, if it is another one.
    kms_key
        With --bucket: the ARN of the KMS key that encrypts the export. Default S3's own.
    timezone
        With --bucket: the zone whose date names the folders. Default UTC.
    prefix_template
        With --bucket: the folder of an export. Default {date:%Y/%m/%d}/{table}.
    """
    # The AWS clients are made late: a usage error should not wait for them.
    moment, now = _parse_moment(at), datetime.now(UTC)
    if bucket:
        to = _destination(bucket, bucket_owner, kms_key)
        settings = _adhoc_settings(tables, to, timezone or "UTC", prefix_template)
    else:
        if timezone or prefix_template or bucket_owner or kms_key:
            raise UsageError(
                "--timezone, --prefix-template, --bucket-owner and --kms-key go with --bucket"
            )
        settings = _stored_settings(context, parse_path(parameter_path), tables)
        moment = moment if at else latest_moment(settings.rule, now)
    exporter = _exporter(context)
    report = export_tables(
        settings, tables or settings.tables, moment, exporter, now, progress=_started(context)
    )
    exports = [line.export for line in report.started]
    if wait:
        exports = _follow(context, exports, exporter)
        _prove(context, exports)
    _answer(context, report, exports)
    return _raise_problems(report, exports)


def _parse_moment(at: str | None) -> datetime | None:
    """The UTC moment; ``None`` for the latest, and for none given."""
    moment = parse_instant(at) if at else None
    if moment and moment.microsecond:
        raise UsageError(f"--at {at!r}: an export's time is a whole second")
    return moment


def _stored_settings(context: Context, path: str, tables: Sequence[str]) -> Settings:
    from coldtable.aws.parameters import SsmParameters

    store: ParameterStore = SsmParameters(context.session.client("ssm"))
    configuration = parse_configuration(path, store.read(path))
    if tables:
        # Whoever names a table means it, whatever its mode is and though it is paused.
        return settings_for(configuration, tables)
    settings, passed = nightly(configuration)
    for table, reason in passed.items():
        context.note(f"{table}: not exported: {reason}")
    return settings


def _destination(bucket: str, owner: str | None, key: str | None) -> Destination:
    for option, field, value in (
        ("--bucket-owner", "bucket_owner", owner),
        ("--kms-key", "kms_key", key),
    ):
        if value and not re.fullmatch(BY_NAME[field].pattern, value):
            raise UsageError(f"{option} {value!r} is not {BY_NAME[field].looks}")
    return Destination(bucket=parse_bucket(bucket), owner=owner, key=key)


def _adhoc_settings(
    tables: Sequence[str], to: Destination, timezone: str, template: str | None
) -> Settings:
    if not tables:
        raise UsageError("With --bucket, name the tables to export")
    names = parse_table_names(",".join(tables))
    prefix = check_template(template or DEFAULT_TEMPLATE)
    return Settings(
        path="",
        bucket=to.bucket,
        tables=names,
        rule=MomentRule(day=None, at=time_of_day(), zone=parse_zone(timezone)),
        prefix_template=prefix,
        apart=dict.fromkeys(names, (to, prefix)),
    )


def _exporter(context: Context) -> Exporter:
    from coldtable.aws.exporter import DynamoDbExporter

    return DynamoDbExporter(context.session.client("dynamodb"))


def _started(context: Context) -> Any:
    def hear(line: StartedExport | FailedTable) -> None:
        if isinstance(line, StartedExport):
            context.note(f"{line.table}: export {line.export.export_id} is {line.export.status}")
        else:
            context.note(f"{line.table}: not exported: {line.error}")

    return hear


def _follow(context: Context, exports: Sequence[Export], exporter: Exporter) -> list[Export]:
    """Follow them to their end; Ctrl-C stops the following, not the exports."""
    since, ended = time.monotonic(), list[Export]()

    def hear(export: Export) -> None:
        ended.append(export)
        context.note(f"{_table(export)}: export {export.export_id} is {export.status}")

    def text() -> str:
        passed = timedelta(seconds=int(time.monotonic() - since))
        return f"{len(exports) - len(ended)} of {len(exports)} exports in progress, {passed}"

    try:
        with context.waiting(text) as pause:
            return follow_exports(exports, exporter, pause, progress=hear)
    except KeyboardInterrupt:
        context.note("The exports go on. To see them: aws dynamodb list-exports")
        raise


def _prove(context: Context, exports: Sequence[Export]) -> None:
    """Read both manifests of each completed export and hold them against each other."""
    from coldtable.aws.objects import S3Objects

    s3 = context.session.client("s3")
    for export in exports:
        if failure_of(export) is None:
            store = S3Objects(s3, export.bucket, owner=export.owner)
            manifest = read_manifest(export, store)
            context.note(
                f"{_table(export)}: manifests agree: {manifest.items} items in "
                f"{len(manifest.files)} files"
            )


def _answer(context: Context, report: ExportReport, exports: Sequence[Export]) -> None:
    body = {
        "exports": [
            {
                "tableName": _table(e),
                "exportArn": e.arn,
                "exportTime": iso(e.moment) if e.moment else None,
                "s3Location": e.location,
                "status": str(e.status),
                "itemCount": e.items,
                "failureCode": e.failure_code,
                "failureMessage": e.failure_message,
            }
            for e in exports
        ],
        "failed": [
            {"tableName": f.table, "error": f.error, "code": f.code, "hint": f.hint}
            for f in report.failed
        ],
    }

    def table() -> None:
        rows = [
            [_table(e), str(e.status), iso(e.moment) if e.moment else "", e.location]
            for e in exports
        ]
        rows += [[f.table, f.code, "", ""] for f in report.failed]
        print_table(["TABLE", "STATUS", "MOMENT", "LOCATION"], rows)

    context.answer("coldtable.export/1", body, table)


def _raise_problems(report: ExportReport, exports: Sequence[Export]) -> int:
    failures = [(e, error) for e in exports if (error := failure_of(e))]
    if not failures:
        if problem := report_error(report):
            raise problem
        return 0
    problem = failures[0][1]
    if len(failures) == len(exports) and not report.failed:
        raise problem
    raise PartialError(f"{len(failures)} exports failed. {problem.message}", hint=problem.hint)


def _table(export: Export) -> str:
    return export.table_arn.rsplit("/", 1)[-1]
