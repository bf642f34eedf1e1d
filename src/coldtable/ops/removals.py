"""What is to be removed of one TableId: where it lies, and what is noted of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from coldtable.core.archive import ROOT
from coldtable.core.index import Period
from coldtable.core.records import body, record_key, span_fields
from coldtable.core.retention import Piece
from coldtable.model_archive import Outcome, SlotKind
from coldtable.ops.compact import revise
from coldtable.ops.history import index_names
from coldtable.ops.remove import beside
from coldtable.ops.shelf import Shelf, folder_of
from coldtable.ports import ObjectStore

AT_A_TIME = 16
# Of the failure codes of docs/format.md: why an export is not kept any more.
BY_POLICY, AS_DAMAGED = "Retention", "Damaged"
_BY_RULE = "no retention rule keeps it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An export that is to go: whose it is, where it lies, and how many bytes its data takes.

    ``why`` and ``code`` are noted. ``trusted`` tells that its manifest may say which objects are
    its own.
    """

    piece: Piece
    table_arn: str
    folder: str
    size: int
    items: int
    files: int
    why: str = _BY_RULE
    code: str = BY_POLICY
    trusted: bool = True

    @property
    def export_id(self) -> str:
        """The export's id."""
        return self.piece.attempt.export_id or ""

    @property
    def was_proven(self) -> bool:
        """Whether anybody may count on it, so that it has to be said first that nobody may."""
        return self.piece.attempt.outcome is not Outcome.DAMAGED


def locate(shelf: Shelf, pieces: Iterable[Piece]) -> list[Removal]:
    """Where exports lie that were proven once."""

    def one(piece: Piece) -> Removal:
        record = shelf.record(piece)
        code, why = piece.attempt.reason or BY_POLICY, _BY_RULE
        if piece.attempt.expired:
            key = record_key(shelf.home, shelf.table_id, piece.slot, piece.attempt)
            why = str(shelf.history.catalog.read(key).get("reason", why))
        return Removal(
            piece=piece,
            table_arn=str(record["table"]["arn"]),
            folder=folder_of(piece, record),
            size=int(record.get("bytes") or 0),
            items=int(record.get("items") or 0),
            files=int(record.get("files") or 0),
            why=why,
            code=code,
            trusted=code != AS_DAMAGED,
        )

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        return list(threads.map(one, pieces))


def locate_damaged(shelf: Shelf, store: ObjectStore, piece: Piece) -> Removal:
    """Where an export lies that never was proven: as the intent asked for it.

    Raises ``NotFound`` if its intent is not there any more.
    """
    catalog, attempt = shelf.history.catalog, piece.attempt
    request = catalog.request(shelf.home, shelf.table_id, piece.slot, attempt.number)
    export_id = attempt.export_id or ""
    folder = "/".join(filter(None, [request.prefix.rstrip("/"), ROOT, export_id]))
    sizes = {entry.key: entry.size for entry in store.entries(f"{folder}/")}
    if beside(store, folder, export_id):
        data = f"{folder.rpartition('/')[0]}/data/"
        sizes |= {entry.key: entry.size for entry in store.entries(data)}
    return Removal(
        piece=piece,
        table_arn=request.table.arn,
        folder=folder,
        size=sum(sizes.values()),
        items=0,
        files=sum(key.endswith(".gz") for key in sizes),
        trusted=False,
    )


def note(shelf: Shelf, removal: Removal, outcome: Outcome, now: datetime) -> None:
    """Write down what becomes of an export."""
    piece = removal.piece
    attempt = replace(
        piece.attempt, outcome=outcome, ended=now.replace(microsecond=0), reason=removal.code
    )
    fields = {
        "table": {"name": shelf.home.name, "arn": removal.table_arn, "id": shelf.table_id},
        "slot": {"kind": str(piece.slot.kind), "name": piece.slot.name},
        "attempt": piece.attempt.number,
        "span": span_fields(piece.attempt.span) if piece.attempt.span else None,
        "exportArn": f"{removal.table_arn}/export/{removal.export_id}",
        "folder": removal.folder,
        "items": removal.items,
        "files": removal.files,
        "bytes": removal.size,
        "reason": removal.why,
    }
    key = record_key(shelf.home, shelf.table_id, piece.slot, attempt)
    shelf.history.catalog.note(key, body(str(outcome), now, **fields))


def reindex(shelf: Shelf, removals: Sequence[Removal]) -> None:
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
