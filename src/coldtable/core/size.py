"""How large DynamoDB takes an item to be: what writes cost, and what the limit of 400 KB counts.

The rules are those of AWS's page on item sizes [DOC-CONSTR]; for numbers that page gives a bound,
so this is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

_UNIT = 1024


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes: the names of the attributes, and their values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def write_units(size: int) -> int:
    """The write units of one item of that size."""
    return max(1, ceil(size / _UNIT))


def _value(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return _number(held)
        case "B":
            return len(held) * 3 // 4
        case "SS" | "NS" | "BS":
            return sum(_value({kind[0]: member}) for member in held)
        case "L":
            return 3 + sum(1 + _value(member) for member in held)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value(v) for name, v in held.items())
    return 1


def _number(text: str) -> int:
    digits = text.lstrip("-").replace(".", "").strip("0")
    return min(21, 1 + ceil(len(digits) / 2) + text.startswith("-"))
