"""A door: the verifying Lambda. One hour in, what is due at it read again, one report out.

The schedule's event is ``{"source": "coldtable.verify", "scheduledTime": …}``; which part of the
archive is read follows from that time, so that a late or repeated delivery reads the same. Damage
that people were told of is no failure of the run, nor is it that there was no time for all: the
metric ``SliceRead`` is 0 then, and an alarm tells of it. What could not be read, noted or told
raises, once everything else is done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from coldtable.aws.clients import Clients
from coldtable.aws.notifier import SnsNotifier
from coldtable.aws.parameters import SsmParameters
from coldtable.core.configuration import VERIFY_DAYS, parse_configuration
from coldtable.core.metrics import SLICE, metric_lines
from coldtable.core.policy import destinations
from coldtable.core.rotation import Turn, due_at
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
from coldtable.errors import ColdtableError
from coldtable.ops.pace import watch_of
from coldtable.ops.rotate import TurnReport, VerifyWorld, rotate
from coldtable.ports import ParameterStore

SCHEMA = "coldtable.verify-turn/1"
SCHEDULE = "coldtable.verify"

# In the last minute nothing is read: what was read is noted and told. Without Lambda's context a
# run has as long as the template's function.
_MARGIN_SECONDS, _WHOLE_SECONDS = 60.0, 900.0
_CLIENTS = Clients(connections=16)

log = log_of("coldtable.verify")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls: ``respond`` with this function's own settings, clients and clock."""
    return respond(
        event,
        path=variable(PATH_VARIABLE),
        stack=variable(STACK_VARIABLE),
        parameters=SsmParameters(_CLIENTS.client("ssm")),
        world=lambda: _world(context),
        measure=print_line,
    )


def respond(
    event: dict[str, Any],
    *,
    path: str,
    stack: str,
    parameters: ParameterStore,
    world: Callable[[], VerifyWorld],
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
        days = days_of(configuration.verify_days, path, VERIFY_DAYS, "--verify-days")
        turn = Turn(moment=due_at(event, there.now()), days=days)
    except ColdtableError as error:
        return refusal(error, log, {"schema": SCHEMA}, by_schedule=by_schedule)
    report = rotate(turn, destinations(configuration), there)
    counts = {SLICE: int(report.is_whole), "BadExports": sum(len(t.bad) for t in report.tables)}
    for line in metric_lines(stack, report.at, counts, {}, beat=None):
        measure(line)
    body = _body(report)
    log.info("verified", extra={name: body[name] for name in ("slice", "complete", "tables")})
    return answer({"schema": SCHEMA, **body}, _problem(report), by_schedule=by_schedule)


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
    errors = [*report.errors, *(table.error for table in report.tables)]
    what = "Not everything that was due could be verified, noted or told"
    return unheard(what, report.problems, errors)


def _world(context: object) -> VerifyWorld:
    partition, region, account = whereabouts(context)
    return VerifyWorld(
        objects=_CLIENTS.objects,
        notifier=SnsNotifier(_CLIENTS.client("sns"), topic()),
        watch=watch_of(context, whole=_WHOLE_SECONDS, margin=_MARGIN_SECONDS),
        now=lambda: datetime.now(UTC),
        partition=partition,
        region=region,
        account=account,
    )
