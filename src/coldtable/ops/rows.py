"""The lines of a data file, many at a time: each is checked, and its key kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from coldtable.core.line_check import ChangeCheck, CheckRow, KeyTypes, full_row
from coldtable.core.line_pattern import LinePattern
from coldtable.core.lines import Parse, parse_json
from coldtable.errors import ItemInvalid
from coldtable.model import View, Window
from coldtable.ops.key_files import KeyWriter

# Enough to tell what is wrong; an object of a million bad lines stays small.
_MOST_WRONG = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRules:
    """What the lines of an export must be; ``keys`` is where their keys are kept meanwhile, and
    ``alone`` whether this is the export's only object."""

    ion: bool
    window: Window | None
    view: View | None
    types: KeyTypes | None
    keys: Path | None = None
    alone: bool = False


class Rows:
    """The check of each line of one data file, and where the keys go.

    What a pattern does not find to be right is judged by ``core.line_check``, line by line.
    """

    def __init__(self, rules: LineRules, wrong: Callable[[str, int], None]) -> None:
        """``wrong`` is told the reason and the number of each line that is wrong."""
        self._wrong = wrong
        self._parse: Parse = ion_parser() if rules.ion else _json_parser()
        self._check: CheckRow = full_row(rules.types)
        if rules.window and rules.view:
            self._check = ChangeCheck(window=rules.window, view=rules.view, types=rules.types)
        self._window = rules.window
        self._pattern = None if rules.ion else _pattern(rules)
        self._keys = KeyWriter(rules.keys, alone=rules.alone) if rules.keys else None
        self._bad = 0

    def check(self, block: bytes, first: int) -> int:
        """Check the lines of the block, which ends with one. How many they are; ``first`` is the
        first one's number."""
        found = self._pattern.find(block, self._window) if self._pattern else None
        if found is None or None in found:
            lines = block[:-1].split(b"\n")
            sure = found or [None] * len(lines)
            found = [
                self._exact(line, number) if hashed is None else hashed
                for number, (line, hashed) in enumerate(zip(lines, sure, strict=True), first)
            ]
        if self._keys:
            self._keys.add_all(found, first)
        return len(found)

    def close(self) -> None:
        """The object is read to its end."""
        if self._keys:
            self._keys.close()

    def _exact(self, line: bytes, number: int) -> bytes | None:
        try:
            return self._check(self._parse(line))
        except ItemInvalid as error:
            self._bad += 1
            if self._bad <= _MOST_WRONG:
                self._wrong(error.message, number)
            return None


def _pattern(rules: LineRules) -> LinePattern | None:
    pattern = _pattern_of(tuple((rules.types or {}).items()), rules.view if rules.window else None)
    return pattern if pattern.can_be else None


@lru_cache(64)
def _pattern_of(types: tuple[tuple[str, str], ...], view: View | None) -> LinePattern:
    """One for all objects of a table, so that it counts what they hold together."""
    return LinePattern(dict(types), view)


def _json_parser() -> Parse:
    """msgspec's: three times as fast as Python's own, which says what is wrong."""
    from msgspec import DecodeError, json

    decode = json.Decoder().decode

    def parse(line: bytes) -> dict[str, Any]:
        try:
            found = decode(line)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return parse_json(line)
        return found if type(found) is dict else parse_json(line)

    return parse


def ion_parser() -> Parse:
    """What reads a line of an ION export; it needs the extra "archive"."""
    from coldtable.ion import read_line

    return read_line
