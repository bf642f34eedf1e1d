"""One line of a data file: an item of a full export, a record of an incremental one.

A FilterSpecification is asked about the item, of a deletion about what was deleted [DOC-FILT];
UNVERIFIED: that its projection cuts both images and leaves Keys alone.

UNVERIFIED: how AWS escapes non-ASCII in JSON (here: raw UTF-8), and whether attributes nested in
maps are sorted in incremental images (here: yes, as the top level is [REAL-G]).
"""

from __future__ import annotations

import json
from collections.abc import Callable

from . import ion
from .journal import Entry, Image, Item, change_in, image_at, packed, unpacked
from .tables import Sift

# The line of one journal entry, or None when the entry has nothing to say in this export.
Line = Callable[[Entry], bytes | None]

_sorted = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, check_circular=False, sort_keys=True
).encode
_plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def full(bound: int, export_format: str, sift: Sift | None = None) -> Line:
    """Lines of a full export of the state just before ``bound``."""
    write = _item_ion if export_format == "ION" else _item_json

    def line(entry: Entry) -> bytes | None:
        image = image_at(entry, bound)
        if sift is not None and (item := unpacked(image)) is not None:
            image = sift.cut(item) if sift.matches(item) else None
        return None if image is None else write(image)

    return line


def incremental(
    start: int,
    stop: int,
    keys: tuple[str, ...],
    export_format: str,
    *,
    old: bool,
    sift: Sift | None = None,
) -> Line:
    """Lines of an incremental export of ``[start, stop)``; ``old`` adds OldImage."""
    write = _record_ion if export_format == "ION" else _record_json

    def line(entry: Entry) -> bytes | None:
        change = change_in(entry, start, stop)
        if change is None:
            return None
        before, after = unpacked(change.before), unpacked(change.after)
        named = after or before or {}
        if sift is not None:
            if not sift.matches(named):
                return None
            before = None if before is None else sift.cut(before)
            after = None if after is None else sift.cut(after)
        return write(
            change.when,
            {name: named[name] for name in keys},
            before if old else None,
            after,
        )

    return line


def _item_json(image: Image) -> bytes:
    return b'{"Item":' + packed(image) + b"}\n"


def _item_ion(image: Image) -> bytes:
    return f"$ion_1_0 {{Item:{ion.struct(unpacked(image) or {})}}}\n".encode()


def _record_json(when: int, keys: Item, before: Item | None, after: Item | None) -> bytes:
    """Metadata, Keys, OldImage, NewImage, in this order [REAL-G]."""
    parts = [
        f'{{"Metadata":{{"WriteTimestampMicros":{{"N":"{when}"}}}}',
        f'"Keys":{_plain(keys)}',
    ]
    if before is not None:
        parts.append(f'"OldImage":{_sorted(before)}')
    if after is not None:
        parts.append(f'"NewImage":{_sorted(after)}')
    return (",".join(parts) + "}\n").encode()


def _record_ion(when: int, keys: Item, before: Item | None, after: Item | None) -> bytes:
    """Keys before Metadata, as in the documentation's Ion sample [DOC-OUT]."""
    parts = [f"Keys:{ion.struct(keys)}", f"Metadata:{{WriteTimestampMicros:{when}.}}"]
    if before is not None:
        parts.append(f"OldImage:{ion.struct(before, sorted(before))}")
    if after is not None:
        parts.append(f"NewImage:{ion.struct(after, sorted(after))}")
    return f"$ion_1_0 {{Record:{{{','.join(parts)}}}}}\n".encode()
