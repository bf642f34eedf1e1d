"""The drilling function of a real installation on the embedded AWS: its hours, its role."""

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
from tests.functional.conftest import Boto, Coldtable, until
from tests.functional.installation import PATH, STACK, Installation

DAY = timedelta(days=1)
# Those that a drill needs in its course, one after the other; each run gets as far as it may.
RIGHTS = (
    "ssm:GetParametersByPath",
    "s3:ListBucket",
    "s3:GetObject",
    "dynamodb:DescribeTable",
    "s3:PutObject",
    "dynamodb:ListImports",
    "dynamodb:ImportTable",
    "dynamodb:DescribeImport",
    "dynamodb:TagResource",
    "dynamodb:BatchGetItem",
    "dynamodb:ListTagsOfResource",
    "dynamodb:DeleteTable",
    "s3:DeleteObject",
)


class Archive:
    """An installation that drills, with a full export of three items of the table orders."""

    def __init__(self, here: Installation) -> None:
        self.here, self.s3 = here, here.boto("s3")
        self.dynamodb = here.boto("dynamodb")
        self.home = Home(account=here.account, region=here.aws.region, name="orders")
        described = self.dynamodb.describe_table(TableName="orders")["Table"]
        self.folder = evidence_folder(self.home, described["TableId"])
        here.tick()
        until(lambda: all(e["ExportStatus"] != "IN_PROGRESS" for e in here.exports()))
        here.tick()
        self.bucket = here.outputs["Bucket"]

    def objects(self, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", ())]

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(self.get(key)) for key in self.objects(self.folder)]

    def imports(self) -> set[str]:
        found = self.dynamodb.list_imports()["ImportSummaryList"]
        return {one["ImportStatus"] for one in found}

    @property
    def tables(self) -> list[str]:
        found: list[str] = self.dynamodb.list_tables()["TableNames"]
        return found

    def run(self, patience: float = 60) -> dict[str, Any]:
        """What the function answers at the table's hour."""
        due = datetime(2031, 1, 1, hour_of(self.home))
        event = {"scheduledTime": f"{due:%Y-%m-%dT%H:%M:%SZ}", "patience": patience}
        answer = self.here.invoke(event, "drill")
        return {**json.loads(answer["body"]), "status": answer["statusCode"]}


@pytest.fixture
def archive(aws: EmbeddedAws, account: str, boto: Boto) -> Iterator[Archive]:
    """Its schedules are gone afterwards, whatever happens."""
    here = Installation(aws, account, boto)
    here.add_table("orders")
    for n in range(3):
        boto("dynamodb").put_item(TableName="orders", Item={"id": {"S": str(n)}})
    aws.advance(timedelta(minutes=1))
    here.deploy("orders", continuous=True, drill_days=1)
    here.listen()
    # The schedule fires when it is made, and has a function that it may invoke.
    until(lambda: here.ticks("DrillsOnTime"))
    yield Archive(here)
    here.boto("cloudformation").delete_stack(StackName=STACK)


def did(answer: dict[str, Any]) -> str:
    (table,) = answer["tables"]
    return str(table["did"])


def test_a_stack_drills_its_archive(archive: Archive, coldtable: Coldtable) -> None:
    """A drill that is refused each right in turn goes on where it was, and passes; an import that
    takes an hour has that as its RTO, and the report says so; damage is told, and the status says
    so; and no other table was ever touched."""
    here = archive.here
    assert unnamed(archive) == []
    (record,) = archive.records()
    assert (record["result"], record["items"]) == ("passed", 3)
    assert archive.run()["tables"] == []

    here.aws.advance(DAY, fire=False)
    here.aws.hold_exports()
    try:
        assert did(archive.run(patience=0)) == "goes on"
        here.aws.advance(timedelta(hours=1), fire=False)
    finally:
        here.aws.release_exports()
    until(lambda: archive.imports() == {"COMPLETED"})
    answer = archive.run()
    assert (did(answer), answer["onTime"]) == ("passed", True), answer
    record = archive.records()[-1]
    assert record["rtoBy"] == "import"
    assert 3600 <= record["rtoSeconds"] < 3660
    assert record["comparison"]["checked"] == 3
    assert (archive.tables, archive.objects("coldtable/v1/drill/")) == (["orders"], [])

    here.aws.advance(DAY, fire=False)
    for key in archive.objects():
        if "/data/" in key and "AWSDynamoDB/data/" not in key:
            archive.s3.put_object(Bucket=archive.bucket, Key=key, Body=b"spoilt")
    with here.tick_without("sns:Publish", "drill"):
        assert "sns:Publish is missing" in json.dumps(archive.run())
    until(lambda: here.scene.alarms(STACK)[f"{STACK}-drill-behind"] == "ALARM")
    assert [did(archive.run()) for _ in range(2)] == ["refused"] * 2
    told = [subject for subject, _ in here.mails() if subject.startswith("coldtable:")]
    assert told == ["coldtable: orders: not drilled"]
    assert archive.tables == ["orders"]
    assert here.dead_letters() == []
    words = ("--parameter-path", PATH, "--output", "json")
    reported = coldtable("report", "--since", "2026-01-01", *words).json["tables"][0]["drills"]
    # The first was kept from asking for its import: that has no honest RTO.
    assert [one["rtoBy"] for one in reported] == [None, "import"]
    shown = coldtable("status", *words).json["tables"][0]["incidents"]
    assert [one["kind"] for one in shown] == ["drill"]


def unnamed(archive: Archive) -> list[str]:
    """What runs answer that do not name the action that their role lacks; then one that passes."""
    found = []
    for action in RIGHTS:
        with archive.here.tick_without(action, "drill"):
            said = json.dumps(archive.run())
        found += [] if f"{action} is missing" in said else [f"{action}: {said}"]
    answer = archive.run()
    return found if did(answer) == "passed" else [*found, json.dumps(answer)]
