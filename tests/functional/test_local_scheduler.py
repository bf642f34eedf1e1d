"""Schedules fire: in their zone, with their role, with retries and dead letters, in moved time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.errors import UsageError
from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client, until
from .test_local_lambda import zipped

_INPUT = json.dumps(
    {
        "time": "<aws.scheduler.scheduled-time>",
        "arn": "<aws.scheduler.schedule-arn>",
        "id": "<aws.scheduler.execution-id>",
        "attempt": "<aws.scheduler.attempt-number>",
    }
)


class World:
    """A queue as target, another for dead letters, and a role that may do what ``allow`` says."""

    def __init__(self, boto: Boto, account: str) -> None:
        self.boto = boto
        self.account = account
        self.target = self._queue("target")
        self.dead = self._queue("dead")
        self.group = f"arn:aws:scheduler:us-east-1:{account}:schedule-group/default"

    def _queue(self, name: str) -> str:
        return str(self.boto("sqs").create_queue(QueueName=name)["QueueUrl"])

    def arn(self, name: str) -> str:
        return f"arn:aws:sqs:us-east-1:{self.account}:{name}"

    def role(self, *allow: str, source_arn: str = "", name: str = "scheduler") -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "scheduler.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {
                        "StringEquals": {
                            "aws:SourceAccount": self.account,
                            "aws:SourceArn": source_arn or self.group,
                        }
                    },
                }
            ],
        }
        iam = self.boto("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        if allow:
            statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": list(allow)}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def schedule(self, expression: str, role: str, **more: Any) -> None:
        target = {
            "Arn": self.arn("target"),
            "RoleArn": role,
            "Input": _INPUT,
            "DeadLetterConfig": {"Arn": self.arn("dead")},
            "RetryPolicy": {"MaximumRetryAttempts": 2},
            **more.pop("target", {}),
        }
        self.boto("scheduler").create_schedule(
            Name="s",
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
            **more,
        )

    def messages(self, url: str) -> list[dict[str, Any]]:
        """What is in the queue; afterwards it is empty."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.boto("sqs").receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if not page.get("Messages"):
                return found
            for message in page["Messages"]:
                found.append(message)
                self.boto("sqs").delete_message(
                    QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
                )

    def times(self) -> list[str]:
        return sorted(json.loads(m["Body"])["time"] for m in self.messages(self.target))


@pytest.fixture
def world(boto: Boto, account: str) -> World:
    return World(boto, account)


def _soon(aws: EmbeddedAws, seconds: float = 2.0) -> str:
    return f"at({aws.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S})"


def test_a_schedule_fires_with_its_context_attributes(aws: EmbeddedAws, world: World) -> None:
    """The placeholders are filled, and the role was really assumed."""
    role = world.role(world.arn("target"))
    world.schedule(_soon(aws), role)
    (message,) = until(lambda: world.messages(world.target))
    body = json.loads(message["Body"])
    assert body["arn"] == f"arn:aws:scheduler:us-east-1:{world.account}:schedule/default/s"
    assert datetime.fromisoformat(body["time"]) <= aws.now()
    assert body["attempt"] == "1"
    assert len(body["id"]) == 16


def test_a_role_that_may_not_call_the_target_ends_in_the_dead_letter_queue(
    aws: EmbeddedAws, world: World
) -> None:
    """The dead letter says who was denied what, for which schedule, when."""
    role = world.role(world.arn("dead"))
    world.schedule(_soon(aws), role)
    (letter,) = until(lambda: world.messages(world.dead))
    attributes = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
    assert "assumed-role/scheduler" in attributes["ERROR_MESSAGE"]
    assert "is not authorized to perform: sqs:sendmessage" in attributes["ERROR_MESSAGE"]
    assert attributes["TARGET_ARN"] == world.arn("target")
    assert attributes["SCHEDULE_ARN"].endswith(":schedule/default/s")
    assert attributes["SCHEDULED_TIME"] == json.loads(letter["Body"])["time"]
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert world.messages(world.target) == []


def test_a_role_that_trusts_another_group_is_refused(aws: EmbeddedAws, world: World) -> None:
    """The trust policy's SourceArn is compared with the schedule's group."""
    role = world.role(world.arn("target"), source_arn=world.group + "-other")
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume"):
        world.schedule(_soon(aws), role)


def test_a_one_time_schedule_can_delete_itself(aws: EmbeddedAws, world: World) -> None:
    """ActionAfterCompletion DELETE removes it once it has fired."""
    role = world.role(world.arn("target"))
    world.schedule(_soon(aws), role, ActionAfterCompletion="DELETE")
    until(lambda: world.messages(world.target))
    assert world.boto("scheduler").list_schedules()["Schedules"] == []


def test_a_bad_expression_or_zone_is_refused_at_creation(world: World) -> None:
    """ValidationException, as on AWS."""
    role = world.role()
    for more in (
        {"expression": "cron(0 4 * * * *)"},
        {"expression": "rate(1 day)", "ScheduleExpressionTimezone": "Mars/Base"},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            world.schedule(role=role, **more)


Start = Callable[..., EmbeddedAws]


@pytest.fixture
def moved(fresh_aws: Start) -> tuple[EmbeddedAws, World]:
    """An emulator of one's own, to move."""
    running = fresh_aws()

    def boto(service: str, **_: Any) -> Any:
        return client(running, service, "test", "test")

    return running, World(boto, running.account)


def test_a_move_fires_every_night_in_order_at_local_time(
    moved: tuple[EmbeddedAws, World],
) -> None:
    """Three days forward fire three nights, each with its own scheduled time in its zone."""
    running, world = moved
    midnight = running.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    running.move_to(midnight + timedelta(days=1, hours=12))
    world.schedule(
        "cron(0 4 * * ? *)",
        world.role(world.arn("target")),
        ScheduleExpressionTimezone="Asia/Tokyo",
    )
    answer = running.control("POST", "/clock", {"advance": 3 * 86400})
    assert answer["fired"] == 3
    days = [midnight + timedelta(days=n, hours=19) for n in (1, 2, 3)]
    assert world.times() == [f"{day:%Y-%m-%dT%H:%M:%SZ}" for day in days]


def test_a_trust_that_goes_away_stops_the_schedule(moved: tuple[EmbeddedAws, World]) -> None:
    """The role is assumed at each firing, not only checked at creation."""
    running, world = moved
    world.schedule("cron(0 4 * * ? *)", world.role(world.arn("target"), world.arn("dead")))
    running.advance(timedelta(days=1))
    assert len(world.times()) == 1
    world.boto("iam").update_assume_role_policy(
        RoleName="scheduler", PolicyDocument='{"Version": "2012-10-17", "Statement": []}'
    )
    answer = running.control("POST", "/clock", {"advance": 86400})
    assert answer["fired"] == 1
    assert (world.times(), world.messages(world.dead)) == ([], [])


def test_a_disabled_schedule_and_a_move_without_fire_stay_silent(
    moved: tuple[EmbeddedAws, World],
) -> None:
    """DISABLED never fires; ``fire=False`` skips what lay between, for good."""
    running, world = moved
    role = world.role(world.arn("target"))
    world.schedule("cron(0 4 * * ? *)", role, State="DISABLED")
    running.advance(timedelta(days=2))
    assert world.times() == []
    world.boto("scheduler").delete_schedule(Name="s")
    world.schedule("cron(0 4 * * ? *)", role)
    running.advance(timedelta(days=2), fire=False)
    assert world.times() == []
    running.advance(timedelta(days=1))
    assert len(world.times()) == 1


def test_a_move_with_too_many_firings_is_refused(moved: tuple[EmbeddedAws, World]) -> None:
    """A year of minutes is not started; the error says what to do instead."""
    running, world = moved
    world.schedule("rate(1 minute)", world.role(world.arn("target")))
    with pytest.raises(UsageError, match="smaller steps"):
        running.advance(timedelta(days=365))


def test_a_schedule_invokes_a_function(aws: EmbeddedAws, world: World) -> None:
    """With lambda:InvokeFunction the function gets the filled input as its event."""
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
    iam = world.boto("iam")
    function = world.boto("lambda").create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role=iam.create_role(RoleName="f", AssumeRolePolicyDocument=trust)["Role"]["Arn"],
        Handler="index.handler",
        Code={
            "ZipFile": zipped("def handler(event, context):\n    print('got', event['attempt'])\n")
        },
    )["FunctionArn"]
    role = world.role(world.arn("dead"))
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    iam.put_role_policy(
        RoleName="scheduler",
        PolicyName="invoke",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    world.schedule(_soon(aws), role, target={"Arn": function})
    logs = world.boto("logs")
    until(lambda: logs.describe_log_groups()["logGroups"])
    events = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
    assert "got 1" in [event["message"] for event in events]
    assert world.messages(world.dead) == []
