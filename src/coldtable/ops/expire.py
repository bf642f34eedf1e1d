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
from typing import TypeVar

from coldtable.core.archive import SUMMARY
from coldtable.core.retention import Decision, Gone, Piece, Unit
from coldtable.core.spares import Spare, sort_out
from coldtable.errors import Archived, ColdtableError, Conflict, DamagedError, NotFound
from coldtable.model_archive import Hold, Outcome
from coldtable.model_policy import Retention
from coldtable.ops.evidence import known_bad
from coldtable.ops.hold import holds_of
from coldtable.ops.removals import (
    AS_DAMAGED,
    AT_A_TIME,
    Removal,
    locate,
    locate_damaged,
    note,
    reindex,
)
from coldtable.ops.remove import Refused, find_lock, lock_text, remove_export
from coldtable.ops.shelf import Shelf, folder_of
from coldtable.ports import ObjectStore, Vault

_Judged = TypeVar("_Judged", Decision, Spare)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableExpiry:
    """The plan for one TableId. ``removals`` are in the order in which they go: of each chain the
    newest increment first and the full export last, then single ones. ``spares`` belong to no
    chain: what is damaged, and what joins on to no full export."""

    shelf: Shelf
    retention: Retention
    holds: tuple[Hold, ...]
    decisions: tuple[Decision, ...]
    spares: tuple[Spare, ...] = ()
    removals: tuple[Removal, ...] = ()
    leaving: tuple[Removal, ...] = ()
    gone: bool = False

    @property
    def loose(self) -> tuple[Piece, ...]:
        """The increments that join on to no full export."""
        return tuple(spare.piece for spare in self.spares if not spare.damaged)

    @property
    def size(self) -> int:
        """The bytes of data that would be freed."""
        return sum(r.size for r in (*self.removals, *self.leaving))

    def removals_of(self, pieces: Sequence[Piece]) -> tuple[Removal, ...]:
        """Those of one chain, or of a single export."""
        mine = set(pieces)
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


def plan_expiry(
    shelf: Shelf,
    retention: Retention,
    ground: Ground,
    *,
    gone: Gone | None = None,
) -> TableExpiry:
    """What goes and what stays of one TableId, with reasons; nothing is changed.

    An export that verify has found damaged since it was proven lets no other one go. ``gone``
    tells that the table is.
    """
    return _Planner(shelf, retention, ground, gone).plan()


class _Planner:
    def __init__(
        self,
        shelf: Shelf,
        retention: Retention,
        ground: Ground,
        gone: Gone | None,
    ) -> None:
        self._shelf = shelf
        self._retention = retention
        self._ground = ground
        self._gone = gone
        self._holds = holds_of(shelf.history.catalog, shelf.home)

    def plan(self) -> TableExpiry:
        shelf, now = self._shelf, self._ground.now
        bad = known_bad(shelf.history.catalog, shelf.home, shelf.table_id)
        stock = shelf.stock(now, frozenset(bad))
        decisions, spares = sort_out(stock, self._retention, self._holds, now, self._gone)
        spares = tuple(map(self._if_replaced, spares))
        if doubt := self._doubt(decisions):
            decisions = tuple(_stays(d, doubt) for d in decisions)
            spares = tuple(_stays(spare, doubt) for spare in spares)
        decisions, of_units = self._removable(decisions)
        spares, single = self._removable_spares(spares)
        return TableExpiry(
            shelf=shelf,
            retention=self._retention,
            holds=self._holds,
            decisions=decisions,
            spares=spares,
            removals=(*of_units, *single),
            leaving=tuple(locate(shelf, shelf.leaving)),
            gone=self._gone is not None,
        )

    def _if_replaced(self, spare: Spare) -> Spare:
        """A damaged one stays if what is to stand in for it is not there, either."""
        if spare.keep or spare.instead is None or self._is_there(spare.instead):
            return spare
        missing = spare.instead.attempt.export_id
        return _stays(spare, f"damaged, and of export {missing} beside it there is no summary")

    def _doubt(self, decisions: Sequence[Decision]) -> str:
        """The newest unit that stays is what lets the older ones go: if any of its manifests is
        not there any more, all of them stay, whatever the catalog says."""
        staying = [d.unit for d in decisions if d.keep]
        if not staying or len(staying) == len(decisions):
            return ""
        newest = max(staying, key=lambda u: (u.end, u.start))
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            there = list(threads.map(self._is_there, newest.pieces))
        if all(there):
            return ""
        missing = newest.pieces[there.index(False)].attempt.export_id
        return f"the newest chain is not whole: there is no summary of export {missing}"

    def _is_there(self, piece: Piece) -> bool:
        with contextlib.suppress(NotFound):
            key = f"{folder_of(piece, self._shelf.record(piece))}/{SUMMARY}"
            return any(entry.key == key for entry in self._ground.store.entries(key))
        return False

    def _removable(
        self, decisions: Sequence[Decision]
    ) -> tuple[tuple[Decision, ...], list[Removal]]:
        """Less what S3 locks: one locked object is enough, for a chain goes whole."""
        judged, removals = list[Decision](), list[Removal]()
        for decision in decisions:
            if decision.keep:
                judged.append(decision)
                continue
            found = locate(self._shelf, _turn(decision.unit))
            if self._gone and decision.reasons == (self._gone.text,):
                found = [replace(r, why=self._gone.text) for r in found]
            if why := self._lock(found):
                judged.append(_stays(decision, why))
            else:
                judged.append(decision)
                removals += found
        return tuple(judged), removals

    def _removable_spares(self, spares: Sequence[Spare]) -> tuple[tuple[Spare, ...], list[Removal]]:
        judged, removals = list[Spare](), list[Removal]()
        # The newest first, as of a chain.
        for spare in reversed(spares):
            if not spare.keep:
                try:
                    removal = self._single(spare)
                except (NotFound, DamagedError):
                    why = f"{'; '.join(spare.reasons)}, but the catalog does not say where it lies"
                    spare = _stays(spare, why)
                else:
                    if lock := self._lock([removal]):
                        spare = _stays(spare, lock)
                    else:
                        removals.append(removal)
            judged.append(spare)
        return tuple(reversed(judged)), removals

    def _single(self, spare: Spare) -> Removal:
        if spare.piece.attempt.outcome is Outcome.DAMAGED:
            found = locate_damaged(self._shelf, self._ground.store, spare.piece)
        else:
            (found,) = locate(self._shelf, [spare.piece])
        why, code = "; ".join(spare.reasons), AS_DAMAGED if spare.damaged else found.code
        return replace(found, why=why, code=code, trusted=not spare.damaged)

    def _lock(self, removals: Sequence[Removal]) -> str:
        ground = self._ground
        if ground.vault is None or not ground.vault.can_lock():
            return ""
        for one in removals:
            where = one.folder, one.export_id
            try:
                lock = find_lock(
                    ground.vault, ground.store, *where, ground.now, trusted=one.trusted
                )
            except Archived as error:
                return f"S3's locks on it cannot be asked for: {error.message}"
            if lock:
                return lock_text(lock)
        return ""


def expire(plan: TableExpiry, ground: Ground) -> Expired:
    """Carry out a plan.

    Holds are looked at once more: one that was added meanwhile counts. Raises ``Conflict`` then.
    """
    _check_holds(plan)
    shelf = plan.shelf
    for removal in plan.removals:
        if removal.was_proven:
            note(shelf, removal, Outcome.EXPIRED, ground.now)
    reindex(shelf, [r for r in plan.removals if r.was_proven])
    removed, refused = list[Removal](), list[tuple[Removal, Refused]]()
    for removal in (*plan.removals, *plan.leaving):
        ground.watch(f"{shelf.home.name} {removal.export_id}")
        problem = remove_export(
            ground.store, removal.folder, removal.export_id, trusted=removal.trusted
        )
        if problem:
            refused.append((removal, problem))
            continue
        outcome = Outcome.REMOVED if removal.was_proven else Outcome.CLEARED
        note(shelf, removal, outcome, ground.now)
        removed.append(removal)
    reindex(shelf, removed)
    return Expired(removed=tuple(removed), refused=tuple(refused))


def problems(done: Sequence[Expired]) -> Iterator[ColdtableError]:
    """What kept anything from being removed."""
    for one in done:
        for _, refused in one.refused:
            yield refused.error


def _check_holds(plan: TableExpiry) -> None:
    going = [d.unit for d in plan.decisions if not d.keep]
    single = [s.piece for s in plan.spares if not s.keep]
    for hold in holds_of(plan.shelf.history.catalog, plan.shelf.home):
        if hold in plan.holds:
            continue
        if any(u.is_held_by(hold) for u in going) or any(p.is_held_by(hold) for p in single):
            raise Conflict(
                f"Hold {hold.number} of table {plan.shelf.home.name} was added meanwhile",
                hint="Nothing of this table was removed: run it again",
            )


def _turn(unit: Unit) -> list[Piece]:
    """The order in which the pieces of a unit go: what is left is a chain at every moment."""
    return sorted(unit.pieces, key=lambda p: (p.is_full, -p.stop.timestamp(), p.slot))


def _stays(one: _Judged, *why: str) -> _Judged:
    return one if one.keep else replace(one, keep=True, reasons=why)
