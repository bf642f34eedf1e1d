"""Cover: from the configuration and what tables there are to a policy for each that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coldtable.core.policy import (
    expected_tables,
    is_covered,
    is_left_out,
    needs_listing,
    policy_for,
)
from coldtable.errors import ColdtableError
from coldtable.model_policy import TAG, Configuration, Policy
from coldtable.ports import TableDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The tables that are kept, by name, and those that nobody keeps nor wants left out.

    ``problem`` is what kept the tables or their tags from being listed. Then the tables of which
    all is known without the list are here all the same: they should not wait for a missing right.
    """

    policies: Mapping[str, Policy] = field(default_factory=dict)
    uncovered: tuple[str, ...] = ()
    problem: ColdtableError | None = None


def cover(
    configuration: Configuration, directory: TableDirectory, *, uncovered: bool = True
) -> Cover:
    """Look at the tables and tags that there are, as far as it is needed.

    Without globs and tags the list of all tables is only for the report of what is ``uncovered``.
    """
    problems: list[ColdtableError] = []
    listed: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}
    named = expected_tables(configuration)
    try:
        if configuration.selection.tagged:
            tags = directory.tagged(TAG)
    except ColdtableError as error:
        problems.append(error)
        # Any other table could be another mode's, or nobody's, by its tag.
        named = tuple(name for name in named if "mode" in configuration.tables.get(name, {}))
    else:
        try:
            if uncovered or needs_listing(configuration):
                listed = tuple(sorted(directory.names()))
        except ColdtableError as error:
            problems.append(error)
            listed = tuple(sorted(tags))
    kept: dict[str, Policy] = {}
    for name in dict.fromkeys((*named, *listed)):
        # A tag can outlive its table for a while, so it is no proof that there is one.
        if policy := policy_for(configuration, name, tags.get(name)):
            kept[name] = policy
    return Cover(
        policies=kept,
        uncovered=() if problems or not uncovered else _uncovered(configuration, listed, tags),
        problem=problems[0] if problems else None,
    )


def _uncovered(
    configuration: Configuration, listed: tuple[str, ...], tags: Mapping[str, str]
) -> tuple[str, ...]:
    return tuple(
        name
        for name in listed
        if not is_covered(configuration, name, tags.get(name))
        and not is_left_out(configuration, name, tags.get(name))
    )
