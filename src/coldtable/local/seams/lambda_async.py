"""Asynchronous invocations: retries, then the on-failure destination and the dead-letter queue.

ministack sends the destination's envelope to a dead-letter queue too, asks no role, and counts
three attempts whatever happened. On AWS the queue gets the event itself with three attributes, and
the function's role must allow it [docs: Lambda, retaining records of asynchronous invocations].

Back-off is shortened: AWS waits 1 and then 2 minutes. UNVERIFIED: the request id in both records
is one of the invocation as a whole; each attempt here logs an id of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core import lambda_runtime, responses
from ministack.services import lambda_svc

from .. import messages
from ..interface import Inner, Scope

BACKOFF = 0.2
_THROTTLED_FOR = 60.0
_log = logging.getLogger("coldtable.local")


class Flights:
    """Counts asynchronous invocations that are not finished, retries included."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        with self._changed:
            self._count += 1

    def end(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether none was left within ``seconds`` of real time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How an invocation ended after ``attempts`` tries."""

    result: Mapping[str, Any]
    attempts: int
    condition: str

    @property
    def payload(self) -> Mapping[str, Any]:
        body = self.result.get("body")
        return body if isinstance(body, dict) else {}


def install(inner: Inner, flights: Flights, loop: asyncio.AbstractEventLoop) -> None:
    """Every asynchronous invocation in ministack goes through here."""

    def invoke_async_with_retry(func: dict[str, Any], event: object) -> None:
        flights.begin()

        def run() -> None:
            try:
                _invoke(inner, loop, func, event)
            finally:
                flights.end()

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), daemon=True).start()

    lambda_svc.invoke_async_with_retry = invoke_async_with_retry


def _invoke(
    inner: Inner, loop: asyncio.AbstractEventLoop, func: dict[str, Any], event: object
) -> None:
    config = func.get("config") or func
    account, region = lambda_svc._account_region_from_function_config(config)
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    rules = _rules(func)
    outcome = _attempts(func, event, rules)
    destinations = rules.get("DestinationConfig") or {}
    failed = bool(outcome.result.get("error"))
    chosen = (destinations.get("OnFailure" if failed else "OnSuccess") or {}).get("Destination")
    dead = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    key = lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]
    scope = Scope(account=account, region=region)
    request_id = str(uuid.uuid4())
    letters: list[tuple[str, str, dict[str, tuple[str, str]]]] = []
    if chosen:
        letters.append((chosen, _envelope(config, event, outcome, request_id), {}))
    if dead and failed:
        letters.append((dead, json.dumps(event), _dead_letter_attributes(outcome, request_id)))
    for target, body, attributes in letters:
        sending = messages.send(inner, scope, target, body, attributes, access_key=key)
        reply = asyncio.run_coroutine_threadsafe(sending, loop).result(30)
        if reply.status >= 300:
            _log.warning(
                "%s could not send to %s: %s",
                config.get("FunctionName"),
                target,
                reply.body.decode(errors="replace"),
            )


def _rules(func: Mapping[str, Any]) -> Mapping[str, Any]:
    """The EventInvokeConfig that applies; empty when there is none."""
    by_qualifier = func.get("event_invoke_configs") or {}
    config = func.get("config") or func
    version = config.get("Version", "$LATEST")
    found = by_qualifier.get(version) or by_qualifier.get("") or func.get("event_invoke_config")
    return found or {}


def _attempts(func: dict[str, Any], event: object, rules: Mapping[str, Any]) -> _Outcome:
    chosen = rules.get("MaximumRetryAttempts")
    retries = 2 if chosen is None else int(chosen)
    age = float(rules.get("MaximumEventAgeInSeconds") or 21600)
    started, real = time.time(), time.monotonic()
    attempts = 0
    condition = "RetriesExhausted"
    while True:
        result: Mapping[str, Any] = lambda_svc._execute_function(func, event)
        if result.get("throttle") and time.monotonic() - real < _THROTTLED_FOR:
            # AWS retries throttled events until they are too old and counts no attempt.
            time.sleep(BACKOFF)
            continue
        attempts += 1
        if not result.get("error"):
            condition = "Success"
            break
        if attempts > retries:
            break
        time.sleep(BACKOFF * 2 ** (attempts - 1))
        if time.time() - started > age:
            condition = "EventAgeExceeded"
            break
    return _Outcome(result=result, attempts=attempts, condition=condition)


def _envelope(config: Mapping[str, Any], event: object, outcome: _Outcome, request_id: str) -> str:
    version = config.get("Version", "$LATEST")
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": version}
    if outcome.condition != "Success":
        response["functionError"] = "Unhandled"
    record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{config.get('FunctionArn', '')}:{version}",
            "condition": outcome.condition,
            "approximateInvokeCount": outcome.attempts,
        },
        "requestPayload": event,
        "responseContext": response,
        "responsePayload": outcome.result.get("body"),
    }
    return json.dumps(record)


def _dead_letter_attributes(outcome: _Outcome, request_id: str) -> dict[str, tuple[str, str]]:
    message = str(outcome.payload.get("errorMessage") or "Unhandled")
    return {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", message[:1024]),
    }
