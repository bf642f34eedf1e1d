"""The published schema and table say what the parser does.

To make them anew after a change of the fields: python -m tests.unit.test_policy_documents
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from coldtable.core.policy_documents import fields_table, schema
from coldtable.core.policy_fields import FIELDS, read_fields

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA, PAGE = DOCS / "policy.schema.json", DOCS / "configuration.md"
MARKED = re.compile(r"(<!-- fields -->\n).*(<!-- /fields -->)", re.DOTALL)


def schema_text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def page_text() -> str:
    return MARKED.sub(lambda m: f"{m[1]}\n{fields_table()}\n{m[2]}", PAGE.read_text("utf-8"))


def test_the_schema_is_published() -> None:
    """docs/policy.schema.json is what the fields make."""
    assert SCHEMA.read_text("utf-8") == schema_text()


def test_the_table_is_published() -> None:
    """docs/configuration.md has every field, as it is read."""
    assert PAGE.read_text("utf-8") == page_text()
    assert all(f"| `{field.name}` |" in page_text() for field in FIELDS)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 600_000)
    | st.sampled_from(
        [
            "snapshot",
            "NEW_IMAGE",
            "archive",
            "Archive",
            "222222222222",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/x",
            "2026-11-01T03:00Z",
            "2026-11-01",
            "a\nb",
            "",
        ]
    )
    | st.lists(st.sampled_from(["orders", "app-*", "ab", "?", "a b", 7]), max_size=2)
)


@given(
    found=st.dictionaries(st.sampled_from([f.name for f in FIELDS] + ["other"]), VALUES) | VALUES,
    in_policy=st.booleans(),
)
@example(found={"enabled": False, "reason": "x", "since": "2026-11-01T03:00Z"}, in_policy=False)
@example(found={"enabled": False, "reason": "x"}, in_policy=True)
@example(found={"by": "x"}, in_policy=True)
def test_schema_and_parser_agree(found: Any, in_policy: bool) -> None:
    """What the schema takes is read, and what is read it takes, but for what a template has."""
    whole = schema()
    rules = whole if in_policy else whole["$defs"]["table"]
    good = not read_fields(json.dumps(found), in_policy=in_policy)[1]
    assert takes(rules, found, whole) == (good or only_template_is_wrong(found, in_policy))


def only_template_is_wrong(found: Any, in_policy: bool) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("prefix"), str):
        return False
    rest = {name: value for name, value in found.items() if name != "prefix"}
    return not read_fields(json.dumps(rest), in_policy=in_policy)[1]


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def takes(rules: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """Whether the schema takes the value: the keywords that ours has, and no other."""
    return all(keyword(name, rule, rules, value, whole) for name, rule in rules.items())


def keyword(name: str, rule: Any, rules: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    fields = value if isinstance(value, dict) else {}
    match name:
        case "type":
            is_flag = isinstance(value, bool)
            return isinstance(value, TYPES[rule]) and is_flag == (rule == "boolean")
        case "enum":
            return any(type(value) is type(one) and value == one for one in rule)
        case "const":
            return type(value) is type(rule) and value == rule
        case "minimum":
            return not isinstance(value, int) or value >= rule
        case "maximum":
            return not isinstance(value, int) or value <= rule
        case "pattern":
            return not isinstance(value, str) or bool(re.search(rule.replace("$", r"\Z"), value))
        case "items":
            return not isinstance(value, list) or all(takes(rule, one, whole) for one in value)
        case "properties":
            return all(takes(rule[key], one, whole) for key, one in fields.items() if key in rule)
        case "additionalProperties":
            return set(fields) <= set(rules["properties"])
        case "required":
            return not isinstance(value, dict) or set(rule) <= fields.keys()
        case "dependentRequired":
            return all(set(rule[key]) <= fields.keys() for key in fields if key in rule)
        case "if":
            return not takes(rule, value, whole) or takes(rules["then"], value, whole)
        case "$ref":
            return takes(whole["properties"][rule.removeprefix("#/properties/")], value, whole)
    assert name in ("$schema", "title", "description", "default", "then", "$defs")
    return True


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
    PAGE.write_text(page_text(), "utf-8")
