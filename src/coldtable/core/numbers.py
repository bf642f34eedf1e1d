"""DynamoDB's numbers: 38 significant digits, from 1E-130 to 9.99…E+125 [DOC-CONSTR].

They are text on the wire. ``1E+125`` may be spelled with 126 digits, of which one is significant;
an SDK whose decimal context traps rounding fails on it (field notes: ``decimal.Rounded``).
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from coldtable.errors import ItemInvalid

_SIGNIFICANT = 38
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 125, -130

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,5})?", re.ASCII)
# What is canonical already, and small enough to be in range: nearly every number there is.
_PLAIN = re.compile(r"0|-?(?:[1-9]\d{0,18}|(?:0|[1-9]\d{0,8})\.\d{0,8}[1-9])", re.ASCII)


def parse_number(text: str) -> Decimal | None:
    """The number, ``None`` for one that is canonical already; ``ValueError`` says what is wrong."""
    if _PLAIN.fullmatch(text):
        return None
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        raise ValueError(f"{_short(text)} is not a number")
    found = Decimal(text)
    if found:
        digits = "".join(map(str, found.as_tuple().digits)).rstrip("0")
        if len(digits) > _SIGNIFICANT:
            raise ValueError(f"{_short(text)} has {len(digits)} digits, more than {_SIGNIFICANT}")
        if not _SMALLEST_EXPONENT <= found.adjusted() <= _LARGEST_EXPONENT:
            raise ValueError(f"{_short(text)} is out of range")
    return found


def plain_number(text: str) -> str:
    """A valid number's one spelling: no exponent, no needless zeros, no plus, no minus zero."""
    if _PLAIN.fullmatch(text):
        return text
    return _plain(text)


def number_text(number: int | Decimal, path: str = "") -> str:
    """A Python number as DynamoDB spells it; ``ItemInvalid`` if it is none of DynamoDB's."""
    try:
        text = str(number)
        parse_number(text)
    except ValueError as error:
        raise ItemInvalid(str(error), path=path) from None
    return plain_number(text)


@lru_cache(4096)
def _plain(text: str) -> str:
    whole = format(Decimal(text), "f")
    if "." in whole:
        whole = whole.rstrip("0").rstrip(".")
    return "0" if whole in ("-0", "") else whole


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
