"""Text Ion is what the documentation shows, and what ``amazon.ion`` reads back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from amazon.ion import simpleion

from coldtable.local.pitr import ion
from coldtable.local.pitr.import_source import typed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("103", "103."),
        ("600", "6d2"),
        ("0", "0."),
        ("-0", "0."),
        ("-1.5", "-1.5"),
        ("1E-130", "1d-130"),
        ("9.9999999999999999999999999999999999999E+125", None),
        ("12345678901234567890123456789012345678", None),
    ],
)
def test_numbers_are_exact_decimals(text: str, shown: str | None) -> None:
    """`103.` and `6d2` as in the documentation; 38 digits survive."""
    written = ion.number(text)
    assert shown in (None, written)
    assert Decimal(simpleion.loads(written)) == Decimal(text)


def test_every_type_comes_back() -> None:
    """All ten types, odd names and odd characters included."""
    item = {
        "s": {"S": 'a "quote", a \\ and a\nline, ü and \x07'},
        "n": {"N": "-12.5"},
        "b": {"B": "AAH/"},
        "empty": {"B": ""},
        "t": {"BOOL": True},
        "null": {"NULL": True},
        "l": {"L": [{"S": ""}, {"M": {"it's": {"N": "1"}}}]},
        "m": {"M": {}},
        "ss": {"SS": ["x", "y"]},
        "ns": {"NS": ["1", "2.5"]},
        "a b-c": {"BS": ["AA=="]},
    }
    text = f"$ion_1_0 {{Item:{ion.struct(item)}}}\n"
    (row,) = simpleion.loads(text, single_value=False)
    assert {str(name): typed(value) for name, value in row["Item"].items()} == item


def test_keyword_names_are_quoted() -> None:
    """An attribute called `null` or `true` is a quoted symbol."""
    assert ion.struct({"null": {"BOOL": False}, "nan": {"S": ""}}) == "{'null':false,'nan':\"\"}"
