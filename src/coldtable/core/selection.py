"""``--keys``: which items are meant, by their partition key or by their whole key."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldtable.core.items import Item, canonical, check_item
from coldtable.errors import ItemInvalid, UsageError
from coldtable.model_restore import KeyAttribute, KeySchema

# What JSON spells in no other way than as it is: AWS's escapes are not documented.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#_-.:@ ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Items by partition keys and by whole keys, in their one spelling (``core.items``).

    Both map to the words that mean them. ``needles`` are bytes one of which every line has that can
    be meant; ``None`` if there are no such bytes, so that every line must be parsed.
    """

    schema: KeySchema
    partitions: Mapping[bytes, str]
    wholes: Mapping[bytes, str]
    needles: tuple[bytes, ...] | None

    def may_be(self, line: bytes) -> bool:
        """Whether the line is worth parsing: ``True`` for each that is meant."""
        return self.needles is None or any(needle in line for needle in self.needles)

    def key(self, item: Item) -> bytes | None:
        """The item's key if it is meant; ``None`` if it is not. ``ItemInvalid`` without a key."""
        names = self.schema.names
        if any(name not in item for name in names):
            raise ItemInvalid("it lacks its key", path=next(n for n in names if n not in item))
        whole, partition = self._keys(item)
        return whole if whole in self.wholes or partition in self.partitions else None

    def missing(self, items: Iterable[Item]) -> tuple[str, ...]:
        """The words that mean none of the items."""
        left = {**self.partitions, **self.wholes}
        for item in items:
            for key in self._keys(item):
                left.pop(key, None)
        return tuple(left.values())

    def _keys(self, item: Item) -> tuple[bytes, bytes]:
        names = self.schema.names
        whole = canonical({name: item[name] for name in names})
        return whole, canonical({names[0]: item[names[0]]})


def parse_selection(words: Sequence[str], schema: KeySchema) -> Selection:
    """The items that ``words`` mean: each a partition key's value, or a whole key as JSON.

    ``user#42`` is a string, a number or base64, as the key's type is; ``{"pk":{"S":"a"},
    "sk":{"N":"1"}}`` names one item. Raises ``UsageError``.
    """
    partitions, wholes = dict[bytes, str](), dict[bytes, str]()
    keys = []
    for word in words:
        if word.startswith("{"):
            key: Item = _whole(word, schema)
            (wholes if schema.sort else partitions)[canonical(key)] = word
        else:
            key = {schema.partition.name: _value(word, schema.partition)}
            partitions[canonical(key)] = word
        keys.append(key)
    return Selection(
        schema=schema,
        partitions=partitions,
        wholes=wholes,
        needles=_needles(keys, schema.partition),
    )


def _value(word: str, attribute: KeyAttribute) -> Mapping[str, str]:
    value = {attribute.kind: word}
    try:
        check_item({attribute.name: value})
    except ItemInvalid as error:
        raise UsageError(
            f"--keys {word!r} is no value of {attribute}: {error.what}",
            hint="Write the value of the partition key, in base64 if it is binary",
        ) from None
    return value


def _whole(word: str, schema: KeySchema) -> dict[str, Any]:
    try:
        found = json.loads(word)
        check_item(found)
    except (ValueError, ItemInvalid) as error:
        raise UsageError(f"--keys {word!r} is no key: {error}", hint=_EXAMPLE) from None
    kinds = {name: next(iter(value)) for name, value in found.items()}
    if kinds != {a.name: a.kind for a in schema.attributes}:
        raise UsageError(f"--keys {word!r} is no key of {schema}", hint=_EXAMPLE)
    key: dict[str, Any] = found
    return key


_EXAMPLE = """Write a whole key as DynamoDB's JSON: {"pk":{"S":"a"},"sk":{"N":"1"}}"""


def _needles(keys: Sequence[Item], partition: KeyAttribute) -> tuple[bytes, ...] | None:
    if partition.kind == "N":
        return None
    found = []
    for key in keys:
        text: str = key[partition.name][partition.kind]
        if partition.kind == "B":
            # Base64 has one spelling, less its padding; a slash may be escaped.
            text = base64.b64encode(base64.b64decode(text)).decode().rstrip("=")
        body = text.encode()
        if not _PLAIN.issuperset(body):
            return None
        found.append(body)
    return tuple(found)
