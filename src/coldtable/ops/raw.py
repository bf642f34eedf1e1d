"""A full export's lines as what they are to a request: items in the very bytes that they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from coldtable.errors import DamagedError


class _Line(msgspec.Struct):
    """A line; its item stays bytes."""

    Item: msgspec.Raw


_lines = msgspec.json.Decoder(_Line)


def raw_item(line: bytes) -> bytes:
    """The item of a full export's line, untouched; ``DamagedError`` if the line holds none.

    The line is checked to be one JSON object to its end: items are spliced into requests, and
    nothing else may get into one.
    """
    try:
        item = bytes(_lines.decode(line).Item)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"it is no item of a full export: {error}") from None
    if not item.startswith(b"{"):
        raise DamagedError("its Item is no object")
    return item


def raw_items(lines: Sequence[bytes]) -> list[bytes]:
    """The items of several lines, as ``raw_item`` gives them: several at once take half as long.

    Raises ``LineBroken`` with the place of the first line that holds none.
    """
    try:
        rows = _lines.decode_lines(b"\n".join(lines))
        items = [bytes(row.Item) for row in rows]
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = []
    if len(items) == len(lines) and all(item[:1] == b"{" for item in items):
        return items
    # An empty line or one of another shape is among them: which?
    for place, line in enumerate(lines):
        try:
            raw_item(line)
        except DamagedError as error:
            raise LineBroken(place, error.message) from None
    return [raw_item(line) for line in lines]


class LineBroken(Exception):
    """A line holds no item: its place among the others, and why."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


_NULL = msgspec.Raw(b"null")


class _Record(msgspec.Struct):
    """A line of an incremental export; its images stay bytes."""

    Keys: msgspec.Raw
    Metadata: Any = None
    NewImage: msgspec.Raw = _NULL
    OldImage: msgspec.Raw = _NULL


_records = msgspec.json.Decoder(_Record)


@dataclass(frozen=True, slots=True)
class RawChange:
    """A change with its images in the very bytes that they have."""

    keys: bytes
    new: bytes | None
    old: bytes | None


def raw_change(line: bytes) -> RawChange:
    """The change of an incremental export's line; ``DamagedError`` if the line holds none."""
    try:
        found = _records.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"it is no change of an item: {error}") from None
    return RawChange(bytes(found.Keys), _image(found.NewImage), _image(found.OldImage))


def _image(found: msgspec.Raw) -> bytes | None:
    image = bytes(found)
    return None if image == b"null" else image
