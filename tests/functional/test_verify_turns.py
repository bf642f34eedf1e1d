"""The verifying function of a real installation on the embedded AWS: its hours, its role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from coldtable.core.evidence import evidence_folder
from coldtable.core.records import Home
from coldtable.core.rotation import hour_of
from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import Boto, until
from tests.functional.installation import STACK, Installation

DAYS = 2
QUARTER = timedelta(minutes=15, seconds=1)


class Archive:
    """An installation that verifies, with a full export and two windows of the table orders."""

    def __init__(self, here: Installation) -> None:
        self.here, self.s3 = here, here.boto("s3")
        self.home = Home(account=here.account, region=here.aws.region, name="orders")
        described = here.boto("dynamodb").describe_table(TableName="orders")["Table"]
        self.folder = evidence_folder(self.home, described["TableId"])
        for _ in range(4):
            here.tick()
            until(lambda: all(e["ExportStatus"] != "IN_PROGRESS" for e in here.exports()))
            here.aws.advance(QUARTER, fire=False)
        here.tick()
        self.bucket = here.outputs["Bucket"]
        self.files = {key: self.get(key) for key in self.keys() if "/data/" in key}

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(self.get(key)) for key in self.keys(self.folder)]

    def run(self, day: int = 0) -> dict[str, Any]:
        """What the function answers at the table's hour of that day."""
        due = datetime(2031, 1, 1, hour_of(self.home)) + timedelta(days=day)
        answer = self.here.invoke({"scheduledTime": f"{due:%Y-%m-%dT%H:%M:%SZ}"}, "verify")
        # Records of the same second have numbers; a second later their order is that of time.
        self.here.aws.advance(timedelta(seconds=2), fire=False)
        return {**json.loads(answer["body"]), "status": answer["statusCode"]}


@pytest.fixture
def archive(aws: EmbeddedAws, account: str, boto: Boto) -> Iterator[Archive]:
    """Its schedules are gone afterwards, whatever happens."""
    here = Installation(aws, account, boto)
    here.add_table("orders")
    aws.advance(timedelta(minutes=1))
    here.deploy("orders", continuous=True, policy='{"every_minutes": 15}', verify_days=DAYS)
    here.listen()
    # The schedule fires when it is made, and has a function that it may invoke.
    until(lambda: here.ticks("SliceRead"))
    yield Archive(here)
    here.boto("cloudformation").delete_stack(StackName=STACK)


def test_a_stack_verifies_its_archive(archive: Archive) -> None:
    """Days that make a rotation read each file once; a flipped bit is noted and told once, and
    once more when it is mended; each right of the role is needed; and a run without time says so,
    and an alarm tells."""
    here = archive.here
    answers = [archive.run(day) for day in range(DAYS)]
    assert [(a["status"], a["complete"]) for a in answers] == [(200, True)] * DAYS, answers
    assert sum(a["tables"][0]["objects"] for a in answers) == len(archive.files) > 2
    assert [r["result"] for r in archive.records()] == ["verified"] * DAYS
    victim, whole = next((k, b) for k, b in archive.files.items() if "/AWSDynamoDB/data/" in k)
    archive.put(victim, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert unnamed(archive) == []
    for day in range(2 * DAYS):
        archive.run(day)
    archive.put(victim, whole)
    for day in range(DAYS):
        archive.run(day)
    told = [(subject, text) for subject, text in here.mails() if subject.startswith("coldtable:")]
    assert [subject for subject, _ in told] == [
        "coldtable: orders: damaged",
        "coldtable: orders: over",
    ]
    assert victim in told[0][1]
    found = [record for record in archive.records() if record["result"] == "damaged"]
    assert {victim} == {p["object"] for r in found for e in r["exports"] for p in e["problems"]}
    # All of the 60 seconds that are kept for noting and telling.
    here.boto("lambda").update_function_configuration(FunctionName=f"{STACK}-verify", Timeout=60)
    answer = archive.run()
    assert (answer["status"], answer["complete"]) == (200, False), answer
    until(lambda: here.scene.alarms(STACK)[f"{STACK}-verify-behind"] == "ALARM")
    assert here.dead_letters() == []


def unnamed(archive: Archive) -> list[str]:
    """The actions that a run does not name when its role lacks them; there must be damage to tell
    of. With all of them it works."""
    here, found = archive.here, []
    for action in ("ssm:GetParametersByPath", "s3:ListBucket", "s3:PutObject", "s3:GetObject"):
        with here.tick_without(action, "verify"):
            said = json.dumps(archive.run())
        found += [] if f"{action} is missing" in said else [said]
    with here.tick_without("sns:Publish", "verify"):
        said = json.dumps([archive.run(day) for day in range(DAYS)])
    found += [] if "sns:Publish is missing" in said else [said]
    return found
