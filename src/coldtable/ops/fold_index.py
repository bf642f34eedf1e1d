"""Which changes are the newest of their keys, and which keys were changed at all.

The keys lie in blocks of 64 by ascending hash: their hashes, their sizes, their bytes. Of each
block only its first hash and its place are kept in memory, and once the blocks are too many they
are read from disk, one for each key that is looked for. A bitmap keeps nearly every key away that
was not changed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from coldtable.ops.fold_chunks import Bytes, sliding
from coldtable.ops.fold_keys import WIDEST, Hashes, Keys, Mask, Places
from coldtable.ops.fold_log import ChangeLog, Noted

_BLOCK = 64
_AT_ONCE = 1024 * _BLOCK
# So many keys are looked for at a time: each wants a block of its own, 2 KB from the disk and as
# much again to search it.
_LOOKED_FOR = 4096
# What fills the last block up: no key has the sizes zero that stand with it.
_NO_HASH = np.uint64(2**64 - 1)
_SLACK = 1024
_COLUMNS: Bytes = np.arange(WIDEST, dtype=np.uint8)
# Bits of the bitmap for each key: one key in so many that was not changed is looked for in vain.
_BITS_PER_KEY = 32


class Bits:
    """A set of small numbers, a bit for each."""

    def __init__(self, size: int) -> None:
        self._held: Bytes = np.zeros(size // 8 + 1, np.uint8)

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Put numbers in."""
        bits = np.left_shift(1, numbers & 7).astype(np.uint8)
        np.bitwise_or.at(self._held, numbers >> 3, bits)

    def has(self, numbers: NDArray[np.int64]) -> Mask:
        """Which of the numbers are in."""
        found: Mask = (self._held[numbers >> 3] >> (numbers & 7).astype(np.uint8)) & 1 == 1
        return found

    def between(self, first: int, stop: int) -> Mask:
        """For each number from ``first`` to before ``stop`` whether it is in."""
        held = self._held[first >> 3 : (stop + 7) >> 3]
        bits = np.unpackbits(held, bitorder="little")[first & 7 :]
        return bits[: stop - first].view(np.bool_)


class ChangeIndex:
    """What a log of changes comes to. Several threads may ask it."""

    def __init__(self, log: ChangeLog, total: int, folder: Path, budget: int) -> None:
        """``total`` is how many changes there are; it takes about ``budget`` bytes of memory, and
        two bits for each change."""
        self._won = Bits(total)
        self._blocks = _Blocks(folder, budget - budget // 8)
        # Keys whose hash another key has, too.
        self._others: set[tuple[bytes, ...]] = set()
        bits = min(max(total * _BITS_PER_KEY, 1 << 10), budget)
        self._mask = np.uint64((1 << (bits.bit_length() - 1)) - 1)
        self._changed = Bits(int(self._mask) + 1)
        for part in log.parts():
            newest = self._newest(part)
            self._changed.add((newest.hashes & self._mask).astype(np.int64))
            self._blocks.add(newest)
        self._blocks.finish()

    def close(self) -> None:
        """Forget everything."""
        self._blocks.close()

    def won(self, first: int, stop: int) -> Mask:
        """Which of the changes with these numbers are the newest of their keys."""
        return self._won.between(first, stop)

    def has(self, keys: Keys) -> Mask:
        """Which of the keys were changed."""
        found: Mask = self._changed.has((keys.hashes & self._mask).astype(np.int64))
        maybe = np.flatnonzero(found)
        for start in range(0, len(maybe), _LOOKED_FOR):
            which = maybe[start : start + _LOOKED_FOR]
            some = keys.take(which)
            hashed, same = self._blocks.look(some)
            if self._others:
                for line in np.flatnonzero(hashed & ~same).tolist():
                    same[line] = some.at(line) in self._others
            found[which] = same
        return found

    def _newest(self, part: Noted) -> Keys:
        """Note which changes won; one key for each hash that there is, in order of the hashes."""
        times, keys = part.changes.times, part.changes.keys
        order = np.lexsort((part.numbers, times, keys.hashes))
        keys, numbers = keys.take(order), part.numbers[order]
        alike = keys.hashes[1:] == keys.hashes[:-1]
        first, last = np.append(True, ~alike), np.append(~alike, True)
        clash = np.flatnonzero(alike & ~keys.same_as_before())
        if len(clash):
            self._part_clashing(keys, numbers, np.unique(np.cumsum(first)[clash]), first, last)
        self._won.add(numbers[last])
        return keys.take(first)

    def _part_clashing(
        self, keys: Keys, numbers: NDArray[np.int64], groups: Places, first: Mask, last: Mask
    ) -> None:
        """Part the different keys that share one hash: ``groups`` of lines, counted from 1.

        The blocks keep the first key of each; the others are kept beside them.
        """
        begins = np.append(np.flatnonzero(first), len(numbers))
        for group in groups.tolist():
            start, stop = int(begins[group - 1]), int(begins[group])
            newest = {keys.at(line): line for line in range(start, stop)}
            last[start:stop] = False
            last[list(newest.values())] = True
            self._others.update(newest.keys() - {keys.at(start)})


class _Blocks:
    """Keys in blocks of 64, in memory or in a file."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._file: BinaryIO | None = None
        self._held = bytearray()
        self._size = 0
        self._firsts: list[Hashes] = []
        self._places: list[Places] = []

    def add(self, keys: Keys) -> None:
        """Add keys of ascending hashes, all greater than those before."""
        for start in range(0, len(keys.hashes), _AT_ONCE):
            self._add(keys.take(np.s_[start : start + _AT_ONCE]))

    def _add(self, keys: Keys) -> None:
        spare = -len(keys.hashes) % _BLOCK
        hashes = np.append(keys.hashes, np.full(spare, _NO_HASH))
        sizes = [np.append(column.sizes, np.zeros(spare, np.uint8)) for column in keys.columns]
        within = [_COLUMNS[: c.rows.shape[1]] < c.sizes[:, None] for c in keys.columns]
        joint = np.concatenate([column.rows for column in keys.columns], axis=1)
        text = joint[np.concatenate(within, axis=1)].tobytes()
        total = np.sum(sizes, axis=0, dtype=np.int64).reshape(-1, _BLOCK).sum(axis=1)
        ends = np.cumsum(total).tolist()
        heads = np.concatenate(
            [hashes.view(np.uint8).reshape(-1, _BLOCK * 8)]
            + [size.reshape(-1, _BLOCK) for size in sizes],
            axis=1,
        )
        blocks = b"".join(
            part
            for head, start, end in zip(heads, [0, *ends], ends, strict=False)
            for part in (head.tobytes(), text[start:end])
        )
        lengths = total + heads.shape[1]
        self._firsts.append(hashes[::_BLOCK].copy())
        self._places.append(self._size + np.cumsum(lengths) - lengths)
        self._size += len(blocks)
        self._keep(blocks)

    def _keep(self, blocks: bytes) -> None:
        if self._file is None and self._size > self._budget:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115  # closed by close()
                dir=self._folder, buffering=0
            )
            self._file.write(self._held)
            self._held = bytearray()
        if self._file is None:
            self._held += blocks
        else:
            self._file.write(blocks)

    def finish(self) -> None:
        """Nothing is added any more."""
        self._first = np.concatenate([*self._firsts, np.empty(0, np.uint64)])
        self._place = np.concatenate([*self._places, [self._size]]).astype(np.int64)
        self._held += bytes(_SLACK)
        self._bytes: Bytes = np.frombuffer(self._held, np.uint8)
        self._firsts, self._places = [], []

    def close(self) -> None:
        """Nothing is asked any more."""
        if self._file is not None:
            self._file.close()

    def look(self, keys: Keys) -> tuple[Mask, Mask]:
        """Which of the keys have a hash that is here, and which are here themselves."""
        if not len(self._first):
            nothing = np.zeros(len(keys.hashes), np.bool_)
            return nothing, nothing.copy()
        blocks = np.searchsorted(self._first, keys.hashes, side="right") - 1
        inside = blocks >= 0
        held, begins = self._fetch(np.maximum(blocks, 0))
        every, width = np.arange(len(begins)), _BLOCK * (8 + len(keys.columns))
        heads = sliding(held, f"V{width}")[begins].view(np.uint8).reshape(-1, width)
        alike = heads[:, : _BLOCK * 8].view("<u8") == keys.hashes[:, None]
        hashed = alike.any(axis=1) & inside
        place = alike.argmax(axis=1)
        sizes = heads[:, _BLOCK * 8 :].reshape(-1, len(keys.columns), _BLOCK)
        before = np.cumsum(sizes.sum(axis=1, dtype=np.int64), axis=1)
        size = sizes[every, :, place]
        at = begins + width + before[every, place] - size.sum(axis=1, dtype=np.int64)
        same = hashed.copy()
        for number, column in enumerate(keys.columns):
            wide = column.rows.shape[1]
            rows = sliding(held, f"V{wide}")[at].view(np.uint8).reshape(-1, wide)
            rows *= _COLUMNS[:wide] < size[:, number, None]
            same &= (size[:, number] == column.sizes) & (rows == column.rows).all(axis=1)
            at += size[:, number]
        return hashed, same

    def _fetch(self, blocks: Places) -> tuple[Bytes, Places]:
        """Memory that holds the blocks, and where each begins in it."""
        if self._file is None:
            return self._bytes, self._place[blocks]
        wanted, which = np.unique(blocks, return_inverse=True)
        starts, stops = self._place[wanted], self._place[wanted + 1]
        ends = np.cumsum(stops - starts)
        begins = ends - (stops - starts)
        held = np.zeros(int(ends[-1]) + _SLACK, np.uint8)
        view, file = memoryview(held.data), self._file.fileno()
        for begin, end, start in zip(begins.tolist(), ends.tolist(), starts.tolist(), strict=True):
            os.preadv(file, [view[begin:end]], start)
        return held, begins[which]
