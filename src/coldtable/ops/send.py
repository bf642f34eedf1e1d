"""Write batches of items until every one of them is written: paced, and tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import SystemRandom
from threading import Event, Lock
from typing import Protocol

from coldtable.core.pace import Pace, Rate, back_off, units_a_second
from coldtable.errors import ItemRefused, ParameterInvalid, ServiceFailed, Throttled
from coldtable.model_restore import Condition, TableState
from coldtable.ports_restore import TableWriter

# How long AWS may not answer, or answer with failures of its own, before we give up (seconds).
_PATIENCE = 900.0
_UNIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Neighbouring items of one file: their place is for errors and checkpoints.

    ``file`` is the file's place in the list, ``first`` the number of the first item's line in it,
    from 0; ``name`` is how the file is shown.
    """

    file: int
    name: str
    first: int
    items: Sequence[bytes]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done so far; shared by the threads that do it.

    ``kept`` items were left as they are by a condition. ``again`` items came back unprocessed,
    ``refused`` requests were throttled, ``failed`` ones broke. ``units`` is ``None`` until AWS
    tells what writes cost.
    """

    written: int = 0
    kept: int = 0
    again: int = 0
    refused: int = 0
    failed: int = 0
    units: float | None = None


class Stopped(Exception):
    """Somebody else has failed or asked to stop; nothing is wrong with this one."""


@contextmanager
def stopping(stop: Event) -> Iterator[None]:
    """Set ``stop`` if anything is raised inside: by Ctrl-C, too.

    To be entered after a pool of threads, which waits for them when it is left: who bears
    throttling for ever must know that nobody wants it to any more.
    """
    try:
        yield
    except BaseException:
        stop.set()
        raise


class Pause(Protocol):
    """Waits for so many seconds; ``False`` if there is a reason to stop meanwhile."""

    def __call__(self, seconds: float) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """The time of whoever writes. ``wait`` waits until an event is set, or so many seconds have
    passed, and tells whether it was set."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[Event, float], bool] = Event.wait


class Sender:
    """Writes one batch after the other into one table; safe to use from several threads."""

    def __init__(
        self,
        writer: TableWriter,
        table: str,
        *,
        pause: Pause,
        items_pace: Pace | None = None,
        units_pace: Pace | None = None,
        condition: Callable[[bytes], Condition] | None = None,
        now: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE,
    ) -> None:
        """With a ``condition`` for each item they are put one by one: a batch takes none."""
        self._writer = writer
        self._table = table
        self._pause = pause
        self._items_pace = items_pace
        self._units_pace = units_pace
        self._condition = condition
        self._now = now
        self._patience = patience
        self._well = now()
        self._lock = Lock()
        self._chance = SystemRandom().random
        self.tally = Tally()

    def send(self, batch: Batch) -> None:
        """Write the whole batch, however long it takes.

        Raises ``ItemRefused`` for an item that DynamoDB does not take, ``ServiceFailed`` if AWS
        has not answered anybody for 15 minutes, ``Stopped``, and whatever cannot be helped.
        """
        if self._condition is None:
            self._together(batch, batch.first, batch.items)
            return
        for place, item in enumerate(batch.items, batch.first):
            try:
                self.put(item, self._condition(item))
            except ParameterInvalid as error:
                self._halves(batch, place, [item], error)

    def put(self, item: bytes, condition: Condition) -> bool:
        """Put one item if the condition holds, however long it takes; whether it did."""
        return self._one([item], lambda: self._writer.put(self._table, item, condition))

    def delete(self, key: bytes, condition: Condition) -> bool:
        """Delete one item if the condition holds, however long it takes; whether it did."""
        return self._one([key], lambda: self._writer.delete(self._table, key, condition))

    def _together(self, batch: Batch, first: int, items: Sequence[bytes]) -> None:
        left, attempt = items, 0
        while left:
            reserved = self._wait(left)
            try:
                done = self._writer.put_all(self._table, left)
            except ParameterInvalid as error:
                self._halves(batch, first, left, error)
                return
            except (Throttled, ServiceFailed) as error:
                attempt += 1
                self._bear(error, attempt)
                continue
            written = len(left) - len(done.left)
            self._count(written=written, again=len(done.left), units=done.all_units)
            if self._units_pace and done.units is not None:
                self._units_pace.correct(done.units - reserved)
            # What made headway is not failing: it waits shortly.
            attempt = 1 if written else attempt + 1
            left = done.left
            if left:
                self._sleep(back_off(attempt, self._chance()))

    def _halves(
        self, batch: Batch, first: int, items: Sequence[bytes], error: ParameterInvalid
    ) -> None:
        """One item spoils a batch, or two of one key do: find it, and write the others."""
        if len(items) == 1:
            raise ItemRefused(
                f"DynamoDB does not take an item of {batch.name}, near line {first + 1}: "
                f"{error.message}",
                hint="Does the table have the key that the items have? What was written stays",
            ) from error
        middle = len(items) // 2
        self._together(batch, first, items[:middle])
        self._together(batch, first + middle, items[middle:])

    def _one(self, items: Sequence[bytes], write: Callable[[], bool]) -> bool:
        attempt = 0
        while True:
            self._wait(items)
            try:
                done = write()
            except (Throttled, ServiceFailed) as error:
                attempt += 1
                self._bear(error, attempt)
                continue
            self._count(written=int(done), kept=int(not done))
            return done

    def _wait(self, items: Sequence[bytes]) -> float:
        """Wait for our turn; the write units that were reserved."""
        units = 0.0
        pause = self._items_pace.reserve(len(items)) if self._items_pace else 0.0
        if self._units_pace:
            # JSON is longer than what AWS counts: the answer corrects it.
            units = float(sum(-(-len(item) // _UNIT) for item in items))
            pause = max(pause, self._units_pace.reserve(units))
        if pause:
            self._sleep(pause)
        return units

    def _bear(self, error: Throttled | ServiceFailed, attempt: int) -> None:
        """Wait and go on. Throttling passes; a service that never answers does not."""
        throttled = isinstance(error, Throttled)
        self._count(refused=int(throttled), failed=int(not throttled))
        if not throttled and self._now() - self._well > self._patience:
            raise error
        self._sleep(back_off(attempt, self._chance()))

    def _count(
        self,
        *,
        written: int = 0,
        kept: int = 0,
        again: int = 0,
        refused: int = 0,
        failed: int = 0,
        units: float | None = None,
    ) -> None:
        tally = self.tally
        with self._lock:
            tally.written += written
            tally.kept += kept
            tally.again += again
            tally.refused += refused
            tally.failed += failed
            if units is not None:
                tally.units = (tally.units or 0.0) + units
            if not failed:
                self._well = self._now()

    def _sleep(self, seconds: float) -> None:
        if not self._pause(seconds):
            raise Stopped


def paced_sender(
    writer: TableWriter,
    table: TableState,
    rate: Rate | None,
    stop: Event,
    time: Time,
    *,
    condition: Callable[[bytes], Condition] | None = None,
) -> Sender:
    """A sender that keeps this rate, and ends its pauses when ``stop`` is set."""
    items, units = rate.items if rate else None, units_a_second(rate, table)
    return Sender(
        writer,
        table.name,
        pause=lambda seconds: not time.wait(stop, seconds),
        items_pace=Pace(items, time.now) if items else None,
        units_pace=Pace(units, time.now) if units else None,
        condition=condition,
        now=time.now,
    )
