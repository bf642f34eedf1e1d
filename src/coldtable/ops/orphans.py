"""What failed exports left behind: objects that cost money, and that no manifest will ever name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coldtable.core.archive import EXPORT_ID, ROOT, SUMMARY, Unfinished
from coldtable.core.records import ROOT as CATALOG
from coldtable.errors import ColdtableError
from coldtable.model_archive import Attempt, Outcome
from coldtable.ports import ObjectStore

# No export that was heard of takes a day [QUIRKS, REAL-G]; there is no promise.
_SETTLED = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A folder of an export without a summary. ``beside`` is the folder of increments' data next
    to it, if it holds nothing but this export's: then that is left behind, too."""

    folder: str
    export_id: str
    started: datetime
    why: str
    objects: int
    size: int
    beside: str = ""


@dataclass(slots=True)
class _Found:
    objects: int = 0
    size: int = 0
    whole: bool = False


@dataclass(slots=True)
class _Listing:
    folders: dict[str, _Found] = field(default_factory=dict)
    beside: dict[str, _Found] = field(default_factory=dict)


def find_orphans(
    store: ObjectStore,
    attempts: Iterable[Attempt],
    now: datetime,
    spared: Collection[str] = (),
    only: bool = False,
) -> tuple[Orphan, ...]:
    """The leftovers in a bucket: one listing of all of it.

    ``attempts`` are what the catalog knows. What is in flight, began within a week, or has its id
    among ``spared`` is none, nor is what was verified or damaged: an export that has lost its
    summary is nothing that failed. With ``only`` what the catalog does not know is none, either.
    """
    known = {a.export_id: a for a in attempts if a.export_id}
    listing = _list(store)
    lonely: list[tuple[str, Unfinished, str]] = []
    for folder, found in sorted(listing.folders.items()):
        one = Unfinished(folder=folder, export_id=folder.rpartition("/")[2])
        attempt = known.get(one.export_id)
        if found.whole or one.export_id in spared or (attempt and _is_judged(attempt)):
            continue
        if now - one.started < _SETTLED or (only and attempt is None):
            continue
        lonely.append((folder, one, _why(attempt)))
    return tuple(_orphan(folder, one, why, listing) for folder, one, why in lonely)


def remove_orphan(store: ObjectStore, orphan: Orphan) -> dict[str, ColdtableError]:
    """Remove it, if it still has no summary; what could not be removed, and why."""
    keys = list(store.keys(f"{orphan.folder}/"))
    if f"{orphan.folder}/{SUMMARY}" in keys:
        return {}
    if orphan.beside:
        keys += store.keys(f"{orphan.beside}/")
    return dict(store.remove_many(keys))


def _list(store: ObjectStore) -> _Listing:
    listing = _Listing()
    for key, size, _ in store.entries(""):
        if key.startswith(CATALOG):
            continue
        parts = key.split("/")
        if ROOT not in parts:
            continue
        place = len(parts) - parts[::-1].index(ROOT)
        if place >= len(parts) - 1:
            continue
        folder = "/".join(parts[: place + 1])
        if EXPORT_ID.fullmatch(parts[place]):
            found = listing.folders.setdefault(folder, _Found())
            found.whole |= key == f"{folder}/{SUMMARY}"
        elif parts[place] == "data":
            found = listing.beside.setdefault(folder, _Found())
        else:
            continue
        found.objects += 1
        found.size += size
    return listing


def _orphan(folder: str, one: Unfinished, why: str, listing: _Listing) -> Orphan:
    found = listing.folders[folder]
    root = folder.rpartition("/")[0]
    beside = f"{root}/data"
    # Increments below one prefix share it [REAL-G]: of several nobody can tell whose is what.
    mine = sum(other.startswith(f"{root}/") for other in listing.folders) == 1
    data = listing.beside.get(beside) if mine else None
    return Orphan(
        folder=folder,
        export_id=one.export_id,
        started=one.started,
        why=why,
        objects=found.objects + (data.objects if data else 0),
        size=found.size + (data.size if data else 0),
        beside=beside if data else "",
    )


def _is_judged(attempt: Attempt) -> bool:
    """Whether somebody else says what becomes of it: the tick, or retention."""
    return attempt.in_flight or attempt.outcome in (Outcome.VERIFIED, Outcome.DAMAGED)


def _why(attempt: Attempt | None) -> str:
    if attempt is None:
        return "it has no summary, and the catalog does not know it"
    if attempt.outcome is None:
        return "it has no summary"
    return f"the catalog says {attempt.outcome}" + (f": {attempt.reason}" if attempt.reason else "")
