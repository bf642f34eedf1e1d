"""The schedules that ministack keeps, without its own ticker, and with AWS's checks.

UNVERIFIED: the words of the errors for a bad expression, a bad zone and an untrusting role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core import responses
from ministack.services import scheduler

from ..interface import Scope
from ..schedule import UNTRUSTED, Schedule
from ..timing import ExpressionInvalid, Timing, parse, zone_of
from . import iam

SERVICE = "scheduler.amazonaws.com"

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Stop ministack's ticker and check what is created and updated."""
    scheduler.start_scheduler = lambda: None
    scheduler._create_schedule = _checking(scheduler._create_schedule)
    scheduler._update_schedule = _checking(scheduler._update_schedule)


class Book:
    """``scheduler.ScheduleBook`` over ministack's schedules."""

    def current(self) -> Iterator[Schedule]:
        return current()

    def delete(self, schedule: Schedule) -> None:
        delete(schedule)


def assume(schedule: Schedule, session: str) -> str | None:
    """An access key of the schedule's role; ``None`` when its trust forbids it."""
    return iam.assume_as_service(
        str(schedule.target["RoleArn"]), SERVICE, session, schedule.scope, schedule.source_arn
    )


def current() -> Iterator[Schedule]:
    """All schedules of all accounts and regions."""
    for (account, region, _), record in list(scheduler._schedules._data.items()):
        try:
            yield _read(Scope(account=account, region=region), record)
        except ExpressionInvalid:
            # Made before we checked: by CloudFormation's provisioner, or in an older state folder.
            continue


def delete(schedule: Schedule) -> None:
    """ActionAfterCompletion DELETE."""
    scope = schedule.scope
    scheduler._schedules._data.pop(
        (scope.account, scope.region, f"{schedule.group}/{schedule.name}"), None
    )
    scheduler._tags.pop(schedule.arn, None)


def _read(scope: Scope, record: Mapping[str, Any]) -> Schedule:
    return Schedule(
        scope=scope,
        name=record["Name"],
        group=record["GroupName"],
        arn=record["Arn"],
        changed=float(record["LastModificationDate"]),
        timing=Timing(
            expression=parse(record["ScheduleExpression"]),
            zone=zone_of(record.get("ScheduleExpressionTimezone") or "UTC"),
            created=datetime.fromtimestamp(float(record["CreationDate"]), UTC),
            start=_moment(record.get("StartDate")),
            end=_moment(record.get("EndDate")),
        ),
        target=record["Target"],
        enabled=record.get("State") == "ENABLED",
        delete_after=record.get("ActionAfterCompletion") == "DELETE",
    )


def _moment(value: object) -> datetime | None:
    epoch = scheduler._to_epoch(value)
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _checking(original: Callable[..., Answer]) -> Callable[..., Answer]:
    def check_and_do(name: str, body: Mapping[str, Any]) -> Answer:
        refusal = _refusal(body)
        if refusal is not None:
            answer: Answer = scheduler._error(400, "ValidationException", refusal)
            return answer
        return original(name, body)

    return check_and_do


def _refusal(body: Mapping[str, Any]) -> str | None:
    try:
        if body.get("ScheduleExpression"):
            parse(str(body["ScheduleExpression"]))
    except ExpressionInvalid as error:
        return f"Invalid Schedule Expression {body['ScheduleExpression']}: {error}."
    zone = body.get("ScheduleExpressionTimezone") or "UTC"
    try:
        zone_of(str(zone))
    except ExpressionInvalid:
        return f"Provided ScheduleExpressionTimezone {zone} is not valid."
    target = body.get("Target") or {}
    scope = Scope(account=responses.get_account_id(), region=responses.get_region())
    group = body.get("GroupName") or "default"
    source = f"arn:aws:scheduler:{scope.region}:{scope.account}:schedule-group/{group}"
    role = str(target.get("RoleArn") or "")
    if role and not iam.trusted(role, SERVICE, scope, source):
        return UNTRUSTED
    return None
