"""The control endpoint: hold and release, and faults on demand."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from coldtable.local.interface import ApiError
from coldtable.local.pitr.service import PitrService, PitrSettings
from tests.unit.local_pitr.conftest import ARN, CALLER, World


def test_held_exports_stay_in_progress_until_released(world: World) -> None:
    """Seen as IN_PROGRESS, then COMPLETED."""
    world.enable()
    assert world.control("exports", hold=True)["held"]
    arn = world.start()["ExportArn"]
    world.loop.run_until_complete(asyncio.sleep(0.01))
    described = world.ask("DescribeExport", ExportArn=arn)["ExportDescription"]
    assert described["ExportStatus"] == "IN_PROGRESS"
    assert list(world.inner.keys_in("archive")) == []
    assert world.control("exports", release=True) == {"held": False, "seconds": 0.0, "running": 1}
    assert world.finish(arn)["ExportStatus"] == "COMPLETED"


def test_next_export_fails_with_the_code_that_was_asked_for(world: World) -> None:
    """Once: before any object is written; the one after it succeeds."""
    world.enable()
    world.control("faults", fail={"code": "S3AccessDenied", "message": "Access Denied"})
    done = world.export()
    assert (done["ExportStatus"], done["FailureCode"], done["FailureMessage"]) == (
        "FAILED",
        "S3AccessDenied",
        "Access Denied",
    )
    assert list(world.inner.keys_in("archive")) == []
    assert world.export()["ExportStatus"] == "COMPLETED"


@pytest.mark.parametrize("files", [0, 2, 4])
def test_failing_half_way_leaves_partial_files(world: World, files: int) -> None:
    """`_started` and some data files, no manifest, and no upload left open."""
    world.enable()
    world.control("faults", fail={"code": "S3AccessDenied", "after_files": files})
    assert world.export()["ExportStatus"] == "FAILED"
    keys = list(world.inner.keys_in("archive"))
    assert keys[0].endswith("/_started")
    assert len(keys) == 1 + files
    assert not any("manifest" in key for key in keys)
    assert world.inner.open_uploads == 0


def test_failing_half_way_aborts_the_uploads_that_are_open() -> None:
    """Parts that went up already are thrown away [DOC-REQ: s3:AbortMultipartUpload]."""
    world = World(PitrSettings(export_seconds=0.0, part_bytes=16 * 1024))
    world.enable()
    for number in range(4000):
        world.put(f"p{number}", "1", noise={"B": base64.b64encode(os.urandom(300)).decode()})
    world.control("faults", fail={"code": "S3AccessDenied", "after_files": 1})
    opened: list[int] = []
    put = world.inner.call

    async def watched(*arguments: Any, **named: Any) -> Any:
        reply = await put(*arguments, **named)
        opened.append(world.inner.open_uploads)
        return reply

    world.inner.call = watched  # type: ignore[method-assign]
    assert world.export()["ExportStatus"] == "FAILED"
    assert max(opened) == 4
    assert world.inner.open_uploads == 0
    world.loop.run_until_complete(world.service.aclose())
    world.loop.close()


def test_throttling_on_demand_counts_down(world: World) -> None:
    """Two calls of one operation, then one of any."""
    world.enable()
    world.control("faults", throttle={"ListExports": 2})
    for _ in range(2):
        assert world.refused("ListExports") == ("ThrottlingException", "Rate exceeded")
    assert world.ask("ListExports") == {"ExportSummaries": []}
    world.control("faults", throttle=1)
    assert world.refused("DescribeContinuousBackups", TableName="test")[0] == (
        "ThrottlingException"
    )


def test_dropped_response_after_the_export_was_accepted(world: World) -> None:
    """The caller gets nothing, the export runs, and the same token finds it."""
    world.enable()
    world.control("faults", drop={"seconds": 0.01})
    with pytest.raises(ApiError) as caught:
        world.start(ClientToken="t")
    assert caught.value.status == 500
    (listed,) = world.ask("ListExports")["ExportSummaries"]
    assert world.start(ClientToken="t")["ExportArn"] == listed["ExportArn"]


def test_dropped_response_is_let_go_at_the_end(world: World) -> None:
    """Closing the service does not wait for the two minutes."""
    world.enable()
    world.control("faults", drop={"operation": "ListExports"})

    async def ask_and_close() -> None:
        asking = asyncio.create_task(world.service.handle(CALLER, "ListExports", {}))
        await asyncio.sleep(0.01)
        await world.service.aclose()
        with pytest.raises(ApiError):
            await asking

    began = time.monotonic()
    world.loop.run_until_complete(ask_and_close())
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_spoilt_data_file_does_not_match_its_manifest(world: World, how: str) -> None:
    """One data file has other bytes than the manifest says; the export says COMPLETED."""
    world.enable()
    world.put("a", "1")
    world.control("faults", damage={"how": how})
    done = world.export()
    _, files = world.manifest(done)
    wrong = [
        file
        for file in files
        if base64.b64encode(
            hashlib.md5(world.body(file["dataFileS3Key"]), usedforsecurity=False).digest()
        ).decode()
        != file["md5Checksum"]
    ]
    assert len(wrong) == 1
    assert world.control("faults")["damage"] == []


def test_missing_data_file(world: World) -> None:
    """The manifest names a file that is not there."""
    world.enable()
    world.control("faults", damage={"how": "missing"})
    _, files = world.manifest(world.export())
    there = set(world.inner.keys_in("archive"))
    assert sum(file["dataFileS3Key"] not in there for file in files) == 1


def test_missing_manifest_md5(world: World) -> None:
    """Any object can be meant, by the end of its key."""
    world.enable()
    world.control("faults", damage={"how": "missing", "name": "manifest-summary.md5"})
    world.export()
    assert not any(key.endswith("manifest-summary.md5") for key in world.inner.keys_in("archive"))


def test_object_that_lies_there_can_be_spoilt_later(world: World) -> None:
    """Bit rot on demand, with a multipart etag as before."""
    world.enable()
    world.put("a", "1")
    _, files = world.manifest(world.export())
    (key,) = [file["dataFileS3Key"] for file in files if file["itemCount"]]
    world.control("faults", object={"bucket": "archive", "key": key, "how": "truncate"})
    with pytest.raises(EOFError):
        gzip.decompress(world.body(key))
    assert world.inner.objects[("archive", key)].etag.endswith("-1")


def test_unknown_faults_are_refused(world: World) -> None:
    """A typo arms nothing."""
    bodies: list[dict[str, Any]] = [{"explode": True}, {"damage": {"how": "melt"}}, {"fail": {}}]
    for body in bodies:
        with pytest.raises(ApiError):
            world.control("faults", **body)
    with pytest.raises(ApiError):
        world.control("weather")


def test_error_of_ours_fails_the_export_loudly(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An item that cannot be written is told in the description and in the log."""
    world.enable()
    world.put("a", "1", broken={"S": object()})
    done = world.export()
    assert (done["ExportStatus"], done["FailureCode"]) == ("FAILED", "InternalServerError")
    assert "not JSON serializable" in done["FailureMessage"]
    assert "the past went wrong" in caplog.text


def test_history_and_records_survive_a_clean_restart(world: World, tmp_path: Path) -> None:
    """Saved and loaded: the past can be exported, exports and tokens are known, nothing moves."""
    world.enable(RecoveryPeriodInDays=7)
    world.put("a", "1", v={"N": "1"})
    world.clock.forward(600)
    moment = int(world.clock.now)
    world.clock.forward(1)
    world.put("a", "1", v={"N": "2"})
    first = world.export(ClientToken="t")
    before = world.ask("DescribeContinuousBackups", TableName="test")
    world.service.save(tmp_path)

    world.service = PitrService(world.inner, PitrSettings(export_seconds=0.0), world.clock)
    world.inner.feed = world.service.record
    world.service.load(tmp_path)
    assert world.ask("DescribeContinuousBackups", TableName="test") == before
    assert world.start(ClientToken="t") == first
    world.put("b", "1")
    assert world.export()["ItemCount"] == 2
    world.clock.forward(600)
    _, files = world.manifest(world.export(ExportTime=moment))
    content = b"".join(gzip.decompress(world.body(file["dataFileS3Key"])) for file in files)
    assert content == b'{"Item":{"pk":{"S":"a"},"sk":{"S":"1"},"v":{"N":"1"}}}\n'


def test_export_under_way_goes_on_after_a_restart(world: World, tmp_path: Path) -> None:
    """What was IN_PROGRESS when the emulator stopped runs again with the next call."""
    world.enable()
    world.put("a", "1")
    world.control("exports", hold=True)
    arn = world.start()["ExportArn"]
    world.service.save(tmp_path)
    world.loop.run_until_complete(world.service.aclose())
    world.service = PitrService(world.inner, PitrSettings(export_seconds=0.0), world.clock)
    world.service.load(tmp_path)
    world.ask("ListExports")
    assert world.finish(arn)["ItemCount"] == 1


def test_empty_folder_is_an_empty_past(world: World, tmp_path: Path) -> None:
    """Loading from a new state directory changes nothing."""
    world.service.load(tmp_path)
    assert world.ask("ListExports") == {"ExportSummaries": []}


def test_reset_forgets_everything(world: World) -> None:
    """No history, no exports, nothing held, no faults."""
    world.enable()
    world.export()
    world.control("exports", hold=True)
    world.control("faults", throttle=3)
    world.service.reset()
    assert world.ask("ListExports") == {"ExportSummaries": []}
    assert world.refused("ExportTableToPointInTime", TableArn=ARN, S3Bucket="archive")[0] == (
        "PointInTimeRecoveryUnavailableException"
    )
    assert world.control("exports")["held"] is False
