"""Every change that was read, until all are: in memory, and on disk once they are too many.

On disk they lie in parts by the first bits of their hashes, so that all changes of one key are in
one part, and a part fits into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from coldtable.ops.fold_changes import Changes
from coldtable.ops.fold_keys import Column, Keys, joined

_BITS = 8


@dataclass(slots=True)
class Noted:
    """Changes with their numbers: the later a change comes in the exports, the higher."""

    changes: Changes
    numbers: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        keys = self.changes.keys
        rows = sum(c.rows.nbytes + c.sizes.nbytes for c in keys.columns)
        return rows + keys.hashes.nbytes + self.changes.times.nbytes + self.numbers.nbytes

    def take(self, which: NDArray[np.intp]) -> Noted:
        """Some of them."""
        changes = Changes(self.changes.keys.take(which), self.changes.times[which])
        return Noted(changes, self.numbers[which])


class ChangeLog:
    """Collects changes. Several threads may add to it; then one reads it."""

    def __init__(self, folder: Path, budget: int) -> None:
        """Keeps ``budget`` bytes in memory, and the rest in files in ``folder``."""
        self._folder = folder
        self._budget = budget
        self._lock = Lock()
        self._held: list[Noted] = []
        self._size = 0
        self._files: dict[int, BinaryIO] = {}

    def add(self, changes: Changes, first: int) -> None:
        """Note changes whose numbers begin with ``first``."""
        if not len(changes):
            return
        numbers = np.arange(first, first + len(changes), dtype=np.int64)
        noted = Noted(changes, numbers)
        with self._lock:
            self._held.append(noted)
            self._size += noted.nbytes
            if self._size > self._budget:
                self._spill()

    def parts(self) -> Iterator[Noted]:
        """Everything, in parts by ascending hashes."""
        if not self._files:
            if self._held:
                yield _together(self._held)
            self._held = []
            return
        self._spill()
        for number in sorted(self._files):
            file = self._files.pop(number)
            with file:
                file.seek(0)
                yield _together(list(_read(file)))

    def close(self) -> None:
        """Forget everything."""
        self._held = []
        for file in self._files.values():
            file.close()

    def _spill(self) -> None:
        if not self._held:
            return
        noted = _together(self._held)
        self._held, self._size = [], 0
        part = (noted.changes.keys.hashes >> np.uint64(64 - _BITS)).astype(np.intp)
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(1 << _BITS), side="right")
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                if number not in self._files:
                    self._files[number] = tempfile.TemporaryFile(  # noqa: SIM115  # closed by close()
                        dir=self._folder
                    )
                _write(self._files[number], noted.take(order[start:end]))
            start = end


def _together(parts: list[Noted]) -> Noted:
    if len(parts) == 1:
        return parts[0]
    keys = joined([part.changes.keys for part in parts])
    times = np.concatenate([part.changes.times for part in parts])
    return Noted(Changes(keys, times), np.concatenate([part.numbers for part in parts]))


def _write(file: BinaryIO, noted: Noted) -> None:
    keys = noted.changes.keys
    np.save(file, keys.hashes, allow_pickle=False)
    np.save(file, noted.changes.times, allow_pickle=False)
    np.save(file, noted.numbers, allow_pickle=False)
    np.save(file, np.array(len(keys.columns)), allow_pickle=False)
    for column in keys.columns:
        np.save(file, column.rows, allow_pickle=False)
        np.save(file, column.sizes, allow_pickle=False)


def _read(file: BinaryIO) -> Iterator[Noted]:
    end = file.seek(0, 2)
    file.seek(0)
    while file.tell() < end:
        hashes, times, numbers, count = (np.load(file, allow_pickle=False) for _ in range(4))
        columns = [
            Column(np.load(file, allow_pickle=False), np.load(file, allow_pickle=False))
            for _ in range(int(count))
        ]
        yield Noted(Changes(Keys(columns, hashes), times), numbers)
