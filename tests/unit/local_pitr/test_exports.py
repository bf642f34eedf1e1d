"""What an export shows of itself, and what it writes."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re

from coldtable.local.pitr.service import PitrSettings
from tests.unit.local_pitr.conftest import ARN, HOUR, SCOPE, World, items, window

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
