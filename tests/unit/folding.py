"""Folds for tests: an archive in, lines out; and what a plain dict would make of it."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

from coldtable.model_restore import KeySchema
from coldtable.ops.archive import find_exports, load_files
from coldtable.ops.fold import Fold, Part
from coldtable.ops.fold_limits import Limits
from coldtable.testing.fakes import FakeObjects

SMALL = Limits(workers=2, readers=2, log=1 << 20, index=1 << 20)
# So little that everything is written to disk.
LEAST = Limits(workers=1, readers=1, log=1, index=1)

Item = dict[str, Any]


def folded(
    objects: dict[str, bytes],
    *,
    bounds: Limits = SMALL,
    key: KeySchema | None = None,
    piece: int = 4096,
) -> list[bytes]:
    """The lines that the first full export and all increments of an archive come to."""
    store = FakeObjects(objects, piece=piece)
    base, *increments = (load_files(store, export) for export in find_exports(store).exports)
    with Fold(store, base, increments, key=key, bounds=bounds) as fold:

        def lines(part: Part) -> tuple[int, list[bytes]]:
            made = []
            for block in fold.blocks(part, bytes):
                assert block.made.count(b"\n") == block.items
                made.append(block.made)
            return part.place, b"".join(made).splitlines(keepends=True)

        return [line for _, part in sorted(fold.each(fold.parts, lines)) for line in part]


def key_of(item: Item, names: tuple[str, ...]) -> tuple[Any, ...]:
    """A key as a Python value: numbers by value, binary by bytes."""
    return tuple(_value(item[name]) for name in names)


def _value(typed: Item) -> Any:
    ((kind, held),) = typed.items()
    if kind == "N":
        return Decimal(held)
    return base64.b64decode(held) if kind == "B" else held


def plain_fold(
    base: list[bytes], increments: list[list[bytes]], names: tuple[str, ...]
) -> dict[tuple[Any, ...], Item]:
    """What the lines come to, item by item in a dict."""
    items = {key_of(item, names): item for item in (json.loads(b)["Item"] for b in base)}
    newest: dict[tuple[Any, ...], tuple[int, Item | None]] = {}
    for lines in increments:
        for line in lines:
            row = json.loads(line)
            key = key_of(row["Keys"], names)
            when = int(row["Metadata"]["WriteTimestampMicros"]["N"])
            if key not in newest or when >= newest[key][0]:
                newest[key] = (when, row.get("NewImage"))
    for key, (_, image) in newest.items():
        items.pop(key, None)
        if image is not None:
            items[key] = image
    return items
