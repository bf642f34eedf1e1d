"""Proof of an export: the manifests' MD5s, the counts, and every byte of the data files."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coldtable.errors import DamagedError, NotFound
from coldtable.model import Export, ExportStatus
from coldtable.ops.proof import read_items, read_manifest
from coldtable.testing.fakes import FakeObjects

ROOT = "2026/11/23/orders/AWSDynamoDB/01768385930622-efd1a093"
ARN = "arn:aws:dynamodb:eu-north-1:123456789012:table/orders/export/01768385930622-efd1a093"
LINES = [b'{"Item":{"pk":{"S":"1"}}}', b'{"Item":{"pk":{"S":"2"}}}', b'{"Item":{"pk":{"S":"3"}}}']

Archive = dict[str, bytes]


def export(**changed: object) -> Export:
    fields: dict[str, object] = {
        "arn": ARN,
        "status": ExportStatus.COMPLETED,
        "table_arn": ARN.split("/export")[0],
        "bucket": "archive",
        "prefix": "2026/11/23/orders",
        "moment": datetime(2026, 11, 22, 18, tzinfo=UTC),
        "manifest_key": f"{ROOT}/manifest-summary.json",
        "items": 3,
    }
    return Export(**{**fields, **changed})  # type: ignore[arg-type]  # a table of changes


def md5(body: bytes) -> bytes:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest())


def put(objects: Archive, name: str, body: bytes) -> None:
    objects[f"{ROOT}/{name}.json"] = body
    objects[f"{ROOT}/{name}.md5"] = md5(body)


def archive(summary_count: int = 3, arn: str = ARN) -> Archive:
    objects: Archive = {}
    rows = b""
    for name, lines in (("a", LINES), ("b", [])):
        body = gzip.compress(b"".join(line + b"\n" for line in lines))
        objects[f"{ROOT}/data/{name}.json.gz"] = body
        row = {
            "itemCount": len(lines),
            "md5Checksum": md5(body).decode(),
            "etag": "x-1",
            "dataFileS3Key": f"{ROOT}/data/{name}.json.gz",
        }
        rows += json.dumps(row).encode() + b"\n"
    put(objects, "manifest-files", rows)
    summary = {
        "exportArn": arn,
        "tableArn": arn.split("/export")[0],
        "tableId": "cf263806-6bf1-4e51-a242-7067dcdecc72",
        "exportTime": "2026-11-22T18:00:00.000Z",
        "manifestFilesS3Key": f"{ROOT}/manifest-files.json",
        "itemCount": summary_count,
        "outputFormat": "DYNAMODB_JSON",
    }
    put(objects, "manifest-summary", json.dumps(summary).encode())
    return objects


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_whole_export_gives_its_items(piece: int) -> None:
    """However the bytes arrive, the items come out, empty files included."""
    store = FakeObjects(archive(), piece=piece)
    manifest = read_manifest(export(), store)
    assert manifest.moment == datetime(2026, 11, 22, 18, tzinfo=UTC)
    assert [line for file in manifest.files for line in read_items(file, store)] == LINES


@pytest.mark.parametrize("key", ["manifest-summary.json", f"{ROOT}/manifest-summary.json"])
def test_the_manifest_is_found_with_and_without_the_prefix(key: str) -> None:
    """Whether ExportManifest carries the prefix is UNVERIFIED, so both are tried."""
    told = key if key.startswith(ROOT) else f"AWSDynamoDB/01768385930622-efd1a093/{key}"
    assert read_manifest(export(manifest_key=told), FakeObjects(archive())).items == 3


def test_no_manifest_is_not_an_empty_one() -> None:
    """An export whose summary is missing is an error that names the bucket."""
    with pytest.raises(NotFound, match="not in the bucket archive"):
        read_manifest(export(), FakeObjects({}))


def broken(change: Callable[[Archive], None]) -> Archive:
    objects = archive()
    change(objects)
    return objects


def swap_summary(objects: Archive) -> None:
    objects[f"{ROOT}/manifest-summary.json"] += b" "


def swap_files(objects: Archive) -> None:
    objects[f"{ROOT}/manifest-files.json"] = b""


def no_json(objects: Archive) -> None:
    put(objects, "manifest-summary", b"<html>")


def no_fields(objects: Archive) -> None:
    put(objects, "manifest-summary", b"{}")


def bad_row(objects: Archive) -> None:
    put(objects, "manifest-files", b'{"itemCount":"many"}\n')


@pytest.mark.parametrize(
    ("objects", "asked", "said"),
    [
        (broken(swap_summary), export(), "manifest-summary.json does not match its MD5"),
        (broken(swap_files), export(), "manifest-files.json does not match its MD5"),
        (broken(no_json), export(), "is not JSON"),
        (broken(no_fields), export(), "is not a manifest"),
        (broken(bad_row), export(), "line 1, is not a data file"),
        (archive(summary_count=4), export(items=4), "the summary counts 4 items, its files"),
        (archive(), export(items=5), "DynamoDB reports 5 items"),
        (archive(arn=ARN + "0"), export(), "belongs to another export"),
    ],
)
def test_a_manifest_that_cannot_be_believed(objects: Archive, asked: Export, said: str) -> None:
    """Each way in which manifests contradict themselves or AWS is damage, with its reason."""
    with pytest.raises(DamagedError) as caught:
        read_manifest(asked, FakeObjects(objects))
    assert said in caught.value.message
    assert caught.value.exit_code == 5


def cut(body: bytes) -> bytes:
    return body[:-9]


def flip(body: bytes) -> bytes:
    return body[:-6] + bytes([body[-6] ^ 1]) + body[-5:]


def grow(body: bytes) -> bytes:
    return body + gzip.compress(LINES[0] + b"\n")


def other(_body: bytes) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in LINES[:2]))


def torn(_body: bytes) -> bytes:
    return gzip.compress(b"\n".join(LINES))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "is cut short"),
        (flip, "is not sound gzip"),
        (grow, "has bytes after the end"),
        (other, "has MD5"),
        (torn, "ends in the middle of a line"),
    ],
)
def test_a_data_file_that_is_not_what_was_promised(
    damage: Callable[[bytes], bytes], said: str
) -> None:
    """A data file cut short, changed, grown or swapped is damage, and the reason says which."""
    objects = archive()
    store = FakeObjects(objects)
    file = read_manifest(export(), store).files[0]
    objects[file.key] = damage(objects[file.key])
    with pytest.raises(DamagedError) as caught:
        list(read_items(file, store))
    assert said in caught.value.message
