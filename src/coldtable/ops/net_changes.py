"""What became of each item over several windows: as it was before the first, and after the last.

They are kept in a database file, so that memory does not grow with them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coldtable.core.items import canonical, same
from coldtable.core.keys import key_bytes
from coldtable.core.lines import Change
from coldtable.errors import DamagedError, ItemInvalid
from coldtable.model_restore import KeySchema

_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NetChange:
    """One item: ``old`` is what it was, ``new`` what it became; ``None`` where it was not."""

    keys: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The key as people read it."""
        return canonical(self.keys).decode()


class NetChanges:
    """A collection of them; windows are added in order of time."""

    def __init__(self, database: sqlite3.Connection, schema: KeySchema) -> None:
        self._database = database
        self._schema = schema
        database.execute("CREATE TABLE change (id BLOB PRIMARY KEY, keys, old, new) WITHOUT ROWID")

    def add(self, name: str, changes: Iterable[Change]) -> None:
        """The changes of one file (shown as ``name``) of the next window."""
        rows = (self._row(name, change) for change in changes)
        while chunk := list(islice(rows, _BATCH)):
            self._database.executemany(
                "INSERT INTO change VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET new = excluded.new",
                chunk,
            )

    def __iter__(self) -> Iterator[NetChange]:
        """Those that came to something, in no order that matters."""
        for keys, old, new in self._database.execute("SELECT keys, old, new FROM change"):
            before, after = _parsed(old), _parsed(new)
            if before is None or after is None:
                if before is not after:
                    yield NetChange(keys=json.loads(keys), old=before, new=after)
            elif not same(before, after):
                yield NetChange(keys=json.loads(keys), old=before, new=after)

    def batches(self, size: int) -> Iterator[Sequence[NetChange]]:
        """The same, so many at a time."""
        changes = iter(self)
        while chunk := list(islice(changes, size)):
            yield chunk

    def _row(self, name: str, change: Change) -> tuple[bytes, str, str | None, str | None]:
        try:
            parts = [
                key_bytes(a.kind, change.keys[a.name][a.kind]) for a in self._schema.attributes
            ]
        except (KeyError, ItemInvalid) as error:
            raise DamagedError(
                f"{name}: a change has not the key {self._schema}: {error}"
            ) from None
        identity = b"".join(len(part).to_bytes(2) + part for part in parts)
        return identity, json.dumps(change.keys), _text(change.old), _text(change.new)


@contextmanager
def net_changes(schema: KeySchema) -> Iterator[NetChanges]:
    """An empty collection, which is gone afterwards."""
    with TemporaryDirectory(prefix="coldtable-") as folder:
        path = Path(folder) / "changes.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # Nobody goes on with it: if this process ends, so does its folder's use.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA cache_size = -32000")
            yield NetChanges(database, schema)


def _text(item: Any) -> str | None:
    return None if item is None else json.dumps(item, separators=(",", ":"))


def _parsed(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
