"""How exports fail later, and how DescribeExport and ListExports remember them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from coldtable.local.interface import Caller, Scope
from tests.unit.local_pitr.conftest import ARN, CALLER, DAY, SCOPE, World, items

LATER = {"EndTime", "FailureCode", "FailureMessage"}


def test_bucket_that_is_not_there_fails_the_export(on: World) -> None:
    """Accepted, then FAILED with S3NoSuchBucket and the SDK's tail."""
    done = on.export(S3Bucket="Nowhere")
    assert set(done) >= LATER
    assert not {"ExportManifest", "ItemCount", "BilledSizeBytes"} & set(done)
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
    """FAILED with S3AccessDenied and S3's shortest words [QUIRKS]; without an owner it is ours."""
    on.inner.owners["archive"] = "111111111111"
    for owner in ({"S3BucketOwner": SCOPE.account}, {}):
        done = on.export(**owner)
        assert done["FailureCode"] == "S3AccessDenied"
        assert done["FailureMessage"].startswith(
            "Access Denied (Service: Amazon S3; Status Code: 403"
        )
    assert on.export(S3BucketOwner="111111111111")["ExportStatus"] == "COMPLETED"


def test_unknown_kms_key_fails_the_export(on: World) -> None:
    """FAILED with KmsNotFoundException and S3's words."""
    key = "arn:aws:kms:us-east-1:123456789123:key/deadbeef-dead-beef-dead-beefdeadbeef"
    done = on.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=key)
    assert done["FailureCode"] == "KmsNotFoundException"
    assert done["FailureMessage"].startswith(
        f"Key '{key}' does not exist (Service: Amazon S3; Status Code: 400; "
        "Error Code: KMS.NotFoundException;"
    )


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
