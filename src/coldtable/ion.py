"""Text Ion as DynamoDB exports it, read as the same objects that a DynamoDB JSON line gives.

One line is ``$ion_1_0 {Item:{…}}`` or ``$ion_1_0 {Record:{…}}``; numbers are decimals, sets are
lists with an annotation, and so on [DOC-OUT]. Needs the package ``amazon.ion`` (the extra
``archive``), which is imported with this module only.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from coldtable.core.numbers import number_text
from coldtable.errors import ItemInvalid, NotInstalled

try:
    from amazon.ion.core import IonType
    from amazon.ion.exceptions import IonException
    from amazon.ion.simple_types import IonPyNull
    from amazon.ion.simpleion import loads
except ImportError:
    raise NotInstalled(
        "Exports in ION format can only be read with the package amazon.ion",
        hint="Install it: pip install 'coldtable[archive]'",
    ) from None

_SETS = {"$dynamodb_SS": "SS", "$dynamodb_NS": "NS", "$dynamodb_BS": "BS"}


def read_line(line: bytes) -> dict[str, Any]:
    """The line's object, in DynamoDB JSON: ``{"Item": …}``, or the members of a ``Record``.

    Raises ``ItemInvalid``, with the path, for anything that DynamoDB has no type for.
    """
    try:
        found = loads(line, single_value=True)
    except (IonException, ValueError, TypeError) as error:
        raise ItemInvalid(f"it is no Ion: {error}") from None
    if not isinstance(found, Mapping) or len(found) != 1:
        raise ItemInvalid("it is no struct with an Item or a Record")
    ((name, held),) = found.items()
    if name == "Item":
        return {"Item": _struct(held)}
    if name == "Record" and isinstance(held, Mapping):
        return {part: _member(part, _struct, value) for part, value in held.items()}
    raise ItemInvalid(f"{name!r} is neither an Item nor a Record")


def _struct(held: Any) -> dict[str, Any]:
    if not isinstance(held, Mapping):
        raise ItemInvalid("it is no struct of attributes")
    return {name: _member(name, _value, value) for name, value in held.items()}


def _member(name: str, read: Callable[[Any], Any], held: Any) -> Any:
    try:
        return read(held)
    except ItemInvalid as error:
        raise error.within(name) from None


def _value(held: Any) -> dict[str, Any]:
    kind: Any = getattr(held, "ion_type", None)
    notes = [note.text for note in getattr(held, "ion_annotations", ())]
    if notes:
        return _set(held, notes)
    if held is None or (isinstance(held, IonPyNull) and kind is IonType.NULL):
        return {"NULL": True}
    if isinstance(held, IonPyNull):
        raise ItemInvalid(f"DynamoDB has no null of Ion's type {kind.name}")
    match kind:
        case IonType.BOOL:
            return {"BOOL": bool(held)}
        case IonType.STRING:
            return {"S": str(held)}
        case IonType.DECIMAL | IonType.INT:
            return {"N": number_text(held if kind is IonType.INT else Decimal(held))}
        case IonType.BLOB:
            return {"B": base64.b64encode(held).decode()}
        case IonType.STRUCT:
            return {"M": _struct(held)}
        case IonType.LIST:
            return {"L": [_member(f"[{n}]", _value, member) for n, member in enumerate(held)]}
    raise ItemInvalid(f"DynamoDB has no type for Ion's {getattr(kind, 'name', type(held))}")


def _set(held: Any, notes: list[str]) -> dict[str, Any]:
    kind = _SETS.get(notes[0]) if len(notes) == 1 else None
    if kind is None or getattr(held, "ion_type", None) is not IonType.LIST or not held:
        raise ItemInvalid(f"there is no such set: the annotation is {', '.join(notes)}")
    members = [_member(f"[{n}]", _value, member) for n, member in enumerate(held)]
    if any(kind[0] not in member for member in members):
        raise ItemInvalid(f"a member of {kind} is of another type")
    return {kind: [member[kind[0]] for member in members]}
