"""Describe- and UpdateContinuousBackups, and RestoreTableToPointInTime."""

from __future__ import annotations

from typing import Any

import pytest

from coldtable.local.pitr.service import PitrService, PitrSettings
from coldtable.testing.fake_inner import Item
from tests.unit.local_pitr.conftest import ARN, CALLER, SCOPE, World

DAY = 86_400
ENABLED_AT = 1_768_385_930


def pitr(world: World) -> dict[str, Any]:
    """PointInTimeRecoveryDescription."""
    answer = world.ask("DescribeContinuousBackups", TableName="test")
    description = answer["ContinuousBackupsDescription"]
    assert description["ContinuousBackupsStatus"] == "ENABLED"
    return dict(description["PointInTimeRecoveryDescription"])


def test_off_shows_only_its_status(world: World) -> None:
    """No times and no period when PITR is off, though continuous backups say ENABLED."""
    assert pitr(world) == {"PointInTimeRecoveryStatus": "DISABLED"}


def test_just_enabled_both_times_are_the_enable_time(world: World) -> None:
    """Whole seconds, for five minutes; then the latest follows the clock."""
    answer = world.enable()
    expected = {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": ENABLED_AT,
        "LatestRestorableDateTime": ENABLED_AT,
    }
    assert answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"] == expected
    world.clock.forward(180)
    assert pitr(world) == expected
    world.clock.forward(180)
    assert pitr(world)["LatestRestorableDateTime"] == ENABLED_AT + 60


def test_earliest_slides_with_the_period(world: World) -> None:
    """After more days than the period, it is now minus the period."""
    world.enable(RecoveryPeriodInDays=2)
    world.clock.forward(5 * DAY)
    assert pitr(world)["EarliestRestorableDateTime"] == ENABLED_AT + 3 * DAY


def test_shorter_period_drops_history_for_good(world: World) -> None:
    """Earliest moves at once, and a longer period does not bring anything back."""
    world.enable()
    world.put("a", "1")
    world.clock.forward(10 * DAY)
    world.enable(RecoveryPeriodInDays=1)
    assert pitr(world)["EarliestRestorableDateTime"] == ENABLED_AT + 9 * DAY
    world.enable(RecoveryPeriodInDays=35)
    assert pitr(world)["EarliestRestorableDateTime"] == ENABLED_AT + 9 * DAY
    refused = world.refused(
        "ExportTableToPointInTime",
        TableArn=ARN,
        S3Bucket="archive",
        ExportTime=ENABLED_AT + 8 * DAY,
    )
    assert refused == ("InvalidExportTimeException", "Export Time is invalid")
    assert world.export(ExportTime=ENABLED_AT + 9 * DAY)["ItemCount"] == 1


def test_off_and_on_again_forgets(world: World) -> None:
    """The history starts anew with the current items, and the period is 35 again."""
    world.enable(RecoveryPeriodInDays=7)
    world.put("a", "1")
    world.clock.forward(DAY)
    world.ask(
        "UpdateContinuousBackups",
        TableName="test",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    world.put("b", "1")
    world.enable()
    assert pitr(world)["EarliestRestorableDateTime"] == ENABLED_AT + DAY
    assert pitr(world)["RecoveryPeriodInDays"] == 35
    assert world.export()["ItemCount"] == 2


@pytest.mark.parametrize(
    ("specification", "text"),
    [
        (
            {"PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": 7},
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling "
            "point-in-time recovery.",
        ),
        (
            {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 36},
            "1 validation error detected: Value '36' at "
            "'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy "
            "constraint: Member must have value less than or equal to 35",
        ),
    ],
)
def test_period_rules(world: World, specification: dict[str, Any], text: str) -> None:
    """1 to 35 days, and none when switching off."""
    assert world.refused(
        "UpdateContinuousBackups",
        TableName="test",
        PointInTimeRecoverySpecification=specification,
    ) == ("ValidationException", text)


def test_table_that_is_not_there(world: World) -> None:
    """TableNotFoundException, by name and by ARN."""
    for name in ("nope", "arn:aws:dynamodb:eu-north-1:123456789123:table/nope"):
        assert world.refused("DescribeContinuousBackups", TableName=name) == (
            "TableNotFoundException",
            "Table not found: nope",
        )


def restore(world: World, **more: Any) -> dict[str, Any]:
    """RestoreTableToPointInTime into ``back``."""
    request = {"SourceTableName": "test", "TargetTableName": "back", **more}
    return dict(world.ask("RestoreTableToPointInTime", **request)["TableDescription"])


def names(world: World, table: str) -> set[str]:
    """The partition keys of a table's items."""
    return {one["pk"]["S"] for one in world.inner.table(SCOPE, table).items.values()}


def test_restore_brings_back_the_moment_that_was_asked_for(world: World) -> None:
    """Not the current items: those that were there then, with their values then."""
    world.enable()
    world.put("a", "1", v={"N": "1"})
    world.put("gone", "1")
    world.clock.forward(3600)
    moment = int(world.clock.now)
    world.clock.forward(1)
    world.put("a", "1", v={"N": "2"})
    world.put("late", "1")
    world.delete("gone", "1")
    world.clock.forward(3600)
    answer = restore(world, RestoreDateTime=moment)
    assert answer["TableStatus"] == "CREATING"
    assert answer["RestoreSummary"] == {
        "SourceTableArn": ARN,
        "RestoreDateTime": moment,
        "RestoreInProgress": True,
    }
    back = world.inner.table(SCOPE, "back")
    assert names(world, "back") == {"a", "gone"}
    assert back.items[("a", "1")]["v"] == {"N": "1"}


def test_restore_to_the_latest_is_five_minutes_ago(world: World) -> None:
    """UseLatestRestorableTime means LatestRestorableDateTime."""
    world.enable()
    world.put("a", "1")
    world.clock.forward(400)
    world.put("b", "1")
    restore(world, UseLatestRestorableTime=True)
    assert names(world, "back") == {"a"}


def test_restore_carries_settings_and_overrides(world: World) -> None:
    """Indexes come along unless the override is an empty list; so do their attributes."""
    table = world.inner.table(SCOPE, "test")
    table.description["AttributeDefinitions"].append({"AttributeName": "g", "AttributeType": "S"})
    index = {
        "IndexName": "gi",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    table.description["GlobalSecondaryIndexes"] = [{**index, "IndexStatus": "ACTIVE"}]
    world.enable()
    restore(world, UseLatestRestorableTime=True)
    assert world.inner.table(SCOPE, "back").description["GlobalSecondaryIndexes"] == [index]
    restore(
        world,
        UseLatestRestorableTime=True,
        TargetTableName="bare",
        GlobalSecondaryIndexOverride=[],
    )
    bare = world.inner.table(SCOPE, "bare").description
    assert "GlobalSecondaryIndexes" not in bare
    assert {one["AttributeName"] for one in bare["AttributeDefinitions"]} == {"pk", "sk"}


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            {"SourceTableArn": ARN},
            "ValidationException",
            "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
        ),
        (
            {},
            "ValidationException",
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be "
            "specified, but not both",
        ),
        (
            {"SourceTableName": "nope", "UseLatestRestorableTime": True},
            "TableNotFoundException",
            "Table not found: nope",
        ),
        (
            {"RestoreDateTime": ENABLED_AT - 60},
            "InvalidRestoreTimeException",
            "RestoreDateTime '2026-01-14T10:17:50Z' must be within EarliestRestorableDateTime "
            "'2026-01-14T10:18:50Z' and LatestRestorableDateTime '2026-01-14T10:18:50Z'",
        ),
        (
            {"UseLatestRestorableTime": True, "TargetTableName": "test"},
            "TableAlreadyExistsException",
            "Table already exists: test",
        ),
        (
            {"RestoreDateTime": 1, "TargetTableName": "test"},
            "InvalidRestoreTimeException",
            "RestoreDateTime '1970-01-01T00:00:01Z' must be within EarliestRestorableDateTime "
            "'2026-01-14T10:18:50Z' and LatestRestorableDateTime '2026-01-14T10:18:50Z'",
        ),
    ],
)
def test_restore_refusals(world: World, request_: dict[str, Any], code: str, text: str) -> None:
    """Shape, then source, then PITR, then time, then target."""
    world.enable()
    request = {"SourceTableName": "test", "TargetTableName": "back", **request_}
    assert world.refused("RestoreTableToPointInTime", **request) == (code, text)


def test_restore_needs_pitr_before_it_looks_at_times(world: World) -> None:
    """PITR off wins over a wrong time and a taken name."""
    assert world.refused(
        "RestoreTableToPointInTime",
        SourceTableName="test",
        TargetTableName="test",
        RestoreDateTime=1,
    ) == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'test'",
    )


class Seam:
    """What a launcher offers: items by reference, and a table's status."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.marks: list[tuple[str, str, bool]] = []

    def items(self, scope: Any, table_name: str) -> list[Item]:
        return list(self.world.inner.table(scope, table_name).items.values())

    def mark(
        self, scope: Any, table_name: str, status: str, *, restore: Any, table_id: Any = None
    ) -> None:
        description = self.world.inner.table(scope, table_name).description
        description["TableStatus"] = status
        if table_id is not None:
            description["TableId"] = table_id
        self.marks.append((table_name, status, restore is not None))

    def sift(self, specification: Any) -> Any:
        raise NotImplementedError


def test_with_a_seam_the_table_is_creating_until_its_items_are_there(world: World) -> None:
    """The answer comes at once; the base is read without a Scan."""
    seam = Seam(world)
    world.service = PitrService(
        world.inner, PitrSettings(export_seconds=0.0), world.clock, tables=seam
    )
    world.inner.feed = world.service.record
    world.put("a", "1")
    world.enable()
    assert world.inner.scans == 0
    assert restore(world, UseLatestRestorableTime=True)["TableStatus"] == "CREATING"
    world.loop.run_until_complete(world.settle())
    assert seam.marks == [("back", "CREATING", True), ("back", "ACTIVE", False)]
    assert names(world, "back") == {"a"}


def test_denied_restore_names_the_source(world: World) -> None:
    """dynamodb:RestoreTableToPointInTime is asked for."""
    world.enable()
    world.inner.deny = {"dynamodb:RestoreTableToPointInTime": "no"}
    assert world.refused(
        "RestoreTableToPointInTime",
        CALLER,
        SourceTableName="test",
        TargetTableName="back",
        UseLatestRestorableTime=True,
    ) == ("AccessDeniedException", "no")
