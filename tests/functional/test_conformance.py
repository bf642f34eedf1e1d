"""What we claim that DynamoDB does, in a form that real AWS could be asked too.

By default the embedded AWS answers. With ``COLDTABLE_TEST_AWS=1`` the very same file runs against
the AWS account of the environment's credentials: it makes one small table and one bucket, and
takes them away again; it takes up to an hour and costs a few cents. Nothing switches that on by
itself. Each test names the source of its expectation (the tags of ``docs/local-aws.md``).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws

pytestmark = pytest.mark.functional
ON_AWS = os.environ.get("COLDTABLE_TEST_AWS") == "1"
PATIENCE, PAUSE = (3600.0, 15.0) if ON_AWS else (20.0, 0.05)


class Place:
    """Where the questions go: clients, a table with PITR, a bucket, and the time there."""

    def __init__(
        self,
        session: Any,
        endpoint: str | None,
        now: Callable[[], datetime],
        pass_seconds: Callable[[float], object],
    ) -> None:
        self.now = now
        self.pass_seconds = pass_seconds
        self.dynamodb = session.client("dynamodb", endpoint_url=endpoint)
        self.s3 = session.client("s3", endpoint_url=endpoint)
        self.name = f"coldtable-conformance-{uuid.uuid4().hex[:12]}"
        region = session.region_name
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3.create_bucket(Bucket=self.name, **({} if region == "us-east-1" else where))
        made = self.dynamodb.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.arn = made["TableDescription"]["TableArn"]
        self.dynamodb.get_waiter("table_exists").wait(TableName=self.name)

    def enable(self) -> dict[str, Any]:
        """PITR on, as soon as AWS lets us."""

        def ask() -> Any:
            try:
                return self.dynamodb.update_continuous_backups(
                    TableName=self.name,
                    PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
                )
            except self.dynamodb.exceptions.ContinuousBackupsUnavailableException:
                return None

        answer = patiently(ask)
        return dict(answer["ContinuousBackupsDescription"])

    def start(self, **more: Any) -> dict[str, Any]:
        """Start an export; its description."""
        request = {"TableArn": self.arn, "S3Bucket": self.name, **more}
        if ON_AWS:
            time.sleep(1.5)  # AWS refuses bursts
        answer = self.dynamodb.export_table_to_point_in_time(**request)
        return dict(answer["ExportDescription"])

    def ended(self, arn: str) -> dict[str, Any]:
        """The description once the export is over."""

        def ask() -> Any:
            found = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
            return None if found["ExportStatus"] == "IN_PROGRESS" else found

        return dict(patiently(ask))

    def refused(self, **request: Any) -> tuple[str, str]:
        """An export that must be refused: code and text."""
        with pytest.raises(ClientError) as caught:
            self.start(**request)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def read(self, key: str) -> bytes:
        """An object of the bucket."""
        body: bytes = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def remove(self) -> None:
        """Take away table and bucket."""
        self.dynamodb.delete_table(TableName=self.name)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for one in page.get("Contents", []):
                self.s3.delete_object(Bucket=self.name, Key=one["Key"])
        self.s3.delete_bucket(Bucket=self.name)


def patiently(ask: Callable[[], Any]) -> Any:
    """Ask until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {PATIENCE:g} s")
        time.sleep(PAUSE)
    return answer


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The embedded AWS, or the real one."""
    if ON_AWS:
        there = Place(boto3.session.Session(), None, lambda: datetime.now(UTC), time.sleep)
        yield there
        there.remove()
        return
    with EmbeddedAws(["--export-seconds", "0.05"]) as aws:
        session: Any = boto3.session.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=aws.region
        )
        there = Place(session, aws.endpoint, aws.now, aws.advance)
        yield there
        there.remove()


@pytest.fixture(scope="module")
def pitr(place: Place) -> dict[str, Any]:
    """What the first switching on of PITR answered; one item is written after it."""
    before = place.refused()
    assert before == (
        "PointInTimeRecoveryUnavailableException",  # [QUIRKS, MOTO, DOC-REQ]
        f"Point in time recovery is not enabled for table '{place.name}'",
    )
    answer = place.enable()
    place.dynamodb.put_item(
        TableName=place.name, Item={"pk": {"S": "a"}, "n": {"N": "1"}, "b": {"B": b"\x00\x01"}}
    )
    # AWS's own clock may be a minute from ours [DOC-REQ].
    place.pass_seconds(90)
    return answer


@pytest.fixture(scope="module")
def done(place: Place, pitr: dict[str, Any]) -> dict[str, Any]:
    """One full export with a prefix, from start to end."""
    assert pitr["ContinuousBackupsStatus"] == "ENABLED"
    return place.ended(place.start(S3Prefix="foo/", ClientToken=place.name)["ExportArn"])


def test_enabling_pitr(pitr: dict[str, Any]) -> None:
    """Both times are the moment of enabling, whole seconds, 35 days [QUIRKS DDB-TABLE-084/086]."""
    found = pitr["PointInTimeRecoveryDescription"]
    assert found["PointInTimeRecoveryStatus"] == "ENABLED"
    assert found["RecoveryPeriodInDays"] == 35
    assert found["EarliestRestorableDateTime"] == found["LatestRestorableDateTime"]
    assert found["EarliestRestorableDateTime"].microsecond == 0


def test_description_of_a_completed_export(place: Place, done: dict[str, Any]) -> None:
    """Members by state [SCYLLA, QUIRKS DDB-EXPORT-016/017]; no ExportType when none was sent."""
    assert set(done) == {
        "BilledSizeBytes",
        "ClientToken",
        "EndTime",
        "ExportArn",
        "ExportFormat",
        "ExportManifest",
        "ExportStatus",
        "ExportTime",
        "ItemCount",
        "S3Bucket",
        "S3Prefix",
        "S3SseAlgorithm",
        "StartTime",
        "TableArn",
        "TableId",
    }
    assert (done["ExportStatus"], done["ItemCount"], done["S3SseAlgorithm"]) == (
        "COMPLETED",
        1,
        "AES256",
    )
    assert done["ExportTime"] == done["StartTime"]
    identity = done["ExportArn"].removeprefix(place.arn + "/export/")
    assert re.fullmatch(r"\d{14}-[0-9a-f]{8}", identity)
    millis = round(done["StartTime"].timestamp() * 1000)
    assert identity[:14] == f"{millis:014d}"  # [REAL-G]


def test_objects_of_a_full_export(place: Place, done: dict[str, Any]) -> None:
    """Layout, manifests and files [REAL-G, SCYLLA]; the prefix is joined with one slash."""
    identity = done["ExportArn"].rsplit("/", 1)[1]
    folder = f"foo/AWSDynamoDB/{identity}/"
    listed = place.s3.list_objects_v2(Bucket=place.name, Prefix=folder)["Contents"]
    names = {one["Key"].removeprefix(folder) for one in listed}
    data = {name for name in names if name.startswith("data/")}
    assert names - data == {
        "_started",
        "manifest-files.json",
        "manifest-files.md5",
        "manifest-summary.json",
        "manifest-summary.md5",
    }
    assert all(re.fullmatch(r"data/[a-z2-7]{26}\.json\.gz", name) for name in data)
    summary = place.read(folder + "manifest-summary.json")
    assert list(json.loads(summary)) == [
        "version",
        "exportArn",
        "startTime",
        "endTime",
        "tableArn",
        "tableId",
        "exportTime",
        "s3Bucket",
        "s3Prefix",
        "s3SseAlgorithm",
        "s3SseKmsKeyId",
        "manifestFilesS3Key",
        "billedSizeBytes",
        "itemCount",
        "outputFormat",
    ]
    digest = hashlib.md5(summary, usedforsecurity=False).digest()
    assert place.read(folder + "manifest-summary.md5") == base64.b64encode(digest)
    rows: list[dict[str, Any]] = []
    for line in place.read(folder + "manifest-files.json").splitlines():
        file = json.loads(line)
        assert list(file) == ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]
        body = place.read(file["dataFileS3Key"])
        head = place.s3.head_object(Bucket=place.name, Key=file["dataFileS3Key"])
        assert head["ETag"] == f'"{file["etag"]}"'
        part = hashlib.md5(body, usedforsecurity=False).digest()
        assert file["etag"] == hashlib.md5(part, usedforsecurity=False).hexdigest() + "-1"
        assert base64.b64encode(part).decode() == file["md5Checksum"]
        assert body[:10].hex() == "1f8b08000000000000ff"
        rows += [json.loads(row) for row in gzip.decompress(body).splitlines()]
    assert rows == [{"Item": {"pk": {"S": "a"}, "n": {"N": "1"}, "b": {"B": "AAE="}}}]


def test_replay_and_conflict(place: Place, done: dict[str, Any]) -> None:
    """The same token [QUIRKS DDB-EXPORT-009]."""
    again = place.start(S3Prefix="foo/", ClientToken=place.name)
    assert again["ExportArn"] == done["ExportArn"]
    assert place.refused(S3Prefix="bar", ClientToken=place.name) == (
        "ExportConflictException",
        "Export conflict: Duplicate request detected with conflicting parameters",
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3600, "Export Time is invalid"),
        (-3600, "Export Time is invalid"),
        (-1, "Point in Time Recovery is not available for specified export time"),
    ],
)
def test_export_time(place: Place, pitr: dict[str, Any], seconds: int, text: str) -> None:
    """On a table whose PITR is minutes old [QUIRKS DDB-EXPORT-001]."""
    assert pitr
    moment = place.now() + timedelta(seconds=seconds)
    assert place.refused(ExportTime=moment) == ("InvalidExportTimeException", text)


def test_incremental_before_creation_repeats_the_time_asked_for(
    place: Place, pitr: dict[str, Any]
) -> None:
    """The text's time is the request's [QUIRKS DDB-EXPORT-004: five requests, five times]."""
    assert pitr
    start = (place.now() - timedelta(hours=26)).replace(microsecond=0)
    assert place.refused(
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={
            "ExportFromTime": start,
            "ExportToTime": start + timedelta(hours=1),
        },
    ) == (
        "InvalidExportTimeException",
        "Incremental export period from time cannot be less than the table creation time : "
        f"{start:%Y-%m-%dT%H:%M:%SZ}",
    )


def test_bucket_that_does_not_exist(place: Place, pitr: dict[str, Any]) -> None:
    """Accepted, FAILED later, and the token keeps returning it [QUIRKS DDB-EXPORT-010]."""
    assert pitr
    nowhere = {"S3Bucket": f"{place.name}-nowhere", "ClientToken": f"{place.name}-nowhere"}
    done = place.ended(place.start(**nowhere)["ExportArn"])
    assert (done["ExportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert done["FailureMessage"].startswith(
        "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; "
        "Error Code: NoSuchBucket; Request ID: "
    )
    assert place.start(**nowhere)["ExportArn"] == done["ExportArn"]


def test_list_shows_all_of_them_newest_first(place: Place, done: dict[str, Any]) -> None:
    """Three members, FAILED ones too [QUIRKS DDB-IMPORT-016]."""
    found = place.dynamodb.list_exports(TableArn=place.arn)["ExportSummaries"]
    assert done["ExportArn"] in {one["ExportArn"] for one in found}
    assert all(set(one) == {"ExportArn", "ExportStatus", "ExportType"} for one in found)
    assert [one["ExportArn"] for one in found] == sorted(
        (one["ExportArn"] for one in found), reverse=True
    )
