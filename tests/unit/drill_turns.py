"""A ground for the tests of the function that drills: a bucket, tables, imports and a clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from coldtable.core.drill import Drill
from coldtable.core.evidence import evidence_folder
from coldtable.core.records import Home
from coldtable.core.rotation import hour_of
from coldtable.errors import AccessDenied
from coldtable.handler_drill import respond
from coldtable.local.emf import points
from coldtable.model import Destination
from coldtable.ops.drill_plan import drills_of
from coldtable.ops.drill_turn import DrillWorld
from coldtable.ops.pace import Watch
from coldtable.ops.restore_plan import Windows
from coldtable.ops.tick import tick
from coldtable.ports import ObjectStore
from coldtable.testing.fakes import ACCOUNT, REGION, FakeObjects, FakeParameters
from coldtable.testing.imports import FakeImporter
from coldtable.testing.tables import FakeTables
from tests.unit.counting import CountingObjects
from tests.unit.restoring import ATTRIBUTES, KEY, SCHEMA, line
from tests.unit.ticking import DAY, HOUR, Night, policy

PATH = "/test/stg/infra"
ARCHIVE = Destination(bucket="archive")
MANY = 70


class Closing(CountingObjects):
    """Records with ``closed`` in their key are refused, if it is anything."""

    closed = ""

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``."""
        if self.closed and self.closed in key:
            raise AccessDenied("s3:PutObject is missing", action="s3:PutObject")
        return super().put_new(key, body)


class Drills:
    """An installation whose archive has a full export of 70 items, and what its runs answer."""

    def __init__(
        self, *, hours: int = 4, full_every: timedelta = 30 * DAY, lines: list[bytes] | None = None
    ) -> None:
        self.night = Night(policy=policy(full_every=full_every))
        self.night.aws.defined = {"AttributeDefinitions": ATTRIBUTES, "KeySchema": SCHEMA}
        self.night.aws.lines = lines or [line(n) for n in range(MANY)]
        self.night.run(hours * HOUR)
        self.store = Closing(self.night.aws.bucket)
        self.home = Home.of(self.night.table)
        self.tables = FakeTables()
        self.tables.add("orders", KEY, arn=self.night.table.arn)
        self.tables.lingers = 2
        self.importer = FakeImporter(self.tables, {"archive": self.objects})
        self.importer.now = lambda: self.now
        self.parameters = FakeParameters(
            {
                f"{PATH}/BACKUP_BUCKET_NAME": "archive",
                **{f"{PATH}/BACKUP_{one}_STR": "0" for one in ("DAY", "HOUR", "MINUTE", "SECOND")},
                f"{PATH}/POLICY": '{"mode": "continuous", "tables": ["orders"]}',
                f"{PATH}/DRILL_DAYS": "30",
            }
        )
        self.now = self.night.aws.now
        self.lines: list[str] = []
        # Seconds that a run has, and how long it takes to look at the clock.
        self.seconds, self.looking = 840.0, 0.0
        self.waited, self.patience = 0.0, 120.0
        self.account = ACCOUNT
        self.paused: Callable[[float], object] = lambda _: None

    @property
    def objects(self) -> dict[str, bytes]:
        return self.night.aws.bucket.objects

    def world(self) -> DrillWorld:
        """A run's world; waiting takes no time but what the watch counts."""
        clock = [0.0]

        def read() -> float:
            clock[0] += self.looking
            return clock[0]

        def pause(seconds: float) -> None:
            clock[0] += seconds
            self.waited += seconds
            self.paused(seconds)

        return DrillWorld(
            objects=self.bucket,
            windows=self.windows,
            notifier=self.night.aws.notifier,
            watch=Watch(read=read, pause=pause, deadline=self.seconds),
            now=self.tick,
            account=self.account,
            region=REGION,
            patience=self.patience,
        )

    def bucket(self, to: Destination) -> ObjectStore:
        return self.store if to == ARCHIVE else FakeObjects({})

    def windows(self, to: Destination = ARCHIVE) -> Windows:
        store = self.bucket(to)
        return Windows(
            store=store,
            prefix="",
            bucket=to.bucket,
            owner=None,
            scratch=store,
            scratch_prefix="",
            scratch_bucket=to.bucket,
            scratch_owner=None,
            region=REGION,
            tables=self.tables,
            reader=self.tables,
            importer=self.importer,
            ion=json.loads,
            now=self.tick,
            pause=lambda _: None,
            say=lambda _: None,
        )

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def run(self, hours: float = 0, *, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the run answers that comes so many hours later; status and body in one."""
        self.now += hours * HOUR
        self.lines.clear()
        self.store.requests = Counter()
        self.waited = 0.0
        due = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        answer = respond(
            event or {"source": "coldtable.drill", "scheduledTime": due},
            path=PATH,
            stack="prod",
            parameters=self.parameters,
            world=self.world,
            measure=self.lines.append,
        )
        return {"status": answer["statusCode"], **json.loads(answer["body"])}

    def at_its_hour(self, days: float = 0) -> dict[str, Any]:
        """What the run answers at the table's next hour, some days later."""
        self.now += days * DAY
        hours = (hour_of(self.home) - self.now.hour) % 24
        return self.run(hours)

    def more_tables(self, count: int) -> None:
        """So many more tables of the same hour, each with a full export."""
        homes = (replace(self.home, name=f"t{n:04}") for n in range(10_000))
        mine = (home.name for home in homes if hour_of(home) == hour_of(self.home))
        names = list(islice(mine, count))
        for name in names:
            self.night.aws.create(name)
        self.night.aws.now = self.now
        policies = dict.fromkeys(names, self.night.policy)
        for _ in range(3):
            self.night.aws.pass_time(HOUR)
            tick(policies, self.night.world())
        self.now = self.night.aws.now
        self.parameters.values[f"{PATH}/POLICY"] = '{"mode": "continuous", "tables": ["*"]}'

    def did(self, answer: dict[str, Any]) -> str:
        """What became of the one table, in a word."""
        (table,) = answer["tables"]
        return str(table["did"])

    @property
    def measured(self) -> dict[str, float]:
        return {p.name: p.value for text in self.lines for p in points(text)}

    @property
    def told(self) -> list[str]:
        return self.night.subjects

    @property
    def known(self) -> tuple[Drill, ...]:
        return drills_of(self.night.aws.bucket, "")

    def records(self) -> list[dict[str, Any]]:
        """What was noted of drills, oldest first."""
        folder = evidence_folder(self.home, self.night.table.table_id)
        keys = [key for key in sorted(self.objects) if key.startswith(folder)]
        return [json.loads(self.objects[key]) for key in keys if ".drill." in key]

    @property
    def scratch(self) -> list[str]:
        """The tables of drills that are there."""
        return [name for name in self.tables.names if name != "orders"]
