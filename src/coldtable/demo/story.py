"""The demo's story: an evening, a night, a morning; and whether what is shown is true."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from coldtable.core.manifest import Manifest
from coldtable.core.schedule import resolve_local
from coldtable.demo.scene import TABLE, Item, Scene
from coldtable.errors import CheckFailed
from coldtable.local.process import EmbeddedAws
from coldtable.model import Export
from coldtable.ops.follow import failure_of, follow_exports
from coldtable.ops.proof import read_items, read_manifest
from coldtable.ports import Exporter, ObjectStore

ZONE = ZoneInfo("Asia/Tokyo")
EVENING, MOMENT, SCHEDULE = time(20), time(3), "cron(0 4 * * ? *)"
STACK = "coldtable-demo"
# Twice an hour, so that a whole day of the story is played in seconds.
TICK = "rate(30 minutes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """The instants of the story, in UTC."""

    evening: datetime
    moment: datetime
    change: datetime
    morning: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the story found: the export, its manifest, and its items beside the table's."""

    export: Export
    manifest: Manifest
    keys: tuple[str, ...]
    then: Mapping[str, Item]
    exported: Mapping[str, Item]
    now: Mapping[str, Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the story needs to be played."""

    aws: EmbeddedAws
    scene: Scene
    exporter: Exporter
    objects: Callable[[str], ObjectStore]
    pause: Callable[[float], None]
    tell: Callable[[str], None]

    def clock(self) -> str:
        """The time in the story."""
        return f"{self.aws.now().astimezone(ZONE):%d %b %H:%M}"

    def quiet(self) -> None:
        """Wait until no export of the table is in progress."""
        arns = self.scene.export_arns(self.exporter.table(TABLE).arn)
        follow_exports([self.exporter.describe(arn) for arn in arns], self.exporter, self.pause)


def next_night(now: datetime) -> Night:
    """The first night that begins after ``now``: at 20:00 in Tokyo."""
    day = now.astimezone(ZONE).date()
    while (evening := resolve_local(day, EVENING, ZONE)) < now:
        day += timedelta(days=1)
    moment = resolve_local(day + timedelta(days=1), MOMENT, ZONE)
    return Night(
        evening=evening,
        moment=moment,
        change=moment + timedelta(minutes=10),
        morning=moment + timedelta(hours=1, minutes=1),
    )


def order(number: int, state: str, total: str, **more: Item) -> Item:
    """An item of the demo's table, in DynamoDB's own JSON."""
    return {"id": {"S": f"order-{number}"}, "state": {"S": state}, "total": {"N": total}, **more}


def write_evening(scene: Scene) -> None:
    """What the table holds before the moment."""
    scene.put(
        order(1, "paid", "19.90"),
        order(2, "open", "7"),
        order(3, "paid", "12345678901234567890.123456789"),
        order(4, "paid", "0", gifts={"SS": ["card", "ribbon"]}, receipt={"B": b"\x00\xffPDF"}),
    )


def write_night(scene: Scene) -> None:
    """What changes after the moment, and must not be in the export."""
    scene.put(order(1, "cancelled", "0"), order(5, "open", "3.50"))
    scene.remove("order-2")


def play(stage: Stage, night: Night, dead_letters: str) -> Proof:
    """Write, wait for the moment, change everything, let the schedule fire, and look."""
    tell, scene = stage.tell, stage.scene
    write_evening(scene)
    then = scene.items()
    tell(f"{stage.clock()}  {len(then)} orders are in the table")
    stage.aws.move_to(night.change)
    write_night(scene)
    tell(f"{stage.clock()}  one order was changed, one deleted, one added: too late for this night")
    stage.aws.move_to(night.morning)
    tell(f"{stage.clock()}  the schedule {SCHEDULE} has fired")
    export = _await_export(stage, dead_letters)
    return _prove(stage, export, then)


def check(proof: Proof, night: Night) -> list[str]:
    """What is off in what was shown; nothing, if all is well."""
    wrong = []
    expected = f"{night.moment.astimezone(ZONE):%Y/%m/%d}/{TABLE}"
    if proof.export.prefix != expected:
        wrong.append(f"the export lies under {proof.export.prefix}, and not under {expected}")
    if proof.manifest.moment != night.moment:
        wrong.append(f"the export is of {proof.manifest.moment}, and not of {night.moment}")
    if proof.exported != proof.then:
        wrong.append("the exported items are not those that the table held at the moment")
    if proof.exported == proof.now:
        wrong.append("the export shows the table as it is now")
    return wrong


def _await_export(stage: Stage, dead_letters: str) -> Export:
    """The export that the schedule started, once it has completed; or why there is none."""
    arn = stage.exporter.table(TABLE).arn
    for _ in range(60):
        if found := stage.scene.export_arns(arn):
            (export,) = follow_exports(
                [stage.exporter.describe(found[0])], stage.exporter, stage.pause
            )
            stage.tell(f"{stage.clock()}  export {export.export_id} is {export.status}")
            if problem := failure_of(export):
                raise problem
            return export
        if reasons := stage.scene.dead_letters(dead_letters):
            raise _run_failed(reasons)
        stage.pause(0.5)
    raise CheckFailed(
        "The schedule fired, and neither an export nor a dead letter came of it",
        hint="See what the function logged: coldtable demo --keep, and there the log group "
        f"/aws/lambda/{STACK}-export",
    )


def _run_failed(reasons: list[str]) -> CheckFailed:
    text = f"The run failed and is in the dead-letter queue: {reasons[0]}"
    hint = "This is what a real night would have put there, with an alarm to tell of it"
    return CheckFailed(text, hint=hint)


def _prove(stage: Stage, export: Export, then: Mapping[str, Item]) -> Proof:
    store = stage.objects(export.bucket)
    manifest = read_manifest(export, store)
    exported: dict[str, Item] = {}
    for file in manifest.files:
        for line in read_items(file, store):
            item = json.loads(line)["Item"]
            exported[item["id"]["S"]] = item
    return Proof(
        export=export,
        manifest=manifest,
        keys=tuple(store.keys((export.prefix or "") + "/")),
        then=plain(then),
        exported=plain(exported),
        now=plain(stage.scene.items()),
    )


def plain(items: Mapping[str, Item]) -> dict[str, Item]:
    """Items so that they can be compared: binary as the export spells it, sets in order."""
    return {key: _plain_value(item) for key, item in items.items()}


def _plain_value(value: Any) -> Any:
    match value:
        case bytes():
            return b64encode(value).decode()
        case {"SS": list(strings)}:
            return {"SS": sorted(strings)}
        case dict():
            return {key: _plain_value(inner) for key, inner in value.items()}
    return value
