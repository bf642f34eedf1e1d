"""Write the items of many files into a table: several files and several threads at a time, as many
as the table's answers take time.

Batches come from a few files in turn, because a file holds one range of key hashes [DOC-OUT] and
would heat one partition of the table alone. Up to where each file is written is kept, and saved
every few seconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from threading import Condition, Event, Lock

from coldtable.core.manifest import DataFile
from coldtable.errors import DamagedError
from coldtable.ops.raw import LineBroken, raw_items
from coldtable.ops.send import Batch, Sender, Stopped, stopping
from coldtable.ops.width import Width
from coldtable.ports_restore import BATCH_PUTS

# A request may have 16 MB [MODEL]; JSON is longer than what AWS counts, and an item alone may
# have 400 KB of that count.
_BATCH_BYTES = 4_000_000
_FILES_AT_A_TIME = 8
_SAVE_EVERY = 5.0
# How often whoever waits looks whether anything has happened.
_LOOK_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a load is: files written to their end, and the lines written of others."""

    done: frozenset[int] = frozenset()
    part: Mapping[int, int] = field(default_factory=dict)


def load(
    files: Sequence[DataFile],
    read: Callable[[DataFile], Iterable[bytes]],
    sender: Sender,
    stop: Event,
    *,
    threads: int,
    reached: Reached,
    save: Callable[[Reached], None],
    tell: Callable[[], None],
) -> None:
    """Write every line of ``files`` that is not in ``reached`` yet; ``read`` gives a file's lines.

    Up to ``threads`` requests are out at a time. ``save`` is called with what is certain to be
    written, every few seconds, at the end, and when the load fails or is interrupted; ``tell`` more
    often. ``stop`` is what the sender's pauses look at. Raises what reading or writing raised
    first.
    """
    marks = _Marks(reached)
    source = _Source(files, read, marks, stop)
    width = Width(threads)
    saved = time.monotonic()
    try:
        with ThreadPoolExecutor(threads) as pool, stopping(stop):
            work = [
                pool.submit(_write, source, sender, marks, stop, width, number)
                for number in range(threads)
            ]
            while wait(work, timeout=_LOOK_UP, return_when=FIRST_EXCEPTION).not_done:
                if any(one.done() and one.exception() for one in work):
                    break
                width.look()
                tell()
                if time.monotonic() - saved > _SAVE_EVERY:
                    save(marks.reached())
                    saved = time.monotonic()
    finally:
        save(marks.reached())
    for one in work:
        one.result()


def _write(
    source: _Source, sender: Sender, marks: _Marks, stop: Event, width: Width, number: int
) -> None:
    """One thread's work: batch after batch. The first that fails stops the others."""
    well = False
    try:
        width.wait(number, stop)
        while batch := source.take():
            sender.send(batch)
            marks.written(batch)
            width.wait(number, stop)
        well = True
    except Stopped:
        well = True
    finally:
        if not well:
            stop.set()
        width.end()


class _Marks:
    """What is written of each file that was begun."""

    def __init__(self, reached: Reached) -> None:
        self._lock = Lock()
        self._done = set(reached.done)
        self._part = dict(reached.part)
        # Of each file: the batches that are out, in order, with the line after each, and whether
        # it is written.
        self._out: dict[int, deque[tuple[int, int]]] = {}
        self._written: dict[int, set[int]] = {}
        self._read: set[int] = set()

    def sent(self, batch: Batch) -> None:
        """The batch is on its way."""
        with self._lock:
            span = (batch.first, batch.first + len(batch.items))
            self._out.setdefault(batch.file, deque()).append(span)

    def written(self, batch: Batch) -> None:
        """All of the batch is in the table."""
        with self._lock:
            out = self._out[batch.file]
            written = self._written.setdefault(batch.file, set())
            written.add(batch.first)
            while out and out[0][0] in written:
                first, after = out.popleft()
                written.discard(first)
                self._part[batch.file] = after
            self._settle(batch.file)

    def read(self, file: int) -> None:
        """The file was read to its end, and is sound."""
        with self._lock:
            self._read.add(file)
            self._settle(file)

    def begun(self) -> tuple[frozenset[int], dict[int, int]]:
        """Where to go on: the files to leave out, and the lines to skip of others."""
        return frozenset(self._done), dict(self._part)

    def reached(self) -> Reached:
        """What is certain."""
        with self._lock:
            return Reached(done=frozenset(self._done), part=dict(self._part))

    def _settle(self, file: int) -> None:
        if file in self._read and not self._out.get(file):
            self._done.add(file)
            for kept in (self._part, self._out, self._written):
                kept.pop(file, None)
            self._read.discard(file)


class _Source:
    """Batches for whoever asks, from a few files in turn; a file is read by one at a time."""

    def __init__(
        self,
        files: Sequence[DataFile],
        read: Callable[[DataFile], Iterable[bytes]],
        marks: _Marks,
        stop: Event,
    ) -> None:
        self._files = files
        self._read = read
        self._marks = marks
        self._stop = stop
        done, self._skip = marks.begun()
        self._waiting = deque(place for place in range(len(files)) if place not in done)
        self._idle: deque[tuple[int, Iterator[Batch]]] = deque()
        self._open = 0
        self._change = Condition()

    def take(self) -> Batch | None:
        """The next batch, noted as sent; ``None`` when there is none, or a reason to stop."""
        while (opened := self._opened()) is not None:
            place, batches = opened
            batch = next(batches, None)
            if batch is None:
                self._marks.read(place)
            else:
                # Before another one can take the next batch of this file.
                self._marks.sent(batch)
            with self._change:
                if batch is None:
                    self._open -= 1
                else:
                    self._idle.append(opened)
                self._change.notify()
            if batch is not None:
                return batch
        return None

    def _opened(self) -> tuple[int, Iterator[Batch]] | None:
        with self._change:
            while not self._stop.is_set():
                if self._waiting and self._open < _FILES_AT_A_TIME:
                    self._open += 1
                    place = self._waiting.popleft()
                    file, skip = self._files[place], self._skip.get(place, 0)
                    return place, _batches(place, file, self._read, skip)
                if self._idle:
                    return self._idle.popleft()
                if not self._open:
                    # Whoever else waits has nothing to wait for.
                    self._change.notify()
                    return None
                self._change.wait(_LOOK_UP)
            return None


def _batches(
    place: int, file: DataFile, read: Callable[[DataFile], Iterable[bytes]], skip: int
) -> Iterator[Batch]:
    first, lines, size = skip, list[bytes](), 0
    for line in islice(read(file), skip, None):
        if len(lines) == BATCH_PUTS or (lines and size + len(line) > _BATCH_BYTES):
            yield _batch(place, file, first, lines)
            first, lines, size = first + len(lines), [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield _batch(place, file, first, lines)


def _batch(place: int, file: DataFile, first: int, lines: Sequence[bytes]) -> Batch:
    try:
        return Batch(file=place, name=file.key, first=first, items=raw_items(lines))
    except LineBroken as error:
        number = first + error.place + 1
        raise DamagedError(f"{file.key}, line {number}: {error.reason}") from None
