"""Expire: plan by the retention rules what goes, show it with reasons, and remove it.

First it is noted that an export has expired, so that nobody counts on it any more; then its objects
are removed; then that is noted, too. An interrupted run is taken up by the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from coldtable.core.archive import SUMMARY
from coldtable.core.index import Period
from coldtable.core.records import body, record_key, span_fields
from coldtable.core.retention import Decision, Piece, Unit, decide
from coldtable.errors import ColdtableError, Conflict, NotFound
from coldtable.model_archive import Hold, Outcome, SlotKind
from coldtable.model_policy import Retention
from coldtable.ops.compact import revise
from coldtable.ops.history import index_names
from coldtable.ops.hold import holds_of
from coldtable.ops.remove import Refused, find_lock, lock_text, remove_export
from coldtable.ops.shelf import Shelf, folder_of
from coldtable.ports import ObjectStore, Vault

_AT_A_TIME = 16
# Of the failure codes of docs/format.md: why an export is not kept any more.
_BY_POLICY = "Retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An export that is to go: whose it is, where it lies, and how many bytes its data takes."""

    piece: Piece
    table_arn: str
    folder: str
    size: int
    items: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableExpiry:
    """The plan for one TableId. ``removals`` are in the order in which they go: of each chain the
    newest increment first and the full export last. ``loose`` joins on to no full export."""

    shelf: Shelf
    retention: Retention
    holds: tuple[Hold, ...]
    decisions: tuple[Decision, ...]
    removals: tuple[Removal, ...] = ()
    leaving: tuple[Removal, ...] = ()
    loose: tuple[Piece, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of data that would be freed."""
        return sum(r.size for r in (*self.removals, *self.leaving))

    def removals_of(self, unit: Unit) -> tuple[Removal, ...]:
        """Those of one chain."""
        mine = set(unit.pieces)
        return tuple(r for r in self.removals if r.piece in mine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What became of a plan: what is gone, and what could not be removed."""

    removed: tuple[Removal, ...] = ()
    refused: tuple[tuple[Removal, Refused], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One bucket: its objects, what protects them (``None``: nothing can), and the time."""

    store: ObjectStore
    vault: Vault | None
    now: datetime
    watch: Callable[[str], None] = field(default=lambda _: None)


def plan_expiry(shelf: Shelf, retention: Retention, ground: Ground) -> TableExpiry:
    """What goes and what stays of one TableId, with reasons; nothing is changed."""
    found = shelf.units(ground.now)
    holds = holds_of(shelf.history.catalog, shelf.home)
    decisions = decide(found.units, retention, holds, ground.now)
    if any(not d.keep for d in decisions):
        decisions = _doubted(shelf, decisions, ground.store)
    going = [d.unit for d in decisions if not d.keep]
    removals = {unit: _located(shelf, _turn(unit)) for unit in going}
    if ground.vault is not None and going and ground.vault.can_lock():
        locked = {u: _locks(r, ground) for u, r in removals.items()}
        decisions = tuple(_unless_locked(d, locked.get(d.unit)) for d in decisions)
    return TableExpiry(
        shelf=shelf,
        retention=retention,
        holds=holds,
        decisions=decisions,
        removals=tuple(r for d in decisions if not d.keep for r in removals[d.unit]),
        leaving=tuple(_located(shelf, shelf.leaving)),
        loose=found.loose,
    )


def expire(plan: TableExpiry, ground: Ground) -> Expired:
    """Carry out a plan.

    Holds are looked at once more: one that was added meanwhile counts. Raises ``Conflict`` then.
    """
    holds = holds_of(plan.shelf.history.catalog, plan.shelf.home)
    for decision in plan.decisions:
        new = [h for h in holds if h not in plan.holds and decision.unit.is_held_by(h)]
        if not decision.keep and new:
            raise Conflict(
                f"Hold {new[0].number} of table {plan.shelf.home.name} was added meanwhile",
                hint="Nothing of this table was removed: run it again",
            )
    for removal in plan.removals:
        _note(plan.shelf, removal, Outcome.EXPIRED, ground.now)
    _reindex(plan.shelf, plan.removals)
    removed, refused = list[Removal](), list[tuple[Removal, Refused]]()
    for removal in (*plan.removals, *plan.leaving):
        export_id = removal.piece.attempt.export_id or ""
        ground.watch(f"{plan.shelf.home.name} {export_id}")
        if problem := remove_export(ground.store, removal.folder, export_id):
            refused.append((removal, problem))
            continue
        _note(plan.shelf, removal, Outcome.REMOVED, ground.now)
        removed.append(removal)
    _reindex(plan.shelf, removed)
    return Expired(removed=tuple(removed), refused=tuple(refused))


def _turn(unit: Unit) -> list[Piece]:
    """The order in which the pieces of a unit go: what is left is a chain at every moment."""
    return sorted(unit.pieces, key=lambda p: (p.is_full, -p.stop.timestamp(), p.slot))


def _located(shelf: Shelf, pieces: Sequence[Piece]) -> list[Removal]:
    def one(piece: Piece) -> Removal:
        record = shelf.record(piece)
        return Removal(
            piece=piece,
            table_arn=str(record["table"]["arn"]),
            folder=folder_of(piece, record),
            size=int(record.get("bytes") or 0),
            items=int(record.get("items") or 0),
            files=int(record.get("files") or 0),
        )

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return list(threads.map(one, pieces))


def _doubted(
    shelf: Shelf, decisions: tuple[Decision, ...], store: ObjectStore
) -> tuple[Decision, ...]:
    """The newest unit is what lets the older ones go: if any of its manifests is not there any
    more, all of them stay, whatever the catalog says."""
    newest = max((d.unit for d in decisions), key=lambda u: (u.end, u.start))

    def is_there(piece: Piece) -> bool:
        with contextlib.suppress(NotFound):
            key = f"{folder_of(piece, shelf.record(piece))}/{SUMMARY}"
            return any(entry.key == key for entry in store.entries(key))
        return False

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        there = list(threads.map(is_there, newest.pieces))
    if all(there):
        return decisions
    missing = newest.pieces[there.index(False)].attempt.export_id
    why = f"the newest chain is not whole: there is no summary of export {missing}"
    return tuple(d if d.keep else replace(d, keep=True, reasons=(why,)) for d in decisions)


def _locks(removals: Sequence[Removal], ground: Ground) -> str:
    """Why S3 keeps a unit, if it does: one locked object is enough, for a chain goes whole."""
    assert ground.vault is not None  # noqa: S101  only asked where there is one
    for removal in removals:
        export_id = removal.piece.attempt.export_id or ""
        if lock := find_lock(ground.vault, ground.store, removal.folder, export_id, ground.now):
            return lock_text(lock)
    return ""


def _unless_locked(decision: Decision, why: str | None) -> Decision:
    return replace(decision, keep=True, reasons=(why,)) if why else decision


def _note(shelf: Shelf, removal: Removal, outcome: Outcome, now: datetime) -> None:
    piece = removal.piece
    attempt = replace(
        piece.attempt, outcome=outcome, ended=now.replace(microsecond=0), reason=_BY_POLICY
    )
    key = record_key(shelf.home, shelf.table_id, piece.slot, attempt)
    shelf.history.catalog.note(key, body(str(outcome), now, **_fields(shelf, removal)))


def _fields(shelf: Shelf, removal: Removal) -> dict[str, Any]:
    piece, arn = removal.piece, removal.table_arn
    return {
        "table": {"name": shelf.home.name, "arn": arn, "id": shelf.table_id},
        "slot": {"kind": str(piece.slot.kind), "name": piece.slot.name},
        "attempt": piece.attempt.number,
        "span": span_fields(piece.attempt.span) if piece.attempt.span else None,
        "exportArn": f"{arn}/export/{piece.attempt.export_id}",
        "folder": removal.folder,
        "items": removal.items,
        "files": removal.files,
        "bytes": removal.size,
        "reason": "no retention rule keeps it",
    }


def _reindex(shelf: Shelf, removals: Sequence[Removal]) -> None:
    """Indexes stand for the records of their months: those that have got new ones are remade."""
    months = {
        Period.holding(r.piece.start) for r in removals if r.piece.slot.kind is not SlotKind.BASE
    }
    if not months or not shelf.history.indexes:
        return
    home = shelf.home
    found = index_names(shelf.history.catalog, home.account, home.region, home.name)
    now_there = tuple(found.get((home, shelf.table_id), ()))
    revise(replace(shelf.history, indexes=now_there), sorted(months))


def problems(done: Sequence[Expired]) -> Iterator[ColdtableError]:
    """What kept anything from being removed."""
    for one in done:
        for _, refused in one.refused:
            yield refused.error
