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
    lost_hold,
    parse_hold,
    rebuild_hold,
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
        hold = _read(catalog, home, number)
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
    return _note(catalog, home, hold)


def hold_after_rebuild(
    catalog: Catalog, home: Home, now: datetime, *, dry_run: bool = False
) -> tuple[int, ...]:
    """Hold everything of a table name whose records are about to be recreated, until somebody has
    said that no hold is missing. The numbers of the holds that are still known."""
    found = holds_of(catalog, home)
    if not dry_run and not any(hold.rebuilt for hold in found):
        _note(catalog, home, rebuild_hold(home.name, now))
    return tuple(hold.number for hold in found if not hold.rebuilt)


def confirm_holds(
    catalog: Catalog, home: Home, now: datetime, *, reason: str, by: str
) -> tuple[int, ...]:
    """Release what a rebuild holds, because no other hold is missing; the numbers of those."""
    found = tuple(hold.number for hold in holds_of(catalog, home) if hold.rebuilt)
    for number in found:
        release_hold(catalog, home, number, now, reason=reason, by=by)
    return found


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


def _note(catalog: Catalog, home: Home, hold: Hold) -> Hold:
    most, _ = _numbers(catalog, home)
    for number in range(most + 1, most + 100):
        numbered = replace(hold, number=number)
        if catalog.note(hold_key(home, number), hold_body(numbered)):
            return numbered
    raise Conflict(f"Many holds of table {home.name} are being added", hint="Try again")


def _read(catalog: Catalog, home: Home, number: int) -> Hold:
    key = hold_key(home, number)
    try:
        return parse_hold(key, number, catalog.read(key))
    except NotFound:
        return lost_hold(number)
