"""``AWS::Scheduler::Schedule`` and its group: all properties arrive, and a refusal is a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .cfn_calls import Calls

Properties = Mapping[str, Any]

_PASSED = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
    "GroupName",
    "State",
    "Description",
    "KmsKeyArn",
)
_NUMBERS = ("MaximumEventAgeInSeconds", "MaximumRetryAttempts", "MaximumWindowInMinutes")


def check_group(calls: Calls, props: Properties) -> None:
    """The provisioner would take over a group that exists."""
    name = props.get("Name")
    if name and _found(calls, f"/schedule-groups/{quote(str(name))}"):
        raise ValueError(f"Schedule group {name} already exists.")


def check(calls: Calls, props: Properties) -> None:
    """The provisioner ignores refusals: a taken name and a group that is not there."""
    group = str(props.get("GroupName", "default"))
    if not _found(calls, f"/schedule-groups/{quote(group)}"):
        raise ValueError(f"Schedule group {group} does not exist.")
    name = props.get("Name")
    if name and _found(calls, f"/schedules/{quote(str(name))}", f"groupName={quote(group)}"):
        raise ValueError(f"Schedule {name} already exists.")


def complete(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    """UpdateSchedule with all properties: it validates, and it replaces what was there."""
    if old == new:
        return
    request: dict[str, Any] = {key: new[key] for key in _PASSED if key in new}
    for key in ("StartDate", "EndDate"):
        if new.get(key):
            request[key] = _epoch(str(new[key]))
    body = json.dumps(_numbers(request)).encode()
    try:
        calls.http("scheduler", "PUT", f"/schedules/{quote(name)}", body=body)
    except ValueError:
        if not old:
            # CloudFormation has no id of a resource whose creation failed: it must not stay.
            group = quote(str(new.get("GroupName", "default")))
            calls.http(
                "scheduler", "DELETE", f"/schedules/{quote(name)}", query=f"groupName={group}"
            )
        raise


def _found(calls: Calls, path: str, query: str = "") -> bool:
    return calls.http("scheduler", "GET", path, query=query, accept=(404,)).status == 200


def _epoch(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _numbers(value: Any) -> Any:
    """Templates may write a number as a string; the API does not."""
    if isinstance(value, Mapping):
        return {
            key: int(inside) if key in _NUMBERS else _numbers(inside)
            for key, inside in value.items()
        }
    return value
