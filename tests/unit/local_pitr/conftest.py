"""A PitrService over the in-memory stand-in, with one table and one bucket."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from coldtable.local.interface import ApiError, Caller, Scope
from coldtable.local.pitr.service import PitrService, PitrSettings
from coldtable.testing.fake_inner import FakeClock, FakeInner, FakeTable, Item

SCOPE = Scope(account="123456789123", region="eu-north-1")
CALLER = Caller(scope=SCOPE, access_key="AKIAEXAMPLE")
HOUR, DAY = 3600, 86_400
ARN = "arn:aws:dynamodb:eu-north-1:123456789123:table/test"


class World:
    """The service, its clock and what lies under it; calls run on a loop of their own."""

    def __init__(self, settings: PitrSettings | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.inner = FakeInner(self.clock)
        self.service = PitrService(
            self.inner, settings or PitrSettings(export_seconds=0.0), self.clock
        )
        self.inner.feed = self.service.record
        self.inner.buckets.add("archive")
        self.table: FakeTable = self.inner.create(SCOPE, "test", "pk", "sk")

    def ask(self, operation: str, caller: Caller = CALLER, **request: Any) -> dict[str, Any]:
        """One call, answered."""
        return self.loop.run_until_complete(self.service.handle(caller, operation, request))

    def refused(self, operation: str, caller: Caller = CALLER, **request: Any) -> tuple[str, str]:
        """One call that must fail: its code and text."""
        with pytest.raises(ApiError) as caught:
            self.ask(operation, caller, **request)
        return caught.value.code, caught.value.message

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """One call of the control endpoint."""
        return self.loop.run_until_complete(self.service.control(path, body))

    def enable(self, **more: Any) -> dict[str, Any]:
        """PITR on."""
        wanted = {"PointInTimeRecoveryEnabled": True, **more}
        return self.ask(
            "UpdateContinuousBackups",
            TableName="test",
            PointInTimeRecoverySpecification=wanted,
        )

    def start(self, **more: Any) -> dict[str, Any]:
        """Start an export into the archive bucket; its description."""
        request = {"TableArn": ARN, "S3Bucket": "archive", **more}
        answer: dict[str, Any] = self.ask("ExportTableToPointInTime", **request)
        return dict(answer["ExportDescription"])

    def finish(self, arn: str) -> dict[str, Any]:
        """Let the loop run until the export has ended; its description."""
        self.loop.run_until_complete(self.settle())
        return dict(self.ask("DescribeExport", ExportArn=arn)["ExportDescription"])

    async def settle(self) -> None:
        """Until no export or import runs."""
        while self.service.running:
            await asyncio.sleep(0.001)

    def export(self, **more: Any) -> dict[str, Any]:
        """Start and finish."""
        return self.finish(self.start(**more)["ExportArn"])

    def body(self, key: str) -> bytes:
        """An object of the archive bucket."""
        return self.inner.objects[("archive", key)].body

    def put(self, pk: str, sk: str, **attributes: Any) -> None:
        """Write an item now."""
        self.inner.put(SCOPE, "test", item(pk, sk, **attributes))

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item now."""
        self.inner.delete(SCOPE, "test", item(pk, sk))

    def manifest(self, description: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Summary and file lines of a completed export."""
        summary = json.loads(self.body(description["ExportManifest"]))
        lines = self.body(summary["manifestFilesS3Key"]).decode().splitlines()
        return summary, [json.loads(line) for line in lines]


def item(pk: str, sk: str, **attributes: Any) -> Item:
    """An item with string keys."""
    return {"pk": {"S": pk}, "sk": {"S": sk}, **attributes}


@pytest.fixture
def world() -> Iterator[World]:
    """A fresh world."""
    made = World()
    yield made
    made.loop.run_until_complete(made.service.aclose())
    made.loop.close()


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


def window(world: World, start: float, stop: float | None, **more: Any) -> dict[str, Any]:
    """An incremental request; times relative to now."""
    spec: dict[str, Any] = {"ExportFromTime": int(world.clock.now + start), **more}
    if stop is not None:
        spec["ExportToTime"] = int(world.clock.now + stop)
    return {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": spec}
