"""Holds as records: one that adds a hold, and one that releases it. docs/format.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from coldtable.core.records import Home, body, iso_z
from coldtable.errors import DamagedError
from coldtable.model_archive import Hold

_NAME = re.compile(r"(?P<number>\d{6})\.(?P<state>added|released)\.json")


def hold_folder(home: Home) -> str:
    """The folder of a table name's holds, whatever its TableId."""
    return f"{home.table}hold/"


def hold_key(home: Home, number: int, *, released: bool = False) -> str:
    """The key of the record that adds this hold, or releases it."""
    return f"{hold_folder(home)}{number:06}.{'released' if released else 'added'}.json"


def fold_holds(names: Iterable[str]) -> tuple[int, tuple[int, ...]]:
    """How many holds there ever were, and the numbers of those that are not released."""
    states: dict[int, set[str]] = {}
    for name in names:
        if found := _NAME.fullmatch(name):
            states.setdefault(int(found["number"]), set()).add(found["state"])
    held = (n for n, found in states.items() if "released" not in found)
    return max(states, default=0), tuple(sorted(held))


def hold_body(hold: Hold) -> bytes:
    """The record that adds a hold."""
    moment = iso_z(hold.moment) if hold.moment else None
    fields = {"by": hold.by, "moment": moment, "exportId": hold.export_id, "reason": hold.reason}
    return body("hold", hold.at, **fields)


def release_body(now: datetime, *, reason: str, by: str) -> bytes:
    """The record that releases one."""
    return body("release", now, by=by, reason=reason)


def parse_hold(key: str, number: int, record: Mapping[str, Any]) -> Hold:
    """The hold that a record adds."""
    try:
        return Hold(
            number=number,
            reason=record["reason"],
            at=datetime.fromisoformat(record["at"]),
            by=record["by"],
            moment=datetime.fromisoformat(record["moment"]) if record["moment"] else None,
            export_id=record["exportId"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"The catalog's record {key} is no hold: {error!r}") from None


def scope_text(hold: Hold) -> str:
    """What a hold is about, in words."""
    if hold.export_id is not None:
        return f"export {hold.export_id}, with its chain"
    return f"the state of {iso_z(hold.moment)}" if hold.moment else "everything"
