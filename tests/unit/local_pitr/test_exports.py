"""ExportTableToPointInTime, DescribeExport, ListExports: states, errors by text, tokens, times."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from coldtable.local.interface import Caller, Scope
from coldtable.local.pitr.service import PitrSettings
from tests.unit.local_pitr.conftest import ARN, CALLER, SCOPE, World

HOUR, DAY = 3600, 86_400
BOTH = {
    "ClientToken",
    "DestinationType",
    "ExportArn",
    "ExportFormat",
    "ExportStatus",
    "ExportTime",
    "S3Bucket",
    "S3SseAlgorithm",
    "StartTime",
    "TableArn",
    "TableId",
}


@pytest.fixture
def on(world: World) -> World:
    """PITR has been on for two days."""
    world.enable()
    world.clock.forward(2 * DAY)
    return world


def items(world: World, description: dict[str, Any]) -> list[dict[str, Any]]:
    """What a completed export's data files hold."""
    _, files = world.manifest(description)
    return [
        json.loads(line)
        for file in files
        for line in gzip.decompress(world.body(file["dataFileS3Key"])).splitlines()
    ]


def test_members_of_a_minimal_export_are_aws_s_in_each_state(on: World) -> None:
    """Ten members and DestinationType while it runs, four more when done; no ExportType."""
    on.control("exports", hold=True)
    started = on.start()
    assert set(started) == BOTH
    assert started["ExportStatus"] == "IN_PROGRESS"
    assert started["S3SseAlgorithm"] == "AES256"
    assert started["ExportTime"] == started["StartTime"] == 1768558730.622
    assert re.fullmatch(rf"{ARN}/export/01768558730622-[0-9a-f]{{8}}", started["ExportArn"])
    assert on.ask("DescribeExport", ExportArn=started["ExportArn"])["ExportDescription"] == started
    on.control("exports", release=True)
    done = on.finish(started["ExportArn"])
    assert set(done) == BOTH | {"EndTime", "ExportManifest", "BilledSizeBytes", "ItemCount"}
    assert done["ExportStatus"] == "COMPLETED"


def test_members_that_were_sent_are_echoed(on: World) -> None:
    """Prefix verbatim, owner, KMS without a key, and ExportType only because it was sent."""
    done = on.export(
        S3Prefix="foo/",
        S3BucketOwner="123456789123",
        S3SseAlgorithm="KMS",
        ExportType="FULL_EXPORT",
    )
    assert (done["S3Prefix"], done["S3BucketOwner"], done["S3SseAlgorithm"]) == (
        "foo/",
        "123456789123",
        "KMS",
    )
    assert done["ExportType"] == "FULL_EXPORT"
    assert done["ExportManifest"].startswith("foo/AWSDynamoDB/")
    assert on.manifest(done)[0]["s3SseKmsKeyId"] is None


def test_explicit_time_exports_the_state_before_it(on: World) -> None:
    """A write in the second that is asked for is not in the export; the one before is."""
    moment = int(on.clock.now)
    on.inner.put(SCOPE, "test", {"pk": {"S": "a"}, "sk": {"S": "1"}}, moment * 1_000_000 - 1)
    on.inner.put(SCOPE, "test", {"pk": {"S": "b"}, "sk": {"S": "1"}}, moment * 1_000_000)
    on.clock.forward(600)
    done = on.export(ExportTime=moment + 0.75)
    assert done["ExportTime"] == moment
    assert [one["Item"]["pk"]["S"] for one in items(on, done)] == ["a"]


def test_default_time_includes_what_was_just_written(on: World) -> None:
    """An export without ExportTime right after a put holds that put."""
    on.put("a", "1")
    assert on.export()["ItemCount"] == 1


def test_table_that_had_items_before_pitr_exports_them(world: World) -> None:
    """The base is read by paged Scan when PITR is switched on."""
    world.inner.page = 7
    for number in range(30):
        world.put(f"p{number}", "s")
    world.enable()
    assert world.inner.scans == 5
    assert world.export()["ItemCount"] == 30


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
        {"TableArn": ARN.replace("eu-north-1", "us-east-1")},
        "TableNotFoundException",
        f"Table not found: {ARN.replace('eu-north-1', 'us-east-1')}",
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


def window(world: World, start: float, stop: float | None, **more: Any) -> dict[str, Any]:
    """An incremental request; times relative to now."""
    spec: dict[str, Any] = {"ExportFromTime": int(world.clock.now + start), **more}
    if stop is not None:
        spec["ExportToTime"] = int(world.clock.now + stop)
    return {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": spec}


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


def test_incremental_shows_its_resolved_window_and_no_export_time(on: World) -> None:
    """An omitted ExportToTime is now, whole seconds; StartTime is too; the view is filled in."""
    done = on.export(**window(on, -HOUR, None))
    assert "ExportTime" not in done
    assert done["StartTime"] == int(on.clock.now)
    assert done["IncrementalExportSpecification"] == {
        "ExportFromTime": int(on.clock.now) - HOUR,
        "ExportToTime": int(on.clock.now),
        "ExportViewType": "NEW_AND_OLD_IMAGES",
    }
    assert (done["ItemCount"], done["BilledSizeBytes"]) == (0, 10_000_000)


def test_new_image_view_never_shows_an_old_image(on: World) -> None:
    """Insert and update look alike, and a delete has neither image."""
    on.put("old", "1")
    on.put("gone", "1")
    on.clock.forward(HOUR)
    on.put("old", "1", v={"N": "2"})
    on.delete("gone", "1")
    on.clock.forward(HOUR)
    done = on.export(**window(on, -1.5 * HOUR, None, ExportViewType="NEW_IMAGE"))
    found = {one["Keys"]["pk"]["S"]: one for one in items(on, done)}
    assert set(found["old"]) == {"Metadata", "Keys", "NewImage"}
    assert set(found["gone"]) == {"Metadata", "Keys"}
    assert on.manifest(done)[0]["outputView"] == "NEW_IMAGE"


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


def test_bucket_that_is_not_there_fails_the_export(on: World) -> None:
    """Accepted, then FAILED with S3NoSuchBucket and the SDK's tail."""
    done = on.export(S3Bucket="Nowhere")
    assert set(done) == BOTH | {"EndTime", "FailureCode", "FailureMessage"}
    assert done["FailureCode"] == "S3NoSuchBucket"
    assert re.fullmatch(
        r"The specified bucket does not exist \(Service: Amazon S3; Status Code: 404; "
        r"Error Code: NoSuchBucket; Request ID: [0-9A-F]{16}; S3 Extended Request ID: \S+; "
        r"Proxy: null\)",
        done["FailureMessage"],
    )


def test_denied_write_fails_the_export_with_s3_s_words(on: World) -> None:
    """FAILED with S3AccessDenied; the text names user, action and resource."""
    on.inner.deny_put = (
        "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:PutObject"
    )
    done = on.export()
    assert done["FailureCode"] == "S3AccessDenied"
    assert done["FailureMessage"].startswith(on.inner.deny_put + " (Service: Amazon S3; Status")


def test_wrong_bucket_owner_fails_the_export(on: World) -> None:
    """FAILED with S3AccessDenied and S3's shortest words [QUIRKS]."""
    on.inner.owners["archive"] = SCOPE.account
    done = on.export(S3BucketOwner="111111111111")
    assert done["FailureCode"] == "S3AccessDenied"
    assert done["FailureMessage"].startswith("Access Denied (Service: Amazon S3; Status Code: 403")
    assert on.export(S3BucketOwner=SCOPE.account)["ExportStatus"] == "COMPLETED"


def test_unknown_kms_key_fails_the_export(on: World) -> None:
    """A key that is not there, and a key of another region."""
    key = "arn:aws:kms:us-east-1:123456789123:key/deadbeef-dead-beef-dead-beefdeadbeef"
    done = on.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=key)
    assert done["FailureCode"] == "KmsNotFoundException"
    assert done["FailureMessage"].startswith(
        f"Key '{key}' does not exist (Service: Amazon S3; Status Code: 400; "
        "Error Code: KMS.NotFoundException;"
    )
    other = on.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=key.replace("us-east-1", "eu-west-1"))
    assert other["FailureMessage"].startswith("Invalid arn eu-west-1 (Service: Amazon S3;")


def test_known_kms_key_is_echoed_and_used(on: World) -> None:
    """The alias comes back verbatim, and every object is written with it."""
    on.inner.keys.add("alias/mine")
    done = on.export(S3SseAlgorithm="KMS", S3SseKmsKeyId="alias/mine")
    assert done["S3SseKmsKeyId"] == "alias/mine"
    assert on.manifest(done)[0]["s3SseKmsKeyId"] == "alias/mine"
    headers = [found.headers for found in on.inner.objects.values()]
    assert {h["x-amz-server-side-encryption-aws-kms-key-id"] for h in headers} == {"alias/mine"}


def test_denied_action_names_the_reason(on: World) -> None:
    """Authorisation is asked for each operation."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ExportTableToPointInTime", {"TableArn": ARN, "S3Bucket": "archive"}),
        ("DescribeExport", {"ExportArn": f"{ARN}/export/01768385930622-efd1a093"}),
        ("ListExports", {}),
        ("DescribeContinuousBackups", {"TableName": "test"}),
        ("UpdateContinuousBackups", {"TableName": "test"}),
    ]
    for operation, request in calls:
        on.inner.deny = {f"dynamodb:{operation}": "no, because"}
        assert on.refused(operation, **request) == ("AccessDeniedException", "no, because")


def test_describe_tells_foreign_and_malformed_arns_apart(on: World) -> None:
    """Not found, wrong region, other account, not an export: each its own words."""
    arn = on.export()["ExportArn"]
    for wrong, code, text in (
        (
            arn[:-8] + "00000000",
            "ExportNotFoundException",
            f"Export not found: Export not found: {arn[:-8]}00000000",
        ),
        (
            arn.replace("eu-north-1", "us-east-1"),
            "ExportNotFoundException",
            "Export not found: Invalid export arn",
        ),
        (arn.replace("123456789123", "9" * 12), "AccessDeniedException", "Access is denied"),
        (ARN, "ValidationException", "Invalid Export ARN"),
        (arn.replace("/export/", "/import/"), "ValidationException", "Invalid Export ARN"),
        ("x" * 40, "ValidationException", "Invalid Export ARN"),
        (
            "foo",
            "ValidationException",
            "1 validation error detected: Value 'foo' at 'exportArn' failed to satisfy "
            "constraint: Member must have length greater than or equal to 37",
        ),
    ):
        assert on.refused("DescribeExport", ExportArn=wrong) == (code, text)


def test_list_is_newest_first_in_pages(on: World) -> None:
    """Ten to a page by default, MaxResults when given, nothing twice when new ones arrive."""
    made = []
    for _ in range(12):
        on.clock.forward(60)
        made.append(on.export()["ExportArn"])
    first = on.ask("ListExports", TableArn=ARN)
    assert [one["ExportArn"] for one in first["ExportSummaries"]] == made[:1:-1]
    assert first["ExportSummaries"][0] == {
        "ExportArn": made[-1],
        "ExportStatus": "COMPLETED",
        "ExportType": "FULL_EXPORT",
    }
    on.clock.forward(60)
    on.export()
    rest = on.ask("ListExports", TableArn=ARN, NextToken=first["NextToken"], MaxResults=25)
    assert [one["ExportArn"] for one in rest["ExportSummaries"]] == made[1::-1]
    assert "NextToken" not in rest
    assert on.refused("ListExports", MaxResults=26)[0] == "ValidationException"
    assert on.refused("ListExports", NextToken="?")[0] == "ValidationException"


def test_list_forgets_after_ninety_days(on: World) -> None:
    """And so does DescribeExport; the objects stay."""
    arn = on.export()["ExportArn"]
    on.clock.forward(90 * DAY)
    assert len(on.ask("ListExports")["ExportSummaries"]) == 1
    on.clock.forward(1)
    assert on.ask("ListExports")["ExportSummaries"] == []
    assert on.refused("DescribeExport", ExportArn=arn)[0] == "ExportNotFoundException"
    assert any(on.inner.keys_in("archive"))


def test_deleted_table_lists_nothing_but_still_describes(on: World) -> None:
    """Also after a table of the same name was made again, which has no history."""
    arn = on.export()["ExportArn"]
    on.inner.drop(SCOPE, "test")
    on.service.table_deleted(ARN)
    assert on.ask("ListExports", TableArn=ARN)["ExportSummaries"] == []
    on.inner.create(SCOPE, "test", "pk", "sk")
    assert on.ask("ListExports", TableArn=ARN)["ExportSummaries"] == []
    assert on.ask("DescribeExport", ExportArn=arn)["ExportDescription"]["ExportArn"] == arn
    assert on.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive")[0] == (
        "PointInTimeRecoveryUnavailableException"
    )


def test_recreated_table_has_no_history_even_unannounced(on: World) -> None:
    """A new TableId is another table, when nobody told of the deletion too."""
    on.put("a", "1")
    on.inner.drop(SCOPE, "test")
    on.inner.create(SCOPE, "test", "pk", "sk")
    on.put("b", "1")
    on.enable()
    assert on.export()["ItemCount"] == 1


def test_writes_to_a_recreated_table_are_not_the_old_one_s(on: World) -> None:
    """An export of the old table that still waits does not see them."""
    on.put("a", "1")
    on.control("exports", hold=True)
    arn = on.start()["ExportArn"]
    on.inner.drop(SCOPE, "test")
    on.inner.create(SCOPE, "test", "pk", "sk")
    on.put("b", "1")
    on.control("exports", release=True)
    assert [one["Item"]["pk"]["S"] for one in items(on, on.finish(arn))] == ["a"]


def test_export_goes_on_when_its_table_is_deleted(on: World) -> None:
    """Deleting the table right after the start does not stop it [QUIRKS]."""
    on.put("a", "1")
    started = on.start()
    on.inner.drop(SCOPE, "test")
    on.service.table_deleted(ARN)
    done = on.finish(started["ExportArn"])
    assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 1)


def test_tenants_do_not_see_each_other(on: World) -> None:
    """Another account and another region list nothing."""
    on.export()
    for scope in (
        dataclasses.replace(SCOPE, account="999999999999"),
        Scope(account=SCOPE.account, region="us-east-1"),
    ):
        other = Caller(scope=scope, access_key="x")
        assert on.ask("ListExports", other)["ExportSummaries"] == []
    assert len(on.ask("ListExports", CALLER)["ExportSummaries"]) == 1


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


def test_ion_export_holds_the_items_as_text_ion(on: World) -> None:
    """`.ion.gz` files, one `$ion_1_0 {Item:{…}}` a line, outputFormat ION."""
    on.put("a", "1", n={"N": "103"})
    done = on.export(ExportFormat="ION")
    summary, files = on.manifest(done)
    assert summary["outputFormat"] == "ION"
    assert all(file["dataFileS3Key"].endswith(".ion.gz") for file in files)
    content = b"".join(gzip.decompress(on.body(file["dataFileS3Key"])) for file in files)
    assert content == b'$ion_1_0 {Item:{pk:"a",sk:"1",n:103.}}\n'


def test_ion_records_put_keys_before_metadata(on: World) -> None:
    """As the documentation's sample does; the stamp is an exact decimal."""
    on.clock.now = 1768600000.0
    on.put("a", "1", z={"SS": ["x"]}, b={"NULL": True})
    on.clock.forward(HOUR)
    done = on.export(ExportFormat="ION", **window(on, -1.5 * HOUR, None))
    _, files = on.manifest(done)
    content = b"".join(gzip.decompress(on.body(file["dataFileS3Key"])) for file in files)
    assert content == (
        b'$ion_1_0 {Record:{Keys:{pk:"a",sk:"1"},'
        b"Metadata:{WriteTimestampMicros:1768600000000000.},"
        b'NewImage:{b:null,pk:"a",sk:"1",z:$dynamodb_SS::["x"]}}}\n'
    )


def test_big_file_goes_up_in_parts() -> None:
    """Its etag ends in the number of parts, and no part is much over the size of one."""
    world = World(PitrSettings(export_seconds=0.0, partitions=1, part_bytes=64 * 1024))
    world.enable()
    for number in range(900):
        world.put(f"p{number}", "1", noise={"B": base64.b64encode(os.urandom(600)).decode()})
    _, (file,) = world.manifest(world.export())
    stored = world.inner.objects[("archive", file["dataFileS3Key"])]
    assert file["etag"] == stored.etag
    parts = int(file["etag"].split("-")[1])
    assert parts == len(stored.parts) > 1
    assert all(64 * 1024 <= size < 512 * 1024 for size in stored.parts[:-1])
    assert len(gzip.decompress(stored.body).splitlines()) == 900
    world.loop.run_until_complete(world.service.aclose())
    world.loop.close()


def test_items_of_one_partition_key_share_a_file(on: World) -> None:
    """Placement is by a hash of the partition key, over four files that are all used."""
    for number in range(40):
        for sk in ("1", "2", "3"):
            on.put(f"p{number}", sk)
    _, files = on.manifest(on.export())
    seen: dict[str, str] = {}
    for file in files:
        for line in gzip.decompress(on.body(file["dataFileS3Key"])).splitlines():
            pk = json.loads(line)["Item"]["pk"]["S"]
            assert seen.setdefault(pk, file["dataFileS3Key"]) == file["dataFileS3Key"]
    assert len(set(seen.values())) == 4
