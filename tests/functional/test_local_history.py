"""Every way to write reaches the history, and the history comes back as it was."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws

from .conftest import client, until
from .exporter import Account, Item, here, item, key, real, values

__all__ = ["here", "real"]
pytestmark = pytest.mark.functional


def _update(here: Account) -> None:
    here.dynamodb.update_item(
        TableName="orders",
        Key=item("seed"),
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "updated"}},
    )


def _batch(here: Account) -> None:
    here.dynamodb.batch_write_item(
        RequestItems={
            "orders": [
                {"PutRequest": {"Item": item("batch")}},
                {"DeleteRequest": {"Key": item("seed")}},
            ]
        }
    )


def _transaction(here: Account) -> None:
    here.dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "orders", "Item": item("t1")}},
            {"Delete": {"TableName": "orders", "Key": item("seed")}},
            {"Put": {"TableName": "orders", "Item": item("t2")}},
        ]
    )


def _partiql(here: Account) -> None:
    run = here.dynamodb.execute_statement
    run(Statement="INSERT INTO \"orders\" VALUE {'pk': 'ql', 'sk': 1}")
    run(Statement="UPDATE \"orders\" SET v='x' WHERE pk='seed' AND sk=1")


def _partiql_transaction(here: Account) -> None:
    here.dynamodb.execute_transaction(
        TransactStatements=[
            {"Statement": "INSERT INTO \"orders\" VALUE {'pk': 'qt', 'sk': 1}"},
            {"Statement": "DELETE FROM \"orders\" WHERE pk='seed' AND sk=1"},
        ]
    )


def _failed_condition(here: Account) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: here.dynamodb.put_item(
            TableName="orders",
            Item=item("seed", v={"S": "no"}),
            ConditionExpression="attribute_not_exists(pk)",
        ),
        lambda: here.dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "orders", "Item": item("no")}},
                {
                    "ConditionCheck": {
                        "TableName": "orders",
                        "Key": item("nobody"),
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                },
            ]
        ),
        lambda: here.dynamodb.execute_transaction(
            TransactStatements=[
                {"Statement": "INSERT INTO \"orders\" VALUE {'pk': 'no', 'sk': 1}"},
                {"Statement": "INSERT INTO \"orders\" VALUE {'pk': 'seed', 'sk': 1}"},
            ]
        ),
    ]
    for call in calls:
        with pytest.raises(ClientError):
            call()


def _time_to_live(here: Account) -> None:
    here.dynamodb.update_time_to_live(
        TableName="orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    soon = int(here.aws.now().timestamp()) + 5
    here.put("expires", ttl={"N": str(soon)})
    here.aws.advance(10)


def _state_machine(here: Account) -> None:
    steps = client(here.aws, "stepfunctions", here.number, "test")
    iam = client(here.aws, "iam", here.number, "test")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}}
    iam.create_role(
        RoleName="writer",
        AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
        ),
    )
    iam.put_role_policy(
        RoleName="writer",
        PolicyName="p",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": here.arn}
                ],
            }
        ),
    )
    definition = {
        "StartAt": "Put",
        "States": {
            "Put": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Parameters": {"TableName": "orders", "Item": item("machine")},
                "End": True,
            }
        },
    }
    made = steps.create_state_machine(
        name="writer",
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::{here.number}:role/writer",
    )
    run = steps.start_execution(stateMachineArn=made["stateMachineArn"])["executionArn"]
    done = until(lambda: steps.describe_execution(executionArn=run)["status"] != "RUNNING")
    assert done
    assert ("machine", "1") in here.scan()


WAYS = [
    _update,
    _batch,
    _transaction,
    _partiql,
    _partiql_transaction,
    _failed_condition,
    _time_to_live,
    _state_machine,
]


@pytest.mark.parametrize("write", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_every_way_to_write_is_journaled(here: Account, write: Callable[[Account], None]) -> None:
    """After it an export is what a Scan shows; the moment before it is still the old state."""
    here.put("seed", v={"S": "first"})
    before = here.scan()
    start = here.settle()
    write(here)
    after = here.scan()
    stop = here.settle()
    here.aws.advance(1200)
    assert values(here.state(here.export())) == values(after)
    assert values(here.state(here.export(ExportTime=start))) == values(before)
    built = dict(before)
    for row in here.rows(here.window(start, stop + timedelta(seconds=1000))):
        if "NewImage" in row:
            built[key(row["NewImage"])] = row["NewImage"]
        else:
            del built[key(row["Keys"])]
    assert values(built) == values(after)


def test_a_transaction_is_one_instant(here: Account) -> None:
    """All its records carry the same WriteTimestampMicros."""
    start = here.settle()
    _transaction(here)
    here.aws.advance(1200)
    rows = here.rows(here.window(start, here.aws.now()))
    assert len(rows) == 2
    assert len({row["Metadata"]["WriteTimestampMicros"]["N"] for row in rows}) == 1


TYPES: Item = {
    "number": {"N": "-12345678901234567890123456789012345678"},
    "tiny": {"N": "0.0000000000000000000000000000000000001"},
    "text": {"S": 'ü\n"quoted" 日本'},
    "empty": {"S": ""},
    "nothing": {"B": b""},
    "bytes": {"B": b"\x00\xff"},
    "yes": {"BOOL": True},
    "null": {"NULL": True},
    "list": {"L": [{"S": "x"}, {"M": {"deep": {"L": []}}}]},
    "map": {"M": {"set": {"SS": ["b", "a"]}}},
    "numbers": {"NS": ["1", "2.5", "-3"]},
    "blobs": {"BS": [b"a", b""]},
}


@pytest.mark.parametrize("how", ["DYNAMODB_JSON", "ION"])
def test_all_types_survive_export_and_import(here: Account, how: str) -> None:
    """Every DynamoDB type, both formats: exported, imported, and equal to what was put."""
    here.put("types", **TYPES)
    done = here.export(ExportFormat=how)
    assert done["ExportFormat"] == how
    prefix = done["ExportManifest"].removesuffix("manifest-summary.json") + "data/"
    started = here.dynamodb.import_table(
        S3BucketSource={"S3Bucket": here.bucket, "S3KeyPrefix": prefix},
        InputFormat=how,
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": "copy",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )["ImportTableDescription"]

    def ask() -> Item | None:
        found = here.dynamodb.describe_import(ImportArn=started["ImportArn"])
        description: Item = found["ImportTableDescription"]
        return None if description["ImportStatus"] == "IN_PROGRESS" else description

    loaded = until(ask)
    assert (loaded["ImportStatus"], loaded["ImportedItemCount"]) == ("COMPLETED", 1), loaded
    copied = here.dynamodb.describe_table(TableName="copy")["Table"]
    assert (copied["TableId"], copied["TableStatus"]) == (started["TableId"], "ACTIVE")
    assert values(here.scan("copy")) == values(here.scan())


def test_restore_brings_the_moment_back(here: Account) -> None:
    """A new table with the items of that second, ACTIVE when they are all there."""
    for number in range(60):
        here.put(f"p{number}")
    moment = here.settle()
    here.put("late")
    here.later()
    here.dynamodb.restore_table_to_point_in_time(
        SourceTableName="orders", TargetTableName="back", RestoreDateTime=moment
    )

    def active() -> bool:
        table = here.dynamodb.describe_table(TableName="back")["Table"]
        return bool(table["TableStatus"] == "ACTIVE")

    until(active)
    assert set(here.scan("back")) == {(f"p{number}", "1") for number in range(60)}


def test_threads_of_writers_and_moments(here: Account) -> None:
    """Four threads write through every path while moments pass; each export is the state that
    was scanned then, and the windows between them lead from one to the next.
    """
    moments: list[tuple[datetime, dict[tuple[str, str], Item]]] = []
    for round_ in range(3):
        threads = [threading.Thread(target=_storm, args=(here, name, round_)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        here.aws.advance(1)
        moments.append((here.settle(), here.scan()))
        here.aws.advance(1000)
    for moment, expected in moments:
        assert values(here.state(here.export(ExportTime=moment))) == values(expected)
    for (start, before), (stop, after) in itertools.pairwise(moments):
        built = dict(before)
        for row in here.rows(here.window(start, stop)):
            if "NewImage" in row:
                built[key(row["NewImage"])] = row["NewImage"]
            else:
                del built[key(row["Keys"])]
        assert values(built) == values(after)


def _storm(here: Account, name: str, round_: int) -> None:
    dynamodb = client(here.aws, "dynamodb", here.number, "test")
    for number in range(6):
        dynamodb.put_item(TableName="orders", Item=item(f"{name}{number}", round_, **TYPES))
    dynamodb.batch_write_item(
        RequestItems={
            "orders": [
                *({"PutRequest": {"Item": item(f"{name}{n}", 90)}} for n in range(5)),
                {"DeleteRequest": {"Key": item(f"{name}0", round_)}},
            ]
        }
    )
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "orders", "Item": item(f"{name}t", round_)}},
            {"Delete": {"TableName": "orders", "Key": item(f"{name}1", round_)}},
        ]
    )
    dynamodb.execute_statement(
        Statement='UPDATE "orders" SET v=? WHERE pk=? AND sk=?',
        Parameters=[{"N": str(round_)}, {"S": f"{name}2"}, {"N": str(round_)}],
    )


def test_history_survives_a_clean_restart(
    fresh_aws: Callable[..., EmbeddedAws], tmp_path: Any, account: str
) -> None:
    """With a state directory the past can be exported after a restart."""
    first = fresh_aws("--state", str(tmp_path), "--export-seconds", "0.05")
    before = Account(first, account)
    before.put("a", v={"N": "1"})
    moment = before.settle()
    before.put("a", v={"N": "2"})
    old = before.export()["ExportArn"]
    now = first.now()
    first.stop()
    again = fresh_aws("--state", str(tmp_path), "--clock", (now + timedelta(hours=1)).isoformat())
    after = object.__new__(Account)
    after.aws, after.number, after.arn, after.bucket = (
        again,
        account,
        before.arn,
        before.bucket,
    )
    after.dynamodb = client(again, "dynamodb", account, "test")
    after.s3 = client(again, "s3", account, "test")
    assert after.ended(old)["ExportStatus"] == "COMPLETED"
    assert after.state(after.export(ExportTime=moment))[("a", "1")]["v"] == {"N": "1"}
