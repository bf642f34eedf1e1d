"""The codec by example: what is refused and where, and what the canonical form is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from coldtable import ion
from coldtable.core.items import canonical, check_item, decode, encode
from coldtable.core.lines import Change, change_of, item_of, parse_json
from coldtable.errors import ItemInvalid

REAL: dict[str, Any] = {
    "b": {"B": "0000"},
    "bset": {"BS": ["0000", "1111"]},
    "list": {"L": [{"S": "test"}, {"S": "1"}]},
    "mapp": {"M": {"test": {"B": "test"}}},
    "nset": {"NS": ["1", "2"]},
    "null": {"NULL": True},
    "number": {"N": "12"},
    "pk": {"S": "3"},
}


def test_a_real_item() -> None:
    """The many-typed item of a real export [REAL-G]: binary is decoded once, nested too."""
    found = decode(REAL)
    assert found["b"] == b"\xd3\x4d\x34"
    assert found["mapp"] == {"test": b"\xb5\xeb\x2d"}
    assert found["nset"] == {Decimal(1), Decimal(2)}
    assert encode(found) == REAL


def test_empty_values_stay() -> None:
    """Empty strings, binary, lists and maps are values like any other [DOC-CONSTR]."""
    item: dict[str, Any] = {"s": {"S": ""}, "b": {"B": ""}, "l": {"L": []}, "m": {"M": {}}}
    assert decode(item) == {"s": "", "b": b"", "l": [], "m": {}}
    assert encode(decode(item)) == item


@pytest.mark.parametrize(
    ("told", "plain"),
    [
        ("1E+2", "100"),
        ("-0", "0"),
        ("0.00", "0"),
        ("1.50", "1.5"),
        ("+007", "7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("1" + "0" * 125, "1" + "0" * 125),
        ("-12345678901234567890123456789012345678", "-12345678901234567890123456789012345678"),
    ],
)
def test_numbers_in_plain_notation(told: str, plain: str) -> None:
    """Whatever the spelling, one comes out: plain, and without needless zeros."""
    assert encode(decode({"n": {"N": told}})) == {"n": {"N": plain}}
    assert canonical({"n": {"N": told}}) == b'{"n":{"N":"%s"}}' % plain.encode()


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ([], "The item: it is not an object of attributes"),
        ({"a": {}}, "a: it is not one type with its value"),
        ({"a": {"S": "x", "N": "1"}}, "a: it is not one type with its value"),
        ({"a": "x"}, "a: it is not one type with its value"),
        ({"a": {"X": "x"}}, "a: there is no type 'X'"),
        ({"a": {"S": 1}}, "a: S holds no string"),
        ({"a": {"S": "\ud800"}}, "a: it holds half of a surrogate pair"),
        ({"\ud800": {"S": ""}}, "it holds half of a surrogate pair"),
        ({"a": {"N": 1}}, "a: N holds no string"),
        ({"a": {"N": ""}}, "a: '' is not a number"),
        ({"a": {"N": "NaN"}}, "a: 'NaN' is not a number"),
        ({"a": {"N": "1_000"}}, "a: '1_000' is not a number"),
        ({"a": {"N": "١"}}, "a: '١' is not a number"),
        ({"a": {"N": "1" * 39}}, "has 39 digits, more than 38"),
        ({"a": {"N": "1E+126"}}, "a: '1E+126' is out of range"),
        ({"a": {"N": "1E-131"}}, "a: '1E-131' is out of range"),
        ({"a": {"B": "AA"}}, "a: B is not base64"),
        ({"a": {"B": "A A="}}, "a: B is not base64"),
        ({"a": {"B": "AB=="}}, "a: B is not base64: there are bits beyond its last byte"),
        ({"a": {"BOOL": "true"}}, "a: BOOL is neither true nor false"),
        ({"a": {"NULL": False}}, "a: NULL is not true"),
        ({"a": {"SS": []}}, "a: a set is empty"),
        ({"a": {"SS": "x"}}, "a: a set holds no array"),
        ({"a": {"SS": ["x", "x"]}}, "a: a set holds a member twice"),
        ({"a": {"NS": ["1", "1.0"]}}, "a: a set holds a member twice"),
        ({"a": {"NS": ["1", "x"]}}, "a[1]: 'x' is not a number"),
        ({"a": {"L": {}}}, "a: L holds no array"),
        ({"a": {"M": []}}, "a: it is not an object of attributes"),
        (
            {"a": {"M": {"b c": {"L": [{"NULL": True}, {"M": {"d": {"N": "x"}}}]}}}},
            """a."b c"[1].d: 'x' is not a number""",
        ),
    ],
)
def test_what_is_no_item(item: Any, said: str) -> None:
    """Each violation is told with the path to it, and is damage."""
    with pytest.raises(ItemInvalid) as caught:
        check_item(item)
    assert said in caught.value.message
    assert caught.value.exit_code == 5


def test_nesting_has_an_end() -> None:
    """32 levels are DynamoDB's limit; a thousand are an error and not a crash."""
    value: dict[str, Any] = {"S": "x"}
    for _ in range(31):
        value = {"L": [value]}
    check_item({"a": value})
    for _ in range(1000):
        value = {"M": {"m": value}}
    with pytest.raises(ItemInvalid, match="nested deeper"):
        check_item({"a": value})
    with pytest.raises(ItemInvalid, match="not JSON"):
        parse_json(b'{"Item":' + b'{"L":[' * 100_000)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, "a.b[0]: a float is no DynamoDB value"),
        (set(), "a.b[0]: a set holds"),
        ({1, "x"}, "a.b[0]: a set holds"),
        ({None}, "a.b[0]: a set holds"),
        (Decimal("NaN"), "a.b[0]: 'NaN' is not a number"),
        (Decimal("Infinity"), "'Infinity' is not a number"),
        (10**38 + 1, "has 39 digits"),
        ({1: "x"}, "the name 1 is no string"),
        (object(), "a object is no DynamoDB value"),
    ],
)
def test_python_values_that_dynamodb_has_not(value: Any, said: str) -> None:
    """What would be changed or refused later is refused now, with its path."""
    with pytest.raises(ItemInvalid) as caught:
        encode({"a": {"b": [value]}})
    assert said in caught.value.message


def test_an_integer_that_python_would_not_print() -> None:
    """Python refuses to spell very long integers; that is no other error than any number's."""
    with pytest.raises(ItemInvalid):
        encode({"n": 10**5000})


def test_python_s_other_spellings() -> None:
    """int, tuple, bytearray and set are taken for what they mean; True is no number."""
    assert encode({"i": 5, "t": (True, 1), "b": bytearray(b"\0"), "s": {2, 10}}) == {
        "i": {"N": "5"},
        "t": {"L": [{"BOOL": True}, {"N": "1"}]},
        "b": {"B": "AA=="},
        "s": {"NS": ["10", "2"]},
    }


@pytest.mark.parametrize(
    "told", ['{"N":"1768386096366933"}', '"1768386096366933"', "1768386096366933"]
)
def test_changes_and_the_spellings_of_their_time(told: str) -> None:
    """Real exports write {"N"}, the documentation a string: all are read [REAL-G, DOC-OUT]."""
    row = parse_json(
        b'{"Metadata":{"WriteTimestampMicros":%s},"Keys":{"pk":{"S":"2"}}}' % told.encode()
    )
    assert change_of(row) == Change(keys={"pk": {"S": "2"}}, when=1768386096366933)


def test_an_ion_change() -> None:
    """The documentation's layout of a record in Ion [DOC-OUT]."""
    line = (
        b'$ion_1_0 {Record:{Keys:{pk:"2"},Metadata:{WriteTimestampMicros:1684374845117899.},'
        b'OldImage:{pk:"2",n:103.},NewImage:{pk:"2",s:$dynamodb_NS::[1.,6d2]}}}'
    )
    assert change_of(ion.read_line(line)) == Change(
        keys={"pk": {"S": "2"}},
        when=1684374845117899,
        old={"pk": {"S": "2"}, "n": {"N": "103"}},
        new={"pk": {"S": "2"}, "s": {"NS": ["1", "600"]}},
    )


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (item_of, b'{"Item":{},"x":1}'),
        (item_of, b'{"Keys":{}}'),
        (item_of, b"{}"),
        (item_of, b"[]"),
        (item_of, b""),
        (item_of, b"\xff"),
        (item_of, b'{"Item":'),
        (change_of, b'{"Item":{}}'),
        (change_of, b'{"Keys":{}}'),
        (change_of, b'{"Keys":{},"Metadata":{"WriteTimestampMicros":{"N":"x"}}}'),
        (change_of, b'{"Keys":{},"Metadata":7}'),
        (change_of, b'{"Keys":{},"Metadata":{"WriteTimestampMicros":"1"},"Image":{}}'),
    ],
)
def test_lines_of_another_shape(read: Callable[[Any], Any], line: bytes) -> None:
    """What is no JSON, no item, or no change with a time is refused: also one for the other."""
    with pytest.raises(ItemInvalid):
        read(parse_json(line))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{Item:{a:2e0}}", "a: DynamoDB has no type for Ion's FLOAT"),
        (b"{Item:{a:null.string}}", "a: DynamoDB has no null of Ion's type STRING"),
        (b"{Item:{a:null.list}}", "a: DynamoDB has no null of Ion's type LIST"),
        (b"{Item:{a:x}}", "a: DynamoDB has no type for Ion's SYMBOL"),
        (b"{Item:{a:$dynamodb_SS::[1.]}}", "a: a member of SS is of another type"),
        (b"{Item:{a:$dynamodb_XS::[1.]}}", "a: there is no such set"),
        (b"{Item:{a:$dynamodb_SS::[]}}", "a: there is no such set"),
        (b"{Item:{a:[{b:2007-01-01T}]}}", "a[0].b: DynamoDB has no type for Ion's TIMESTAMP"),
        (b"{Item:[]}", "it is no struct of attributes"),
        (b"{Other:{}}", "'Other' is neither an Item nor a Record"),
        (b"{Item:", "it is no Ion"),
        (b"{a:1} {b:2}", "it is no Ion"),
        (b"7", "it is no struct"),
    ],
)
def test_ion_that_dynamodb_has_not(line: bytes, said: str) -> None:
    """Ion has more types than DynamoDB; none of them is taken for something else."""
    with pytest.raises(ItemInvalid) as caught:
        ion.read_line(b"$ion_1_0 " + line)
    assert said in caught.value.message
