"""How fast the embedded AWS exports, whom it keeps waiting, and how that compares with moto.

One table, exported in both formats while a second client keeps asking GetItem: items and
megabytes (of lines, before gzip) a second, the slowest of those calls, and how much the process
grew beyond the objects that it now holds. Then plain moto's export of the same items, which
writes one object and no manifest. Read the ratios; the absolutes are this machine's.

    python bench/exports.py [items]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from coldtable.aws.session import AwsSession
from coldtable.local.process import EmbeddedAws

TABLE, BUCKET = "bench", "bench-archive"

MOTO = """
import json, sys, time
sys.path.insert(0, {here!r})
from exports import BUCKET, fill
import boto3
from moto import mock_aws
with mock_aws():
    dynamodb, s3 = (boto3.client(name, region_name="us-east-1") for name in ("dynamodb", "s3"))
    s3.create_bucket(Bucket=BUCKET)
    arn = fill(dynamodb, {count})
    began = time.perf_counter()
    done = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket=BUCKET, S3Prefix="p")
    while dynamodb.describe_export(ExportArn=done["ExportDescription"]["ExportArn"])[
        "ExportDescription"
    ]["ExportStatus"] == "IN_PROGRESS":
        time.sleep(0.01)
    print(time.perf_counter() - began)
"""


def item(number: int) -> dict[str, Any]:
    """About 500 bytes; a third of them hard to compress."""
    noise = f"{number * 2654435761 % 2**64:016x}"
    return {
        "pk": {"S": f"user#{number:09d}"},
        "n": {"N": str(number)},
        "text": {"S": "lorem ipsum " * 22},
        "noise": {"S": noise * 9},
    }


def fill(dynamodb: Any, count: int) -> str:
    """A table with PITR and ``count`` items; its ARN."""
    made = dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    dynamodb.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    for first in range(0, count, 25):
        writes = [{"PutRequest": {"Item": item(first + n)}} for n in range(25)]
        dynamodb.batch_write_item(RequestItems={TABLE: writes})
    return str(made["TableDescription"]["TableArn"])


class Bystander(threading.Thread):
    """Asks for one item over and over, and remembers its longest wait."""

    def __init__(self, dynamodb: Any) -> None:
        super().__init__(daemon=True)
        self.slowest = 0.0
        self.calls = 0
        self._dynamodb = dynamodb
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            began = time.perf_counter()
            self._dynamodb.get_item(TableName=TABLE, Key={"pk": item(0)["pk"]})
            self.slowest = max(self.slowest, time.perf_counter() - began)
            self.calls += 1

    def stop(self) -> None:
        self._done.set()
        self.join()


def resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def export(aws: EmbeddedAws, clients: tuple[Any, Any, Any], arn: str, how: str) -> float:
    """One export; prints its row and returns its seconds."""
    dynamodb, s3, other = clients
    size = sum(len(json.dumps(item(n), separators=(",", ":"))) + 10 for n in range(100)) / 100
    bystander = Bystander(other)
    bystander.start()
    before = resident_megabytes(aws.pid)
    peak = before
    began = time.perf_counter()
    started = dynamodb.export_table_to_point_in_time(
        TableArn=arn, S3Bucket=BUCKET, S3Prefix=how, ExportFormat=how
    )["ExportDescription"]
    done = started
    while done["ExportStatus"] == "IN_PROGRESS":
        time.sleep(0.02)
        peak = max(peak, resident_megabytes(aws.pid))
        done = dynamodb.describe_export(ExportArn=started["ExportArn"])["ExportDescription"]
    seconds = time.perf_counter() - began
    bystander.stop()
    if done["ExportStatus"] != "COMPLETED":
        sys.exit(f"the export failed: {done}")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=how)
    stored = sum(one["Size"] for page in pages for one in page["Contents"]) / 1e6
    count = done["ItemCount"]
    print(
        f"{how:14}{seconds:>9.2f}{count / seconds:>11.0f}{count * size / seconds / 1e6:>9.1f}"
        f"{bystander.slowest * 1000:>17.0f}{bystander.calls:>9}{peak - before - stored:>16.0f}"
    )
    return seconds


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with EmbeddedAws(["--export-seconds", "0"]) as aws:
        session = AwsSession(
            region=aws.region, endpoint_url=aws.endpoint, access_key="test", secret_key="test"
        )
        dynamodb, s3, other = (session.client(name) for name in ("dynamodb", "s3", "dynamodb"))
        s3.create_bucket(Bucket=BUCKET)
        arn = fill(dynamodb, count)
        print(f"{count} items, the process holds {resident_megabytes(aws.pid):.0f} MB")
        print(
            f"{'':14}{'seconds':>9}{'items/s':>11}{'MB/s':>9}{'slowest call ms':>17}"
            f"{'calls':>9}{'extra MB':>16}"
        )
        clients = (dynamodb, s3, other)
        ours = [export(aws, clients, arn, how) for how in ("DYNAMODB_JSON", "ION")]
    script = MOTO.format(here=str(Path(__file__).parent), count=count)
    moto = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    if moto.returncode:
        sys.exit(moto.stderr)
    seconds = float(moto.stdout.split()[-1])
    print(f"{'moto':14}{seconds:>9.2f}{count / seconds:>11.0f}")
    print(f"coldtable / moto: {ours[0] / seconds:.2f} of the time")


if __name__ == "__main__":
    main()
