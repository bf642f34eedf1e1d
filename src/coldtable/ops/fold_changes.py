"""The lines of an incremental export: whose changes they are, and the images that won.

They are read twice. The first time only keys and times are taken; once it is known which change of
each key is the newest, the second time gives the images of those, in the very bytes that they have.

Real lines begin ``{"Metadata":{"WriteTimestampMicros":{"N":"…"}},"Keys":{`` [REAL-G]. What begins
so is read in place; any other line is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldtable.core.lines import change_of, parse_json
from coldtable.errors import ItemInvalid
from coldtable.model_restore import KeyAttribute
from coldtable.ops.fold_chunks import Buffer, Chunk, sliding
from coldtable.ops.fold_find import Finder, Literal
from coldtable.ops.fold_keys import Column, Keys, Mask, Places, hashed, put_values
from coldtable.ops.fold_parse import BadLine, ChangeKeys
from coldtable.ops.fold_scan import Attribute, read_attribute

_BEFORE = b'{"Metadata":{"WriteTimestampMicros":{"N":"'
_AFTER = b'"}},"Keys":{'
# Microseconds have 16 digits from 2001 to 2286.
_DIGITS = 16
_POWERS = 10 ** np.arange(_DIGITS - 1, -1, -1, dtype=np.int64)
_OPENS, _KEYS, _CLOSED = Literal(_BEFORE), Literal(_AFTER), Literal(b'"}}')
_NEXT = len(b'"},')


@dataclass(slots=True)
class Changes:
    """The keys of some changes and their times (microseconds)."""

    keys: Keys
    times: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)


class ChangeScanner:
    """Reads keys and times of an incremental export's lines. Safe to use from several threads."""

    def __init__(self, wanted: Sequence[KeyAttribute]) -> None:
        self._attributes = [Attribute(one) for one in wanted]
        self._opens = [Literal(_AFTER + one.opening) for one in self._attributes]
        self._parse = ChangeKeys(wanted)
        self._finder = Finder([])

    def changes(self, chunk: Chunk) -> Changes:
        """The chunk's changes, a line each. Raises ``BadLine`` for one that is none."""
        buffer = chunk.buffer
        ends = self._finder.newlines(chunk)
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        times, good = _times(buffer, starts)
        columns = self._columns(buffer, starts + len(_BEFORE) + _DIGITS, ends, good)
        left = np.flatnonzero(~good).tolist()
        if left:
            parsed = list(self._parse.of_lines(buffer.raw, starts, ends, left))
            times[left] = [when for _, when in parsed]
            for number, column in enumerate(columns):
                put_values(column, left, [key[number] for key, _ in parsed])
        return Changes(Keys(columns, hashed(columns)), times)

    def _columns(self, buffer: Buffer, at: Places, ends: Places, good: Mask) -> list[Column]:
        """The keys' columns, one attribute after the other; ``good`` is left where all are."""
        order = list(range(len(self._attributes)))
        # Which attribute comes first is the same in all lines; the first line tells.
        if len(order) == 2 and len(at) and not self._opens[0].at(buffer, at[:1])[0]:
            order.reverse()
        columns: dict[int, Column] = {}
        quotes = at
        for place, number in enumerate(order):
            one = self._attributes[number]
            opens = one.follows if place else self._opens[number]
            good &= opens.at(buffer, quotes)
            begins = quotes + (_NEXT if place else len(_AFTER))
            found = read_attribute(buffer, one, begins, ends, good)
            columns[number], quotes = found.column, found.quotes
            good &= found.sure
        good &= _CLOSED.at(buffer, quotes)
        return [columns[number] for number in range(len(order))]


def _times(buffer: Buffer, starts: Places) -> tuple[NDArray[np.int64], Mask]:
    """The times of lines that begin as real ones do, and which those are."""
    good = _OPENS.at(buffer, starts)
    at = starts + len(_BEFORE)
    spelled = sliding(buffer.bytes, f"V{_DIGITS}")[at].view(np.uint8).reshape(-1, _DIGITS)
    digits = spelled - np.uint8(ord("0"))
    good &= (digits < 10).all(axis=1) & _KEYS.at(buffer, at + _DIGITS)
    return digits.astype(np.int64) @ _POWERS, good


class _Image(msgspec.Struct):
    """A change, of which only the new image is taken, as it is."""

    NewImage: msgspec.Raw = msgspec.Raw(b"")


class ImageReader:
    """Makes lines of a full export from the changes that won. Safe to use from several threads."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Image)

    def items(self, chunk: Chunk, ends: Places, won: Mask) -> tuple[bytes, int]:
        """The items that the changes ``won`` left, and how many; a deleted one is none of them.

        ``ends`` are the ends of the chunk's lines. Raises ``BadLine`` for a line that is no JSON
        object, or whose image is none.
        """
        view = memoryview(chunk.buffer.raw)
        parts: list[bytes | memoryview] = []
        for line in np.flatnonzero(won).tolist():
            start = int(ends[line - 1]) + 1 if line else 0
            try:
                image = memoryview(self._decoder.decode(view[start : ends[line]]).NewImage)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadLine(line, f"it is no change of an item: {error}") from None
            if image:
                if image[0] != ord("{"):
                    raise BadLine(line, "its NewImage is no object")
                parts += (b'{"Item":', image, b"}\n")
        return b"".join(parts), len(parts) // 3


def first_key(line: bytes) -> tuple[KeyAttribute, ...]:
    """The names and types in a change's ``Keys``; which is the partition key is not told.

    Raises ``ItemInvalid`` if it has none.
    """
    keys = change_of(parse_json(line)).keys
    if type(keys) is not dict or not 1 <= len(keys) <= 2:
        raise ItemInvalid("its Keys are not one attribute or two")
    for name, value in keys.items():
        if type(value) is not dict or len(value) != 1 or not set(value) <= {"S", "N", "B"}:
            raise ItemInvalid("it is no string, number or binary", path=name)
    return tuple(KeyAttribute(name=name, kind=next(iter(value))) for name, value in keys.items())
