"""Is a line of a data file what it should be, and which item is it about?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from coldtable.core.items import Item, check_item, same
from coldtable.core.lines import change_of, item_of
from coldtable.core.numbers import plain_number
from coldtable.errors import ItemInvalid
from coldtable.model import View, Window

T = TypeVar("T")

# Attribute names to types: one or two of them, "S", "N" or "B".
KeyTypes = Mapping[str, str]

# "Time periods follow an internal clock and can vary by one minute" [DOC-REQ].
_CLOCK = timedelta(minutes=1)
# From an object to the hash of its item's key; ``None`` where no key is known.
CheckRow = Callable[[dict[str, Any]], bytes | None]


def key_types(keys: object) -> dict[str, str]:
    """The names and types of a record's ``Keys``, sorted; ``ItemInvalid`` if they can be no key."""
    check_item(keys)
    assert isinstance(keys, dict)  # noqa: S101  # that is what check_item has checked
    found = {name: kind for name, value in sorted(keys.items()) for kind in value}
    if not 1 <= len(found) <= 2 or not set(found.values()) <= {"S", "N", "B"}:
        raise ItemInvalid("a key is one or two attributes of the types S, N and B")
    return found


def key_hash(item: Item, types: KeyTypes) -> bytes:
    """16 bytes that tell this item's key from every other; ``ItemInvalid`` if it has none.

    They depend on the order of ``types``.
    """
    spelled = ""
    for name, kind in types.items():
        try:
            held = item[name][kind]
        except KeyError:
            held = None
        if not held:
            raise ItemInvalid(_no_key(item, name, kind), path=name)
        if kind == "N" and not (held.isdecimal() and held[0] != "0"):
            held = plain_number(held)
        spelled += f"{len(held)}:{held}"
    return spelled_hashes([spelled])[0]


def spelled_hashes(keys: Iterable[str]) -> list[bytes]:
    """16 bytes of each key, whose attributes are spelled with their lengths before them."""
    return [hashlib.blake2b(spelled.encode(), digest_size=16).digest() for spelled in keys]


def _no_key(item: Item, name: str, kind: str) -> str:
    value = item.get(name)
    if value is None:
        return "it is a key attribute, and the item lacks it"
    if kind not in value:
        return f"it is a key attribute, and not of type {kind}"
    return "it is a key attribute, and empty"


def full_row(types: KeyTypes | None) -> CheckRow:
    """The check of a full export's lines. Without a key schema no keys can be compared."""

    def check(row: dict[str, Any]) -> bytes | None:
        item = item_of(row)
        check_item(item)
        return key_hash(item, types) if types else None

    return check


@dataclass(slots=True)
class ChangeCheck:
    """The check of an incremental export's lines.

    ``types`` is the key schema, or the first line's keys: all others must have the same.
    """

    window: Window
    view: View
    types: KeyTypes | None = None

    def __call__(self, row: dict[str, Any]) -> bytes | None:
        """The hash of the line's key; ``ItemInvalid`` says what is wrong with it."""
        change = change_of(row)
        found = _within("Keys", lambda: key_types(change.keys))
        if self.types is None:
            self.types = found
        if found != self.types:
            raise ItemInvalid(f"the key is {_shown(self.types)} elsewhere", path="Keys")
        hashed = _within("Keys", lambda: key_hash(change.keys, found))
        if change.old is not None and self.view is View.NEW_IMAGE:
            raise ItemInvalid("an export of new images has none", path="OldImage")
        for name, image in (("OldImage", change.old), ("NewImage", change.new)):
            if image is not None:
                _check_image(name, image, change.keys)
        self._check_time(change.when)
        return hashed

    def _check_time(self, micros: int) -> None:
        start, stop = clock_bounds(self.window)
        if not start <= micros < stop:
            raise ItemInvalid(
                f"WriteTimestampMicros {micros} lies outside the window", path="Metadata"
            )


def clock_bounds(window: Window) -> tuple[int, int]:
    """From when to before when a change of the window may say that it was written."""
    return _micros(window.start - _CLOCK), _micros(window.stop + _CLOCK)


def _check_image(name: str, image: Any, keys: Item) -> None:
    _within(name, lambda: check_item(image))
    for key, value in keys.items():
        if key not in image:
            raise ItemInvalid(f"the image lacks the key attribute {key}", path=name)
        if image[key] != value and not same({key: image[key]}, {key: value}):
            raise ItemInvalid(f"its key attribute {key} is not that of Keys", path=name)


def _within(name: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except ItemInvalid as error:
        raise error.within(name) from None


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _shown(types: KeyTypes) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in types.items())
