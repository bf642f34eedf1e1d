"""One account of the embedded AWS with AWS's own limits, for tests that export from it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.errors import UsageError
from coldtable.local.process import EmbeddedAws

from .conftest import client, until

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
        with contextlib.suppress(UsageError):  # it has come by itself
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

    def copy(self, folder: Path) -> Path:
        """The whole bucket as files in a folder, which is returned."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for key in [found["Key"] for page in pages for found in page.get("Contents", [])]:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(key))
        return folder

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


def values(found: dict[tuple[str, str], Item]) -> dict[tuple[str, str], Any]:
    """Items in a form that compares: sets as sets, numbers as exact numbers, binary as bytes.

    boto3 hands binary out decoded, an export holds base64.
    """
    return {
        name: {attribute: plain(value) for attribute, value in one.items()}
        for name, one in found.items()
    }


def plain(value: Any) -> tuple[str, Any]:
    """A value in that form."""
    ((kind, held),) = value.items()
    if kind == "N":
        return kind, Decimal(held)
    if kind == "B":
        return kind, held if isinstance(held, bytes) else base64.b64decode(held)
    if kind in ("SS", "NS", "BS"):
        return kind, frozenset(plain({kind[0]: one}) for one in held)
    if kind == "L":
        return kind, [plain(one) for one in held]
    if kind == "M":
        return kind, {name: plain(one) for name, one in held.items()}
    return kind, held


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
