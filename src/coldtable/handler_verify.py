"""A door: the verifying Lambda. One hour in, what is due at it read again, one report out.

The schedule's event is ``{"source": "coldtable.verify", "scheduledTime": …}``; which part of the
archive is read follows from that time, so that a late or repeated delivery reads the same. Damage
that people were told of is no failure of the run, nor is it that there was no time for all: the
metric ``SliceRead`` is 0 then, and an alarm tells of it. What could not be read, noted or told
raises, once everything else is done.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from coldtable.aws.clients import Clients
from coldtable.aws.notifier import SnsNotifier
from coldtable.aws.parameters import SsmParameters
from coldtable.core.configuration import VERIFY_DAYS, parse_configuration
from coldtable.core.metrics import SLICE, metric_lines
from coldtable.core.policy import destinations
from coldtable.core.rotation import Turn
from coldtable.core.settings import parse_path
from coldtable.errors import ColdtableError, ParameterInvalid, ParameterMissing, Untold
from coldtable.model_policy import Configuration
from coldtable.ops.pace import watch_of
from coldtable.ops.rotate import TurnReport, World, rotate
from coldtable.ports import ParameterStore

SCHEMA = "coldtable.verify-turn/1"
SCHEDULE = "coldtable.verify"
PATH_VARIABLE = "COLDTABLE_PARAMETER_PATH"
TOPIC_VARIABLE = "COLDTABLE_TOPIC_ARN"
STACK_VARIABLE = "COLDTABLE_STACK"

# In the last minute nothing is read: what was read is noted and told. Without Lambda's context a
# run has as long as the template's function.
_MARGIN_SECONDS, _WHOLE_SECONDS = 60.0, 900.0
_CLIENTS = Clients(connections=16)

log = logging.getLogger("coldtable.verify")
logging.getLogger("coldtable").setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO"))
# At INFO it says in each cold start where it found its credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls: ``respond`` with this function's own settings, clients and clock."""
    return respond(
        event,
        path=os.environ.get(PATH_VARIABLE, ""),
        stack=os.environ.get(STACK_VARIABLE, ""),
        parameters=SsmParameters(_CLIENTS.client("ssm")),
        world=lambda: _world(context),
        measure=_print,
    )


def respond(
    event: dict[str, Any],
    *,
    path: str,
    stack: str,
    parameters: ParameterStore,
    world: Callable[[], World],
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
        turn = Turn(moment=_due(event, there.now()), days=_days(configuration))
    except ColdtableError as error:
        log.error(error.message, extra={"code": error.code, "hint": error.hint})
        if by_schedule:
            raise
        return {"statusCode": 500, "body": json.dumps({"schema": SCHEMA, **error.told})}
    report = rotate(turn, destinations(configuration), there)
    counts = {SLICE: int(report.is_whole), "BadExports": sum(len(t.bad) for t in report.tables)}
    for line in metric_lines(stack, report.at, counts, {}, beat=None):
        measure(line)
    body = _body(report)
    log.info("verified", extra={name: body[name] for name in ("slice", "complete", "tables")})
    problem = _problem(report)
    if problem and by_schedule:
        raise problem
    body = {"schema": SCHEMA, **body, "problem": problem and problem.told}
    return {"statusCode": 500 if problem else 200, "body": json.dumps(body)}


def _due(event: dict[str, Any], now: datetime) -> datetime:
    """The event's ``scheduledTime`` as EventBridge Scheduler writes it; now, if it has none."""
    text = str(event.get("scheduledTime", now.isoformat()))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ParameterInvalid(
            f"The event's scheduledTime {text!r} is not a time",
            hint="By hand, write it like 2026-11-01T04:00:00Z",
        ) from None


def _days(configuration: Configuration) -> int:
    if configuration.verify_days is None:
        raise ParameterMissing(
            f"The parameter {configuration.path}/{VERIFY_DAYS} does not exist, so nothing says "
            "within how many days everything is to be read",
            hint="Create it, or deploy again: with --verify-days, or without to remove this "
            "function",
        )
    return configuration.verify_days


def _body(report: TurnReport) -> dict[str, Any]:
    subset = report.turn.subset
    return {
        "at": report.at.isoformat(),
        "slice": f"{subset.number}/{subset.of}",
        "hour": report.turn.moment.hour,
        "complete": report.is_whole,
        "tables": [
            {
                "table": table.name,
                "exports": table.exports,
                "objects": table.objects,
                "bytes": table.size,
                "left": table.left,
                "bad": list(table.bad),
                "records": list(table.records),
                "told": list(table.told),
                "error": table.error and table.error.told,
            }
            for table in report.tables
        ],
    }


def _problem(report: TurnReport) -> ColdtableError | None:
    """What nobody would hear of otherwise, in one error."""
    lines = list(report.problems)
    if not lines:
        return None
    errors = [*report.errors, *(table.error for table in report.tables)]
    return Untold(
        "Not everything that was due could be verified, noted or told: " + "; ".join(lines),
        hint="\n".join(dict.fromkeys(error.hint for error in errors if error and error.hint)),
    )


def _world(context: object) -> World:
    topic = os.environ.get(TOPIC_VARIABLE, "")
    arn = str(getattr(context, "invoked_function_arn", "")).split(":")
    if not topic or len(arn) < 5:
        raise ParameterInvalid(
            f"The function's environment has no {TOPIC_VARIABLE}, or it was called without its ARN",
            hint="Deploy again: the stack sets it",
        )
    return World(
        objects=_CLIENTS.objects,
        notifier=SnsNotifier(_CLIENTS.client("sns"), topic),
        watch=watch_of(context, whole=_WHOLE_SECONDS, margin=_MARGIN_SECONDS),
        now=lambda: datetime.now(UTC),
        partition=arn[1],
        region=arn[3],
        account=arn[4],
    )


def _print(line: str) -> None:
    """To stdout as it is: the log's own JSON would hide it from CloudWatch."""
    sys.stdout.write(line + "\n")
