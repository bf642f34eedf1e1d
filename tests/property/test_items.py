"""Whatever DynamoDB can hold goes through the codec and comes back the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st

from coldtable import ion
from coldtable.core.items import canonical, check_item, content_hash, decode, encode, same
from coldtable.core.lines import item_of, parse_json
from coldtable.errors import ItemInvalid
from coldtable.local.pitr import ion as written

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
PLAIN = st.integers(-(10**37), 10**37).map(str)


@st.composite
def any_number(draw: st.DrawFn) -> str:
    """Up to 38 digits, any exponent that DynamoDB has, however spelled."""
    digits = draw(st.integers(0, 10**38 - 1))
    if not digits:
        return draw(st.sampled_from(["0", "-0", "0.00", "0E+5"]))
    number = Decimal(f"{digits}E{draw(st.integers(-130, 125)) - len(str(digits)) + 1}")
    spelled = draw(st.sampled_from(["{:f}", "{}", "{:E}"])).format(number)
    return draw(st.sampled_from(["", "-"])) + spelled


def values(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Attribute values of all ten types."""
    binary = st.binary(max_size=6).map(lambda b: base64.b64encode(b).decode())
    kinds: list[st.SearchStrategy[dict[str, Any]]] = [
        st.builds(lambda v: {"S": v}, TEXT),
        st.builds(lambda v: {"N": v}, numbers),
        st.builds(lambda v: {"B": v}, binary),
        st.builds(lambda v: {"BOOL": v}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda v: {"SS": v}, st.lists(TEXT, min_size=1, unique=True, max_size=3)),
        st.builds(
            lambda v: {"NS": v}, st.lists(numbers, min_size=1, unique_by=Decimal, max_size=3)
        ),
        st.builds(lambda v: {"BS": v}, st.lists(binary, min_size=1, unique=True, max_size=3)),
    ]
    return st.recursive(
        st.one_of(kinds),
        lambda inner: st.one_of(
            st.builds(lambda v: {"L": v}, st.lists(inner, max_size=3)),
            st.builds(lambda v: {"M": v}, st.dictionaries(TEXT, inner, max_size=3)),
        ),
        max_leaves=6,
    )


def items(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    return st.dictionaries(TEXT, values(numbers), max_size=4)


@given(items(any_number()))
def test_nothing_is_lost(item: dict[str, Any]) -> None:
    """Decoded and encoded, an item is the same to DynamoDB; spelled canonically, to the byte."""
    back = encode(decode(item))
    assert same(back, item)
    assert canonical(back) == canonical(item)
    assert encode(decode(back)) == back


@given(any_number())
def test_numbers_are_exact(number: str) -> None:
    """Any spelling of any number of DynamoDB's is that number, and plain when it is written."""
    decoded = decode({"n": {"N": number}})["n"]
    assert decoded == Decimal(number)
    spelled = encode({"n": decoded})["n"]["N"]
    assert Decimal(spelled) == decoded
    assert "E" not in spelled
    assert encode({"n": Decimal(spelled)})["n"]["N"] == spelled


@given(items(PLAIN))
def test_boto3_agrees(item: dict[str, Any]) -> None:
    """For numbers that boto3 can read, its deserialiser gives the same values."""

    def theirs(value: Any) -> Any:
        match value:
            case Binary():
                return value.value  # type: ignore[attr-defined]  # missing in the stubs
            case list():
                return [theirs(v) for v in value]
            case dict():
                return {name: theirs(v) for name, v in value.items()}
            case set():
                return frozenset(map(theirs, value))
        return value

    def wire(value: dict[str, Any]) -> dict[str, Any]:
        """As botocore hands it on: binary decoded, here from base64."""
        ((kind, held),) = value.items()
        match kind:
            case "B":
                return {kind: base64.b64decode(held)}
            case "BS":
                return {kind: list(map(base64.b64decode, held))}
            case "L":
                return {kind: list(map(wire, held))}
            case "M":
                return {kind: {name: wire(v) for name, v in held.items()}}
        return value

    read: Callable[[Any], Any] = TypeDeserializer().deserialize
    assert decode(item) == {name: theirs(read(wire(v))) for name, v in item.items()}


@given(items(any_number()))
def test_both_formats_are_read_alike(item: dict[str, Any]) -> None:
    """The line that the embedded AWS writes in JSON, and in Ion, is that item."""
    line = json.dumps({"Item": item}, separators=(",", ":"), ensure_ascii=False).encode()
    assert item_of(parse_json(line)) == item
    row = ion.read_line(f"$ion_1_0 {{Item:{written.struct(item)}}}".encode())
    check_item(item_of(row))
    assert same(item_of(row), item)


@given(items(any_number()), st.randoms())
def test_order_and_spelling_are_no_difference(item: dict[str, Any], random: Any) -> None:
    """Attributes, members of sets and digits in another order or spelling: the same content."""

    def stirred(value: dict[str, Any]) -> dict[str, Any]:
        ((kind, held),) = value.items()
        match kind:
            case "N":
                return {kind: format(Decimal(held), "E")}
            case "SS" | "NS" | "BS":
                return {kind: random.sample(held, len(held))}
            case "L":
                return {kind: list(map(stirred, held))}
            case "M":
                return {kind: shuffled(held)}
        return value

    def shuffled(members: dict[str, Any]) -> dict[str, Any]:
        names = random.sample(sorted(members), len(members))
        return {name: stirred(members[name]) for name in names}

    other = shuffled(item)
    assert same(item, other)
    assert content_hash(item) == content_hash(other)
    assert decode(item) == decode(other)


@given(items(any_number()), items(any_number()))
def test_different_items_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two items are the same if and only if all their values are."""

    def typed(value: Any) -> Any:
        """Python thinks that 1 is True and 0 False."""
        match value:
            case bool():
                return str(value), "bool"
            case dict():
                return {name: typed(v) for name, v in value.items()}
            case list():
                return [typed(v) for v in value]
        return value

    assert same(one, other) == (typed(decode(one)) == typed(decode(other)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS", "x"]),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=8,
)


@given(JSON)
def test_nonsense_is_refused_and_nothing_else_happens(nonsense: Any) -> None:
    """Any JSON is either an item, and then all of the codec works on it, or ItemInvalid."""
    try:
        check_item(nonsense)
    except ItemInvalid:
        return
    assert same(encode(decode(nonsense)), nonsense)
    assert len(content_hash(nonsense)) == 16


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_a_line_of_anything(line: bytes) -> None:
    """A line is read or refused; no other error comes out, in either format."""
    read: list[Callable[[bytes], dict[str, Any]]] = [parse_json, ion.read_line]
    for parse in read:
        try:
            found = parse(line)
        except ItemInvalid:
            continue
        assert isinstance(found, dict)
