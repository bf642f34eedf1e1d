"""Which tables a tick goes over: names, globs, tags, and what is left when a right is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coldtable.core.configuration import parse_configuration
from coldtable.errors import AccessDenied
from coldtable.model import Table
from coldtable.model_policy import Configuration, Mode
from coldtable.ops.cover import Cover, cover

PLAIN = {
    "BACKUP_BUCKET_NAME": "archive",
    "BACKUP_DAY_STR": "0",
    "BACKUP_HOUR_STR": "3",
    "BACKUP_MINUTE_STR": "0",
    "BACKUP_SECOND_STR": "0",
}


@dataclass
class Directory:
    """Tables and tags; counts what it is asked, and refuses what is in ``denied``."""

    tables: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def names(self) -> Iterator[str]:
        self._ask("dynamodb:ListTables")
        return iter(self.tables)

    def tagged(self, tag: str) -> Mapping[str, str]:
        self._ask("tag:GetResources")
        return self.tags if tag == "coldtable" else {}

    def definition(self, table: Table) -> Mapping[str, Any]:
        raise AssertionError(table)

    def _ask(self, action: str) -> None:
        self.asked.append(action)
        if action in self.denied:
            raise AccessDenied(f"Access denied: {action} is missing", action=action)


def configured(policy: dict[str, Any] | None = None, **more: str) -> Configuration:
    found = {**PLAIN, **more}
    if policy is not None:
        found["POLICY"] = json.dumps(policy)
    return parse_configuration("/p", found)


def modes(found: Cover) -> dict[str, str]:
    return {name: str(policy.mode) for name, policy in found.policies.items()}


def test_named_tables_need_no_list() -> None:
    """Where names are all there is, AWS is asked for nothing but the report of the uncovered."""
    there = Directory(("orders", "users"))
    assert modes(cover(configured(TABLE_NAMES="orders"), there, uncovered=False)) == {
        "orders": "snapshot"
    }
    assert there.asked == []
    assert cover(configured(TABLE_NAMES="orders"), there).uncovered == ("users",)


def test_globs_and_tags_find_new_tables() -> None:
    """A table that a glob means, and one with the tag, are kept as soon as they are there."""
    keep = configured({"tables": ["app-*"], "exclude": ["app-tmp"], "tagged": True})
    there = Directory(
        ("app-a", "app-tmp", "app-off", "tagged", "other", "off"),
        {"tagged": "continuous", "app-off": "off", "off": "off", "gone": "continuous"},
    )
    found = cover(keep, there)
    assert modes(found) == {"app-a": "snapshot", "tagged": "continuous"}
    # What somebody left out on purpose is no news.
    assert found.uncovered == ("other",)


def test_a_named_table_that_is_not_there_stays() -> None:
    """It must exist, so the tick shall say that it does not."""
    assert modes(cover(configured(TABLE_NAMES="gone"), Directory(("users",)))) == {
        "gone": "snapshot"
    }


def test_without_the_list_the_known_tables_are_kept() -> None:
    """A missing right is a problem to tell, and no reason to let named and tagged tables wait."""
    keep = configured({"tables": ["app-*"], "tagged": True}, TABLE_NAMES="orders")
    there = Directory(("app-a",), {"tagged": "continuous"}, ("dynamodb:ListTables",))
    found = cover(keep, there)
    assert modes(found) == {"orders": "snapshot", "tagged": "continuous"}
    assert found.uncovered == ()
    assert isinstance(found.problem, AccessDenied)


def test_without_the_tags_no_mode_is_guessed() -> None:
    """A table whose tag could say another mode waits; one whose own policy states it does not."""
    keep = configured(
        {"tagged": True, "tables": ["app-*"]},
        TABLE_NAMES="orders,users",
        **{"policies/users": '{"mode": "continuous"}'},
    )
    there = Directory(("orders", "users", "app-a"), {}, ("tag:GetResources",))
    found = cover(keep, there)
    assert modes(found) == {"users": str(Mode.CONTINUOUS)}
    assert isinstance(found.problem, AccessDenied)
    assert found.problem.action == "tag:GetResources"
