"""The embedded AWS exports over real HTTP as DynamoDB does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from coldtable.local.process import EmbeddedAws

from .conftest import client
from .exporter import Account, here, item, real, refused, user, values

__all__ = ["here", "real"]
pytestmark = pytest.mark.functional


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


def test_bursts_and_numbers_are_limited_when_asked(fresh_aws: Callable[..., EmbeddedAws]) -> None:
    """--max-exports is a LimitExceededException, --throttle refuses the twenty-first quick call."""
    here = Account(fresh_aws("--throttle", "--max-exports", "2"), "100000000001")
    here.aws.hold_exports()
    refused = []
    for number in range(25):
        try:
            here.dynamodb.export_table_to_point_in_time(
                TableArn=here.arn, S3Bucket=here.bucket, ClientToken=str(number)
            )
        except ClientError as error:
            refused.append(error.response["Error"]["Code"])
    assert refused[0] == "LimitExceededException"
    assert refused[-1] == "ThrottlingException"
    assert len(refused) == 23
    assert len(here.dynamodb.list_exports(TableArn=here.arn)["ExportSummaries"]) == 2
