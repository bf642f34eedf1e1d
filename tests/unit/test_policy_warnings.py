"""What is allowed and may surprise: costs, promises that cannot be kept, words without effect."""

from __future__ import annotations

from typing import Any

import pytest

from coldtable.core.policy_warnings import value_warnings, warnings
from tests.unit.test_policy import PAUSED, configured
from tests.unit.test_settings import PATH

CONTINUOUS = {"mode": "continuous"}


@pytest.mark.parametrize(
    ("policy", "tables", "said"),
    [
        (
            {**CONTINUOUS, "every_minutes": 15},
            {},
            "POLICY: $.every_minutes: 96 exports a day, each billed as 10 MB at the least: about "
            "2.88 USD a month",
        ),
        ({"tagged": True, "every_minutes": 30}, {}, "POLICY: $.every_minutes: 48 exports a day"),
        ({"every_minutes": 15}, {"orders": CONTINUOUS}, "policies/orders: $.every_minutes: 96"),
        (CONTINUOUS, {"orders": {"every_minutes": 20}}, "policies/orders: $.every_minutes: 72"),
        (
            {**CONTINUOUS, "full_every_days": 2},
            {},
            "POLICY: $.full_every_days: the whole table is exported and billed every 2 days",
        ),
        ({"every_minutes": 60}, {}, "POLICY: $.every_minutes: means nothing in snapshot mode"),
        (
            CONTINUOUS,
            {"orders": {"mode": "snapshot", "view": "NEW_IMAGE"}},
            "policies/orders: $.view: means nothing in snapshot mode",
        ),
        ({**CONTINUOUS, "rpo_minutes": 60}, {}, "POLICY: $.rpo_minutes: cannot be kept"),
        ({"rpo_minutes": 1440}, {}, "more than 1440 minutes old"),
        (None, {"orders": {"rpo_minutes": 600}}, "policies/orders: $.rpo_minutes: cannot be kept"),
        (PAUSED, {}, "POLICY: $.enabled: every table without an enabled of its own is paused"),
        ({"keep_gone_days": 7}, {}, "$.keep_gone_days: 7 days after a deleted table's last export"),
        (
            {"keep_gone_days": 365, "keep_yearly": 7, "keep_within_days": 35},
            {},
            "POLICY: $.keep_gone_days: ends before what keep_yearly keeps of a table",
        ),
        ({"exclude": ["ord*"]}, {}, "POLICY: $.exclude: means orders, kept all the same"),
        ({"tagged": True}, {}, "POLICY: $.tagged: the nightly schedule looks at no tags"),
        (None, {"users": {"view": "NEW_IMAGE"}}, "policies/users: $: nothing covers the table"),
    ],
)
def test_a_surprise_is_told(policy: Any, tables: dict[str, Any], said: str) -> None:
    """Each has its parameter, its JSON path, and what it comes to."""
    told = warnings(configured(policy, tables))
    assert any(f"{PATH}/" in text and said in text for text in told), told


@pytest.mark.parametrize(
    ("policy", "tables", "simple"),
    [
        (None, {}, {}),
        (CONTINUOUS, {"orders": {"every_minutes": 1440}}, {}),
        ({"tables": ["app-*"], "exclude": ["app-x"]}, {"orders": CONTINUOUS}, {}),
        ({"every_minutes": 120}, {"orders": CONTINUOUS}, {}),
        ({"keep_gone_days": 3650, "keep_yearly": 10, "keep_daily": 30}, {}, {}),
        ({"keep_gone_days": 0, "keep_yearly": 7}, {}, {}),
        ({"rpo_minutes": 1500}, {}, {}),
        ({"tagged": True}, {"orders": CONTINUOUS}, {}),
        ({"tagged": True}, {"users": {"view": "NEW_IMAGE"}, "orders": CONTINUOUS}, {}),
        ({"tagged": True}, {}, {"TEST_TABLE_NAME": None}),
    ],
)
def test_what_is_no_surprise(
    policy: Any, tables: dict[str, Any], simple: dict[str, str | None]
) -> None:
    """Nobody is bothered with what is as it should be."""
    assert warnings(configured(policy, tables, **simple)) == ()


def test_a_monthly_rule_has_a_longer_period() -> None:
    """With a day of the month a restore point is up to 31 days old."""
    policy = {"rpo_minutes": 2000}
    assert warnings(configured(policy)) == ()
    assert "44640 minutes" in warnings(configured(policy, BACKUP_DAY_STR="1"))[0]


def test_of_a_file() -> None:
    """A policy that is not uploaded yet is judged by its own fields and the defaults."""
    assert list(value_warnings({})) == []
    assert list(value_warnings({**CONTINUOUS, "every_minutes": 60})) == []
    (told,) = value_warnings({**CONTINUOUS, "every_minutes": 15})
    assert told.startswith("$.every_minutes: 96 exports a day")
