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
    """How many holds there ever were, and the numbers of those that are not released.

    A number that is passed over had a record once: its hold was never released, so it is one.
    """
    states: dict[int, set[str]] = {}
    for name in names:
        if found := _NAME.fullmatch(name):
            states.setdefault(int(found["number"]), set()).add(found["state"])
    most = max(states, default=0)
    return most, tuple(n for n in range(1, most + 1) if "released" not in states.get(n, ()))


def lost_hold(number: int) -> Hold:
    """What a hold whose record is gone counts as: everything is held."""
    return Hold(
        number=number,
        reason=f"the record of hold {number} is lost, and nobody knows what it held",
        at=None,
    )


def rebuild_hold(table: str, now: datetime) -> Hold:
    """What stands in for the holds that a lost catalog may have had."""
    return Hold(
        number=0,
        reason=f"the catalog was rebuilt, and may have lost holds: coldtable hold confirm {table}",
        at=now,
        by="coldtable catalog rebuild",
        rebuilt=True,
    )


def hold_body(hold: Hold) -> bytes:
    """The record that adds a hold."""
    moment = iso_z(hold.moment) if hold.moment else None
    fields = {"by": hold.by, "moment": moment, "exportId": hold.export_id, "reason": hold.reason}
    assert hold.at is not None  # noqa: S101  only one that was read can have lost it
    return body("hold", hold.at, **fields, **({"rebuilt": True} if hold.rebuilt else {}))


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
            rebuilt=record.get("rebuilt") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"The catalog's record {key} is no hold: {error!r}") from None


def scope_text(hold: Hold) -> str:
    """What a hold is about, in words."""
    if hold.export_id is not None:
        return f"export {hold.export_id}, with its chain"
    return f"the state of {iso_z(hold.moment)}" if hold.moment else "everything"
