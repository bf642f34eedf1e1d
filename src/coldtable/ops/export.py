"""Export tables at a moment: several at a time, each on its own, all of them reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from coldtable.core.request import export_request, restorable_moment
from coldtable.errors import (
    ColdtableError,
    ExportFailed,
    MomentNotRestorable,
    NothingExported,
    PartialError,
    PitrDisabled,
)
from coldtable.model import (
    Export,
    ExportReport,
    ExportStatus,
    FailedTable,
    Settings,
    StartedExport,
    Table,
)
from coldtable.ops.find import TOKEN_LIFE, find_export
from coldtable.ports import Exporter

log = logging.getLogger("coldtable.export")

# Two calls a table, most of whose time is waiting for AWS. DynamoDB throttles exports after about
# 20 quick calls [QUIRKS]: many more threads would only wait for each other.
AT_A_TIME = 20

# PITR's latest restorable moment is about 5 minutes behind [DOC-PITR]. A moment older than this is
# settled, so it need not be asked: DescribeContinuousBackups allows 10 calls a second [MODEL],
# which would be the slowest part of a run over many tables.
_SETTLED = timedelta(hours=1)

# How often the very same state is asked for again after AWS failed the export of it.
_MOST_ATTEMPTS = 5

Progress = Callable[[StartedExport | FailedTable], None]


def export_tables(
    settings: Settings,
    tables: Sequence[str],
    moment: datetime | None,
    exporter: Exporter,
    now: datetime,
    *,
    progress: Progress | None = None,
) -> ExportReport:
    """Start a full export of each table at ``moment``; ``None`` is each table's latest.

    A table that fails does not keep the others from starting; every table is in the report, in
    the order of ``tables``. Repeating the call repeats no export: see ``core.request``.
    """

    def one(name: str) -> StartedExport | FailedTable:
        line = _export_table(settings, name, moment, exporter, now)
        if progress:
            progress(line)
        return line

    if len(tables) == 1:
        lines = [one(tables[0])]
    else:
        with ThreadPoolExecutor(max_workers=AT_A_TIME) as threads:
            lines = list(threads.map(one, tables))
    return ExportReport(
        moment=moment,
        started=tuple(line for line in lines if isinstance(line, StartedExport)),
        failed=tuple(line for line in lines if isinstance(line, FailedTable)),
    )


def _export_table(
    settings: Settings, name: str, moment: datetime | None, exporter: Exporter, now: datetime
) -> StartedExport | FailedTable:
    try:
        table = exporter.table(name)
        if moment is None or now - moment < _SETTLED:
            moment = restorable_moment(table, exporter.pitr(table), moment)
        export = _start(settings, table, moment, exporter, now)
    except ColdtableError as error:
        log.error(
            "export not started",
            extra={"table": name, "code": error.code, "error": error.message, "hint": error.hint},
        )
        return FailedTable(
            table=name,
            error=error.message,
            code=error.code,
            hint=error.hint,
            retryable=error.retryable,
            exit_code=error.exit_code,
        )
    log.info(
        "export started",
        extra={"table": name, "exportArn": export.arn, "s3Location": export.location},
    )
    return StartedExport(table=name, export=export)


def _start(
    settings: Settings, table: Table, moment: datetime, exporter: Exporter, now: datetime
) -> Export:
    """The export of the moment: the one that there is, or a new one.

    A token is remembered for 8 hours after its export's end [MODEL]. A moment that is older, such
    as that of a monthly rule with a daily schedule, is looked for in AWS's list first: asked for
    again it would be exported, and paid for, again.
    """
    requests = [
        export_request(settings, table, moment, attempt) for attempt in range(1, _MOST_ATTEMPTS + 1)
    ]
    if now - moment > TOKEN_LIFE:
        tokens = [request.token for request in requests]
        found = find_export(exporter, table, tokens, moment)
        if found is not None and found.token is not None:
            if found.status is not ExportStatus.FAILED:
                return found
            requests = requests[tokens.index(found.token) + 1 :]
            export = found
    for request in requests:
        try:
            export = exporter.start(request)
        except (MomentNotRestorable, PitrDisabled):
            # AWS's refusal has no times in it; the history's own ends make a better error.
            restorable_moment(table, exporter.pitr(table), moment)
            raise
        if export.status is not ExportStatus.FAILED:
            return export
        log.warning(
            "an earlier export of this moment failed",
            extra={"table": table.name, "exportArn": export.arn, "failure": export.failure_code},
        )
    raise ExportFailed(
        f"{_MOST_ATTEMPTS} exports of table {table.name} at this moment were started and failed, "
        f"the last with {export.failure_code}: {export.failure_message}",
        hint=failure_hint(export),
    )


def failure_hint(export: Export) -> str:
    """What to do about a FAILED export, by its failure code [QUIRKS]."""
    match export.failure_code:
        case "S3NoSuchBucket":
            return f"Create the bucket {export.bucket}, or correct BACKUP_BUCKET_NAME"
        case "S3AccessDenied" if "kms:" in (export.failure_message or ""):
            return (
                "Allow kms:GenerateDataKey and kms:Decrypt on the key to the role or user that "
                "started the export, and check the key's own policy: coldtable policy key"
            )
        case "S3AccessDenied":
            owner = "" if export.owner else " and, if another account owns it, name bucket_owner"
            return (
                "Allow s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload on "
                f"arn:aws:s3:::{export.bucket}/* to the role or user that started the export, "
                f"check the bucket's policy (coldtable policy bucket){owner}"
            )
        case "KmsNotFoundException":
            return "Check the bucket's KMS key: it must exist in the bucket's region"
    return f"To see all of it: aws dynamodb describe-export --export-arn {export.arn}"


def report_error(report: ExportReport) -> ColdtableError | None:
    """What a run with failures amounts to: ``PartialError`` if some tables were started.

    If none was, the error has the exit code that the tables share (an access error stays one).
    """
    if not report.failed:
        return None
    total = len(report.started) + len(report.failed)
    lines = "; ".join(f"{line.table}: {line.error}" for line in report.failed)
    hint = "\n".join(dict.fromkeys(line.hint for line in report.failed if line.hint))
    message = f"{len(report.failed)} of {total} tables could not be exported: {lines}"
    if report.started:
        return PartialError(message, hint=hint)
    codes = {line.exit_code for line in report.failed}
    error = NothingExported(message, hint=hint)
    error.exit_code = codes.pop() if len(codes) == 1 else NothingExported.exit_code
    return error
