"""Both manifests and the data files, byte for byte against what AWS wrote (fact sheet 2 and 3).

The literals are typed from the fact sheet; only ids, times and etags are filled in.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from typing import Any

from tests.unit.local_pitr.conftest import World, world

__all__ = ["world"]

EMPTY = bytes.fromhex("1f8b08000000000000ff03000000000000000000")

FULL_SUMMARY = (
    '{"version":"2020-06-30","exportArn":"%(arn)s","startTime":"2026-01-14T10:18:50.622Z",'
    '"endTime":"2026-01-14T10:18:50.622Z",'
    '"tableArn":"arn:aws:dynamodb:eu-north-1:123456789123:table/test","tableId":"%(table_id)s",'
    '"exportTime":"2026-01-14T10:18:50.622Z","s3Bucket":"archive","s3Prefix":null,'
    '"s3SseAlgorithm":"AES256","s3SseKmsKeyId":null,'
    '"manifestFilesS3Key":"AWSDynamoDB/%(id)s/manifest-files.json","billedSizeBytes":0,'
    '"itemCount":3,"outputFormat":"DYNAMODB_JSON"}'
)
INCREMENTAL_SUMMARY = (
    '{"version":"2023-08-01","exportArn":"%(arn)s","startTime":"2026-01-14T10:35:24.000Z",'
    '"endTime":"2026-01-14T10:35:24.622Z",'
    '"tableArn":"arn:aws:dynamodb:eu-north-1:123456789123:table/test","tableId":"%(table_id)s",'
    '"exportFromTime":"2026-01-14T10:20:00.000Z","exportToTime":"2026-01-14T10:35:00.000Z",'
    '"s3Bucket":"archive","s3Prefix":"20230919-prefix/","s3SseAlgorithm":"AES256",'
    '"s3SseKmsKeyId":null,'
    '"manifestFilesS3Key":"20230919-prefix/AWSDynamoDB/%(id)s/manifest-files.json",'
    '"billedSizeBytes":10000000,"itemCount":3,"outputFormat":"DYNAMODB_JSON",'
    '"outputView":"NEW_AND_OLD_IMAGES","exportType":"INCREMENTAL_EXPORT"}'
)
FILES_LINE = re.compile(
    r'\{"itemCount":\d+,"md5Checksum":"[A-Za-z0-9+/]{22}==","etag":"[0-9a-f]{32}-1",'
    r'"dataFileS3Key":"AWSDynamoDB/\d{14}-[0-9a-f]{8}/data/[a-z2-7]{26}\.json\.gz"\}\n'
)
EMPTY_LINE = (
    '{"itemCount":0,"md5Checksum":"FjvgqIxwymKf1RbbqtrZag==",'
    '"etag":"7deb4078f238dd87d6af0538152c04e9-1","dataFileS3Key":"%s"}\n'
)
ITEMS = (
    b'{"Item":{"pk":{"S":"1"},"sk":{"S":"1"},"test":{"S":"test"}}}\n'
    b'{"Item":{"pk":{"S":"1"},"sk":{"S":"2"},"test":{"S":"test2"}}}\n'
    b'{"Item":{"pk":{"S":"1"},"sk":{"S":"3"},"test2":{"S":"2"},"test1":{"S":"1"}}}\n'
)


def _three_items(world: World) -> None:
    world.put("1", "1", test={"S": "test"})
    world.put("1", "2", test={"S": "test2"})
    world.put("1", "3", test2={"S": "2"}, test1={"S": "1"})


def _ids(description: dict[str, Any]) -> dict[str, str]:
    arn = description["ExportArn"]
    return {"arn": arn, "id": arn.rsplit("/", 1)[1], "table_id": description["TableId"]}


def test_full_summary_is_aws_s_to_the_byte(world: World) -> None:
    """Key names, key order, nulls, three-digit times, no exportType, no newline."""
    world.enable()
    _three_items(world)
    done = world.export()
    assert world.body(done["ExportManifest"]).decode() == FULL_SUMMARY % _ids(done)


def test_full_export_lays_every_object_where_aws_does(world: World) -> None:
    """`_started` first, four data files, both manifests, and manifest-summary.md5 last."""
    world.enable()
    done = world.export()
    folder = f"AWSDynamoDB/{_ids(done)['id']}/"
    keys = list(world.inner.keys_in("archive"))
    assert keys[0] == folder + "_started"
    assert all(
        re.fullmatch(folder + r"data/[a-z2-7]{25}[aeimquy4]\.json\.gz", k) for k in keys[1:5]
    )
    assert keys[5:] == [
        folder + name
        for name in (
            "manifest-files.json",
            "manifest-files.md5",
            "manifest-summary.json",
            "manifest-summary.md5",
        )
    ]
    assert world.body(folder + "_started") == b""


def test_manifest_files_lines_are_aws_s_to_the_byte(world: World) -> None:
    """NDJSON, compact, ordered keys, a newline after the last line too; etags really are `-1`."""
    world.enable()
    _three_items(world)
    done = world.export()
    body = world.body(f"AWSDynamoDB/{_ids(done)['id']}/manifest-files.json").decode()
    lines = body.splitlines(keepends=True)
    assert len(lines) == 4
    assert all(FILES_LINE.fullmatch(line) for line in lines)
    _, files = world.manifest(done)
    empty = [(line, file) for line, file in zip(lines, files, strict=True) if not file["itemCount"]]
    assert len(empty) == 3
    for line, file in empty:
        assert line == EMPTY_LINE % file["dataFileS3Key"]
    for file in files:
        stored = world.inner.objects[("archive", file["dataFileS3Key"])]
        assert stored.etag == file["etag"]
        assert (
            base64.b64encode(hashlib.md5(stored.body, usedforsecurity=False).digest()).decode()
            == file["md5Checksum"]
        )


def test_md5_siblings_are_24_characters_of_base64(world: World) -> None:
    """Each `.md5` is base64(MD5(sibling)), 24 bytes, no newline."""
    world.enable()
    done = world.export()
    for name in ("manifest-files", "manifest-summary"):
        base = f"AWSDynamoDB/{_ids(done)['id']}/{name}"
        digest = world.body(base + ".md5")
        assert len(digest) == 24
        assert (
            base64.b64decode(digest)
            == hashlib.md5(world.body(base + ".json"), usedforsecurity=False).digest()
        )


def test_data_files_carry_aws_s_gzip_header_and_lines(world: World) -> None:
    """Header `1f8b0800 00000000 00ff`, the 20-byte empty file, compact lines in stored order."""
    world.enable()
    _three_items(world)
    _, files = world.manifest(world.export())
    bodies = {file["itemCount"]: world.body(file["dataFileS3Key"]) for file in files}
    assert bodies[0] == EMPTY
    assert bodies[3][:10] == EMPTY[:10]
    assert gzip.decompress(bodies[3]) == ITEMS


def test_incremental_summary_and_records_are_aws_s_to_the_byte(world: World) -> None:
    """Summary with a prefix, data in the shared folder, Metadata/Keys/OldImage/NewImage lines."""
    world.enable()
    world.put("1", "3", test2={"S": "2"}, test1={"S": "1"})
    world.put("2", "3", test={"S": "test"})
    world.clock.now = 1768386096.366933  # 10:21:36
    world.put("2", "1", test={"S": "test2"})
    world.put("1", "3", test2={"S": "2"}, bin_update={"BS": ["0000", "0001"]}, test1={"S": "1"})
    world.delete("2", "3")
    world.put("9", "9", test={"S": "gone"})
    world.delete("9", "9")
    world.clock.now = 1768386924.622  # 10:35:24
    done = world.export(
        ExportType="INCREMENTAL_EXPORT",
        S3Prefix="20230919-prefix/",
        IncrementalExportSpecification={
            "ExportFromTime": 1768386000,
            "ExportToTime": 1768386900,
        },
    )
    assert world.body(done["ExportManifest"]).decode() == INCREMENTAL_SUMMARY % _ids(done)
    assert re.fullmatch(r"01768386924000-[0-9a-f]{8}", _ids(done)["id"])
    _, files = world.manifest(done)
    assert all(
        file["dataFileS3Key"].startswith("20230919-prefix/AWSDynamoDB/data/") for file in files
    )
    content = b"".join(gzip.decompress(world.body(file["dataFileS3Key"])) for file in files)
    assert sorted(content.splitlines()) == [
        b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},'
        b'"Keys":{"pk":{"S":"1"},"sk":{"S":"3"}},'
        b'"OldImage":{"pk":{"S":"1"},"sk":{"S":"3"},"test1":{"S":"1"},"test2":{"S":"2"}},'
        b'"NewImage":{"bin_update":{"BS":["0000","0001"]},"pk":{"S":"1"},"sk":{"S":"3"},'
        b'"test1":{"S":"1"},"test2":{"S":"2"}}}',
        b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},'
        b'"Keys":{"pk":{"S":"2"},"sk":{"S":"1"}},'
        b'"NewImage":{"pk":{"S":"2"},"sk":{"S":"1"},"test":{"S":"test2"}}}',
        b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},'
        b'"Keys":{"pk":{"S":"2"},"sk":{"S":"3"}},'
        b'"OldImage":{"pk":{"S":"2"},"sk":{"S":"3"},"test":{"S":"test"}}}',
    ]
