"""Hold: pin what retention must not remove, and release it. Both are records; none is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from coldtable.core.holds import (
    fold_holds,
    hold_body,
    hold_folder,
    hold_key,
    parse_hold,
    release_body,
)
from coldtable.core.records import Home
from coldtable.core.retention import Unit
from coldtable.errors import Conflict, NotCovered, NotFound
from coldtable.model_archive import Hold
from coldtable.ops.catalog import Catalog


def holds_of(catalog: Catalog, home: Home) -> tuple[Hold, ...]:
    """The holds of a table name that are not released, in order."""
    return tuple(_read(catalog, home, number) for number in _numbers(catalog, home)[1])


def all_holds(catalog: Catalog, home: Home) -> Iterator[tuple[Hold, datetime | None, str]]:
    """Every hold that there ever was; of one that is released also when, and why."""
    most, open_ones = _numbers(catalog, home)
    for number in range(1, most + 1):
        try:
            hold = _read(catalog, home, number)
        except NotFound:
            continue
        if number in open_ones:
            yield hold, None, ""
        else:
            found = catalog.read(hold_key(home, number, released=True))
            yield hold, datetime.fromisoformat(found["at"]), str(found.get("reason", ""))


def add_hold(catalog: Catalog, home: Home, hold: Hold, units: tuple[Unit, ...]) -> Hold:
    """Note the hold under the next free number and return it with that.

    ``units`` is what is there: ``NotFound`` for an export, ``NotCovered`` for an instant, that is
    in none of them, because such a hold would hold nothing.
    """
    if not units:
        raise NotFound(f"The catalog knows no verified export of table {home.name}")
    if not any(unit.is_held_by(hold) for unit in units):
        if hold.export_id is not None:
            raise NotFound(
                f"The catalog knows no verified export {hold.export_id} of table {home.name}",
                hint="It may have expired, or not be proven yet: coldtable report lists them",
            )
        raise NotCovered(
            f"No chain of table {home.name} reaches to {hold.moment:%Y-%m-%dT%H:%M:%SZ}",
            hint="Without --at everything of the table is held",
        )
    most, _ = _numbers(catalog, home)
    for number in range(most + 1, most + 100):
        numbered = replace(hold, number=number)
        if catalog.note(hold_key(home, number), hold_body(numbered)):
            return numbered
    raise Conflict(f"Many holds of table {home.name} are being added", hint="Try again")


def release_hold(
    catalog: Catalog, home: Home, number: int, now: datetime, *, reason: str, by: str
) -> bool:
    """Note that the hold is released; ``False`` if it was before."""
    most, open_ones = _numbers(catalog, home)
    if not 1 <= number <= most:
        raise NotFound(
            f"Table {home.name} has no hold {number}", hint="To see them: coldtable hold list"
        )
    noted = catalog.note(
        hold_key(home, number, released=True), release_body(now, reason=reason, by=by)
    )
    return noted and number in open_ones


def _numbers(catalog: Catalog, home: Home) -> tuple[int, tuple[int, ...]]:
    folder = hold_folder(home)
    return fold_holds(key.removeprefix(folder) for key in catalog.store.keys(folder))


def _read(catalog: Catalog, home: Home, number: int) -> Hold:
    key = hold_key(home, number)
    return parse_hold(key, number, catalog.read(key))
