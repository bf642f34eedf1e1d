"""Where the conformance suite runs: on the embedded AWS, or on the real one if somebody says so.

``COLDTABLE_TEST_AWS=1`` and nothing else sends it to AWS, with the credentials and region of the
environment. There it makes a table and a bucket with random names, exports the table some times
(cents), takes about an hour of waiting, and removes both again.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import client as emulated_client

REAL = os.environ.get("COLDTABLE_TEST_AWS") == "1"


@dataclass(frozen=True)
class First:
    """What was answered around the very enabling of PITR, which comes only once."""

    off: dict[str, Any]
    enabled: dict[str, Any]
    a_second_ago: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """DynamoDB and S3 of an AWS, its time, and how to let time pass there."""

    dynamodb: Any
    s3: Any
    now: Callable[[], datetime]
    passes: Callable[[float], object]
    table: str
    arn: str
    bucket: str
    pace: float
    first: First

    def export(self, **changed: Any) -> dict[str, Any]:
        """Start an export of the table into the bucket."""
        started = self.dynamodb.export_table_to_point_in_time(
            **{"TableArn": self.arn, "S3Bucket": self.bucket, **changed}
        )
        found: dict[str, Any] = started["ExportDescription"]
        return found

    def describe(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
        return found

    def ended(self, arn: str) -> dict[str, Any]:
        """The export when it has ended; DescribeExport throttles faster callers [QUIRKS]."""
        while (found := self.describe(arn))["ExportStatus"] == "IN_PROGRESS":
            time.sleep(self.pace)
        return found

    def body(self, key: str) -> bytes:
        read: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return read

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def summary(self, export: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body(export["ExportManifest"]))
        return found


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    if REAL:
        yield from _with_table(
            lambda service: boto3.Session().client(service),  # type: ignore[call-overload]  # any service
            lambda: datetime.now(UTC),
            time.sleep,
            pace=20,
        )
        return
    with EmbeddedAws() as aws:
        yield from _with_table(
            lambda service: emulated_client(aws, service, "test", "test"),
            aws.now,
            aws.advance,
            pace=0.05,
        )


def _with_table(
    client: Callable[[str], Any],
    now: Callable[[], datetime],
    passes: Callable[[float], object],
    pace: float,
) -> Iterator[Target]:
    dynamodb, s3 = client("dynamodb"), client("s3")
    name = f"coldtable-conformance-{secrets.token_hex(6)}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    where = {"LocationConstraint": s3.meta.region_name}
    there = {} if s3.meta.region_name == "us-east-1" else {"CreateBucketConfiguration": where}
    s3.create_bucket(Bucket=name, **there)
    try:
        arn, first = _with_history(dynamodb, name, now, passes, pace)
        passes(1200)
        yield Target(dynamodb, s3, now, passes, name, arn, name, pace, first)
    finally:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for found in page.get("Contents", []):
                s3.delete_object(Bucket=name, Key=found["Key"])
        s3.delete_bucket(Bucket=name)
        dynamodb.delete_table(TableName=name)


def _with_history(
    dynamodb: Any,
    name: str,
    now: Callable[[], datetime],
    passes: Callable[[float], object],
    pace: float,
) -> tuple[str, First]:
    """Turn PITR on as soon as AWS lets us, and write the items of [REAL-G]."""
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    arn = str(dynamodb.describe_table(TableName=name)["Table"]["TableArn"])
    request = {"TableArn": arn, "S3Bucket": name}
    off = refusal(dynamodb, request)
    enabled = _enable(dynamodb, name, pace)
    passes(90)  # AWS's own clock may be a minute from ours [DOC-REQ]
    recent = refusal(dynamodb, {**request, "ExportTime": now() - timedelta(seconds=1)})
    for sk, rest in (("1", "test"), ("2", "test2"), ("3", "test3")):
        dynamodb.put_item(
            TableName=name, Item={"pk": {"S": "1"}, "sk": {"S": sk}, "test": {"S": rest}}
        )
    return arn, First(off, enabled, recent)


def _enable(dynamodb: Any, name: str, pace: float) -> dict[str, Any]:
    while True:
        try:
            answer = dynamodb.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        except dynamodb.exceptions.ContinuousBackupsUnavailableException:
            time.sleep(pace)
            continue
        found: dict[str, Any] = answer["ContinuousBackupsDescription"]
        return found


def refusal(dynamodb: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Code and message of an export that must be refused."""
    with pytest.raises(ClientError) as caught:
        dynamodb.export_table_to_point_in_time(**request)
    error = caught.value.response["Error"]
    return {"Code": error.get("Code"), "Message": error.get("Message")}
