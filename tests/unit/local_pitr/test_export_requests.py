"""What ExportTableToPointInTime refuses, in which words, and what a token means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coldtable.local.pitr.service import PitrSettings
from tests.unit.local_pitr.conftest import ARN, DAY, HOUR, SCOPE, World, window

CHECKS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"TableArn": "test"},
        "ValidationException",
        "One or more parameter values were invalid: tableArn is not a valid ARN",
    ),
    (
        {"TableArn": ARN + "/index/i"},
        "ValidationException",
        "Invalid Request: Table ARN is invalid.",
    ),
    (
        {"TableArn": ARN.replace("123456789123", "999999999999")},
        "AccessDeniedException",
        "Access is denied",
    ),
    ({"TableArn": ARN + "x"}, "TableNotFoundException", f"Table not found: {ARN}x"),
    (
        {"TableArn": ARN.replace("eu-north-1", "us-east-1") + "x"},
        "TableNotFoundException",
        f"Table not found: {ARN.replace('eu-north-1', 'us-east-1')}x",
    ),
    (
        {"ExportFormat": "CSV"},
        "ValidationException",
        "1 validation error detected: Value 'CSV' at 'exportFormat' failed to satisfy constraint: "
        "Member must satisfy enum value set: [DYNAMODB_JSON, ION]",
    ),
    (
        {"S3SseAlgorithm": "aws:kms"},
        "ValidationException",
        "1 validation error detected: Value 'aws:kms' at 's3SseAlgorithm' failed to satisfy "
        "constraint: Member must satisfy enum value set: [AES256, KMS]",
    ),
    (
        {"S3BucketOwner": "me", "ExportType": "PARTIAL"},
        "ValidationException",
        "2 validation errors detected: Value 'me' at 's3BucketOwner' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [0-9]{12}; Value 'PARTIAL' "
        "at 'exportType' failed to satisfy constraint: Member must satisfy enum value set: "
        "[FULL_EXPORT, INCREMENTAL_EXPORT]",
    ),
    (
        {"S3Bucket": None},
        "ValidationException",
        "1 validation error detected: Value null at 's3Bucket' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        {
            "ExportType": "INCREMENTAL_EXPORT",
            "IncrementalExportSpecification": {"ExportFromTime": 1, "ExportViewType": "NEW_IMAGES"},
        },
        "ValidationException",
        "1 validation error detected: Value 'NEW_IMAGES' at "
        "'incrementalExportSpecification.exportViewType' failed to satisfy constraint: Member "
        "must satisfy enum value set: [NEW_IMAGE, NEW_AND_OLD_IMAGES]",
    ),
    (
        {"IncrementalExportSpecification": {"ExportFromTime": 1}},
        "ValidationException",
        "Invalid Request: Export Type expected to be Incremental Export when incremental export "
        "specification is provided",
    ),
    (
        {
            "ExportType": "FULL_EXPORT",
            "IncrementalExportSpecification": {"ExportFromTime": 1},
        },
        "ValidationException",
        "Invalid Request: When Export Type is Full Export , Incremental Export Specification "
        "should not be provided",
    ),
    (
        {"ExportType": "INCREMENTAL_EXPORT"},
        "ValidationException",
        "Invalid Request: Incremental Export Specification expected when export type is set as "
        "Incremental Export",
    ),
    (
        {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {}},
        "ValidationException",
        "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
    ),
    (
        {"S3SseKmsKeyId": "k", "S3SseAlgorithm": "AES256"},
        "ValidationException",
        "Invalid Request: KMS Key Id is not supported for this encryption type",
    ),
    (
        {"FilterSpecification": {}},
        "ValidationException",
        "Invalid Request: Invalid FilterSpecification: The specification can not be empty",
    ),
    (
        {"FilterSpecification": {"FilterExpression": "a = b"}},
        "ValidationException",
        # Without the emulator's reader of expressions: no export rather than a whole one.
        "Invalid Request: FilterSpecification is not supported by coldtable's embedded AWS",
    ),
    ({"ExportTime": "noon"}, "SerializationException", "STR_VALUE cannot be converted to Double"),
]


@pytest.mark.parametrize(("change", "code", "text"), CHECKS)
def test_rejections_carry_aws_s_texts(
    on: World, change: dict[str, Any], code: str, text: str
) -> None:
    """Each wrong request, its exception and its exact words."""
    request = {"TableArn": ARN, "S3Bucket": "archive", **change}
    assert on.refused("ExportTableToPointInTime", **request) == (code, text)
    assert on.ask("ListExports") == {"ExportSummaries": []}


def test_table_is_looked_up_in_the_endpoint_s_region(on: World) -> None:
    """The region inside the ARN is ignored [QUIRKS]; what is exported tells its own."""
    started = on.start(TableArn=ARN.replace("eu-north-1", "us-east-1"))
    assert started["TableArn"] == ARN
    assert started["ExportArn"].startswith(ARN)


def test_pitr_off_is_told_before_anything_about_s3(world: World) -> None:
    """A bucket that does not exist changes nothing about the answer."""
    assert world.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="nowhere") == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'test'",
    )


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (5, "Export Time is invalid"),
        (HOUR, "Export Time is invalid"),
        (-3 * DAY, "Export Time is invalid"),
        (-1, "Point in Time Recovery is not available for specified export time"),
        (-300, None),
        (-2 * DAY, None),
    ],
)
def test_export_time_rules(on: World, offset: int, text: str | None) -> None:
    """Future and too old are invalid, the last five minutes are not available, the rest is."""
    moment = int(on.clock.now) + offset
    if text is None:
        assert on.export(ExportTime=moment)["ExportStatus"] == "COMPLETED"
        return
    assert on.refused(
        "ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", ExportTime=moment
    ) == ("InvalidExportTimeException", text)


WINDOWS: list[tuple[float, float | None, str | None]] = [
    (
        -3 * DAY,
        -HOUR,
        "Incremental export period from time cannot be less than the table creation time : "
        "2026-01-13T10:18:50Z",
    ),
    (
        -600,
        None,
        "Difference between export period from time and export period to time is less than 15 "
        "minutes",
    ),
    (
        -HOUR,
        -2 * HOUR,
        "Difference between export period from time and export period to time is less than 15 "
        "minutes",
    ),
    (
        -25 * HOUR,
        None,
        "Difference between export period from time and export period to time is greater than 24 "
        "hours",
    ),
    (
        -HOUR,
        HOUR,
        "Incremental export period to time cannot be greater than the current time : "
        "2026-01-16T11:18:50Z",
    ),
    (-900, None, None),
    (-24 * HOUR, None, None),
]


@pytest.mark.parametrize(("start", "stop", "text"), WINDOWS)
def test_incremental_window_rules(
    on: World, start: float, stop: float | None, text: str | None
) -> None:
    """15 minutes to 24 hours, after creation, not in the future; the edges are accepted."""
    request = window(on, start, stop)
    if text is None:
        assert on.export(**request)["ExportStatus"] == "COMPLETED"
        return
    assert on.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", **request) == (
        "InvalidExportTimeException",
        text,
    )


def test_window_before_creation_wins_over_pitr_off(world: World) -> None:
    """The creation check comes first [QUIRKS]."""
    code, text = world.refused(
        "ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", **window(world, -HOUR, None)
    )
    assert code == "InvalidExportTimeException"
    assert text.startswith("Incremental export period from time cannot be less than")


def test_same_token_gives_the_same_export_also_after_it_failed(on: World) -> None:
    """A replay of a failed export returns the failed export."""
    first = on.export(S3Bucket="nowhere", ClientToken="t")
    assert first["ExportStatus"] == "FAILED"
    assert on.start(S3Bucket="nowhere", ClientToken="t") == first


@pytest.mark.parametrize(
    "change",
    [
        {"S3SseAlgorithm": "AES256"},
        {"S3Prefix": "other"},
        {"ExportFormat": "ION"},
        {"ExportTime": 1768471130},
        {"ExportType": "FULL_EXPORT"},
        {"S3BucketOwner": "123456789123"},
    ],
)
def test_same_token_with_anything_changed_conflicts(on: World, change: dict[str, Any]) -> None:
    """Even a default that is spelled out is a change."""
    on.export(ClientToken="t")
    assert on.refused(
        "ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", ClientToken="t", **change
    ) == (
        "ExportConflictException",
        "Export conflict: Duplicate request detected with conflicting parameters",
    )


def test_rejected_request_reserves_no_token(world: World) -> None:
    """After a refusal the token starts an export with other parameters."""
    world.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", ClientToken="t")
    world.enable()
    assert world.export(ClientToken="t", S3Prefix="p")["ExportStatus"] == "COMPLETED"


def test_token_is_free_eight_hours_after_its_export_ended(on: World) -> None:
    """Just before it replays, just after it starts another one."""
    first = on.export(ClientToken="t")
    on.clock.forward(8 * HOUR - 1)
    assert on.start(ClientToken="t")["ExportArn"] == first["ExportArn"]
    on.clock.forward(1)
    assert on.export(ClientToken="t")["ExportArn"] != first["ExportArn"]


def test_replay_after_the_table_was_deleted_finds_no_table(on: World) -> None:
    """TableNotFoundException, not the old export [QUIRKS]."""
    on.export(ClientToken="t")
    on.inner.drop(SCOPE, "test")
    assert on.refused(
        "ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive", ClientToken="t"
    ) == ("TableNotFoundException", f"Table not found: {ARN}")


def test_calls_without_a_token_are_two_exports(on: World) -> None:
    """Each gets its own token, as AWS shows."""
    first, second = on.export(), on.export()
    assert first["ExportArn"] != second["ExportArn"]
    assert first["ClientToken"] != second["ClientToken"]


@pytest.fixture
def small() -> Iterator[World]:
    """A world with two exports at once and throttling on."""
    made = World(PitrSettings(export_seconds=0.0, max_concurrent_exports=2, throttle=True))
    made.enable()
    yield made
    made.loop.run_until_complete(made.service.aclose())
    made.loop.close()


def test_limit_of_concurrent_exports(small: World) -> None:
    """The third of two is refused, and accepted once one has ended."""
    small.control("exports", hold=True)
    arn = small.start()["ExportArn"]
    small.start()
    assert small.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive")[0] == (
        "LimitExceededException"
    )
    small.control("exports", release=True)
    small.finish(arn)
    assert small.export()["ExportStatus"] == "COMPLETED"


def test_continuous_backups_may_be_asked_for_ten_times_a_second(small: World) -> None:
    """[MODEL]. The eleventh call within the second is one too many."""
    for _ in range(3):
        for _ in range(10):
            small.ask("DescribeContinuousBackups", TableName="test")
        assert small.refused("DescribeContinuousBackups", TableName="test") == (
            "ThrottlingException",
            "Rate exceeded",
        )
        small.clock.forward(1.1)


def test_burst_is_throttled_and_refused_calls_count(small: World) -> None:
    """After twenty quick calls: Rate exceeded; 1.5 s later one more is let through."""
    for _ in range(20):
        assert small.refused("ExportTableToPointInTime", TableArn="x", S3Bucket="b")[0] == (
            "ValidationException"
        )
    refusal = ("ThrottlingException", "Rate exceeded")
    assert small.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive") == refusal
    for _ in range(3):  # somebody who hammers on is let through never
        small.clock.forward(1.0)
        assert (
            small.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive") == refusal
        )
    small.clock.forward(1.5)
    assert small.start()["ExportStatus"] == "IN_PROGRESS"
    assert small.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive") == refusal
