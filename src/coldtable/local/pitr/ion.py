"""Text Ion as DynamoDB's exports write it [DOC-OUT].

Written by hand: ``amazon.ion`` writes the same values a hundred times slower. The tests read every
line back with ``amazon.ion``.
"""

from __future__ import annotations

import decimal
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Symbols that need no quotes in a struct; Ion's keywords are not among them.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = frozenset({"null", "true", "false", "nan"})
_SPECIAL = re.compile("[\\x00-\\x1f\\x7f\\\\\"']")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
# DynamoDB's 38 digits; anything that would be rounded is an error.
EXACT = decimal.Context(prec=38, Emin=-200, Emax=200, traps=[decimal.Inexact])


def number(text: str) -> str:
    """A DynamoDB number as an Ion decimal: ``103`` is ``103.``, ``600`` is ``6d2``."""
    value = EXACT.create_decimal(text)
    shown = str(value.normalize(EXACT)) if value else "0"
    if "E" in shown:
        return shown.replace("E+", "d").replace("E", "d")
    return shown if "." in shown else shown + "."


def string(text: str) -> str:
    """A quoted Ion string."""
    return f'"{_escaped(text, chr(34))}"'


@functools.lru_cache(maxsize=4096)
def symbol(text: str) -> str:
    """A field name, in single quotes where Ion asks for them."""
    if _PLAIN.fullmatch(text) and text not in _KEYWORDS:
        return text
    return "'" + _escaped(text, "'") + "'"


def value(typed: Mapping[str, Any]) -> str:
    """One DynamoDB attribute value (``{"S": "x"}``) as Ion."""
    ((kind, held),) = typed.items()
    if kind == "S":
        return string(held)
    if kind == "N":
        return number(held)
    if kind == "B":
        return f"{{{{{held}}}}}"
    if kind == "BOOL":
        return "true" if held else "false"
    if kind == "NULL":
        return "null"
    if kind == "M":
        return struct(held)
    if kind == "L":
        return "[" + ",".join(map(value, held)) + "]"
    members = ",".join(value({kind[0]: member}) for member in held)
    return f"$dynamodb_{kind}::[{members}]"


def struct(item: Mapping[str, Any], names: Iterable[str] | None = None) -> str:
    """An item or map as an Ion struct, in the order of ``names`` (its own order without)."""
    fields = (f"{symbol(name)}:{value(item[name])}" for name in (names or item))
    return "{" + ",".join(fields) + "}"


def _escaped(text: str, quote: str) -> str:
    if not _SPECIAL.search(text):
        return text
    out = []
    for char in text:
        if char == quote:
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(char)
    return "".join(out)
