"""Undo a window: which increments tell of it, and when an item is still what it left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from coldtable.core.archive import ArchivedExport, by_table
from coldtable.core.request import exact_iso
from coldtable.errors import ConfigError, NotCovered, UsageError
from coldtable.model import View
from coldtable.model_restore import Condition, KeySchema

# A condition may have 300 operators and 4 KB [DOC-FILT]. An equality has one, and one joins it to
# the next; it takes 16 bytes, and attribute_not_exists 31.
_MOST_ATTRIBUTES, _MOST_GONE = 140, 60


def windows_between(
    exports: Iterable[ArchivedExport], start: datetime, stop: datetime | None
) -> tuple[ArchivedExport, ...]:
    """Increments of one table that join from ``start`` to ``stop``; ``None`` is as far as they do.

    Old images are those of a window's start, so that only starts and ends of windows can be
    reverted to and from: ``NotCovered`` names the nearest. ``ConfigError`` for increments that
    hold no old images.
    """
    increments = [e for e in exports if not e.is_full]
    tables = by_table(increments)
    groups = [group for group in tables.values() if any(e.start == start for e in group)]
    if not groups:
        raise _not_a_boundary("--from", start, [e.start for e in increments])
    path = _path(groups[-1], start, stop)
    if path is None:
        raise _not_a_boundary("--to", stop, [e.stop for e in groups[-1] if e.stop > start])
    for export in path:
        if export.manifest.view is not View.NEW_AND_OLD_IMAGES:
            raise ConfigError(
                f"The export {export.export_id} has the view {export.manifest.view}, and a window "
                f"can only be reverted by its old images",
                hint="Restore the table to another one as it was then, and take from there; "
                "export with NEW_AND_OLD_IMAGES from now on",
            )
    return path


def unchanged(
    left: Mapping[str, Any] | None, old: Mapping[str, Any] | None, key: KeySchema
) -> Condition:
    """The condition that an item is still what the window left (``None``: not there).

    It names each attribute that the window left, as far as 140 of them, and those that would come
    back and must not be there yet. That somebody added another attribute it cannot tell: whoever
    uses it has just read the whole item.
    """
    if left is None:
        name = key.partition.name
        return Condition(expression="attribute_not_exists(#k)", names={"#k": name})
    held = [name for name in left if name not in key.names] or list(key.names)
    gone = [name for name in old or {} if name not in left]
    held = held[:_MOST_ATTRIBUTES]
    gone = gone[: min(_MOST_GONE, _MOST_ATTRIBUTES - len(held))]
    names = {f"#{n}": name for n, name in enumerate([*held, *gone])}
    parts = [f"#{n} = :{n}" for n in range(len(held))]
    parts += [f"attribute_not_exists(#{n})" for n in range(len(held), len(names))]
    values = {f":{n}": left[name] for n, name in enumerate(held)}
    return Condition(expression=" AND ".join(parts), names=names, values=values)


def _path(
    group: Iterable[ArchivedExport], start: datetime, stop: datetime | None
) -> tuple[ArchivedExport, ...] | None:
    """The fewest windows from ``start`` to ``stop``, or as far as any lead."""
    ways: dict[datetime, tuple[ArchivedExport, ...]] = {start: ()}
    for export in sorted(group, key=lambda e: (e.start, e.stop, e.export_id)):
        before = ways.get(export.start)
        if before is None:
            continue
        known = ways.get(export.stop)
        if known is None or len(before) + 1 < len(known):
            ways[export.stop] = (*before, export)
    end = max(ways) if stop is None else stop
    return ways.get(end) or None


def _not_a_boundary(
    option: str, instant: datetime | None, known: Iterable[datetime]
) -> NotCovered | UsageError:
    if instant is None:
        return NotCovered("There is no incremental export from then on")
    near = sorted(known, key=lambda one: abs(one - instant))[:2]
    hint = "There is no incremental export at all: old images are in these only"
    if near:
        hint = f"The nearest: {', '.join(exact_iso(one) for one in sorted(near))}"
    return NotCovered(
        f"{option} {exact_iso(instant)}: no incremental export that joins on "
        f"{'begins' if option == '--from' else 'ends'} then",
        hint=hint,
    )
