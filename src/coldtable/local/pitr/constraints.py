"""The service model's constraints on members, with AWS's texts [MODEL, QUIRKS].

DynamoDB checks all members and reports all failures in one ValidationException.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..interface import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: ``path`` with dots, in the model's spelling (``S3BucketSource.S3Bucket``)."""

    path: str
    required: bool = False
    kind: str = "string"
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    low: int | None = None
    high: int | None = None


_PYTHON = {
    "string": (str,),
    "time": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "structure": (dict,),
    "list": (list,),
}
_NAMES = {"string": "String", "time": "Double", "integer": "Integer", "boolean": "Boolean"}


def check(request: Mapping[str, Any], members: Sequence[Member]) -> None:
    """Raise SerializationException for a wrong type, ValidationException for anything else."""
    failures: list[str] = []
    for member in members:
        parent, found = _lookup(request, member.path)
        if not parent:
            continue
        if found is None:
            if member.required:
                failures.append(_failure(None, member.path, "Member must not be null"))
            continue
        _check_type(member, found)
        text = _broken(member, found)
        if text is not None:
            failures.append(_failure(found, member.path, text))
    if failures:
        count = f"{len(failures)} validation error{'s' if len(failures) > 1 else ''} detected: "
        raise ApiError("ValidationException", count + "; ".join(failures))


def member_path(path: str) -> str:
    """How AWS spells a member in a text: ``S3SseAlgorithm`` is ``s3SseAlgorithm``."""
    return ".".join(part[:1].lower() + part[1:] for part in path.split("."))


def _lookup(request: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    """Whether the member's parent is there, and the member itself."""
    found: Any = request
    *parents, last = path.split(".")
    for part in parents:
        found = found.get(part)
        if not isinstance(found, dict):
            return False, None
    return True, found.get(last)


def _check_type(member: Member, found: Any) -> None:
    wrong_boolean = isinstance(found, bool) and member.kind != "boolean"
    if wrong_boolean or not isinstance(found, _PYTHON[member.kind]):
        actual = "TRUE_VALUE" if found is True else f"{type(found).__name__.upper()}_VALUE"
        wanted = _NAMES.get(member.kind, member.kind)
        raise ApiError("SerializationException", f"{actual} cannot be converted to {wanted}")


def _broken(member: Member, found: Any) -> str | None:
    size = len(found) if isinstance(found, str | list) else found
    unit = "length" if isinstance(found, str | list) else "value"
    if member.enum and found not in member.enum:
        return f"Member must satisfy enum value set: [{', '.join(member.enum)}]"
    if member.pattern and not re.fullmatch(member.pattern, found):
        return f"Member must satisfy regular expression pattern: {member.pattern}"
    if member.low is not None and size < member.low:
        return f"Member must have {unit} greater than or equal to {member.low}"
    if member.high is not None and size > member.high:
        return f"Member must have {unit} less than or equal to {member.high}"
    return None


def _failure(found: Any, path: str, text: str) -> str:
    shown = "null" if found is None else f"'{found}'"
    return f"Value {shown} at '{member_path(path)}' failed to satisfy constraint: {text}"
