"""A full export's lines as what they are to a request: items in the very bytes that they have."""

from __future__ import annotations

from coldtable.errors import DamagedError, NotInstalled

try:
    import msgspec
except ImportError:
    raise NotInstalled(
        "Items can only be written with the package msgspec",
        hint="Install it: pip install 'coldtable[archive]'",
    ) from None


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
