"""What the catalog knows of one TableId's exports, one by one: for retention and its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from coldtable.core.archive import ROOT
from coldtable.core.ledger import attempts, fold
from coldtable.core.records import Home, parse_base_name, parse_log_name, record_key, unstamp
from coldtable.core.retention import Piece, Units, gather
from coldtable.core.spares import Stock
from coldtable.errors import DamagedError
from coldtable.model_archive import Attempt, Ledger, Outcome, Slot
from coldtable.ops.catalog import HORIZON, Catalog, Heads
from coldtable.ops.history import History, index_names, logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One TableId. ``kept`` are the verified exports that are there; ``leaving`` are noted as
    expired, and their removal is not noted as done; ``attempts`` are all that there ever were."""

    history: History
    base_names: tuple[str, ...]
    ledger: Ledger
    attempts: tuple[tuple[Slot, Attempt], ...] = field(repr=False)

    @property
    def home(self) -> Home:
        """Where its records live."""
        return self.history.home

    @property
    def table_id(self) -> str:
        """Its TableId."""
        return self.history.table_id

    @property
    def kept(self) -> tuple[Piece, ...]:
        """Verified, and there."""
        return self._with(Outcome.VERIFIED)

    @property
    def leaving(self) -> tuple[Piece, ...]:
        """Expired, and perhaps there in part; what others are built on comes last."""
        found = sorted(self._with(Outcome.EXPIRED), key=lambda p: (p.is_full, -p.stop.timestamp()))
        return tuple(found)

    @property
    def newest(self) -> datetime | None:
        """How far its exports reach."""
        return max((p.stop for p in self.kept), default=None)

    @property
    def running(self) -> frozenset[str]:
        """The ids of the exports of which the end is not known."""
        return frozenset(a.export_id for _, a in self.attempts if a.in_flight and a.export_id)

    def units(self, now: datetime) -> Units:
        """Its chains, and the increments that are in none."""
        return gather(self.kept, self._wanted(now))

    def stock(self, now: datetime, bad: frozenset[str] = frozenset()) -> Stock:
        """What retention decides about; ``bad`` are the ids of what was found damaged since."""
        attempts: dict[Slot, list[Attempt]] = {}
        for slot, attempt in self.attempts:
            attempts.setdefault(slot, []).append(attempt)
        return Stock(
            kept=self.kept,
            damaged=self._with(Outcome.DAMAGED),
            attempts=attempts,
            bad=bad,
            wanted=tuple(self._wanted(now)),
        )

    def record(self, piece: Piece) -> dict[str, Any]:
        """What was noted when the export was proven, however it is called now."""
        proven = replace(piece.attempt, outcome=Outcome.VERIFIED, ended=None, reason="")
        return self.history.catalog.read(record_key(self.home, self.table_id, piece.slot, proven))

    def _wanted(self, now: datetime) -> Iterator[datetime]:
        for one in self.ledger.windows:
            if (start := unstamp(one.slot.name)) > now - HORIZON or one.under_way:
                yield start

    def _with(self, outcome: Outcome) -> tuple[Piece, ...]:
        return tuple(
            Piece(slot=slot, attempt=attempt)
            for slot, attempt in self.attempts
            if attempt.outcome is outcome and attempt.span is not None
        )


def folder_of(piece: Piece, record: dict[str, Any]) -> str:
    """The folder of the export's manifests, from its record.

    Raises ``DamagedError`` if the record names none that could be this export's: whoever deletes
    below it must be sure.
    """
    folder, _, name = str(record.get("manifestFilesKey", "")).rpartition("/")
    parts = folder.split("/")
    if name != "manifest-files.json" or parts[-2:] != [ROOT, piece.attempt.export_id]:
        raise DamagedError(
            f"The catalog's record of export {piece.attempt.export_id} does not say where the "
            f"export lies: {record.get('manifestFilesKey')!r}"
        )
    return folder


def shelves(catalog: Catalog, account: str, region: str) -> Iterator[Shelf]:
    """Every TableId of an account and region that the catalog knows, former ones too."""
    heads = catalog.all_heads(account, region)
    known = {
        (Home(account=account, region=region, name=name), table_id)
        for name, head in heads.items()
        for table_id in head.bases
    }
    known |= set(logs(catalog, f"{account}/{region}/"))
    indexes = index_names(catalog, account, region)
    for home, table_id in sorted(known, key=lambda one: (one[0].name, one[1])):
        names = tuple(indexes.get((home, table_id), ()))
        yield open_shelf(catalog, home, table_id, heads.get(home.name, Heads()), names)


def open_shelf(
    catalog: Catalog, home: Home, table_id: str, heads: Heads, indexes: Iterable[str] = ()
) -> Shelf:
    """The shelf of one TableId."""
    history = History(catalog=catalog, home=home, table_id=table_id, indexes=tuple(indexes))
    base_names = tuple(heads.bases.get(table_id, ()))
    log_names = list(history.names())
    facts = (*map(parse_base_name, base_names), *map(parse_log_name, log_names))
    found = attempts(facts)
    return Shelf(
        history=history,
        base_names=base_names,
        ledger=fold(table_id, base_names, log_names),
        attempts=tuple((slot, found[slot, number]) for slot, number in sorted(found)),
    )
