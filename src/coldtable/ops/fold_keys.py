"""Keys of many lines at once: read from where their values begin, hashed, and compared exactly.

A key's column is a matrix, a line of the file a row of it: the bytes of ``core.keys``, and zeros
after them. What cannot be read in this way (escapes, odd spellings, long values) is marked, and
parsed line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldtable.core.keys import LONGEST
from coldtable.ops.fold_chunks import Buffer, Bytes, sliding

Places = NDArray[np.intp]
Mask = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

WIDEST = 256
_COLUMNS: Bytes = np.arange(WIDEST, dtype=np.uint8)
# Odd numbers of which half the bits are set: one for each word of a value.
_ODD: Hashes = (
    np.random.Generator(np.random.PCG64(20260114)).integers(0, 2**63, WIDEST // 8, np.uint64) * 2
    + 1
).astype(np.uint64)
_QUOTE, _BACKSLASH, _MINUS, _DOT, _ZERO, _PAD = b'"\\-.0='
# The last characters of base64 before one and two paddings whose spare bits are zero.
_CLEAN = [np.zeros(256, np.bool_) for _ in range(3)]
_CLEAN[1][list(b"AEIMQUYcgkosw048")] = True
_CLEAN[2][list(b"AQgw")] = True


@dataclass(slots=True)
class Column:
    """The values of one key attribute: a row and a size for each line."""

    rows: Bytes
    sizes: Bytes

    def take(self, which: Places | Mask | slice) -> Column:
        """The column of some of the lines."""
        return Column(self.rows[which], self.sizes[which])

    def widen(self, width: int) -> None:
        """Make room for values of up to ``width`` bytes."""
        if self.rows.shape[1] < width:
            spare = width - self.rows.shape[1]
            self.rows = np.pad(self.rows, ((0, 0), (0, spare)))


@dataclass(slots=True)
class Keys:
    """The keys of some lines, and a 64-bit hash of each: equal keys have equal hashes."""

    columns: list[Column]
    hashes: Hashes

    def take(self, which: Places | Mask | slice) -> Keys:
        """The keys of some of the lines."""
        return Keys([column.take(which) for column in self.columns], self.hashes[which])

    def at(self, line: int) -> tuple[bytes, ...]:
        """One key, as the bytes of its columns."""
        return tuple(c.rows[line, : c.sizes[line]].tobytes() for c in self.columns)

    def same_as_before(self) -> Mask:
        """For every line but the first: whether it has the key of the one before."""
        same: Mask = self.hashes[1:] == self.hashes[:-1]
        for column in self.columns:
            same &= column.sizes[1:] == column.sizes[:-1]
        lines = np.flatnonzero(same)
        for column in self.columns:
            same[lines] &= (column.rows[lines] == column.rows[lines + 1]).all(axis=1)
        return same


def joined(parts: Sequence[Keys]) -> Keys:
    """The keys of all parts, one after the other."""
    columns = []
    for group in zip(*(part.columns for part in parts), strict=True):
        width = max(column.rows.shape[1] for column in group)
        for column in group:
            column.widen(width)
        columns.append(
            Column(
                np.concatenate([column.rows for column in group]),
                np.concatenate([column.sizes for column in group]),
            )
        )
    return Keys(columns, np.concatenate([part.hashes for part in parts]))


def read_values(buffer: Buffer, at: Places, kind: str, width: int) -> tuple[Column, Places, Mask]:
    """The values that begin ``at``, where each ends, and which of them were read for certain.

    A value goes up to the next quote. Not certain are values longer than ``width``, ones with a
    backslash before that, and spellings that are not the ones of ``core.keys``.
    """
    rows: Bytes = sliding(buffer.bytes, f"V{width}")[at].view(np.uint8).reshape(-1, width)
    ends = (rows == _QUOTE).argmax(axis=1)
    sizes = ends.astype(np.uint8)
    sure = (sizes > 0) & (sizes <= LONGEST)
    rows *= _COLUMNS[:width] < sizes[:, None]
    escaped = rows == _BACKSLASH
    if escaped.any():
        sure &= ~escaped.any(axis=1)
    if kind == "N":
        sure &= _plain_numbers(rows, sizes)
    if kind == "B":
        sure &= _clean_base64(rows, sizes)
    return Column(rows, sizes), at + ends, sure


def _plain_numbers(rows: Bytes, sizes: Bytes) -> Mask:
    """Which are spelled as ``plain_number`` would: no zeros or signs that could be left out."""
    every = np.arange(len(rows))
    negative = rows[:, 0] == _MINUS
    lead = negative.astype(np.intp)
    first, second = rows[every, lead], rows[every, lead + 1]
    digits = ((rows - _ZERO) < 10).sum(axis=1)
    dots = (rows == _DOT).sum(axis=1)
    last = rows[every, np.maximum(sizes, 1) - 1]
    good = (digits + dots + lead == sizes) & (dots <= 1) & ((first - _ZERO) < 10)
    # No zero before another digit, no minus zero, no zeros after the last digit of a fraction.
    good &= (first != _ZERO) | (second == _DOT) | (~negative & (digits == 1) & (dots == 0))
    found: Mask = good & ((dots == 0) | ((last != _ZERO) & (last != _DOT)))
    return found


def _clean_base64(rows: Bytes, sizes: Bytes) -> Mask:
    """Which are base64 of whole groups, with no stray bits after the last byte."""
    every = np.arange(len(rows))
    good: Mask = sizes % 4 == 0
    last = np.maximum(sizes, 4).astype(np.intp)
    pads = (rows == _PAD).sum(axis=1)
    for count in (1, 2):
        spelled = rows[every, last - 1 - count]
        good &= (pads != count) | _CLEAN[count][spelled]
    good &= pads <= 2
    return good


def put_values(column: Column, lines: Sequence[int], values: Sequence[bytes]) -> None:
    """Set the values of some lines."""
    longest = max(map(len, values))
    if longest > column.rows.shape[1]:
        column.widen(-(-longest // 32) * 32)
    width = column.rows.shape[1]
    joint = b"".join(value.ljust(width, b"\0") for value in values)
    column.rows[lines] = np.frombuffer(joint, np.uint8).reshape(-1, width)
    column.sizes[lines] = [len(value) for value in values]


def hashed(columns: Sequence[Column]) -> Hashes:
    """A hash of each line's key. How wide the columns happen to be does not matter."""
    total = np.zeros(len(columns[0].sizes), np.uint64)
    for column in columns:
        total ^= total >> np.uint64(31)
        total *= _ODD[0]
        total += column.sizes
        words = column.rows.view("<u8")
        for number in range(words.shape[1]):
            # Zeros stay zeros, whatever is done to them: words after the end add nothing.
            mixed = words[:, number] ^ (words[:, number] >> np.uint64(29))
            mixed *= _ODD[number]
            mixed ^= mixed >> np.uint64(32)
            mixed *= _ODD[-1 - number]
            total += mixed
    total ^= total >> np.uint64(32)
    total *= _ODD[1]
    total ^= total >> np.uint64(29)
    return total
