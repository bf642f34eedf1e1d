"""The embedded AWS keeps history and exports over real HTTP as DynamoDB does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from coldtable.local.process import EmbeddedAws

from .conftest import client, until

pytestmark = pytest.mark.functional
Item = dict[str, Any]


@pytest.fixture(scope="module")
def real() -> Iterator[EmbeddedAws]:
    """An emulator with AWS's own limits: five minutes of lag, windows of fifteen and more."""
    with EmbeddedAws(["--export-seconds", "0.05"]) as running:
        yield running


class Account:
    """One account: a table with PITR, a bucket, and what a test asks about them."""

    def __init__(self, aws: EmbeddedAws, number: str) -> None:
        self.aws = aws
        self.number = number
        self.dynamodb = client(aws, "dynamodb", number, "test")
        self.s3 = client(aws, "s3", number, "test")
        self.bucket = f"archive-{number}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.arn = self.create("orders")
        self.enable("orders")

    def create(self, name: str) -> str:
        """A table with a string and a number key; its ARN."""
        made = self.dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        return str(made["TableDescription"]["TableArn"])

    def enable(self, name: str) -> None:
        """PITR on."""
        self.dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )

    def put(self, pk: str, sk: int = 1, **more: Any) -> None:
        """PutItem."""
        self.dynamodb.put_item(TableName="orders", Item=item(pk, sk, **more))

    def settle(self) -> datetime:
        """A whole second after everything so far, which can be exported a moment later."""
        moment = (self.aws.now() + timedelta(seconds=1)).replace(microsecond=0)
        self.aws.move_to(moment)
        return moment

    def later(self) -> None:
        """Past the lag of five minutes."""
        self.aws.advance(301)

    def export(self, **more: Any) -> Item:
        """An export from start to end; its description."""
        started = self.dynamodb.export_table_to_point_in_time(
            TableArn=self.arn, S3Bucket=self.bucket, **more
        )
        return self.ended(started["ExportDescription"]["ExportArn"])

    def ended(self, arn: str) -> Item:
        """The export's description once it is over."""

        def ask() -> Item | None:
            found = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
            return None if found["ExportStatus"] == "IN_PROGRESS" else found

        done: Item = until(ask)
        return done

    def window(self, start: datetime, stop: datetime) -> Item:
        """An incremental export of ``[start, stop)``."""
        return self.export(
            ExportType="INCREMENTAL_EXPORT",
            IncrementalExportSpecification={"ExportFromTime": start, "ExportToTime": stop},
        )

    def read(self, key: str) -> bytes:
        """An object."""
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def rows(self, done: Item) -> list[Item]:
        """Every line of a completed export, each file checked against its manifest."""
        assert done["ExportStatus"] == "COMPLETED", done
        summary = json.loads(self.read(done["ExportManifest"]))
        found = []
        for line in self.read(summary["manifestFilesS3Key"]).decode().splitlines():
            file = json.loads(line)
            body = self.read(file["dataFileS3Key"])
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            assert base64.b64encode(digest).decode() == file["md5Checksum"]
            head = self.s3.head_object(Bucket=self.bucket, Key=file["dataFileS3Key"])
            assert head["ETag"].strip('"') == file["etag"]
            rows = gzip.decompress(body).splitlines()
            assert len(rows) == file["itemCount"]
            found += [json.loads(row) for row in rows]
        assert len(found) == summary["itemCount"] == done["ItemCount"]
        return found

    def state(self, done: Item) -> dict[tuple[str, str], Item]:
        """The items of a full export by key."""
        return {key(row["Item"]): row["Item"] for row in self.rows(done)}

    def scan(self, table: str = "orders") -> dict[tuple[str, str], Item]:
        """The items of a table now."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return {key(found): found for page in pages for found in page["Items"]}


def item(pk: str, sk: int = 1, **more: Any) -> Item:
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}, **more}


def key(found: Item) -> tuple[str, str]:
    return found["pk"]["S"], found["sk"]["N"]


def values(found: dict[tuple[str, str], Item]) -> dict[tuple[str, str], Item]:
    """Items as Python values, so that sets compare as sets and numbers as numbers.

    boto3 hands binary out decoded, an export holds base64.
    """
    read: Callable[[Any], Any] = cast(Any, TypeDeserializer)().deserialize
    return {
        name: {attribute: read(decoded(value)) for attribute, value in one.items()}
        for name, one in found.items()
    }


def decoded(value: Any) -> Any:
    """An attribute value with its binaries as bytes."""
    ((kind, held),) = value.items()
    if kind == "B":
        return {kind: held if isinstance(held, bytes) else base64.b64decode(held)}
    if kind == "BS":
        return {kind: [decoded({"B": one})["B"] for one in held]}
    if kind == "L":
        return {kind: [decoded(one) for one in held]}
    if kind == "M":
        return {kind: {name: decoded(one) for name, one in held.items()}}
    return value


@pytest.fixture
def here(real: EmbeddedAws, account: str) -> Account:
    """A fresh account with an empty table that keeps history."""
    return Account(real, account)


def refused(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """A call that must fail: code and text."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_earlier_moment_is_exported_as_it_was(here: Account) -> None:
    """Values then, not now; etags are what HeadObject shows; the objects lie where they should."""
    here.put("a", v={"N": "1"})
    here.put("gone")
    moment = here.settle()
    here.put("a", v={"N": "2"})
    here.put("late")
    here.dynamodb.delete_item(TableName="orders", Key=item("gone"))
    here.later()
    done = here.export(ExportTime=moment, S3Prefix="2026/11/23/orders")
    assert values(here.state(done)) == values(
        {("a", "1"): item("a", v={"N": "1"}), ("gone", "1"): item("gone")}
    )
    assert done["ExportTime"] == moment
    folder = done["ExportManifest"].removesuffix("manifest-summary.json")
    assert re.fullmatch(r"2026/11/23/orders/AWSDynamoDB/\d{14}-[0-9a-f]{8}/", folder)
    listed = here.s3.list_objects_v2(Bucket=here.bucket)["Contents"]
    names = {one["Key"].removeprefix(folder) for one in listed}
    assert len(names) == 9
    assert names >= {"_started", "manifest-files.md5", "manifest-summary.md5"}
    newest = max(listed, key=lambda one: one["LastModified"])
    assert newest["LastModified"] >= done["StartTime"].replace(microsecond=0)


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


WAYS = [
    _update,
    _batch,
    _transaction,
    _partiql,
    _partiql_transaction,
    _failed_condition,
    _time_to_live,
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


def test_errors_over_the_wire(here: Account) -> None:
    """Exception names reach botocore as its own classes, with AWS's texts."""
    export = here.dynamodb.export_table_to_point_in_time
    plain = here.create("plain")
    assert refused(export, TableArn=plain, S3Bucket="b1") == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'plain'",
    )
    with pytest.raises(here.dynamodb.exceptions.TableNotFoundException):
        export(TableArn=plain + "x", S3Bucket="b1")
    with pytest.raises(here.dynamodb.exceptions.InvalidExportTimeException):
        export(TableArn=here.arn, S3Bucket="b1", ExportTime=here.aws.now() + timedelta(hours=1))
    assert refused(export, TableArn=here.arn, S3Bucket="b1", ExportFormat="CSV")[0] == (
        "ValidationException"
    )
    assert refused(here.dynamodb.describe_export, ExportArn=here.arn) == (
        "ValidationException",
        "Invalid Export ARN",
    )


def test_token_replays_and_conflicts(here: Account) -> None:
    """The same request is the same export; another prefix is a conflict."""
    first = here.export(ClientToken="one")
    assert here.export(ClientToken="one")["ExportArn"] == first["ExportArn"]
    assert refused(
        here.dynamodb.export_table_to_point_in_time,
        TableArn=here.arn,
        S3Bucket=here.bucket,
        ClientToken="one",
        S3Prefix="other",
    ) == (
        "ExportConflictException",
        "Export conflict: Duplicate request detected with conflicting parameters",
    )


def test_missing_bucket_fails_the_export_later(here: Account) -> None:
    """The call succeeds, the export FAILS with S3NoSuchBucket."""
    started = here.dynamodb.export_table_to_point_in_time(
        TableArn=here.arn, S3Bucket=f"nowhere-{here.number}"
    )["ExportDescription"]
    assert started["ExportStatus"] == "IN_PROGRESS"
    done = here.ended(started["ExportArn"])
    assert (done["ExportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert done["FailureMessage"].startswith(
        "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; "
    )


def user(here: Account, *actions: str) -> Any:
    """A DynamoDB client of a user that may do only these."""
    iam = client(here.aws, "iam", here.number, "test")
    iam.create_user(UserName="exporter")
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.put_user_policy(
        UserName="exporter",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    made = iam.create_access_key(UserName="exporter")["AccessKey"]
    return client(here.aws, "dynamodb", made["AccessKeyId"], made["SecretAccessKey"])


def test_user_without_export_right_is_denied(here: Account) -> None:
    """AccessDeniedException names the action and the table."""
    code, text = refused(
        user(here, "s3:*").export_table_to_point_in_time,
        TableArn=here.arn,
        S3Bucket=here.bucket,
    )
    assert code == "AccessDeniedException"
    assert "dynamodb:ExportTableToPointInTime" in text
    assert here.arn in text


def test_user_without_bucket_right_gets_a_failed_export(here: Account) -> None:
    """The export is accepted and FAILS with S3AccessDenied that names s3:PutObject."""
    exporter = user(here, "dynamodb:*")
    arn = exporter.export_table_to_point_in_time(TableArn=here.arn, S3Bucket=here.bucket)[
        "ExportDescription"
    ]["ExportArn"]
    done = here.ended(arn)
    assert done["FailureCode"] == "S3AccessDenied"
    assert "s3:PutObject" in done["FailureMessage"]
    assert "Contents" not in here.s3.list_objects_v2(Bucket=here.bucket)


def test_documented_rights_are_enough(here: Account) -> None:
    """The policy of the documentation exports, encrypted, and aborts nothing."""
    exporter = user(
        here,
        "dynamodb:ExportTableToPointInTime",
        "s3:AbortMultipartUpload",
        "s3:PutObject",
        "s3:PutObjectAcl",
    )
    here.put("a")
    arn = exporter.export_table_to_point_in_time(TableArn=here.arn, S3Bucket=here.bucket)[
        "ExportDescription"
    ]["ExportArn"]
    done = here.ended(arn)
    assert len(here.rows(done)) == 1
    head = here.s3.head_object(Bucket=here.bucket, Key=done["ExportManifest"])
    assert head["ServerSideEncryption"] == "AES256"


def test_unknown_key_fails_the_export(here: Account) -> None:
    """KmsNotFoundException, and with a key that exists COMPLETED."""
    ghost = f"arn:aws:kms:us-east-1:{here.number}:key/deadbeef-dead-beef-dead-beefdeadbeef"
    done = here.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=ghost)
    assert done["FailureCode"] == "KmsNotFoundException"
    kms = client(here.aws, "kms", here.number, "test")
    known = kms.create_key()["KeyMetadata"]["Arn"]
    assert here.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=known)["ExportStatus"] == "COMPLETED"
    assert here.export(S3SseAlgorithm="KMS")["ExportStatus"] == "COMPLETED"


def test_pitr_window_moves_with_the_clock(here: Account) -> None:
    """Forty days later the earliest moment is thirty-five days ago, and the export is forgotten
    after ninety.
    """
    arn = here.export()["ExportArn"]
    here.aws.advance(timedelta(days=40))
    described = here.dynamodb.describe_continuous_backups(TableName="orders")
    pitr = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    now = here.aws.now()
    assert abs(now - timedelta(days=35) - pitr["EarliestRestorableDateTime"]) < timedelta(minutes=1)
    assert abs(now - timedelta(minutes=5) - pitr["LatestRestorableDateTime"]) < timedelta(minutes=1)
    assert here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"]
    here.aws.advance(timedelta(days=51))
    assert here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"] == []
    assert refused(here.dynamodb.describe_export, ExportArn=arn)[0] == "ExportNotFoundException"


def test_recreated_table_has_no_history(here: Account) -> None:
    """A new TableId: PITR is off, exports of the old one are described and not listed."""
    old = here.export()
    here.dynamodb.delete_table(TableName="orders")
    here.create("orders")
    assert here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"] == []
    again = here.dynamodb.describe_export(ExportArn=old["ExportArn"])["ExportDescription"]
    assert again["TableId"] == old["TableId"]
    assert refused(
        here.dynamodb.export_table_to_point_in_time, TableArn=here.arn, S3Bucket=here.bucket
    )[0] == ("PointInTimeRecoveryUnavailableException")


def test_held_export_is_seen_in_progress(here: Account) -> None:
    """IN_PROGRESS as long as somebody holds it."""
    here.aws.hold_exports()
    try:
        arn = here.dynamodb.export_table_to_point_in_time(TableArn=here.arn, S3Bucket=here.bucket)[
            "ExportDescription"
        ]["ExportArn"]
        (listed,) = here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"]
        assert listed["ExportStatus"] == "IN_PROGRESS"
    finally:
        here.aws.release_exports()
    assert here.ended(arn)["ExportStatus"] == "COMPLETED"


def test_dropped_response_is_a_timeout_and_the_token_finds_the_export(here: Account) -> None:
    """The caller's read times out; the export it never heard of is there."""
    here.aws.fault(drop={"operation": "ExportTableToPointInTime", "seconds": 3})
    session: Any = boto3.session.Session()
    hasty = session.client(
        "dynamodb",
        endpoint_url=here.aws.endpoint,
        region_name=here.aws.region,
        aws_access_key_id=here.number,
        aws_secret_access_key="test",
        config=Config(read_timeout=1, retries={"total_max_attempts": 1}),
    )
    request = {"TableArn": here.arn, "S3Bucket": here.bucket, "ClientToken": "lost"}
    with pytest.raises(ReadTimeoutError):
        hasty.export_table_to_point_in_time(**request)
    (listed,) = here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"]
    again = here.dynamodb.export_table_to_point_in_time(**request)["ExportDescription"]
    assert again["ExportArn"] == listed["ExportArn"]


def test_faults_come_once(here: Account) -> None:
    """Half an export, then a damaged one, then a throttled call, then all is well."""
    here.aws.fault(fail={"code": "S3AccessDenied", "after_files": 2})
    assert here.export()["FailureCode"] == "S3AccessDenied"
    assert len(here.s3.list_objects_v2(Bucket=here.bucket)["Contents"]) == 3
    here.aws.fault(damage={"how": "truncate", "name": "manifest-summary.json"})
    with pytest.raises(json.JSONDecodeError):
        here.rows(here.export())
    here.aws.fault(throttle={"ListExports": 2})  # boto3 tries once more by itself
    assert refused(here.dynamodb.list_exports) == ("ThrottlingException", "Rate exceeded")
    assert here.rows(here.export()) == []


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
