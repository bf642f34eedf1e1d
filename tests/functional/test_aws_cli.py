"""The AWS CLI on the embedded AWS: it sees what coldtable made, and works as people know it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import Boto, until
from tests.functional.installation import PATH, STACK, Installation


@pytest.fixture
def here(aws: EmbeddedAws, account: str, boto: Boto) -> Iterator[Installation]:
    made = Installation(aws, account, boto)
    made.add_table("orders")
    made.deploy("orders")
    yield made
    made.boto("cloudformation").delete_stack(StackName=STACK)


def cli(here: Installation, *words: str) -> str:
    """What `aws …` prints on stdout; it must end well."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "aws"), *words],
        env={**os.environ, **here.aws.env(), "AWS_ACCESS_KEY_ID": here.account, "AWS_PAGER": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_export_by_hand(here: Installation) -> None:
    """The CLI starts an export, describes it until it is done, and lists its objects."""
    arn = here.exporter().table("orders").arn
    bucket = here.outputs["Bucket"]
    at = here.aws.advance(timedelta(minutes=1)).isoformat(timespec="seconds")
    words = ["dynamodb", "export-table-to-point-in-time", "--table-arn", arn]
    words += ["--s3-bucket", bucket, "--s3-prefix", "by-hand", "--export-time", at]
    started = json.loads(cli(here, *words))["ExportDescription"]
    assert started["ExportStatus"] == "IN_PROGRESS"

    def completed() -> dict[str, Any]:
        found = cli(here, "dynamodb", "describe-export", "--export-arn", started["ExportArn"])
        export: dict[str, Any] = json.loads(found)["ExportDescription"]
        return export if export["ExportStatus"] == "COMPLETED" else {}

    manifest = until(completed)["ExportManifest"]
    listing = cli(here, "s3", "ls", "--recursive", f"s3://{bucket}/by-hand/")
    assert manifest in listing
    assert len([line for line in listing.splitlines() if line.endswith(".json.gz")]) >= 4


def test_it_sees_what_coldtable_made(here: Installation) -> None:
    """The schedules and the parameters of the stack are there, as the CLI shows them."""
    schedules = json.loads(cli(here, "scheduler", "list-schedules"))["Schedules"]
    assert {s["Name"]: s["State"] for s in schedules} == {
        f"{STACK}-export": "ENABLED",
        # Off, unless a test wants ticks.
        f"{STACK}-tick": "DISABLED",
    }
    found = json.loads(cli(here, "ssm", "get-parameters-by-path", "--path", PATH))["Parameters"]
    assert {p["Name"]: p["Value"] for p in found} == {
        f"{PATH}/BACKUP_BUCKET_NAME": here.outputs["Bucket"],
        f"{PATH}/BACKUP_DAY_STR": "0",
        f"{PATH}/BACKUP_HOUR_STR": "3",
        f"{PATH}/BACKUP_MINUTE_STR": "0",
        f"{PATH}/BACKUP_SECOND_STR": "0",
        f"{PATH}/S3_PREFIX_TEMPLATE": "{date:%Y/%m/%d}/{table}",
        f"{PATH}/TABLE_NAMES": "orders",
        f"{PATH}/TIMEZONE": "UTC",
    }
