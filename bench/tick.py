"""One tick over 300 tables whose chains are 40 days old: processor time, memory, calls.

Every table has hourly windows, so its log lists 2,880 keys; everything is in memory and answers at
once. What AWS's rates and the network add is not in here: at nine DescribeContinuousBackups a
second 300 tables take 34 seconds, and 300 x 4 listings at 50 ms in 16 threads about 4.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from coldtable.core.records import ROOT, stamp
from coldtable.model_archive import Limits
from coldtable.ops.pace import Watch
from coldtable.ops.tick import World, tick
from coldtable.ports import Entry
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.world import FakeAws
from tests.unit.ticking import NOON, policy

TABLES, DAYS = 300, 40
FREE = Limits(export_burst=10**6, describe_burst=10**6, pitr_rate=10**6)


class LongLogs(FakeObjects):
    """A bucket whose logs are as long as 40 days make them, without anybody having written them."""

    def __init__(self, aws: FakeAws) -> None:
        super().__init__({}, piece=1 << 16)
        self._aws = aws
        self.calls: Counter[str] = Counter()

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """A page of 1,000 keys is one call, as with S3."""
        found = self._log(prefix) if prefix.startswith(f"{ROOT}/log/") else self._heads(prefix)
        count = 0
        for key in found:
            if key > after:
                count += 1
                yield Entry(key, 600)
        self.calls["LIST"] += count // 1000 + 1

    def _heads(self, prefix: str) -> Iterator[str]:
        start = NOON - timedelta(days=DAYS)
        for name in self._aws.names():
            folder = f"{ROOT}/table/000000000000/us-east-1/{name}/base/{self._id(name)}/"
            for tail in ("intent", f"started.{stamp(start)}.x-1", f"verified.{stamp(start)}.x-1"):
                key = f"{folder}000001.a1.{tail}.json"
                if key.startswith(prefix):
                    yield key

    def _log(self, prefix: str) -> Iterator[str]:
        start = NOON - timedelta(days=DAYS)
        for hour in range(DAYS * 24):
            begin = start + timedelta(hours=hour)
            stop = stamp(begin + timedelta(hours=1))
            for tail in ("intent", f"started.{stop}.x-1", f"verified.{stop}.x-1"):
                yield f"{prefix}{stamp(begin)}.window.a1.{tail}.json"

    def _id(self, name: str) -> str:
        return self._aws.table(name).table_id


def main() -> None:
    aws = FakeAws(NOON - timedelta(days=DAYS))
    for number in range(TABLES):
        aws.create(f"table-{number:03}")
    aws.pass_time(timedelta(days=DAYS, minutes=30))
    bucket = LongLogs(aws)
    world = World(
        exporter=aws,
        directory=aws,
        objects=lambda _to: bucket,
        notifier=aws.notifier,
        watch=Watch(read=lambda: 0.0, pause=lambda _s: None, deadline=1e9),
        now=aws.now,
        limits=FREE,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    report = tick(dict.fromkeys(aws.names(), policy(full_every=timedelta(days=60))), world)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert all(line.error is None for line in report.tables), report.tables[0].error
    assert all(len(line.timeline.coverage) == 1 for line in report.tables)
    keys = TABLES * DAYS * 24 * 3
    out = sys.stdout.write
    out(f"{TABLES} tables, {keys:,} keys listed: {spent:.1f} s of processor time, ")
    out(f"peak {peak:.0f} MB (before the tick {before:.0f} MB; the function has 512)\n")
    out(f"S3 listings: {bucket.calls['LIST']:,}, {bucket.calls['LIST'] / TABLES:.1f} a table; ")
    month = bucket.calls["LIST"] / TABLES * 96 * 30 * 0.005 / 1000
    out(f"at 96 ticks a day {month:.3f} USD a month for each table (0.005 USD for 1,000)\n")


if __name__ == "__main__":
    main()
