"""A ground for the tests of restores: an archive of 70 items, and everything outside faked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from coldtable.core.definition import parse_key
from coldtable.core.records import Home, base_slot, body, definition_key
from coldtable.model import Table
from coldtable.ops.crew import Crew
from coldtable.ops.fold_limits import limits
from coldtable.ops.restore import RestoreReport, restore_table
from coldtable.ops.restore_plan import Progress, RestoreWish, TablePlan, plan_table
from coldtable.ops.restore_windows import RestoreWindows
from coldtable.ops.witness import Witness
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.imports import FakeImporter
from coldtable.testing.tables import FakeTables
from tests.unit.test_creation import record

KEY = parse_key(["pk:S"])


@dataclass
class Ground:
    """An archive with a full export of 70 items in three files, and nothing in DynamoDB."""

    archive: ExportsWriter = field(default_factory=ExportsWriter)
    objects: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    tables: FakeTables = field(default_factory=FakeTables)
    bucket: str | None = "archive"
    witness: Witness | None = None
    said: list[str] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objects = self.archive.objects
        lines = [line(n) for n in range(70)]
        self.archive.full(NOON, lines[:30], [], lines[30:])
        self.importer = FakeImporter(self.tables, {"archive": self.objects, "notes": self.notes})

    @property
    def windows(self) -> RestoreWindows:
        store = FakeObjects(self.objects, piece=1000)
        return RestoreWindows(
            store=store,
            open_store=lambda: store,
            crew=Crew(cores=1),
            prefix="",
            bucket=self.bucket,
            owner=None,
            scratch=FakeObjects(self.notes, piece=1000),
            scratch_prefix="",
            scratch_bucket="notes" if self.bucket else None,
            scratch_owner=None,
            region="eu-north-1",
            tables=self.tables,
            writer=self.tables,
            reader=self.tables,
            importer=self.importer,
            ion=lambda _: {},
            bounds=limits(cores=1),
            now=lambda: NOON,
            pause=lambda _: None,
            say=self.said.append,
            witness=self.witness,
        )

    def plan(self, **changes: Any) -> TablePlan:
        wish = RestoreWish(table="orders", at=None, to="copy", key=KEY)
        return plan_table(replace(wish, **changes), self.windows)

    def restore(self, **changes: Any) -> RestoreReport:
        return restore_table(self.plan(**changes), self.windows, self.told.append)

    def define(self, **changes: Any) -> None:
        """A record of the table's definition, as the catalog keeps it."""
        home = Home.of(Table(name="orders", arn=self.archive.table_arn, table_id="x"))
        key = definition_key(home, self.archive.table_id, base_slot(1))
        described = {"AttributeDefinitions": ATTRIBUTES, "KeySchema": SCHEMA, **changes}
        fields = {"definition": record(**described)}
        self.objects[key] = body("definition", NOON, **fields)

    def change(self) -> None:
        """An increment of the next hour: p3 changed, p4 deleted, p1000 new."""
        self.archive.increment(
            NOON,
            NOON + timedelta(hours=1),
            [
                changed({"pk": {"S": "p3"}}),
                record_line({"pk": {"S": "p4"}}, NOON, old={"pk": {"S": "p4"}}),
                changed({"pk": {"S": "p1000"}}),
            ],
        )

    def damage(self) -> str:
        """Spoils a data file; its key."""
        key = sorted(k for k in self.objects if "/data/" in k)[2]
        self.objects[key] = self.objects[key][:-9]
        return key


ATTRIBUTES = [
    {"AttributeName": "pk", "AttributeType": "S"},
    {"AttributeName": "by", "AttributeType": "S"},
    {"AttributeName": "when", "AttributeType": "N"},
]

SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}]


def line(n: int, **more: Any) -> bytes:
    return item_line(pk={"S": f"p{n}"}, n={"N": str(n)}, **more)


def everything() -> list[dict[str, Any]]:
    return [json.loads(line(n))["Item"] for n in range(70)]


def by_key(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: int(item["n"]["N"]))


def changed(keys: Mapping[str, Any]) -> bytes:
    return record_line(dict(keys), NOON + timedelta(minutes=1), new={**keys, "n": {"N": "1000"}})


def spoil(ground: Ground, change: str) -> None:
    """Whoever reads the table reads something else of p5."""

    def other(items: Any) -> Iterator[Any]:
        for item in items:
            if item["pk"]["S"] != "p5":
                yield item
            elif change == "content":
                yield {**item, "n": {"N": "6"}}

    ground.tables.see = other
