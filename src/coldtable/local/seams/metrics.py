"""CloudWatch: metrics of functions, queues and log lines, and alarms that look at the right ones.

ministack counts an asynchronous invocation as a success before it has run, keeps no queue metrics,
takes no metrics from log lines, and judges an alarm on the points of every function in the account.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc

from .. import alarm as alarms
from .. import emf
from ..interface import Inner, Scope

TICK = 0.5
# A watched queue that does not change still gives a point this often, in emulated seconds.
_QUEUE_EVERY = 30.0
_VISIBLE = "ApproximateNumberOfMessagesVisible"


def install() -> None:
    """Count invocations where they happen, and judge alarms by their dimensions."""
    lambda_svc._execute_function_dispatch = _counting(lambda_svc._execute_function_dispatch)
    lambda_svc._emit_lambda_metrics = _throttles_only
    cloudwatch._evaluate_alarm = _evaluate
    cloudwatch_logs._append_log_events = _measuring(cloudwatch_logs._append_log_events)


def _counting(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def dispatch(
        func: dict[str, Any],
        config: Mapping[str, Any],
        event: object,
        request_id: str,
        started: float,
    ) -> dict[str, Any]:
        result = original(func, config, event, request_id, started)
        name = str(config.get("FunctionName", ""))
        failed = bool(result.get("error"))
        _record(name, Invocations=1, Errors=int(failed), Throttles=0)
        duration = max(0.0, (time.time() - started) * 1000)
        cloudwatch.record_metric(
            "AWS/Lambda", "Duration", duration, "Milliseconds", {"FunctionName": name}
        )
        return result

    return dispatch


def _measuring(original: Callable[..., None]) -> Callable[..., None]:
    """Every line of every log passes here, a function's and PutLogEvents', in its account."""

    def append_log_events(stream: dict[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
        original(stream, events)
        for event in events:
            for point in emf.points(str(event.get("message", ""))):
                dimensions = dict(point.dimensions)
                key = (point.namespace, point.name, cloudwatch._dims_key(dimensions))
                cloudwatch._metric_bucket(key).append(
                    {
                        "Timestamp": point.when,
                        "Value": point.value,
                        "Unit": point.unit,
                        "Dimensions": dimensions,
                    }
                )

    return append_log_events


def _throttles_only(
    function_name: str,
    duration_ms: float,  # noqa: ARG001
    error: bool,  # noqa: ARG001
    throttle: bool,
) -> None:
    if throttle:
        _record(function_name, Throttles=1)


def _record(function: str, **counts: int) -> None:
    for metric, count in counts.items():
        cloudwatch.record_metric("AWS/Lambda", metric, count, "Count", {"FunctionName": function})


def _evaluate(alarm: dict[str, Any]) -> None:
    if not alarm.get("Namespace") or not alarm.get("MetricName"):
        return
    found = _points(alarm)
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"

    def fold(values: Sequence[float]) -> float:
        points = [{"Value": value} for value in values]
        value = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)
        return float(value or 0)

    verdict = alarms.judge(alarm, found, fold, time.time())
    before = alarm["StateValue"]
    if verdict.state == before:
        return
    alarm["StateValue"] = verdict.state
    alarm["StateReason"] = verdict.reason
    alarm["StateUpdatedTimestamp"] = int(time.time())
    cloudwatch._record_history(alarm["AlarmName"], before, verdict.state, verdict.reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, verdict.state, verdict.reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _points(alarm: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Time and value of every point of exactly this metric, counted values repeated."""
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(_dimensions(alarm)))
    unit = alarm.get("Unit")
    found = []
    for point in list(cloudwatch._metrics.get(key) or ()):
        if unit and point.get("Unit") != unit:
            continue
        statistics = point.get("_stat")
        if statistics is not None:
            found += [(point["Timestamp"], float(statistics[m])) for m in ("Minimum", "Maximum")]
        else:
            found += [(point["Timestamp"], point["Value"])] * int(point.get("Count", 1))
    return found


def _dimensions(alarm: Mapping[str, Any]) -> dict[str, str]:
    return {d["Name"]: str(d["Value"]) for d in alarm.get("Dimensions") or []}


class Watch:
    """Looks at watched queues and at all alarms, twice a second."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self._last: dict[tuple[str, str, str], tuple[float, float]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(TICK)

    async def look(self) -> None:
        """Measure the queues once and judge every alarm."""
        for scope, name in set(_watched_queues()):
            await self._measure(scope, name)
        for scope in _scopes():
            contextvars.copy_context().run(_judge_all, scope)

    async def _measure(self, scope: Scope, name: str) -> None:
        visible = await self._visible(scope, name)
        if visible is None:
            return
        key = (scope.account, scope.region, name)
        now = time.time()
        value, when = self._last.get(key, (-1.0, 0.0))
        if visible != value or now - when >= _QUEUE_EVERY:
            self._last[key] = (visible, now)
            contextvars.copy_context().run(_record_queue, scope, name, visible)

    async def _visible(self, scope: Scope, name: str) -> float | None:
        request = {
            "QueueUrl": f"http://127.0.0.1/{scope.account}/{name}",
            "AttributeNames": ["ApproximateNumberOfMessages"],
        }
        reply = await self._inner.call(
            scope,
            "sqs",
            "POST",
            "/",
            headers={
                "x-amz-target": "AmazonSQS.GetQueueAttributes",
                "content-type": "application/x-amz-json-1.0",
            },
            body=json.dumps(request).encode(),
        )
        if reply.status >= 300:
            return None
        return float(json.loads(reply.body)["Attributes"]["ApproximateNumberOfMessages"])


def _scopes() -> set[Scope]:
    return {Scope(account=key[0], region=key[1]) for key in list(cloudwatch._alarms._data)}


def _watched_queues() -> Iterator[tuple[Scope, str]]:
    for (account, region, _), alarm in list(cloudwatch._alarms._data.items()):
        if (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/SQS", _VISIBLE):
            name = _dimensions(alarm).get("QueueName")
            if name:
                yield Scope(account=account, region=region), name


def _enter(scope: Scope) -> None:
    responses.set_request_account_id(scope.account)
    responses.set_request_region(scope.region)


def _judge_all(scope: Scope) -> None:
    _enter(scope)
    cloudwatch._evaluate_all_alarms()


def _record_queue(scope: Scope, name: str, visible: float) -> None:
    _enter(scope)
    cloudwatch.record_metric("AWS/SQS", _VISIBLE, visible, "Count", {"QueueName": name})
