"""What AWS does, in a form that could be run against it unchanged. See ``conftest.py``.

Every expectation names its source, by the tags of the project's fact sheet on exports.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.conftest import Target


def test_without_pitr(target: Target) -> None:
    """Refused before anything about S3. [QUIRKS, MOTO, DOC-REQ]"""
    assert target.first.off == {
        "Code": "PointInTimeRecoveryUnavailableException",
        "Message": f"Point in time recovery is not enabled for table '{target.table}'",
    }


def test_enabling_pitr(target: Target) -> None:
    """Both ends are the moment of enabling, whole seconds; 35 days unless told. [QUIRKS]"""
    assert target.first.enabled["ContinuousBackupsStatus"] == "ENABLED"
    found = target.first.enabled["PointInTimeRecoveryDescription"]
    assert found["PointInTimeRecoveryStatus"] == "ENABLED"
    assert found["RecoveryPeriodInDays"] == 35
    assert found["EarliestRestorableDateTime"] == found["LatestRestorableDateTime"]
    assert found["EarliestRestorableDateTime"].microsecond == 0


def test_a_second_before_now_just_after_enabling(target: Target) -> None:
    """A text of its own. [QUIRKS]"""
    assert target.first.a_second_ago == {
        "Code": "InvalidExportTimeException",
        "Message": "Point in Time Recovery is not available for specified export time",
    }


@pytest.fixture(scope="session")
def full(target: Target) -> dict[str, Any]:
    """One completed full export below the prefix ``full/``."""
    started = target.export(S3Prefix="full/", ClientToken="full")
    assert set(started) == {
        # [SCYLLA, QUIRKS]: what an export in progress shows, and nothing else
        "ClientToken", "ExportArn", "ExportFormat", "ExportStatus", "ExportTime", "S3Bucket",
        "S3Prefix", "S3SseAlgorithm", "StartTime", "TableArn", "TableId",
    } | ({"DestinationType"} & set(started))  # fmt: skip
    return target.ended(started["ExportArn"])


def test_the_export_s_arn_has_its_start_in_it(full: dict[str, Any]) -> None:
    """14 digits of milliseconds of StartTime, a dash, 8 hex digits. [REAL-G]"""
    export_id = full["ExportArn"].rsplit("/", 1)[1]
    assert re.fullmatch(r"\d{14}-[0-9a-f]{8}", export_id)
    assert int(export_id.split("-")[0]) == int(full["StartTime"].timestamp() * 1000)


def test_a_completed_export_tells_its_size(full: dict[str, Any]) -> None:
    """COMPLETED adds EndTime, BilledSizeBytes, ItemCount and ExportManifest. [SCYLLA, QUIRKS]"""
    assert full["ExportStatus"] == "COMPLETED"
    assert full["ItemCount"] == 3
    assert full["BilledSizeBytes"] >= 0
    assert full["EndTime"] > full["StartTime"]
    assert "FailureCode" not in full
    assert "ExportType" not in full  # not echoed when omitted [QUIRKS]


def test_the_summary_is_compact_and_in_order(target: Target, full: dict[str, Any]) -> None:
    """Keys in this order, no spaces, no newline at the end, no exportType. [REAL-G]"""
    body = target.body(full["ExportManifest"]).decode()
    summary = json.loads(body)
    assert body == json.dumps(summary, separators=(",", ":"))
    assert list(summary) == [
        "version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime",
        "s3Bucket", "s3Prefix", "s3SseAlgorithm", "s3SseKmsKeyId", "manifestFilesS3Key",
        "billedSizeBytes", "itemCount", "outputFormat",
    ]  # fmt: skip
    assert summary["version"] == "2020-06-30"
    assert summary["s3SseKmsKeyId"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", summary["exportTime"])


def test_the_layout(target: Target, full: dict[str, Any]) -> None:
    """_started, data/, both manifests with .md5, one slash after the prefix. [REAL-G, SCYLLA]"""
    root = f"full/AWSDynamoDB/{full['ExportArn'].rsplit('/', 1)[1]}"
    keys = target.keys("full/")
    fixed = {f"{root}/_started"} | {
        f"{root}/manifest-{name}.{kind}"
        for name in ("files", "summary")
        for kind in ("json", "md5")
    }
    data = set(keys) - fixed
    assert fixed <= set(keys)
    assert all(re.fullmatch(rf"{root}/data/[a-z2-7]{{26}}\.json\.gz", key) for key in data)
    assert target.body(f"{root}/_started") == b""


def test_every_md5_and_etag_is_right(target: Target, full: dict[str, Any]) -> None:
    """Manifests' .md5, data files' md5Checksum and multipart etag hex-1. [REAL-G]"""
    for key in [k for k in target.keys("full/") if k.endswith(".md5")]:
        body = target.body(key.removesuffix(".md5") + ".json")
        assert target.body(key) == base64.b64encode(
            hashlib.md5(body, usedforsecurity=False).digest()
        )
    files_key = target.summary(full)["manifestFilesS3Key"]
    rows = target.body(files_key).decode()
    assert rows.endswith("\n")
    count = 0
    for line in rows.splitlines():
        row = json.loads(line)
        assert list(row) == ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]
        body = target.body(row["dataFileS3Key"])
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        assert row["md5Checksum"] == base64.b64encode(digest).decode()
        assert row["etag"] == f"{hashlib.md5(digest, usedforsecurity=False).hexdigest()}-1"
        head = target.s3.head_object(Bucket=target.bucket, Key=row["dataFileS3Key"])
        assert head["ETag"].strip('"') == row["etag"]
        assert body[:10].hex() == "1f8b08000000000000ff"
        assert len(gzip.decompress(body).splitlines()) == row["itemCount"]
        count += row["itemCount"]
    assert count == full["ItemCount"]


def test_the_same_token_finds_the_export(target: Target, full: dict[str, Any]) -> None:
    """An identical replay gives the same ARN, also after the end. [QUIRKS]"""
    assert target.export(S3Prefix="full/", ClientToken="full")["ExportArn"] == full["ExportArn"]


@pytest.mark.parametrize(
    "changed",
    [{"S3Prefix": "other"}, {"S3Prefix": "full/", "S3SseAlgorithm": "AES256"}],
)
def test_a_token_with_other_parameters_conflicts(
    target: Target, full: dict[str, Any], changed: dict[str, Any]
) -> None:
    """Also an explicit AES256 instead of none is a change. [QUIRKS, SCYLLA]"""
    assert full
    with pytest.raises(ClientError) as caught:
        target.export(ClientToken="full", **changed)
    assert caught.value.response["Error"] == {
        "Code": "ExportConflictException",
        "Message": "Export conflict: Duplicate request detected with conflicting parameters",
    }


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        # all of them [QUIRKS]
        (
            {"TableArn": "orders"},
            "ValidationException",
            "One or more parameter values were invalid: tableArn is not a valid ARN",
        ),
        (
            {"ExportFormat": "CSV"},
            "ValidationException",
            "1 validation error detected: Value 'CSV' at 'exportFormat' failed to satisfy "
            "constraint: Member must satisfy enum value set: [",
        ),
        (
            {"S3SseKmsKeyId": "alias/x"},
            "ValidationException",
            "Invalid Request: KMS Key Id is not supported for this encryption type",
        ),
        (
            {"ExportType": "INCREMENTAL_EXPORT"},
            "ValidationException",
            "Invalid Request: Incremental Export Specification expected when export type is set "
            "as Incremental Export",
        ),
        (
            {"IncrementalExportSpecification": {"ExportFromTime": 0}},
            "ValidationException",
            "Invalid Request: Export Type expected to be Incremental Export when incremental "
            "export specification is provided",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_requests(target: Target, changed: dict[str, Any], code: str, message: str) -> None:
    """The exact words of each refusal. [QUIRKS]"""
    with pytest.raises(ClientError) as caught:
        target.export(**changed)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert error["Message"].startswith(message)


@pytest.mark.parametrize("away", [timedelta(days=1), timedelta(days=-300)])
def test_times_outside_the_history(target: Target, away: timedelta) -> None:
    """The future, and before PITR began. [QUIRKS]"""
    with pytest.raises(ClientError) as caught:
        target.export(ExportTime=target.now() + away)
    assert caught.value.response["Error"]["Code"] == "InvalidExportTimeException"
    assert caught.value.response["Error"]["Message"] == "Export Time is invalid"


def test_a_short_window(target: Target) -> None:
    """An incremental of less than 15 minutes is refused. [QUIRKS, DOC-REQ]"""
    end = target.now() - timedelta(minutes=6)
    with pytest.raises(ClientError) as caught:
        target.export(
            ExportType="INCREMENTAL_EXPORT",
            IncrementalExportSpecification={
                "ExportFromTime": end - timedelta(minutes=10),
                "ExportToTime": end,
            },
        )
    assert caught.value.response["Error"]["Message"] == (
        "Difference between export period from time and export period to time is less than "
        "15 minutes"
    )


def test_a_window_before_the_table(target: Target) -> None:
    """The text repeats the time that was asked for. [QUIRKS]"""
    start = (target.now() - timedelta(hours=26)).replace(microsecond=0)
    window = {"ExportFromTime": start, "ExportToTime": start + timedelta(hours=1)}
    with pytest.raises(ClientError) as caught:
        target.export(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=window)
    assert caught.value.response["Error"]["Code"] == "InvalidExportTimeException"
    assert caught.value.response["Error"]["Message"] == (
        "Incremental export period from time cannot be less than the table creation time : "
        f"{start:%Y-%m-%dT%H:%M:%SZ}"
    )


def test_no_bucket_fails_later(target: Target) -> None:
    """Accepted, then FAILED S3NoSuchBucket; the same token gives the failed export. [QUIRKS]"""
    wanted = {"S3Bucket": f"{target.bucket}-none", "ClientToken": "none"}
    ended = target.ended(target.export(**wanted)["ExportArn"])
    assert (ended["ExportStatus"], ended["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert ended["FailureMessage"].startswith(
        "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; "
        "Error Code: NoSuchBucket; Request ID: "
    )
    assert target.export(**wanted)["ExportArn"] == ended["ExportArn"]


def test_the_list_is_newest_first(target: Target, full: dict[str, Any]) -> None:
    """Summaries are ARN, status and type; FULL_EXPORT also when the type was omitted. [QUIRKS]"""
    found = target.dynamodb.list_exports(TableArn=target.arn)["ExportSummaries"]
    arns = [summary["ExportArn"] for summary in found]
    assert full["ExportArn"] in arns
    assert arns == sorted(arns, reverse=True)
    assert {summary["ExportType"] for summary in found} == {"FULL_EXPORT"}


def test_an_unknown_export(target: Target, full: dict[str, Any]) -> None:
    """[QUIRKS]"""
    arn = full["ExportArn"][:-8] + "00000000"
    with pytest.raises(ClientError) as caught:
        target.describe(arn)
    assert caught.value.response["Error"] == {
        "Code": "ExportNotFoundException",
        "Message": f"Export not found: Export not found: {arn}",
    }


def test_an_incremental(target: Target) -> None:
    """Insert, update and delete in a window, as records; shared data folder. [REAL-G, DOC-OUT]"""
    start = target.now().replace(microsecond=0)
    key = {"pk": {"S": "1"}, "sk": {"S": "1"}}
    put = target.dynamodb.put_item
    put(TableName=target.table, Item={**key, "test": {"S": "new"}})
    put(TableName=target.table, Item={"pk": {"S": "2"}, "sk": {"S": "1"}})
    gone = {"pk": {"S": "1"}, "sk": {"S": "2"}}
    target.dynamodb.delete_item(TableName=target.table, Key=gone)
    target.passes(1300)
    window = {
        "ExportFromTime": start,
        "ExportToTime": start + timedelta(minutes=15),
        "ExportViewType": "NEW_AND_OLD_IMAGES",
    }
    export = target.ended(
        target.export(
            ExportType="INCREMENTAL_EXPORT",
            S3Prefix="incremental",
            IncrementalExportSpecification=window,
        )["ExportArn"]
    )
    assert export["ExportStatus"] == "COMPLETED"
    assert "ExportTime" not in export
    summary = target.summary(export)
    assert summary["version"] == "2023-08-01"
    assert list(summary)[-2:] == ["outputView", "exportType"]
    assert summary["billedSizeBytes"] == 10_000_000
    records = {}
    for line in target.body(summary["manifestFilesS3Key"]).splitlines():
        data_key = json.loads(line)["dataFileS3Key"]
        assert data_key.startswith("incremental/AWSDynamoDB/data/")
        for text in gzip.decompress(target.body(data_key)).splitlines():
            record = json.loads(text)
            assert set(record["Metadata"]["WriteTimestampMicros"]) == {"N"}
            records[record["Keys"]["pk"]["S"] + record["Keys"]["sk"]["S"]] = record
    assert {name: set(record) - {"Metadata", "Keys"} for name, record in records.items()} == {
        "11": {"OldImage", "NewImage"},
        "21": {"NewImage"},
        "12": {"OldImage"},
    }
