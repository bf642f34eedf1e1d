"""A door: the drilling Lambda. One hour in, a step of every drill that is under way or due.

The schedule's event is ``{"source": "coldtable.drill", "scheduledTime": …}``; at each table's hour
of the day it is looked whether a drill of it is due. Whoever calls it by hand may say with
``"patience"`` for how many seconds it waits for AWS. A drill that failed and that people were told
of is no failure of the run, nor is it that something takes long: the metric ``DrillsOnTime`` is 0
then, and an alarm tells of it. What could not be drilled, noted or told raises, once everything
else is done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from coldtable.aws.clients import Clients
from coldtable.aws.imports import DynamoDbImports
from coldtable.aws.notifier import SnsNotifier
from coldtable.aws.parameters import SsmParameters
from coldtable.aws.retriever import S3Retriever
from coldtable.aws.table_reader import DynamoDbReader
from coldtable.aws.tables import DynamoDbTables
from coldtable.core.configuration import DRILL_DAYS, parse_configuration
from coldtable.core.metrics import ON_TIME, metric_lines
from coldtable.core.rotation import due_at
from coldtable.core.settings import parse_path
from coldtable.door import (
    PATH_VARIABLE,
    STACK_VARIABLE,
    answer,
    days_of,
    log_of,
    print_line,
    refusal,
    topic,
    unheard,
    variable,
    whereabouts,
)
from coldtable.errors import ColdtableError, ParameterInvalid, UsageError
from coldtable.model import Destination
from coldtable.ops.drill_hands import PATIENCE
from coldtable.ops.drill_step import Did
from coldtable.ops.drill_turn import DrillTurnReport, DrillWorld, drill_turn
from coldtable.ops.pace import watch_of
from coldtable.ops.restore_plan import Windows
from coldtable.ports import ParameterStore

SCHEMA = "coldtable.drill-turn/1"
SCHEDULE = "coldtable.drill"

# In the last minute nothing is waited for or compared: what came of it is noted and told. Without
# Lambda's context a run has as long as the template's function.
_MARGIN_SECONDS, _WHOLE_SECONDS = 60.0, 900.0
_CLIENTS = Clients(connections=16)

log = log_of("coldtable.drill")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls: ``respond`` with this function's own settings, clients and clock."""
    return respond(
        event,
        path=variable(PATH_VARIABLE),
        stack=variable(STACK_VARIABLE),
        parameters=SsmParameters(_CLIENTS.client("ssm")),
        world=lambda: _world(context, event),
        measure=print_line,
    )


def respond(
    event: dict[str, Any],
    *,
    path: str,
    stack: str,
    parameters: ParameterStore,
    world: Callable[[], DrillWorld],
    measure: Callable[[str], None],
) -> dict[str, Any]:
    """One run, with its metrics given to ``measure`` line by line.

    Returns ``{"statusCode": 200 or 500, "body": JSON}``; for the schedule, raises instead of 500.
    """
    by_schedule = event.get("source") == SCHEDULE
    try:
        path = parse_path(path)
        configuration = parse_configuration(path, parameters.read(path))
        there = world()
        days = days_of(configuration.drill_days, path, DRILL_DAYS, "--drill-days")
        moment = due_at(event, there.now())
    except ColdtableError as error:
        return refusal(error, log, {"schema": SCHEMA}, by_schedule=by_schedule)
    report = drill_turn(moment, timedelta(days=days), configuration, there)
    failed = sum(table.did is Did.FAILED for table in report.tables)
    counts = {ON_TIME: int(report.on_time), "DrillsFailed": failed}
    for line in metric_lines(stack, report.at, counts, {}, beat=None):
        measure(line)
    body = _body(report)
    log.info("drilled", extra=body)
    return answer({"schema": SCHEMA, **body}, _problem(report), by_schedule=by_schedule)


def _body(report: DrillTurnReport) -> dict[str, Any]:
    return {
        "at": report.at.isoformat(),
        "hour": report.hour,
        "onTime": report.on_time,
        "tables": [
            {
                "table": table.name,
                "did": str(table.did),
                "text": table.text,
                "record": table.record,
                "told": list(table.told),
                "late": table.late,
                "error": table.error and table.error.told,
            }
            for table in report.tables
        ],
    }


def _problem(report: DrillTurnReport) -> ColdtableError | None:
    errors = [*report.errors, *(table.error for table in report.tables)]
    return unheard("Not everything could be drilled, noted or told", report.problems, errors)


def _world(context: object, event: dict[str, Any]) -> DrillWorld:
    partition, region, account = whereabouts(context)
    return DrillWorld(
        objects=_CLIENTS.objects,
        windows=lambda to: _windows(to, region),
        notifier=SnsNotifier(_CLIENTS.client("sns"), topic()),
        watch=watch_of(context, whole=_WHOLE_SECONDS, margin=_MARGIN_SECONDS),
        now=lambda: datetime.now(UTC),
        partition=partition,
        region=region,
        account=account,
        patience=_patience(event),
    )


def _patience(event: dict[str, Any]) -> float:
    text = event.get("patience", PATIENCE)
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ParameterInvalid(
            f"The event's patience {text!r} is no number of seconds", hint="Write it like 30"
        ) from None


def _windows(to: Destination, region: str) -> Windows:
    """What a drill asks and changes; whoever drills says how it waits, and what it tells."""
    store, dynamodb = _CLIENTS.objects(to), _CLIENTS.client("dynamodb")
    return Windows(
        store=store,
        prefix="",
        bucket=to.bucket,
        owner=to.owner,
        scratch=store,
        scratch_prefix="",
        scratch_bucket=to.bucket,
        scratch_owner=to.owner,
        region=region,
        tables=DynamoDbTables(dynamodb),
        reader=DynamoDbReader(_CLIENTS.wire),
        importer=DynamoDbImports(dynamodb, _CLIENTS.client("logs")),
        ion=_no_ion,
        now=lambda: datetime.now(UTC),
        pause=lambda _: None,
        say=log.info,
        # Only what the catalog has proven is drilled, so nobody need be asked about filters.
        retriever=S3Retriever(_CLIENTS.client("s3"), to.bucket, owner=to.owner),
    )


def _no_ion(_line: bytes) -> NoReturn:
    raise UsageError("The export is in ION format, which the stack's function cannot read")
