"""One firing of a schedule: assume the role, invoke the target, retry, and give up into the DLQ.

Back-off is shortened to fractions of a second. UNVERIFIED: client errors other than throttling are
not retried; the words of the error codes; that the DLQ's body is the target's input; the event that
a target without Input gets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import messages
from .interface import Inner, Reply
from .schedule import UNTRUSTED, Schedule

BACKOFF, LONGEST_BACKOFF = 0.1, 2.0
_log = logging.getLogger("coldtable.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """An attempt that did not work, after ``retries`` others."""

    code: str
    message: str
    execution_id: str
    payload: str
    retries: int
    retryable: bool


class Deliverer:
    """Delivers firings. ``assume`` gives an access key of a schedule's role for a session of that
    name, or ``None`` when the role does not trust the scheduler; ``now`` is the emulator's time.
    """

    def __init__(
        self,
        inner: Inner,
        assume: Callable[[Schedule, str], str | None],
        now: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._assume = assume
        self._now = now
        self._pause = pause

    async def deliver(self, schedule: Schedule, due: datetime) -> bool:
        """Whether the target took it. A failure ends in the dead-letter queue, if there is one."""
        policy = schedule.target.get("RetryPolicy") or {}
        retries = int(policy.get("MaximumRetryAttempts", 185))
        age = float(policy.get("MaximumEventAgeInSeconds", 86400))
        attempt = 0
        while True:
            attempt += 1
            failure = await self._attempt(schedule, due, attempt)
            if failure is None:
                return True
            exhausted = ""
            if not failure.retryable or attempt > retries:
                exhausted = "MaximumRetryAttempts"
            elif (self._now() - due).total_seconds() > age:
                exhausted = "MaximumEventAgeInSeconds"
            if exhausted:
                await self._bury(schedule, due, failure, exhausted)
                return False
            await self._pause(min(BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF))

    async def _attempt(self, schedule: Schedule, due: datetime, attempt: int) -> _Failure | None:
        execution_id = secrets.token_hex(8)
        payload = _payload(schedule, due, attempt, execution_id)
        key = self._assume(schedule, execution_id)
        if key is None:
            code, message, retryable = "AccessDeniedException", UNTRUSTED, False
        else:
            reply = await messages.send(
                self._inner, schedule.scope, schedule.target["Arn"], payload, {}, access_key=key
            )
            if reply.status < 300:
                return None
            code, message = _error(reply)
            retryable = reply.status == 429 or reply.status >= 500
        return _Failure(
            code=code,
            message=message,
            execution_id=execution_id,
            payload=payload,
            retries=attempt - 1,
            retryable=retryable,
        )

    async def _bury(
        self, schedule: Schedule, due: datetime, failure: _Failure, exhausted: str
    ) -> None:
        _log.warning("schedule %s: %s: %s", schedule.name, failure.code, failure.message)
        queue = (schedule.target.get("DeadLetterConfig") or {}).get("Arn")
        key = self._assume(schedule, failure.execution_id)
        if not queue or key is None:
            return
        attributes = {
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message[:1024],
            "EXECUTION_ID": failure.execution_id,
            "EXHAUSTED_RETRY_CONDITION": exhausted,
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": str(failure.retries),
            "SCHEDULED_TIME": f"{due:%Y-%m-%dT%H:%M:%SZ}",
            "SCHEDULE_ARN": schedule.arn,
            "TARGET_ARN": schedule.target["Arn"],
        }
        typed = {name: ("String", value) for name, value in attributes.items()}
        reply = await messages.send_to_queue(
            self._inner, schedule.scope, queue, failure.payload, typed, access_key=key
        )
        if reply.status >= 300:
            _log.warning("schedule %s: dead letter refused: %s", schedule.name, _error(reply)[1])


def _payload(schedule: Schedule, due: datetime, attempt: int, execution_id: str) -> str:
    text = schedule.target.get("Input")
    if not text:
        return _default_event(schedule, due)
    for name, value in {
        "schedule-arn": schedule.arn,
        "scheduled-time": f"{due:%Y-%m-%dT%H:%M:%SZ}",
        "execution-id": execution_id,
        "attempt-number": str(attempt),
    }.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return str(text)


def _default_event(schedule: Schedule, due: datetime) -> str:
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": schedule.scope.account,
        "time": f"{due:%Y-%m-%dT%H:%M:%SZ}",
        "region": schedule.scope.region,
        "resources": [schedule.arn],
        "detail": "{}",
    }
    return json.dumps(event)


def _error(reply: Reply) -> tuple[str, str]:
    text = reply.body.decode(errors="replace")
    try:
        answer: Mapping[str, Any] = json.loads(text)
    except ValueError:
        answer = {}
    code = reply.headers.get("x-amzn-errortype") or answer.get("__type") or answer.get("Code") or ""
    message = answer.get("message") or answer.get("Message") or text
    return str(code).split(":")[0].rsplit("#", 1)[-1] or str(reply.status), str(message)
