"""The lines that are read one by one: those whose keys cannot be found in passing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from coldtable.core.keys import key_bytes
from coldtable.core.lines import change_of, parse_json
from coldtable.errors import ItemInvalid
from coldtable.model_restore import KeyAttribute
from coldtable.ops.fold_keys import Places

Key = tuple[bytes, ...]


class BadLine(Exception):
    """A line that is not what it should be; ``line`` is its number in the chunk."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class KeyReader:
    """Makes keys of the attributes of an item, or of a change's ``Keys``."""

    def __init__(self, wanted: Sequence[KeyAttribute]) -> None:
        self._wanted = tuple(wanted)

    def key(self, attributes: Any) -> Key:
        """The key in these attributes; ``ItemInvalid`` if it is not all there."""
        if type(attributes) is not dict:
            raise ItemInvalid("it is no object of attributes")
        return tuple(self._value(one, attributes.get(one.name)) for one in self._wanted)

    def _value(self, wanted: KeyAttribute, value: Any) -> bytes:
        if value is None:
            raise ItemInvalid(f"it lacks the key attribute {wanted.name}")
        if type(value) is not dict or list(value) != [wanted.kind]:
            raise ItemInvalid(f"it is not of the type {wanted.kind}", path=wanted.name)
        held = value[wanted.kind]
        if type(held) is not str:
            raise ItemInvalid(f"{wanted.kind} holds no string", path=wanted.name)
        try:
            return key_bytes(wanted.kind, held)
        except ItemInvalid as error:
            raise error.within(wanted.name) from None


class ItemKeys:
    """Reads keys from lines of a full export."""

    def __init__(self, wanted: Sequence[KeyAttribute]) -> None:
        self._keys = KeyReader(wanted)
        self._names = [one.name for one in wanted]
        self._decoder = msgspec.json.Decoder(_line_of(self._names))

    def of_lines(
        self, raw: bytearray, starts: Places, ends: Places, which: Sequence[int]
    ) -> Iterator[Key]:
        """The keys of the lines ``which``; ``BadLine`` for one that has none."""
        view = memoryview(raw)
        for line in which:
            try:
                item = self._decoder.decode(view[starts[line] : ends[line]]).Item
                if type(item) is not dict:
                    item = dict(zip(self._names, msgspec.structs.astuple(item), strict=True))
                yield self._keys.key(item)
            except ItemInvalid as error:
                raise BadLine(line, error.message) from None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadLine(line, f"it is no item: {error}") from None


def _line_of(names: Sequence[str]) -> Any:
    """A type for a line of which only these attributes become Python values.

    It cannot have names that JSON has to escape: then all attributes do.
    """
    item: Any = dict[str, Any]
    if all(json.dumps(name, ensure_ascii=False) == f'"{name}"' for name in names):
        fields = [(f"a{number}", Any, None) for number in range(len(names))]
        renamed = {f"a{number}": name for number, name in enumerate(names)}
        item = msgspec.defstruct("Item", fields, rename=renamed)
    return msgspec.defstruct("Line", [("Item", item)])


class ChangeKeys:
    """Reads keys and times from lines of an incremental export."""

    def __init__(self, wanted: Sequence[KeyAttribute]) -> None:
        self._keys = KeyReader(wanted)
        self._names = {one.name for one in wanted}

    def of_lines(
        self, raw: bytearray, starts: Places, ends: Places, which: Sequence[int]
    ) -> Iterator[tuple[Key, int]]:
        """The key and the time in microseconds of each of the lines ``which``."""
        for line in which:
            try:
                change = change_of(parse_json(bytes(raw[starts[line] : ends[line]])))
                if type(change.keys) is dict and not change.keys.keys() <= self._names:
                    surplus = ", ".join(sorted(change.keys.keys() - self._names))
                    raise ItemInvalid(f"the table's key has no {surplus}", path="Keys")
                yield self._keys.key(change.keys), change.when
            except ItemInvalid as error:
                raise BadLine(line, error.message) from None
