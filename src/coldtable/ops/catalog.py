"""The catalog in an archive's bucket: listed, read, and added to. Nothing is ever changed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from coldtable.core.ledger import (
    fold,
    fold_incidents,
    newest_proven_base,
    split_table_keys,
    unread,
    with_spans,
)
from coldtable.core.records import (
    ROOT,
    Home,
    parse_record,
    parse_request,
    record_key,
    stamp,
)
from coldtable.model import Destination, ExportRequest
from coldtable.model_archive import Attempt, Incident, Ledger, Slot
from coldtable.ports import ObjectStore

# PITR reaches back 35 days at most [DOC-PITR]: what is older is settled, one way or the other.
HORIZON = timedelta(days=40)
# A chain that is older than a policy may let it grow (full_every_days) has long ended.
_LONGEST_CHAIN = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """What the table folder of one table name holds: base names by TableId, and incidents."""

    bases: dict[str, list[str]] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()


class Catalog:
    """The records in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def all_heads(self, account: str, region: str) -> dict[str, Heads]:
        """The heads of every table of an account and region: one listing for all of them."""
        folder = f"{ROOT}/table/{account}/{region}/"
        keys: dict[str, list[str]] = {}
        for key in self.store.keys(folder):
            keys.setdefault(key.removeprefix(folder).split("/", 1)[0], []).append(key)
        return {
            name: _heads(Home(account=account, region=region, name=name), found)
            for name, found in keys.items()
        }

    def heads(self, home: Home) -> Heads:
        """The heads of one table name."""
        return _heads(home, list(self.store.keys(home.table)))

    def ledger(
        self, home: Home, table_id: str, heads: Heads, since: datetime | None = None
    ) -> Ledger:
        """The ledger of one TableId, with windows and snapshots from ``since`` on (all, if
        ``None``), or from its newest base on if that is older: a chain of which the beginning is
        not known looks broken. The spans of intents that never got further are read."""
        folder, bases = home.log(table_id), heads.bases.get(table_id, [])
        if since and (base := newest_proven_base(bases)):
            since = min(since, max(base, since - _LONGEST_CHAIN))
        after = f"{folder}{stamp(since)}" if since else ""
        names = (e.key.removeprefix(folder) for e in self.store.entries(folder, after=after))
        found = replace(fold(table_id, bases, names), since=since)
        spans = {
            (slot, attempt.number): Attempt(
                number=attempt.number, span=self.request(home, table_id, slot, attempt.number).span
            )
            for slot, attempt in unread(found)
        }
        return with_spans(found, spans) if spans else found

    def request(self, home: Home, table_id: str, slot: Slot, attempt: int) -> ExportRequest:
        """The request that an intent noted."""
        return self.intent(home, table_id, slot, attempt)[0]

    def intent(
        self, home: Home, table_id: str, slot: Slot, attempt: int
    ) -> tuple[ExportRequest, datetime]:
        """The request that an intent noted, and when it did."""
        key = record_key(home, table_id, slot, Attempt(number=attempt))
        record = self.read(key)
        return parse_request(key, record), datetime.fromisoformat(record["at"])

    def has_started(self, home: Home, table_id: str, slot: Slot, attempt: int) -> bool:
        """Whether anything after the intent of that attempt is noted."""
        intent = record_key(home, table_id, slot, Attempt(number=attempt))
        prefix = intent.removesuffix("intent.json")
        return any(key != intent for key in self.store.keys(prefix))

    def note(self, key: str, body: bytes) -> bool:
        """Add a record; ``False`` if somebody has noted the same thing before."""
        return self.store.put_new(key, body)

    def read(self, key: str) -> dict[str, Any]:
        """A record."""
        return parse_record(key, b"".join(self.store.read(key)))


class Library:
    """The catalogs by bucket, and each one's heads: listed once, for all tables."""

    def __init__(self, objects: Callable[[Destination], ObjectStore]) -> None:
        self._objects = objects
        self._lock = Lock()
        self._catalogs: dict[tuple[str, str | None], Catalog] = {}
        self._heads: dict[tuple[str, str, str], dict[str, Heads]] = {}

    def open(self, to: Destination, home: Home) -> tuple[Catalog, Heads]:
        """The catalog of a destination, and the heads of one table in it."""
        with self._lock:
            catalog = self._catalogs.setdefault((to.bucket, to.owner), Catalog(self._objects(to)))
            place = (to.bucket, home.account, home.region)
            if place not in self._heads:
                self._heads[place] = catalog.all_heads(home.account, home.region)
            return catalog, self._heads[place].get(home.name, Heads())


def _heads(home: Home, keys: list[str]) -> Heads:
    bases, incidents = split_table_keys(home, keys)
    return Heads(bases=bases, incidents=fold_incidents(incidents))


def former_ids(heads: Heads, table_id: str) -> Iterator[str]:
    """The TableIds that had this name before and are not noted as gone."""
    for other, names in heads.bases.items():
        if other != table_id and "ended.json" not in names:
            yield other
