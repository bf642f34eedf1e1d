"""DynamoDB items: their JSON, Python's values, and when two of them are the same.

The JSON is that of exports and of the API (``{"pk": {"S": "x"}}``), fact sheet section 4. Nothing
is lost either way: numbers are ``Decimal`` whatever their size, and no context rounds them or
complains; binary is ``bytes``, decoded once; sets are ``frozenset``.

=====  =====================      ====  =======================
S      ``str``                    L     ``list``
N      ``Decimal``                M     ``dict``
B      ``bytes``                  SS    ``frozenset`` of ``str``
BOOL   ``bool``                   NS    ``frozenset`` of ``Decimal``
NULL   ``None``                   BS    ``frozenset`` of ``bytes``
=====  =====================      ====  =======================
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from coldtable.core.numbers import number_text, parse_number, plain_number
from coldtable.errors import ItemInvalid

# One attribute value, {"S": "x"}; one item, by its attributes' names.
Value = Mapping[str, Any]
Item = Mapping[str, Value]

# DynamoDB allows 32 levels [DOC-CONSTR]; how it counts them is not documented, so this is looser.
_DEEPEST = 64

_canonical_json = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, check_circular=False, sort_keys=True
).encode


def decode(item: Item) -> dict[str, Any]:
    """The item as Python values. Raises ``ItemInvalid`` with the path of what is wrong."""
    check_item(item)
    return {name: _decoded(value) for name, value in item.items()}


def encode(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The item that these Python values are: the inverse of ``decode``.

    ``int`` is taken too, and ``bytearray``, ``tuple`` and ``set``. ``float`` is refused, because
    it holds another number than the one that was written, and so is an empty set, which has no
    type. Numbers and sets come out in their canonical form.
    """
    return {name: _encoded(value, _step("", name)) for name, value in values.items()}


def check_item(item: object) -> None:
    """Raise ``ItemInvalid``, with the path and the reason, unless ``item`` is a DynamoDB item."""
    _check_map(item, 1)


def canonical(item: Item) -> bytes:
    """The one spelling of a valid item: equal items have the same, whatever order they came in.

    Names are sorted, numbers are plain without needless zeros, sets are sorted.
    """
    return _canonical_json({name: _canonical(value) for name, value in item.items()}).encode()


def same(one: Item, other: Item) -> bool:
    """Whether two valid items are the same to DynamoDB."""
    return one == other or canonical(one) == canonical(other)


def content_hash(item: Item) -> bytes:
    """16 bytes (BLAKE2b) of the item's canonical form."""
    return hashlib.blake2b(canonical(item), digest_size=16).digest()


def _decoded(value: Value) -> Any:
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return Decimal(held)
        case "B":
            return binascii.a2b_base64(held)
        case "NULL":
            return None
        case "L":
            return [_decoded(member) for member in held]
        case "M":
            return {name: _decoded(member) for name, member in held.items()}
        case "SS":
            return frozenset(held)
        case "NS":
            return frozenset(map(Decimal, held))
        case "BS":
            return frozenset(map(binascii.a2b_base64, held))
    return held


def _encoded(value: Any, path: str) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": number_text(value, path)}
        case bytes() | bytearray() | memoryview():
            return {"B": _base64(value)}
        case list() | tuple():
            return {"L": [_encoded(v, f"{path}[{n}]") for n, v in enumerate(value)]}
        case Mapping():
            return {"M": {name: _encoded(v, _step(path, name)) for name, v in value.items()}}
        case set() | frozenset():
            return _encoded_set(value, path)
    raise ItemInvalid(f"a {type(value).__name__} is no DynamoDB value", path=path)


def _encoded_set(members: set[Any] | frozenset[Any], path: str) -> dict[str, Any]:
    spelled = [_encoded(member, path) for member in members]
    kinds = {kind for one in spelled for kind in one}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        _fail("a set holds strings, numbers or binary, of one type and at least one", path)
    (kind,) = kinds
    return {kind + "S": sorted(one[kind] for one in spelled)}


def _canonical(value: Value) -> Value:
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return {kind: plain_number(held)}
        case "L":
            return {kind: [_canonical(member) for member in held]}
        case "M":
            return {kind: {name: _canonical(member) for name, member in held.items()}}
        case "NS":
            return {kind: sorted(map(plain_number, held))}
        case "SS" | "BS":
            return {kind: sorted(held)}
    return value


# The checks raise with the path from where they stand; whoever called them adds his part of it,
# so that nothing is spelled for the many items that are right.


def _check(value: object, depth: int) -> None:
    if type(value) is not dict or len(value) != 1:
        _fail("it is not one type with its value")
    ((kind, held),) = value.items()
    check = _CHECKS.get(kind)
    if check is None:
        _fail(f"there is no type {kind!r}")
    check(held, depth)


def _check_map(held: object, depth: int) -> None:
    if type(held) is not dict:
        _fail("it is not an object of attributes")
    _check_depth(depth)
    for name, value in held.items():
        # What nearly all attributes are is passed at once: a call for each costs more than it does.
        if type(value) is dict and len(value) == 1 and name.isascii():
            ((kind, inner),) = value.items()
            if type(inner) is str and inner.isascii():
                if kind == "S" or (kind == "N" and inner.isdecimal() and len(inner) <= 38):
                    continue
            elif kind == "BOOL" and type(inner) is bool:
                continue
        try:
            _check_text(name)
            _check(value, depth + 1)
        except ItemInvalid as error:
            raise error.within(_step("", name)) from None


def _check_list(held: object, depth: int) -> None:
    if type(held) is not list:
        _fail("L holds no array")
    _check_depth(depth)
    for number, value in enumerate(held):
        try:
            _check(value, depth + 1)
        except ItemInvalid as error:
            raise error.within(f"[{number}]") from None


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        _fail(f"it is nested deeper than {_DEEPEST} levels")


def _check_string(held: object, _depth: int) -> None:
    if type(held) is not str:
        _fail("S holds no string")
    if not held.isascii():
        _check_text(held)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        _fail("it holds half of a surrogate pair, which is no text")


def _check_number(held: object, _depth: int) -> None:
    if type(held) is not str:
        _fail("N holds no string")
    # Nearly all there are, without the cost of the exact way.
    whole, _, rest = held.removeprefix("-").partition(".")
    if whole.isdecimal() and (rest.isdecimal() or not rest) and len(held) <= 38 and held.isascii():
        return
    try:
        parse_number(held)
    except ValueError as error:
        _fail(str(error))


def _check_binary(held: object, _depth: int) -> None:
    if type(held) is not str:
        _fail("B holds no string")
    try:
        found = binascii.a2b_base64(held, strict_mode=True)
    except ValueError as error:
        _fail(f"B is not base64: {error}")
    # Bits beyond the last byte would make two spellings of one value.
    if _base64(found) != held:
        _fail("B is not base64: there are bits beyond its last byte")


def _check_bool(held: object, _depth: int) -> None:
    if type(held) is not bool:
        _fail("BOOL is neither true nor false")


def _check_null(held: object, _depth: int) -> None:
    if held is not True:
        _fail("NULL is not true")


Check = Callable[[object, int], None]


def _check_set(check: Check, spelled: Callable[[Any], Any]) -> Check:
    def members(held: object, depth: int) -> None:
        if type(held) is not list:
            _fail("a set holds no array")
        if not held:
            _fail("a set is empty")
        for number, member in enumerate(held):
            try:
                check(member, depth)
            except ItemInvalid as error:
                raise error.within(f"[{number}]") from None
        if len(set(map(spelled, held))) != len(held):
            _fail("a set holds a member twice")

    return members


_CHECKS: dict[str, Check] = {
    "S": _check_string,
    "N": _check_number,
    "B": _check_binary,
    "BOOL": _check_bool,
    "NULL": _check_null,
    "L": _check_list,
    "M": _check_map,
    "SS": _check_set(_check_string, str),
    "NS": _check_set(_check_number, plain_number),
    "BS": _check_set(_check_binary, str),
}


def _base64(held: bytes | bytearray | memoryview) -> str:
    return binascii.b2a_base64(held, newline=False).decode()


def _step(path: str, name: object) -> str:
    """``address.city``; names that would be unclear in it are quoted."""
    if not isinstance(name, str):
        _fail(f"the name {name!r} is no string", path)
    shown = name if name.replace("_", "a").replace("-", "a").isalnum() else json.dumps(name)
    return f"{path}.{shown}" if path else shown


def _fail(what: str, path: str = "") -> NoReturn:
    raise ItemInvalid(what, path=path)
