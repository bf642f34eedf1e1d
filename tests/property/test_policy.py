"""Whatever stands in the parameters: a configuration, or an error that names what is wrong."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import (
    expected_tables,
    is_covered,
    is_left_out,
    nightly,
    policy_for,
    values_for,
)
from coldtable.core.policy_fields import FIELDS, Field
from coldtable.core.settings import has_policies, parse_settings
from coldtable.errors import ConfigError
from coldtable.model import Settings
from coldtable.model_policy import Configuration, Mode
from tests.unit.test_policy import PAUSED
from tests.unit.test_settings import PATH, PLAIN

SIMPLE = [*PLAIN, "TABLE_NAMES", "TIMEZONE", "S3_PREFIX_TEMPLATE"]
NAMES = st.sampled_from(["orders", "users", "app-users", "app-carts", "tmp-x"])
PATTERNS = st.sampled_from(["orders", "app-*", "*", "user?", "tmp-*", "gone"])
TAGS = st.none() | st.sampled_from(["snapshot", "continuous", "off", "OFF", "yes", ""])

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["snapshot", "continuous", "orders", "app-*", "2026-11-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([field.name for field in FIELDS]) | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
TEXT = JSON.map(json.dumps) | st.text(max_size=60) | st.sampled_from(["[" * 4000, "9" * 5000, ""])


def good(field: Field) -> st.SearchStrategy[Any]:
    """Values that the field takes."""
    match field.kind:
        case "whole":
            return st.integers(field.lowest, field.highest)
        case "flag":
            return st.booleans()
        case "choice":
            return st.sampled_from(field.choices)
        case "names":
            return st.lists(PATTERNS, max_size=3)
    return st.sampled_from(
        {
            "bucket": ["far-away", "near.by"],
            "bucket_owner": ["222222222222"],
            "kms_key": ["1234abcd-12ab-34cd-56ef-1234567890ab"],
            "prefix": ["x/{table}", "{date:%Y}"],
        }[field.name]
    )


PAUSES = st.sampled_from([{}, PAUSED, {"enabled": True}, {"enabled": True, "reason": "done"}])


def policies(*, in_policy: bool) -> st.SearchStrategy[dict[str, Any]]:
    """A policy's JSON that is right."""
    plain = {
        field.name: good(field)
        for field in FIELDS
        if field.name not in ("enabled", "reason", "since", "by")
        and (in_policy or not field.in_policy)
    }
    fields = st.fixed_dictionaries({}, optional=plain)
    return st.tuples(fields, PAUSES).map(lambda both: both[0] | both[1])


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    parameters = {**PLAIN, "POLICY": json.dumps(draw(policies(in_policy=True)))}
    for name in draw(st.sets(NAMES, max_size=3)):
        parameters[f"policies/{name}"] = json.dumps(draw(policies(in_policy=False)))
    return parse_configuration(PATH, parameters)


@given(policy=TEXT, own=TEXT, table=NAMES, tag=TAGS)
def test_any_text_is_a_configuration_or_a_config_error(
    policy: str, own: str, table: str, tag: str | None
) -> None:
    """No JSON, nor what is none, ends in any other exception; a message can be printed."""
    found = reading({**PLAIN, "POLICY": policy, "policies/users": own})
    if isinstance(found, Configuration):
        policy_for(found, table, tag)
    else:
        wrong = (f"{PATH}/POLICY: $", f"{PATH}/policies/users: $")
        assert any(part in found.message for part in wrong)
        assert found.message.encode()


@given(found=configurations(), table=NAMES, tag=TAGS)
def test_precedence(found: Configuration, table: str, tag: str | None) -> None:
    """A value is that of the nearest place that has one, and it says which."""
    values = values_for(found, table, tag)
    own = found.tables.get(table, {})
    for name, value in values.items():
        if name in own:
            assert value == own[name]
        elif name == "mode" and found.selection.tagged and tag in ("snapshot", "continuous"):
            assert (value.value, value.origin) == (tag, "the tag coldtable")
        elif name in found.defaults:
            assert value == found.defaults[name]
        else:
            assert (name, value.origin.partition(":")[0]) == ("rpo_minutes", "default")
    assert own.keys() <= values.keys()


@given(found=configurations(), table=NAMES, tag=TAGS)
def test_a_policy_is_complete(found: Configuration, table: str, tag: str | None) -> None:
    """Covered tables have a policy that agrees with its values; no table is kept and left out."""
    policy = policy_for(found, table, tag)
    assert (policy is not None) == is_covered(found, table, tag)
    assert not (policy and is_left_out(found, table, tag))
    if table in expected_tables(found) and not found.selection.tagged:
        assert policy
    if policy:
        values = values_for(found, table, tag)
        assert policy.mode == values["mode"].value
        assert policy.to.bucket == values["bucket"].value
        assert (policy.pause is None) == values["enabled"].value
        assert policy.scheduled == (policy.mode is Mode.SNAPSHOT and table == "orders")


@given(
    parameters=st.dictionaries(
        st.sampled_from(SIMPLE),
        st.sampled_from(["0", "3", "99", "orders", "orders,users", "archive", "UTC", "{table}"]),
    )
    | st.fixed_dictionaries(
        {name: st.just(value) for name, value in PLAIN.items()},
        optional={"TABLE_NAMES": st.just("a-b,users"), "S3_PREFIX_TEMPLATE": st.just("{table}")},
    )
)
def test_without_policies_nothing_is_new(parameters: dict[str, str]) -> None:
    """The simple parameters alone mean the same in both readings, and so do their errors."""
    assert not has_policies(parameters)

    plain, full = plain_reading(parameters), reading(parameters)
    if isinstance(plain, Settings):
        assert isinstance(full, Configuration)
        assert nightly(full) == (plain, {})
    else:
        assert type(plain) is type(full)
        assert isinstance(full, ConfigError)
        assert sorted(plain.message.splitlines()) == sorted(full.message.splitlines())


def reading(parameters: dict[str, str]) -> Configuration | ConfigError:
    try:
        return parse_configuration(PATH, parameters)
    except ConfigError as problem:
        return problem


def plain_reading(parameters: dict[str, str]) -> Settings | ConfigError:
    try:
        return parse_settings(PATH, parameters)
    except ConfigError as problem:
        return problem
