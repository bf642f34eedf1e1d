"""A door: the Lambda. One event in, one run of exports, one report out.

The schedule's event is ``{"source": "coldtable.schedule", "scheduledTime": "…Z", …}``. Invoked by
the schedule a run with failures raises after it has reported: the invocation is asynchronous, so
only an exception reaches Lambda's retry, the Errors metric, the alarm and the dead-letter queue.
Anybody else gets the report as the response, with status code 500.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.parameters import SsmParameters
from coldtable.aws.session import AwsSession
from coldtable.core.request import iso
from coldtable.core.schedule import latest_moment
from coldtable.core.settings import has_policies, parse_path, parse_settings
from coldtable.door import PATH_VARIABLE, log_of, variable
from coldtable.errors import ColdtableError, ParameterInvalid
from coldtable.model import ExportReport, FailedTable, Settings, StartedExport
from coldtable.ops.export import AT_A_TIME, export_tables, report_error
from coldtable.ports import Exporter, ParameterStore

SCHEDULE = "coldtable.schedule"

log = log_of("coldtable.handler")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  Lambda's form
    """What Lambda calls: ``respond`` with this function's own path, clients and clock."""
    return respond(
        event,
        path=variable(PATH_VARIABLE),
        parameters=_parameters(),
        exporter=_exporter(),
        now=datetime.now(UTC),
    )


def respond(
    event: dict[str, Any],
    *,
    path: str,
    parameters: ParameterStore,
    exporter: Exporter,
    now: datetime,
) -> dict[str, Any]:
    """Export every table of the schedule at the latest moment of its rule, but those in
    continuous mode and those that are paused.

    Returns ``{"statusCode": 200 or 500, "body": JSON}``; for the schedule, raises instead of 500.
    """
    by_schedule = event.get("source") == SCHEDULE
    try:
        path = parse_path(path)
        settings, passed = _tonight(path, parameters.read(path))
        moment = latest_moment(settings.rule, _scheduled_time(event, now))
    except ColdtableError as error:
        log.error(error.message, extra={"code": error.code, "hint": error.hint})
        if by_schedule:
            raise
        return _response(500, _failure(error))
    log.info(
        "run", extra={"moment": iso(moment), "tables": settings.tables, "bucket": settings.bucket}
    )
    for table, reason in passed.items():
        log.info("table skipped", extra={"table": table, "reason": reason})
    report = export_tables(settings, settings.tables, moment, exporter, now)
    if by_schedule and (problem := report_error(report)):
        raise problem
    status, body = (500, _mixed(report)) if report.failed else (200, _success(report))
    if passed:
        body["skipped"] = [{"tableName": t, "reason": why} for t, why in passed.items()]
    return _response(status, body)


def _tonight(path: str, found: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """What to export, and why the schedule's other tables are passed over."""
    if not has_policies(found):
        return parse_settings(path, found), {}
    # Only who has policies pays for their modules at a cold start. Without any both ways agree.
    from coldtable.core.configuration import parse_configuration
    from coldtable.core.policy import nightly

    return nightly(parse_configuration(path, found))


def _scheduled_time(event: dict[str, Any], now: datetime) -> datetime:
    """The event's ``scheduledTime`` as EventBridge Scheduler writes it; now, if it has none."""
    text = event.get("scheduledTime")
    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  naive, so refused below
    if moment.tzinfo is None:
        raise ParameterInvalid(
            f"The event's scheduledTime {text!r} is not a time with its offset",
            hint="The schedule's input must have <aws.scheduler.scheduled-time> there; by hand, "
            "write it like 2026-11-01T04:00:00Z",
        )
    return moment.astimezone(UTC)


@cache
def _session() -> AwsSession:
    return AwsSession(connections=AT_A_TIME)


@cache
def _parameters() -> SsmParameters:
    return SsmParameters(_session().client("ssm"))


@cache
def _exporter() -> DynamoDbExporter:
    return DynamoDbExporter(_session().client("dynamodb"))


def _response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "body": json.dumps(body)}


def _success(report: ExportReport) -> dict[str, Any]:
    count = len(report.started)
    return {
        "message": f"{count} export{'' if count == 1 else 's'} started",
        "exports": [_started(line) for line in report.started],
    }


def _mixed(report: ExportReport) -> dict[str, Any]:
    total = len(report.started) + len(report.failed)
    return {
        "message": f"{len(report.failed)} of {total} tables could not be exported",
        "successfulExports": [_started(line) for line in report.started],
        "failedExports": [_failed(line) for line in report.failed],
    }


def _failure(error: ColdtableError) -> dict[str, Any]:
    """The body when the run ended before it came to any table."""
    return {
        **error.told,
        "successfulExports": [],
        "failedExports": [],
    }


def _started(line: StartedExport) -> dict[str, Any]:
    return {
        "tableName": line.table,
        "exportArn": line.export.arn,
        "exportTime": iso(line.export.moment) if line.export.moment else None,
        "s3Location": line.export.location,
    }


def _failed(line: FailedTable) -> dict[str, Any]:
    return {
        "tableName": line.table,
        "error": line.error,
        "code": line.code,
        "hint": line.hint,
    }
