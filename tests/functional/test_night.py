"""Nights of a real installation on the embedded AWS: the good one, and every one that fails.

Each failure asserts the message that a person gets: in the dead-letter queue, by the alarm, or on
the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws
from coldtable.ops.follow import failure_of
from tests.functional.conftest import Boto, until
from tests.functional.installation import PATH, STACK, Installation

SCHEDULED = {"source": "coldtable.schedule", "scheduledTime": "2026-11-23T04:00:00Z"}


@pytest.fixture
def here(aws: EmbeddedAws, account: str, boto: Boto) -> Iterator[Installation]:
    """An account with the table orders; its schedule is gone afterwards, whatever happens."""
    made = Installation(aws, account, boto)
    made.add_table("orders")
    yield made
    made.boto("cloudformation").delete_stack(StackName=STACK)


def ended(here: Installation) -> list[dict[str, Any]]:
    """The account's exports once there are some and none is in progress."""

    def ask() -> list[dict[str, Any]]:
        exports = here.exports()
        return [] if any(e["ExportStatus"] == "IN_PROGRESS" for e in exports) else exports

    found: list[dict[str, Any]] = until(ask)
    return found


def test_a_good_night(here: Installation) -> None:
    """The schedule exports the state of the moment, under its date, and nothing is reported."""
    here.deploy("orders")
    here.scene.put({"id": {"S": "1"}, "state": {"S": "before"}})
    moment = here.next_moment()
    here.aws.move_to(moment)
    here.scene.put({"id": {"S": "1"}, "state": {"S": "after"}}, {"id": {"S": "2"}})
    here.to_schedule(moment)
    (export,) = ended(here)
    assert export["ExportStatus"] == "COMPLETED"
    assert export["ExportTime"] == moment
    assert export["S3Prefix"] == f"{moment:%Y/%m/%d}/orders"
    assert export["ItemCount"] == 1
    assert here.dead_letters() == []


def test_the_next_night_is_another_export(here: Installation) -> None:
    """Every day has its own export under its own date."""
    here.deploy("orders")
    first = here.next_moment()
    here.to_schedule(first)
    here.to_schedule(here.next_moment())
    prefixes = sorted(e["S3Prefix"] for e in ended(here))
    assert len(prefixes) == 2
    assert prefixes[0] == f"{first:%Y/%m/%d}/orders"


def test_one_table_of_two_has_pitr_off(here: Installation) -> None:
    """The other is exported; the run fails, and says which table and how to turn PITR on."""
    here.add_table("users")
    here.deploy("orders", "users")
    here.switch_pitr("users", on=False)
    here.to_schedule(here.next_moment())
    (letter,) = until(here.dead_letters)
    assert "1 of 2 tables could not be exported: users: " in letter
    assert "Point-in-time recovery is off for table users" in letter
    assert "hint: Turn it on: aws dynamodb update-continuous-backups --table-name users" in letter
    (export,) = ended(here)
    assert "table/orders/" in export["ExportArn"]


def test_a_parameter_is_missing(here: Installation) -> None:
    """Its full name is in the dead letter; nothing was exported with a guess in its place."""
    here.deploy("orders")
    here.boto("ssm").delete_parameter(Name=f"{PATH}/BACKUP_HOUR_STR")
    here.to_schedule(here.next_moment())
    (letter,) = until(here.dead_letters)
    assert f"The parameter {PATH}/BACKUP_HOUR_STR does not exist" in letter
    assert here.exports() == []


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:ExportTableToPointInTime",
        "dynamodb:DescribeTable",
        "ssm:GetParametersByPath",
    ],
)
def test_the_function_s_role_lacks_an_action(here: Installation, action: str) -> None:
    """The dead letter names the IAM action that is missing."""
    here.deploy("orders")
    here.scene.take_away(action, STACK)
    here.to_schedule(here.next_moment())
    (letter,) = until(here.dead_letters)
    assert f"{action} is missing" in letter
    assert here.exports() == []


def test_the_schedule_s_role_may_not_invoke(here: Installation) -> None:
    """The scheduler's own dead letter names lambda:InvokeFunction."""
    here.deploy("orders")
    here.scene.take_away("lambda:InvokeFunction", STACK)
    here.to_schedule(here.next_moment())
    (letter,) = until(here.dead_letters)
    assert "lambda:InvokeFunction" in letter
    assert "not authorized" in letter


def test_the_function_s_role_may_not_write(here: Installation) -> None:
    """AWS accepts the export and fails it; the error names s3:PutObject and the bucket."""
    here.deploy("orders")
    here.scene.take_away("s3:PutObject", STACK)
    here.to_schedule(here.next_moment())
    (export,) = ended(here)
    assert (export["ExportStatus"], export["FailureCode"]) == ("FAILED", "S3AccessDenied")
    problem = failure_of(here.exporter().describe(export["ExportArn"]))
    assert problem is not None
    assert problem.exit_code == 11
    assert "s3:PutObject" in problem.hint
    assert here.outputs["Bucket"] in problem.hint


def test_the_bucket_does_not_exist(here: Installation) -> None:
    """AWS accepts the export and fails it; the error says which bucket to create."""
    here.deploy("orders")
    here.boto("ssm").put_parameter(
        Name=f"{PATH}/BACKUP_BUCKET_NAME", Value="nowhere-at-all", Overwrite=True
    )
    # The role may write into its own bucket alone, so AWS would not even tell that there is none.
    here.boto("iam").put_role_policy(
        RoleName=here.role(),
        PolicyName="any-bucket",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
            }
        ),
    )
    here.to_schedule(here.next_moment())
    (export,) = ended(here)
    assert (export["ExportStatus"], export["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    problem = failure_of(here.exporter().describe(export["ExportArn"]))
    assert problem is not None
    assert problem.exit_code == 12
    assert problem.hint == "Create the bucket nowhere-at-all, or correct BACKUP_BUCKET_NAME"


def test_the_same_event_twice_is_one_export(here: Installation) -> None:
    """Scheduler delivers at least once; a second delivery gets the first one's export."""
    here.deploy("orders")
    moment = here.next_moment()
    here.aws.move_to(moment, fire=False)
    event = {"scheduledTime": here.aws.now().isoformat()}
    first, second = here.invoke(event), here.invoke(event)
    assert first == second
    assert first["statusCode"] == 200
    body = json.loads(first["body"])
    assert [line["tableName"] for line in body["exports"]] == ["orders"]
    assert len(here.exports()) == 1


def test_by_hand_a_failure_is_an_answer(here: Installation) -> None:
    """Invoked by a person the function answers 500 with code and hint, and does not raise."""
    here.deploy("orders")
    here.switch_pitr("orders", on=False)
    answer = here.invoke({})
    assert answer["statusCode"] == 500
    (failed,) = json.loads(answer["body"])["failedExports"]
    assert failed["tableName"] == "orders"
    assert failed["code"] == "PitrDisabled"
    assert "update-continuous-backups --table-name orders" in failed["hint"]


def test_a_failed_night_raises_the_alarms(here: Installation) -> None:
    """Both alarms go off, and whoever subscribed to the topic is told."""
    here.deploy("orders")
    here.listen()
    here.switch_pitr("orders", on=False)
    here.to_schedule(here.next_moment())
    both = {f"{STACK}-export-errors", f"{STACK}-export-undelivered"}
    until(lambda: {here.scene.alarms(STACK)[name] for name in both} == {"ALARM"})
    # A new alarm first becomes OK, and that is told too.
    until(lambda: both <= {name for name, state in here.alarms_told() if state == "ALARM"})


def test_the_log_is_json_with_table_and_export(here: Installation) -> None:
    """Its lines are JSON; an export's start has table, ARN and request id; the SDK is silent."""
    here.deploy("orders")
    here.to_schedule(here.next_moment())
    (export,) = ended(here)

    def log() -> list[str]:
        events = here.boto("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{STACK}-export", filterPattern=""
        )["events"]
        return [e["message"] for e in events]

    def started() -> list[dict[str, Any]]:
        lines = [json.loads(message) for message in log() if message.startswith("{")]
        return [line for line in lines if line.get("message") == "export started"]

    (line,) = until(started)
    assert not [e for e in log() if "botocore" in e]
    assert line["table"] == "orders"
    assert line["exportArn"] == export["ExportArn"]
    assert line["requestId"]
