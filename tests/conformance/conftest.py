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
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import client as emulated_client

REAL = os.environ.get("COLDTABLE_TEST_AWS") == "1"


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
        arn = _with_history(dynamodb, name, pace)
        passes(1200)
        yield Target(dynamodb, s3, now, passes, name, arn, name, pace)
    finally:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for found in page.get("Contents", []):
                s3.delete_object(Bucket=name, Key=found["Key"])
        s3.delete_bucket(Bucket=name)
        dynamodb.delete_table(TableName=name)


def _with_history(dynamodb: Any, name: str, pace: float) -> str:
    """Turn PITR on as soon as AWS lets us, and write the items of [REAL-G]."""
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    while True:
        try:
            dynamodb.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
            break
        except dynamodb.exceptions.ContinuousBackupsUnavailableException:
            time.sleep(pace)
    for sk, rest in (("1", "test"), ("2", "test2"), ("3", "test3")):
        dynamodb.put_item(
            TableName=name, Item={"pk": {"S": "1"}, "sk": {"S": sk}, "test": {"S": rest}}
        )
    return str(dynamodb.describe_table(TableName=name)["Table"]["TableArn"])
