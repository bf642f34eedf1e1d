"""Three hundred tables in one tick, at the rates that AWS allows and within Lambda's time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from threading import Lock
from typing import Any

from coldtable.model import Export, ExportRequest, Pitr, Table
from coldtable.ops.pace import Watch
from coldtable.ops.tick import TickReport, World, tick
from coldtable.testing.world import FakeAws
from tests.unit.ticking import NOON, policy

TABLES = [f"table-{n:03}" for n in range(300)]
# Five minutes of Lambda, less what the door keeps back (handler_tick.py).
SECONDS = 240.0


class Virtual:
    """A stopwatch on which only waiting takes time, in all threads at once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()

    def read(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        with self._lock:
            asked = self.seconds
        with self._lock:
            self.seconds = max(self.seconds, asked + seconds)


class Timed:
    """An exporter that notes when it was called."""

    def __init__(self, aws: FakeAws, clock: Virtual) -> None:
        self._aws, self._clock = aws, clock
        self.starts: list[float] = []
        self.pitrs: list[float] = []

    def table(self, name: str) -> Table:
        return self._aws.table(name)

    def pitr(self, table: Table) -> Pitr:
        self.pitrs.append(self._clock.read())
        return self._aws.pitr(table)

    def start(self, request: ExportRequest) -> Export:
        self.starts.append(self._clock.read())
        return self._aws.start(request)

    def describe(self, export_arn: str) -> Export:
        return self._aws.describe(export_arn)

    def exports(self, table: Table) -> Iterator[str]:
        return self._aws.exports(table)


def one_tick(aws: FakeAws, **changed: Any) -> tuple[TickReport, Timed, Virtual]:
    clock = Virtual()
    exporter = Timed(aws, clock)
    world = World(
        exporter=exporter,
        directory=aws,
        objects=aws.objects,
        notifier=aws.notifier,
        watch=Watch(read=clock.read, pause=clock.pause, deadline=SECONDS),
        now=aws.now,
    )
    return tick(dict.fromkeys(TABLES, policy(**changed)), world), exporter, clock


def most_within(times: list[float], seconds: float) -> int:
    """The most calls that lie within any span of that many seconds."""
    times = sorted(times)
    return max(sum(t <= other < t + seconds for other in times) for t in times)


def test_the_rates_are_kept_and_the_rest_is_left() -> None:
    """Exports come in a burst and then one in 1.5 seconds, PITR is asked nine times a second; what
    does not fit before the deadline is told as left, and is no failure."""
    aws = FakeAws(NOON)
    for name in TABLES:
        aws.create(name)
    aws.pass_time(timedelta(minutes=30))
    report, exporter, clock = one_tick(aws)
    assert clock.seconds < SECONDS
    assert most_within(exporter.starts, 30) <= 15 + 30 / 1.5 + 1
    assert most_within(exporter.pitrs, 1) <= 10
    assert 100 < report.count("started") < 300
    assert len(report.left) == 300 - report.count("started")
    assert aws.notifier.messages == []


def test_the_next_ticks_go_on_with_what_was_left() -> None:
    """Three ticks begin three hundred chains; those without any restore point come first."""
    aws = FakeAws(NOON)
    for name in TABLES:
        aws.create(name)
    aws.pass_time(timedelta(minutes=30))
    for _ in range(4):
        report, _, _ = one_tick(aws)
        aws.pass_time(timedelta(minutes=15))
    report, _, _ = one_tick(aws)
    assert all(line.timeline.newest for line in report.tables)
    assert aws.paid_twice() == []


def test_the_oldest_lag_comes_first() -> None:
    """After an outage the tables that lag most get their windows before the others."""
    aws = FakeAws(NOON)
    for name in TABLES:
        aws.create(name)
    aws.pass_time(timedelta(minutes=30))
    for _ in range(5):
        one_tick(aws)
        aws.pass_time(timedelta(minutes=15))
    before = {line.name: line.timeline.newest for line in one_tick(aws)[0].tables}
    aws.pass_time(timedelta(hours=30))
    known = len(aws.started)
    report, _, _ = one_tick(aws)
    begun = {request.table.name for request in aws.started[known:]}
    left = set(report.left) - begun
    assert begun
    assert left
    newest_begun = max(moment for name in begun if (moment := before[name]))
    oldest_left = min(moment for name in left if (moment := before[name]))
    # Eight tables are at work at the same time, so the order is not exact.
    late = [n for n in left if (moment := before[n]) and moment < newest_begun]
    assert newest_begun <= oldest_left or len(late) <= 8
