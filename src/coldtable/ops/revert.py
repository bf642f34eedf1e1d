"""Revert a window on a live table: each item that is still what the window left becomes again what
it was before. What anybody has written since is left alone, and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import Any

from coldtable.core.archive import ArchivedExport, of_table
from coldtable.core.items import canonical, same
from coldtable.core.lines import Parse, change_of
from coldtable.core.pace import Rate
from coldtable.core.reversal import unchanged, windows_between
from coldtable.core.selection import Selection, parse_selection
from coldtable.errors import Conflict, DamagedError, ItemInvalid, TableNotFound
from coldtable.model_restore import TableState
from coldtable.ops.archive import load_files
from coldtable.ops.net_changes import NetChange, NetChanges, net_changes
from coldtable.ops.proof import read_items
from coldtable.ops.restore_plan import gate_of, line_parser
from coldtable.ops.restore_windows import RestoreWindows
from coldtable.ops.send import paced_sender, stopping
from coldtable.ports_restore import BATCH_GETS

_THREADS = 8
# So many conflicts are named; all are counted.
_NAMED = 1000


class Fate(StrEnum):
    """What reverting means for one item, as the table is now."""

    PUT = "put back"
    DELETE = "delete"
    ALREADY = "already so"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertWish:
    """Revert ``[start, stop)``; ``stop`` is ``None`` for all that is archived since."""

    table: str
    start: datetime
    stop: datetime | None
    to: str | None = None
    keys: tuple[str, ...] = ()
    rate: Rate | None = None


@dataclass(slots=True, kw_only=True)
class Counts:
    """How many items share which fate, and the keys of some that are in conflict with why."""

    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    conflicts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, fate: Fate, change: NetChange, why: str = "") -> None:
        """One more."""
        self.fates[fate] += 1
        if fate is Fate.CONFLICT and len(self.conflicts) < _NAMED:
            self.conflicts.append((change.name, why))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertPlan:
    """What would be done, or was done: ``counts`` is by what the table was when it was read."""

    wish: RevertWish
    windows: tuple[ArchivedExport, ...]
    table: TableState
    counts: Counts
    done: bool = False

    @property
    def stop(self) -> datetime:
        """The end of the last window."""
        return self.windows[-1].stop


def revert_window(
    wish: RevertWish, windows: RestoreWindows, *, apply: bool, tell: Callable[[int], None]
) -> RevertPlan:
    """Plan the reversal, and with ``apply`` carry it out. Run again, what is done is done.

    Raises ``NotCovered``, ``ConfigError`` without old images, ``DamagedError`` before anything is
    written (also for an export that was filtered: it has not all of what happened), ``Conflict``
    for a table that was made again since, ``Archived`` for what S3 must bring back first.
    """
    gate = gate_of(windows)
    path = gate.choose(
        lambda: windows_between(of_table(gate.archive.exports, wish.table), wish.start, wish.stop),
        wish.stop,
        lambda found: found[-1].stop,
    )
    table = _target(wish, path[0], windows)
    gate.admit(path)
    selection = parse_selection(wish.keys, table.key) if wish.keys else None
    with net_changes(table.key) as changes:
        for export in path:
            _read(load_files(windows.store, export), changes, selection, windows)
        counts = _Reversal(windows, table, wish.rate, apply=apply, tell=tell).over(changes)
    return RevertPlan(wish=wish, windows=path, table=table, counts=counts, done=apply)


def fate_of(change: NetChange, now: Mapping[str, Any] | None) -> tuple[Fate, str]:
    """What to do with an item that is ``now`` in the table (``None``: it is not), and why not."""
    if _equal(now, change.new):
        return (Fate.DELETE if change.old is None else Fate.PUT), ""
    if _equal(now, change.old):
        return Fate.ALREADY, ""
    if now is None:
        return Fate.CONFLICT, "it was deleted since"
    return Fate.CONFLICT, ("it was written since" if change.new else "it was put again since")


def _equal(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return same(one, other)


class _Reversal:
    """One pass over the changes: look at the table, and write if that is wanted."""

    def __init__(
        self,
        windows: RestoreWindows,
        table: TableState,
        rate: Rate | None,
        *,
        apply: bool,
        tell: Callable[[int], None],
    ) -> None:
        self._windows = windows
        self._table = table
        self._apply = apply
        self._tell = tell
        self._stop = Event()
        self._sender = paced_sender(windows.writer, table, rate, self._stop, windows.time)

    def over(self, changes: NetChanges) -> Counts:
        counts, done = Counts(), 0
        with ThreadPoolExecutor(_THREADS) as threads, stopping(self._stop):
            for batch in _in_groups(changes.batches(BATCH_GETS), _THREADS):
                for found in threads.map(self._batch, batch):
                    for change, fate, why in found:
                        counts.add(fate, change, why)
                    done += len(found)
                    self._tell(done)
        return counts

    def _batch(self, batch: Sequence[NetChange]) -> list[tuple[NetChange, Fate, str]]:
        name, key = self._table.name, self._table.key
        items = self._windows.reader.get_all(name, [change.keys for change in batch])
        by_key = {canonical({n: item[n] for n in key.names}): item for item in items}
        found = []
        for change in batch:
            fate, why = fate_of(change, by_key.get(canonical(change.keys)))
            if self._apply and fate in (Fate.PUT, Fate.DELETE) and not self._write(change):
                fate, why = Fate.CONFLICT, "it was written at this moment"
            found.append((change, fate, why))
        return found

    def _write(self, change: NetChange) -> bool:
        condition = unchanged(change.new, change.old, self._table.key)
        if change.old is None:
            return self._sender.delete(_bytes(change.keys), condition)
        return self._sender.put(_bytes(change.old), condition)


def _target(wish: RevertWish, export: ArchivedExport, windows: RestoreWindows) -> TableState:
    name = wish.to or export.table.name
    table = windows.tables.state(name)
    if table is None:
        raise TableNotFound(f"There is no table {name} to revert anything in")
    if wish.to is None and table.table_id != export.table.table_id:
        raise Conflict(
            f"The table {name} is not the one that the exports are of: it was made again since "
            f"(its id is {table.table_id}, theirs {export.table.table_id})",
            hint=f"If it was restored from that one, say so: --in {name}",
        )
    return table


def _read(
    export: ArchivedExport,
    changes: NetChanges,
    selection: Selection | None,
    windows: RestoreWindows,
) -> None:
    parse = line_parser(export, windows.ion)
    for file in export.files:
        lines = read_items(file, windows.store)
        changes.add(file.key, _changes(file.key, lines, parse, selection))


def _changes(
    name: str, lines: Iterator[bytes], parse: Parse, selection: Selection | None
) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        try:
            change = change_of(parse(line))
            if selection is None or selection.key(change.keys):
                yield change
        except ItemInvalid as error:
            raise DamagedError(f"{name}, line {number}: {error.message}") from None


def _in_groups(
    batches: Iterator[Sequence[NetChange]], size: int
) -> Iterator[list[Sequence[NetChange]]]:
    group: list[Sequence[NetChange]] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _bytes(item: Mapping[str, Any]) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
