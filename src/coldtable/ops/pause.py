"""Pause a table and resume it: its policy's JSON is read, changed in this one respect, written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from coldtable.core.configuration import POLICIES, parse_configuration
from coldtable.core.policy_text import check_storable, with_enabled
from coldtable.model_policy import Pause
from coldtable.ops.configuration import covered_policy, tag_of
from coldtable.ports import ParameterStore, ParameterWriter, TableDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReport:
    """What became of it. If the table was so already nothing is written, ``changed`` is false, and
    ``pause`` is the one that holds."""

    table: str
    parameter: str
    changed: bool
    pause: Pause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Pause the table, or resume it; why, and who wants it."""

    table: str
    paused: bool
    reason: str
    by: str


def set_paused(
    wish: Wish,
    path: str,
    now: datetime,
    store: ParameterStore,
    writer: ParameterWriter,
    directory: TableDirectory,
) -> PauseReport:
    """Write into ``policies/<table>`` that it is paused, or enabled, and keep its other fields.

    Raises ``NoPolicy`` for a table that is not kept at all. Somebody else's change of the same
    parameter between the read and the write is lost: SSM has no conditional put [MODEL].
    """
    found = store.read(path)
    configuration = parse_configuration(path, found)
    tag = tag_of(configuration, wish.table, directory)
    pause = covered_policy(configuration, wish.table, tag).pause
    name = f"{POLICIES}{wish.table}"
    changed = wish.paused != bool(pause)
    if changed:
        text = with_enabled(
            found.get(name), enabled=not wish.paused, reason=wish.reason, since=now, by=wish.by
        )
        check_storable(f"{path}/{name}", text)
        # Whatever is wrong with it is said before it is written, and not by the next tick.
        after = parse_configuration(path, {**found, name: text})
        pause = covered_policy(after, wish.table, tag).pause
        writer.put(f"{path}/{name}", text)
    return PauseReport(table=wish.table, parameter=f"{path}/{name}", changed=changed, pause=pause)
