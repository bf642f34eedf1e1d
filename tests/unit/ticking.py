"""A small world for the tests of the tick: one AWS in memory, and ticks over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.core.records import Home
from coldtable.core.timeline import ledger_timeline, timeline
from coldtable.model import Destination, MomentRule, Snapshot, View, Window
from coldtable.model_archive import Ledger, Run, Timeline
from coldtable.model_policy import Mode, Policy
from coldtable.ops.catalog import Catalog
from coldtable.ops.pace import Watch
from coldtable.ops.tick import TickReport, World, tick
from coldtable.testing.world import FakeAws, Fuse

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def policy(**changed: Any) -> Policy:
    """Continuous, a window an hour, a new full export every 30 days."""
    fields: dict[str, Any] = {
        "mode": Mode.CONTINUOUS,
        "rule": MomentRule(day=None, at=time(3), zone=ZoneInfo("UTC")),
        "every": HOUR,
        "full_every": timedelta(days=30),
        "view": View.NEW_AND_OLD_IMAGES,
        "rpo": timedelta(hours=3),
        "to": Destination(bucket="archive"),
        "prefix_template": DEFAULT_TEMPLATE,
    }
    return Policy(**{**fields, **changed})


@dataclass
class Night:
    """An AWS with the table ``orders``, its policy, and the reports of the ticks so far."""

    policy: Policy = field(default_factory=policy)
    aws: FakeAws = field(default_factory=lambda: FakeAws(NOON))
    reports: list[TickReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = self.aws.create("orders")
        self.aws.pass_time(timedelta(minutes=30))

    def world(self, fuse: Fuse | None = None) -> World:
        """The world of one tick; through ``fuse``, if there is one."""
        fuse = fuse or Fuse()
        bucket = fuse.wire(self.aws.bucket, "entries", "keys", "read", "put", "put_new")
        calls = ("table", "pitr", "start", "describe", "exports", "definition")
        wired = fuse.wire(self.aws, *calls)
        return World(
            exporter=wired,
            directory=wired,
            objects=lambda _to: bucket,
            notifier=fuse.wire(self.aws.notifier, "tell"),
            watch=Watch(read=lambda: 0.0, pause=lambda _s: None, deadline=1e9),
            now=self.aws.now,
        )

    def tick(self, fuse: Fuse | None = None, **more: Any) -> TickReport:
        """One tick now."""
        report = tick({"orders": self.policy}, self.world(fuse), **more)
        self.reports.append(report)
        return report

    def run(self, length: timedelta, every: timedelta = timedelta(minutes=15)) -> None:
        """Let time pass with a tick at every step."""
        end = self.aws.now + length
        while self.aws.now < end:
            self.aws.pass_time(every)
            self.tick()

    def ledger(self, table_id: str | None = None) -> Ledger:
        """All of what the catalog says."""
        catalog, home = Catalog(self.aws.bucket), Home.of(self.table)
        return catalog.ledger(home, table_id or self.table.table_id, catalog.heads(home))

    def timeline(self, table_id: str | None = None) -> Timeline:
        """What the catalog says can be rebuilt."""
        return ledger_timeline(self.ledger(table_id))

    def truth(self, table_id: str | None = None) -> Timeline:
        """What the exports that completed can really rebuild."""
        requests = self.aws.completed(table_id or self.table.table_id)
        spans = [r.span for r in requests]
        return timeline(
            [s.moment for s in spans if isinstance(s, Snapshot)],
            [Run(window=s) for s in spans if isinstance(s, Window)],
        )

    @property
    def subjects(self) -> list[str]:
        """What people were told, in order."""
        return [subject for subject, _ in self.aws.notifier.messages]
