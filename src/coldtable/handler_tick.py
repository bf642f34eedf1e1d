"""A door: the tick's Lambda. One event in, one tick over every table that is kept, one report out.

The schedule's event is ``{"source": "coldtable.tick", …}``; its time does not matter, because a
tick looks at what is true now. An incident that people were told of is no failure of the tick. What
nobody could be told of is: then the schedule's run raises after it has reported, so that the Errors
metric, and with it an alarm, tells instead. Anybody else gets the report with status code 500.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from coldtable.aws.clients import Clients
from coldtable.aws.directory import DynamoDbDirectory
from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.notifier import HttpBeacon, SnsNotifier
from coldtable.aws.parameters import SsmParameters
from coldtable.core.configuration import parse_configuration
from coldtable.core.metrics import metric_lines
from coldtable.core.settings import parse_path
from coldtable.door import (
    PATH_VARIABLE,
    STACK_VARIABLE,
    answer,
    log_of,
    print_line,
    refusal,
    topic,
    unheard,
    variable,
)
from coldtable.errors import ColdtableError
from coldtable.model_policy import Configuration
from coldtable.ops.cover import Cover, cover
from coldtable.ops.pace import Watch, watch_of
from coldtable.ops.tick import TickReport, World, tick
from coldtable.ops.tick_report import tick_body
from coldtable.ports import Beacon, ParameterStore

SCHEDULE = "coldtable.tick"

# Nothing is begun in the last minute: what is under way then may have to be retried, and the report
# has to be written. Without Lambda's context a run has as long as the template's function.
_MARGIN_SECONDS, _WHOLE_SECONDS = 60.0, 300.0
# As many threads look at tables at once, and eight more may be at work.
_CLIENTS = Clients(connections=24)

# The steps that say nothing in the log when they are done.
_QUIET = ("adopted", "ended", "verified")

log = log_of("coldtable.tick")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls: ``respond`` with this function's own settings, clients and clock."""
    return respond(
        event,
        path=variable(PATH_VARIABLE),
        stack=variable(STACK_VARIABLE),
        parameters=SsmParameters(_CLIENTS.client("ssm")),
        world=lambda: _world(watch_of(context, whole=_WHOLE_SECONDS, margin=_MARGIN_SECONDS)),
        beacon=HttpBeacon(),
        measure=print_line,
    )


def respond(
    event: dict[str, Any],
    *,
    path: str,
    stack: str,
    parameters: ParameterStore,
    world: Callable[[], World],
    beacon: Beacon,
    measure: Callable[[str], None],
) -> dict[str, Any]:
    """One tick, with its metrics given to ``measure`` line by line.

    Returns ``{"statusCode": 200 or 500, "body": JSON}``; for the schedule, raises instead of 500.
    """
    by_schedule = event.get("source") == SCHEDULE
    try:
        path = parse_path(path)
        configuration = parse_configuration(path, parameters.read(path))
        there = world()
        covered = cover(configuration, there.directory)
    except ColdtableError as error:
        return refusal(error, log, {}, by_schedule=by_schedule)
    report = tick(covered.policies, there, uncovered=covered.uncovered)
    for line in _measured(stack, report):
        measure(line)
    problem = _unheard(report, covered)
    # The monitor outside is the last to speak: it should hear nothing when nobody could be told.
    heartbeat = "withheld" if problem else _beat(configuration, beacon)
    _log(report, heartbeat)
    body = {**tick_body(report), "heartbeat": heartbeat}
    return answer(body, problem, by_schedule=by_schedule)


def _measured(stack: str, report: TickReport) -> list[str]:
    unseen = [t for t in report.tables if t.error and t.lag is None and not t.untold]
    counts = {
        "ExportsStarted": report.count("started"),
        "ExportsCompleted": report.count("verified"),
        "ExportsFailed": report.count("failed", "damaged"),
        "StaleTables": sum(t.stale for t in report.tables),
        "UncoveredTables": len(report.uncovered),
        "UnseenTables": len(unseen),
    }
    lags = {t.name: t.lag for t in report.tables if t.lag is not None}
    return list(metric_lines(stack, report.at, counts, lags))


def _unheard(report: TickReport, covered: Cover) -> ColdtableError | None:
    """What nobody could be told of, in one error."""
    untold = [(t.name, t.error) for t in report.tables if t.untold and t.error]
    lines = [f"{name}: {error.message}" for name, error in untold]
    if covered.problem:
        lines.insert(0, f"not every table could be found: {covered.problem.message}")
    errors = [covered.problem, *(error for _, error in untold)]
    return unheard("The tick met what it could tell nobody of", lines, errors)


def _beat(configuration: Configuration, beacon: Beacon) -> str:
    """``none`` without a URL, ``sent``, or why it could not be; it is not worth a failed run."""
    if configuration.heartbeat_url is None:
        return "none"
    try:
        beacon.beat(configuration.heartbeat_url)
    except ColdtableError as error:
        log.error("no heartbeat", extra={"code": error.code, "error": error.message})
        return error.message
    return "sent"


def _log(report: TickReport, heartbeat: str) -> None:
    summary = tick_body(report)
    del summary["tables"], summary["schema"]
    log.info("tick", extra={"tables": len(report.tables), **summary, "heartbeat": heartbeat})
    for line in report.tables:
        for step in line.steps:
            if step.kind in _QUIET:
                log.info(
                    step.kind,
                    extra={"table": line.name, "did": step.text, "exportArn": step.arn or None},
                )
        for subject in line.told:
            log.info("told", extra={"table": line.name, "subject": subject})


def _world(watch: Watch) -> World:
    return World(
        exporter=DynamoDbExporter(_CLIENTS.client("dynamodb")),
        directory=DynamoDbDirectory(
            _CLIENTS.client("dynamodb"), lambda: _CLIENTS.client("resourcegroupstaggingapi")
        ),
        objects=_CLIENTS.objects,
        notifier=SnsNotifier(_CLIENTS.client("sns"), topic()),
        watch=watch,
        now=datetime.now(UTC),
    )
