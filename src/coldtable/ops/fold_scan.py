"""The keys of a full export's lines, found without parsing the items.

A key attribute is looked for as the bytes that open it, ``"pk":{"S":"``. Unescaped, they can be
nothing else than an attribute of that name and type, but it may be one inside a map. It is the
item's own where the item begins with it, where it follows the other key attribute, where the line
has the name only once, and where no map begins before it. All other lines are parsed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coldtable.model_restore import KeyAttribute
from coldtable.ops.fold_chunks import Buffer, Chunk
from coldtable.ops.fold_find import Finder, Literal
from coldtable.ops.fold_keys import (
    WIDEST,
    Column,
    Keys,
    Mask,
    Places,
    hashed,
    put_values,
    read_values,
)
from coldtable.ops.fold_parse import ItemKeys

# To parse a line costs so many times more than to search a byte for keys (measured, roughly).
_PARSE_COST = 2500
_NARROWEST = 32
_START, _ENDS, _NEXT = b'{"Item":{', b'"}', b'"},'
_ITEM, _CLOSED, _LAST = Literal(_START + b'"'), Literal(_ENDS), Literal(b"}}\n")


@dataclass(slots=True)
class Lines:
    """Where the lines of a chunk begin and end (at their newline), and their keys."""

    starts: Places
    ends: Places
    keys: Keys


class Attribute:
    """One key attribute, and the bytes by which it is found."""

    def __init__(self, wanted: KeyAttribute) -> None:
        self.kind = wanted.kind
        self.token = json.dumps(wanted.name, ensure_ascii=False).encode()
        # Other names can be spelled in more than one way.
        self.plain = wanted.name.isascii() and b"\\" not in self.token
        self.opening = self.token + b':{"%s":"' % wanted.kind.encode()
        self.opens = Literal(self.opening)
        self.first = Literal(_START + self.opening)
        self.follows = Literal(_NEXT + self.opening)
        # How wide values are read; it grows with what is found.
        self.width = _NARROWEST


@dataclass(slots=True)
class Found:
    """One attribute's values: where the quotes after them are, and which are certain."""

    column: Column
    quotes: Places
    sure: Mask


class BaseScanner:
    """Reads the keys of a full export's lines. Safe to use from several threads."""

    def __init__(self, wanted: Sequence[KeyAttribute]) -> None:
        self._attributes = [Attribute(one) for one in wanted]
        self._parse = ItemKeys(wanted)
        self._finder = Finder([one.token for one in self._attributes])
        self._search_first = False

    def lines(self, chunk: Chunk) -> Lines:
        """The chunk's lines. Raises ``BadLine`` for one that is no item with such a key."""
        ends = self._finder.newlines(chunk)
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        found = None if self._search_first else self._begun(chunk.buffer, starts, ends)
        if found is None or _unsure(found).size * _PARSE_COST > chunk.size:
            self._search_first = True
            found = self._searched(chunk, starts, ends)
        found[0].sure &= _LAST.at(chunk.buffer, ends - 2)
        left = _unsure(found).tolist()
        if left:
            parsed = list(self._parse.of_lines(chunk.buffer.raw, starts, ends, left))
            for number, one in enumerate(found):
                put_values(one.column, left, [key[number] for key in parsed])
        columns = [one.column for one in found]
        return Lines(starts, ends, Keys(columns, hashed(columns)))

    def _begun(self, buffer: Buffer, starts: Places, ends: Places) -> list[Found]:
        """Items that begin with their key."""
        begins = [one.first.at(buffer, starts) for one in self._attributes]
        found = [
            read_attribute(buffer, one, starts + len(_START), ends, good)
            for one, good in zip(self._attributes, begins, strict=True)
        ]
        self._follow(buffer, ends, found)
        return found

    def _searched(self, chunk: Chunk, starts: Places, ends: Places) -> list[Found]:
        """Items with the key anywhere."""
        buffer = chunk.buffer
        items = _ITEM.at(buffer, starts) & ~self._finder.escapes(chunk, ends)
        found = []
        for one, names in zip(self._attributes, self._finder.tokens(chunk), strict=True):
            at, once = _first_of_each(names, ends)
            own = once | (at == starts + len(_START))
            if np.count_nonzero(~own) * _PARSE_COST > chunk.size:
                maps, _ = _first_of_each(self._finder.maps(chunk), ends)
                own |= (at > 0) & ((maps == 0) | (at < maps))
            found.append(
                read_attribute(buffer, one, at, ends, items & own & one.opens.at(buffer, at))
            )
        self._follow(buffer, ends, found)
        return found

    def _follow(self, buffer: Buffer, ends: Places, found: list[Found]) -> None:
        """What was not certain on its own is, where it comes right after the other attribute."""
        if len(found) == 1:
            return
        for mine, other in ((0, 1), (1, 0)):
            one, after = found[mine], found[other]
            left = np.flatnonzero(~one.sure & after.sure)
            quotes = after.quotes[left]
            attribute = self._attributes[mine]
            good = attribute.follows.at(buffer, quotes)
            if not good.any():
                continue
            left, quotes = left[good], quotes[good]
            new = read_attribute(buffer, attribute, quotes + len(_NEXT), ends[left], good[good])
            for column in (one.column, new.column):
                column.widen(max(one.column.rows.shape[1], new.column.rows.shape[1]))
            one.column.rows[left] = new.column.rows
            one.column.sizes[left] = new.column.sizes
            one.quotes[left] = new.quotes
            one.sure[left] = new.sure


def _unsure(found: Sequence[Found]) -> Places:
    return np.flatnonzero(~np.logical_and.reduce([one.sure for one in found]))


def read_attribute(buffer: Buffer, one: Attribute, at: Places, ends: Places, good: Mask) -> Found:
    """The values of an attribute that begins ``at``, where that is ``good``."""
    at = at + len(one.opening)
    while True:
        column, quotes, sure = read_values(buffer, at, one.kind, one.width)
        sure &= good & one.plain
        long = good & (column.sizes == 0)
        # A few long values are parsed; for many it is worth to read all of them wider.
        if one.width == WIDEST or np.count_nonzero(long) * 32 <= len(at):
            break
        one.width *= 2
    sure &= _CLOSED.at(buffer, quotes) & (quotes < ends)
    return Found(column, quotes, sure)


def _first_of_each(names: Places, ends: Places) -> tuple[Places, Mask]:
    """The first of the places in each line (0 if there is none), and where it is the only one."""
    if len(names) == len(ends) and (names < ends).all() and (names[1:] > ends[:-1]).all():
        return names, np.ones(len(ends), np.bool_)
    lines = np.searchsorted(ends, names)
    at = np.zeros(len(ends), np.intp)
    at[lines[::-1]] = names[::-1]
    return at, np.bincount(lines, minlength=len(ends)) == 1
