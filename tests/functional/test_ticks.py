"""Ticks of a real installation on the embedded AWS: by schedule, under their role, and heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import Boto, until
from tests.functional.installation import PATH, STACK, Installation

QUARTER = timedelta(minutes=15, seconds=1)
# A full export is of a whole minute, which the table's history must have.
MINUTE = timedelta(minutes=1)


@pytest.fixture
def here(aws: EmbeddedAws, account: str, boto: Boto) -> Iterator[Installation]:
    """An account with the table orders; its schedules are gone afterwards, whatever happens."""
    made = Installation(aws, account, boto)
    made.add_table("orders")
    aws.advance(MINUTE)
    yield made
    aws.fault(clear=True)
    made.boto("cloudformation").delete_stack(StackName=STACK)


def deploy(here: Installation, *tables: str, ticks: bool = False, **wish: Any) -> None:
    """Deploy, wait for the tick that comes at once, and without ``ticks`` let no other come."""
    here.deploy(*tables, ticks=True, **wish)
    until(here.ticks)
    if not ticks:
        here.switch_ticks(on=False)


def settled(here: Installation) -> list[dict[str, Any]]:
    """The account's exports, oldest first, once none is in progress."""

    def ask() -> list[dict[str, Any]]:
        exports = here.exports()
        return [] if any(e["ExportStatus"] == "IN_PROGRESS" for e in exports) else exports

    found: list[dict[str, Any]] = until(ask)
    return sorted(found, key=lambda e: e["StartTime"])


def line(report: dict[str, Any], table: str) -> dict[str, Any]:
    (found,) = (one for one in report["tables"] if one["table"] == table)
    return dict(found)


def test_the_schedule_grows_a_chain(here: Installation) -> None:
    """Every quarter of an hour a tick: a full export, then windows that join; nobody is told."""
    deploy(here, "orders", ticks=True, continuous=True, policy='{"every_minutes": 15}')
    here.listen()
    for _ in range(4):
        here.aws.advance(QUARTER)
        settled(here)
    here.switch_ticks(on=False)
    full, *windows = settled(here)
    assert full["ExportType"] == "FULL_EXPORT"
    assert len(windows) >= 2
    cursor: datetime = full["ExportTime"]
    for window in windows:
        span = window["IncrementalExportSpecification"]
        assert span["ExportFromTime"] == cursor
        cursor = span["ExportToTime"]
    assert {e["ExportStatus"] for e in (full, *windows)} == {"COMPLETED"}
    report = here.tick()
    assert (report["statusCode"], line(report, "orders")["mode"]) == (200, "continuous")
    assert not line(report, "orders")["stale"]
    assert [subject for subject, _ in here.mails() if subject.startswith("coldtable:")] == []
    assert here.dead_letters() == []
    assert here.scene.alarms(STACK)[f"{STACK}-tick-absent"] == "OK"


def test_a_new_table_with_the_tag_is_picked_up(here: Installation) -> None:
    """The role may export what has the tag, the next tick finds it; what has none is uncovered."""
    deploy(here, tagged=True)
    assert here.tick()["uncovered"] == ["orders"]
    here.add_table("users")
    arn = here.boto("dynamodb").describe_table(TableName="users")["Table"]["TableArn"]
    here.boto("dynamodb").tag_resource(
        ResourceArn=arn, Tags=[{"Key": "coldtable", "Value": "continuous"}]
    )
    here.aws.advance(MINUTE)
    report = here.tick()
    assert report["statusCode"] == 200, report
    assert (report["started"], report["uncovered"]) == (1, ["orders"])
    (export,) = settled(here)
    assert "table/users/" in export["ExportArn"]


def test_a_glob_is_the_role_s_too(here: Installation) -> None:
    """A table that the glob means is kept without another deployment; another one is not."""
    deploy(here, "app-*", continuous=True)
    here.add_table("app-carts")
    here.aws.advance(MINUTE)
    report = here.tick()
    assert report["statusCode"] == 200, report
    assert [one["table"] for one in report["tables"]] == ["app-carts"]
    assert report["started"] == 1, json.dumps(report)
    settled(here)


def test_a_failing_export_is_told(here: Installation) -> None:
    """Three failures of the same export: one message says what, since when and how to mend it."""
    here.aws.fault(fail={"code": "S3AccessDenied"})
    deploy(here, "orders", continuous=True)
    here.listen()
    for pause in (15, 30):
        settled(here)
        here.tick()
        here.aws.advance(timedelta(minutes=pause))
        here.aws.fault(fail={"code": "S3AccessDenied"})
        here.tick()
    settled(here)
    here.tick()
    subjects = {subject: text for subject, text in here.mails() if subject.startswith("coldtable:")}
    assert list(subjects) == ["coldtable: orders: failing"]
    text = subjects["coldtable: orders: failing"]
    assert "3 exports of table orders" in text
    assert "S3AccessDenied" in text
    assert "What to do: " in text
    until(lambda: here.scene.alarms(STACK)[f"{STACK}-failures"] == "ALARM")


def test_silence_is_heard(here: Installation) -> None:
    """When the tick's schedule is off for an hour, the alarm of its absence tells."""
    deploy(here, "orders", ticks=True)
    here.listen()
    absent = f"{STACK}-tick-absent"
    here.aws.advance(QUARTER)
    until(lambda: here.scene.alarms(STACK)[absent] == "OK")
    here.switch_ticks(on=False)
    here.aws.advance(timedelta(minutes=40))
    assert here.scene.alarms(STACK)[absent] == "OK"
    here.aws.advance(timedelta(minutes=25))
    until(lambda: (absent, "ALARM") in here.alarms_told())


# Without any of these nothing is started.
BEFORE_AN_EXPORT = [
    "dynamodb:DescribeTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ListTagsOfResource",
    "s3:ListBucket",
    "s3:PutObject",
    "ssm:GetParametersByPath",
    "dynamodb:ExportTableToPointInTime",
]
AFTER_AN_EXPORT = ["dynamodb:DescribeExport", "s3:GetObject"]


def test_the_role_needs_what_it_has(here: Installation) -> None:
    """Without one of its actions a tick names that action, and with all of them it works."""
    # The first tick, which comes at once, shall leave everything to do.
    paused = {"enabled": False, "reason": "wait", "since": "2026-01-01T00:00:00Z"}
    deploy(here, "orders", policy=json.dumps(paused))
    here.boto("ssm").put_parameter(
        Name=f"{PATH}/POLICY", Value='{"mode": "continuous"}', Overwrite=True
    )
    unnamed = []

    def lack(actions: list[str]) -> None:
        for action in actions:
            with here.tick_without(action):
                if f"{action} is missing" not in json.dumps(here.tick()):
                    unnamed.append(action)

    lack(BEFORE_AN_EXPORT)
    # There is something to tell: what was told to be wrong is over.
    lack(["sns:Publish"])
    settled(here)
    lack(AFTER_AN_EXPORT)
    # A named table is looked after all the same, so this comes last.
    lack(["dynamodb:ListTables"])
    (export,) = settled(here)
    assert export["ExportStatus"] == "COMPLETED"
    assert unnamed == []
