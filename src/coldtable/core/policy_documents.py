"""What is published about a policy's fields, made from the very table that they are read by."""

from __future__ import annotations

import re
from typing import Any

from coldtable.core.policy_fields import FIELDS, Field

_ONE_LINE = re.compile(r"`([^`]*)`")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of POLICY; its ``$defs.table`` is that of a table's policy.

    It knows all that can be said field by field. What a prefix template may have, and which simple
    parameters are needed, ``coldtable config validate`` knows alone.
    """
    rules = {
        "dependentRequired": {name: ["enabled"] for name in ("reason", "since", "by")},
        "if": {"properties": {"enabled": {"const": False}}, "required": ["enabled"]},
        "then": {"required": ["reason", "since"]},
    }
    table = {
        "type": "object",
        "properties": {
            field.name: {"$ref": f"#/properties/{field.name}"}
            for field in FIELDS
            if not field.in_policy
        },
        "additionalProperties": False,
        **rules,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "coldtable: the parameter POLICY",
        "description": "Which DynamoDB tables are kept, and how. #/$defs/table is the schema of "
        "policies/<table>.",
        "type": "object",
        "properties": {field.name: _property(field) for field in FIELDS},
        "additionalProperties": False,
        **rules,
        "$defs": {"table": table},
    }


def fields_table() -> str:
    """The fields as a table in Markdown, each line with its line's end."""
    rows = [
        [f"`{f.name}`", f.meaning, _takes(f), f.default or "-", "POLICY" if f.in_policy else "both"]
        for f in FIELDS
    ]
    lines = [["field", "meaning", "takes", "default", "in"], ["---"] * 5, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _property(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _plain(f"{field.meaning}. Default: {field.default}")}
    if not field.default:
        found = {"description": _plain(field.meaning)}
    if field.value is not None:
        found["default"] = field.value
    pattern = f"^(?:{field.pattern})$"
    match field.kind:
        case "choice":
            return {**found, "enum": list(field.choices)}
        case "whole":
            return {**found, "type": "integer", "minimum": field.lowest, "maximum": field.highest}
        case "flag":
            return {**found, "type": "boolean"}
        case "names":
            return {**found, "type": "array", "items": {"type": "string", "pattern": pattern}}
        case "template":
            return {**found, "type": "string"}
    return {**found, "type": "string", "pattern": pattern}


def _takes(field: Field) -> str:
    match field.kind:
        case "choice":
            return " or ".join(f"`{choice}`" for choice in field.choices)
        case "whole":
            return f"{field.lowest} to {field.highest}"
        case "flag":
            return "`true` or `false`"
        case "names":
            return "a list of table names, and globs with `*` and `?`"
        case "template":
            return "text with `{date:…}`, `{table}`, `{account}`, `{region}`"
    return field.looks


def _plain(text: str) -> str:
    return _ONE_LINE.sub(r"\1", text)
