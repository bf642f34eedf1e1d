"""One table's place in the configuration, where that may depend on the table's tag."""

from __future__ import annotations

from coldtable.core.policy import is_left_out, policy_for
from coldtable.errors import NoPolicy
from coldtable.model_policy import TAG, Configuration, Policy
from coldtable.ports import TableDirectory


def tag_of(configuration: Configuration, table: str, directory: TableDirectory) -> str | None:
    """The value of the table's tag ``coldtable``; nobody is asked where tags do not count."""
    if not configuration.selection.tagged:
        return None
    return directory.tagged(TAG).get(table)


def covered_policy(configuration: Configuration, table: str, tag: str | None) -> Policy:
    """The table's policy; ``NoPolicy`` if it has none."""
    policy = policy_for(configuration, table, tag)
    if policy:
        return policy
    why = (
        "is left out by exclude or its tag"
        if is_left_out(configuration, table, tag)
        else ("is covered by no policy")
    )
    raise NoPolicy(
        f"Table {table} {why} below {configuration.path}: nothing is exported of it",
        hint="Name it in TABLE_NAMES or in the tables of POLICY, or give it a mode in "
        f"{configuration.path}/policies/{table}",
    )
