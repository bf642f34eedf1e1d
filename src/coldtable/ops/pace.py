"""Keep within AWS's rates, and end in time: waits are planned, not suffered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

from coldtable.errors import Deferred
from coldtable.model import Export, ExportRequest, Pitr, Table
from coldtable.model_archive import Limits
from coldtable.ports import Exporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A stopwatch and a way to wait, in seconds; ``deadline`` is the watch's reading at which
    nothing new may begin."""

    read: Callable[[], float]
    pause: Callable[[float], None]
    deadline: float

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return self.deadline - self.read()

    @classmethod
    def lasting(cls, seconds: float) -> Watch:
        """One that runs from now, by this machine's clock."""
        return cls(read=time.monotonic, pause=time.sleep, deadline=time.monotonic() + seconds)


def watch_of(context: object, *, whole: float, margin: float) -> Watch:
    """The seconds that a Lambda's run has left, less a margin; ``whole`` ones without a context."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return Watch.lasting((left() / 1000 if left else whole) - margin)


class Pace:
    """A bucket of ``burst`` permits that gets one back every ``seconds``; safe in threads."""

    def __init__(self, watch: Watch, burst: int, seconds: float) -> None:
        self._watch = watch
        self._seconds = seconds
        self._lock = Lock()
        # When the bucket would be full again; each permit taken moves it on.
        self._full_at = watch.read()
        self._slack = (burst - 1) * seconds

    def wait(self, what: str) -> None:
        """Wait for a permit; ``Deferred`` if it would come after the deadline."""
        with self._lock:
            now = self._watch.read()
            full_at = max(self._full_at, now)
            delay = full_at - self._slack - now
            if now + delay >= self._watch.deadline:
                raise Deferred(
                    f"No time is left for {what} in this run", hint="The next tick goes on with it"
                )
            self._full_at = full_at + self._seconds
        if delay > 0:
            self._watch.pause(delay)


class PacedExporter:
    """An exporter whose calls keep within ``Limits``. Implements ``ports.Exporter``."""

    def __init__(self, inner: Exporter, limits: Limits, watch: Watch) -> None:
        self._inner = inner
        self._exports = Pace(watch, limits.export_burst, limits.export_pause)
        self._describes = Pace(watch, limits.describe_burst, limits.describe_pause)
        self._pitr = Pace(watch, 1, 1 / limits.pitr_rate)

    def table(self, name: str) -> Table:
        """See ``ports.Exporter.table``."""
        return self._inner.table(name)

    def pitr(self, table: Table) -> Pitr:
        """See ``ports.Exporter.pitr``."""
        self._pitr.wait(f"table {table.name}")
        return self._inner.pitr(table)

    def start(self, request: ExportRequest) -> Export:
        """See ``ports.Exporter.start``."""
        self._exports.wait(f"an export of table {request.table.name}")
        return self._inner.start(request)

    def describe(self, export_arn: str) -> Export:
        """See ``ports.Exporter.describe``."""
        self._describes.wait(export_arn)
        return self._inner.describe(export_arn)

    def exports(self, table: Table) -> Iterator[str]:
        """See ``ports.Exporter.exports``."""
        self._describes.wait(f"the exports of table {table.name}")
        return self._inner.exports(table)
