"""Which lines are certainly right? One regular expression finds them, many lines at a time.

It knows the usual spelling of lines and nothing else. It finds a line right only if the exact check
(``core.line_check``) does, and makes the same hash of its key, in a third of the time; whatever it
does not know is for that check to judge, so that no reason ever comes from here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from coldtable.core.line_check import KeyTypes, clock_bounds, spelled_hashes
from coldtable.core.lines import count_lines
from coldtable.model import View, Window

# Every repetition is possessive: nothing is tried twice, so a hostile line costs no more than its
# length. Maps and lists nested deeper are left to the exact check.
_DEEPEST = 3
# Making a pattern takes as long as checking so many bytes of lines exactly: fewer are not worth it.
_WORTH = 1024 * 1024
_NEVER = "(?!)"
_BYTES = r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?+"
# Numbers of any valid spelling up to 38 characters, and those in their one canonical spelling,
# which are equal only if their texts are.
_NUMBER = r"-?+[0-9]{1,18}+(?:\.[0-9]{1,18}+)?+"
_CANONICAL = r"(?:0|-?(?:[1-9][0-9]{0,17}+|(?:0|[1-9][0-9]{0,8}+)\.[0-9]{0,8}[1-9]))"
# Begins with one letter, to which the search leaps.
_SETS = re.compile(r'\[(?<="[SNB]S":\[)((?:"[^"\\]*+",?+)++)\]')
_CONTROLS = [bytes([code]) for code in range(32) if code != ord("\n")]


class LinePattern:
    """The lines of full exports, or with ``view`` those of incremental ones.

    The pattern is made when ``worth`` bytes of lines have been looked at; before, none is certain.
    """

    def __init__(
        self, types: KeyTypes | None, view: View | None = None, *, worth: int = _WORTH
    ) -> None:
        self._left = worth
        # The exact check hashes a change's key in the order of its names.
        self._key = tuple(sorted((types or {}).items()) if view else (types or {}).items())
        self._view = view

    @property
    def can_be(self) -> bool:
        """Whether these lines can be found by a pattern at all."""
        if self._view and not self._key:
            return False
        return all(json.dumps(name, ensure_ascii=False) == f'"{name}"' for name, _ in self._key)

    def find(self, block: bytes, window: Window | None = None) -> Sequence[bytes | None]:
        """For each line of the block, which ends with one: the hash of its key if it is right
        (empty where no key schema is known), and ``None`` if that is not certain."""
        count = count_lines(block)
        if self._left > 0:
            self._left -= len(block)
            return [None] * count
        try:
            text = block.decode()
        except UnicodeDecodeError:
            return [None] * count
        # A string without escapes is passed over in half the time; then nothing may be in it that
        # has to be escaped.
        plain = b"\\" not in block and not any(code in block for code in _CONTROLS)
        rows = _compiled(self._key, self._view, plain).findall(text)
        # A string that a line's end is in would make one of two lines.
        if len(rows) != count or not _sets_are_sound(text):
            return [None] * count
        times, *columns = zip(*rows, strict=True)
        if self._view and not _all_inside(window, filter(None, times)):
            return [None] * count
        hashes = _hashes(columns[: len(self._key)], count)
        if any(doubts := columns[-1]):
            return [None if doubt else hashed for hashed, doubt in zip(hashes, doubts, strict=True)]
        return hashes


def _all_inside(window: Window | None, times: Iterable[str]) -> bool:
    if window is None:
        return False
    start, stop = map(str, clock_bounds(window))
    # Times of one length are in the order of their texts: these are of 2001 and later.
    found = list(times) or [start]
    return len(start) == len(stop) == 16 and start <= min(found) and max(found) < stop


def _hashes(keys: Sequence[Sequence[str]], count: int) -> Sequence[bytes]:
    match keys:
        case [one]:
            return spelled_hashes([f"{len(a)}:{a}" for a in one])
        case [one, two]:
            pairs = zip(one, two, strict=True)
            return spelled_hashes([f"{len(a)}:{a}{len(b)}:{b}" for a, b in pairs])
    return [b""] * count


def _sets_are_sound(text: str) -> bool:
    """Whether no set of these lines holds a member twice. No member has a quote in it."""
    for members in _SETS.findall(text):
        found = members.split('","')
        if len(found) > 1:
            found[0], found[-1] = found[0][1:], found[-1][:-1]
            if len(set(found)) != len(found):
                return False
    return True


@lru_cache(64)
def _compiled(key: tuple[tuple[str, str], ...], view: View | None, plain: bool) -> re.Pattern[str]:
    """Groups: the time, the key's attributes, marks, and the end of a line that is in doubt."""
    letter = '[^"]' if plain else r'[^"\\\x00-\x1f]'
    held = {"S": f"{letter}++", "N": _CANONICAL, "B": f'(?!"){_BYTES}'}
    names = [re.escape(name) for name, _ in key]
    kinds = [kind for _, kind in key]
    own = [rf'{n}":\{{"{k}":"({held[k]})"\}}' for n, k in zip(names, kinds, strict=True)]
    groups = range(2, 2 + len(key))
    # Any attribute, but for those of the key, which must be what they are.
    other = "".join((_not_any(names), letter, '*+":', _value(_DEEPEST, letter, plain)))
    if view is None:
        line = rf'()\{{"Item":{_object([*own, other])}{_present(groups)}\}}'
    else:
        same = [rf'{n}":\{{"{k}":"\{g}"\}}()' for n, k, g in zip(names, kinds, groups, strict=True)]
        image = _object([*same, other])
        first = groups.stop
        old = rf'(?:,"OldImage":{image}{_present(range(first, first + len(key)))}|)'
        if view is View.NEW_IMAGE:
            old = ""
        else:
            first += len(key)
        new = rf'(?:,"NewImage":{image}{_present(range(first, first + len(key)))}|)'
        line = (
            r'\{"Metadata":\{"WriteTimestampMicros":\{"N":"([0-9]{16})"\}\},'
            rf'"Keys":{_object(own)}{_present(groups)}{old}{new}\}}'
        )
    return re.compile(rf"{line}\n|[^\n]*(\n)")


def _object(attributes: Sequence[str]) -> str:
    """An object of these attributes, each without its first quote, in any order; not empty."""
    return rf'\{{(?:"(?:{"|".join(attributes)})(?:,|(?=\}})))++(?<!,)\}}'


def _present(groups: Iterable[int]) -> str:
    return "".join(f"(?({group})|{_NEVER})" for group in groups)


def _not_any(names: Sequence[str]) -> str:
    return f'(?!(?:{"|".join(names)})")' if names else ""


def _value(depth: int, letter: str, plain: bool) -> str:
    """One attribute's value, with maps and lists so deep."""
    text = f'"{letter}*+"'
    if not plain:
        # Of the escapes by number, not those of surrogates: half a pair is no text.
        escape = r'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})'
        text = f'"{letter}*+(?:"|(?:{escape}{letter}*+)++")'
    member = r'"[^"\\\x00-\x1f]*+"'
    kinds = [
        f'S":{text}',
        f'N":"{_NUMBER}"',
        f'B(?:OOL":(?:true|false)|":"{_BYTES}")',
        'NULL":true',
        f'SS":{_array(member)}',
        f'NS":{_array(f"{chr(34)}{_CANONICAL}{chr(34)}")}',
        f'BS":{_array(f"{chr(34)}{_BYTES}{chr(34)}")}',
    ]
    if depth:
        inner = _value(depth - 1, letter, plain)
        attribute = f'{letter}*+":{inner}'
        kinds += [rf'M":(?:\{{\}}|{_object([attribute])})', rf'L":(?:\[\]|{_array(inner)})']
    return rf'\{{"(?:{"|".join(kinds)})\}}'


def _array(member: str) -> str:
    return rf"\[(?:{member}(?:,|(?=\])))++(?<!,)\]"
