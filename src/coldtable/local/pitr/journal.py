"""Every version of every item of one table since PITR was switched on.

An entry is one flat list per item, ``[when, image, when, image, …]``: one container per item
keeps a million of them affordable. The newest image is the mapping that the emulator itself holds
(never changed in place once stored); older ones are packed to compact JSON. ``None`` is a delete.
Times are epoch microseconds; the state *at* an instant holds the writes strictly before it, so
that full(T) followed by an incremental from T misses and repeats nothing.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
Image = Item | bytes | None
Key = str | tuple[str, str]
Entry = list[Any]

BASE = 0  # the stamp of what the table held when PITR was switched on
_SLICE = 500

_pack = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One item's change in a window: ``before`` it began, ``after`` it ended, last written at."""

    when: int
    before: Image
    after: Image


def packed(image: Image) -> bytes:
    """The image as compact JSON, attributes in stored order."""
    return image if isinstance(image, bytes) else _pack(image).encode()


def unpacked(image: Image) -> Item | None:
    """The image as a mapping; ``None`` stays ``None``."""
    if isinstance(image, bytes):
        loaded: dict[str, Any] = json.loads(image)
        return loaded
    return image


def image_at(entry: Entry, bound: int) -> Image:
    """The item just before ``bound``; ``None`` when it did not exist."""
    seen = tuple(entry)  # one step under the GIL: a writer may extend the list meanwhile
    position = _before(seen, bound)
    image: Image = seen[2 * position - 1] if position else None
    return image


def change_in(entry: Entry, start: int, stop: int) -> Change | None:
    """What ``[start, stop)`` did to the item; ``None`` when it left nothing to report."""
    seen = tuple(entry)
    if not seen or seen[-2] < start:
        return None
    first, last = _before(seen, start), _before(seen, stop)
    if last <= first:
        return None
    before: Image = seen[2 * first - 1] if first else None
    after: Image = seen[2 * last - 1]
    if before is None and after is None:
        return None
    return Change(when=seen[2 * last - 2], before=before, after=after)


def _before(seen: tuple[Any, ...], bound: int) -> int:
    """How many versions of ``seen`` are older than ``bound``."""
    count = len(seen) // 2
    if count and seen[-2] < bound:
        return count
    return bisect_left(range(count), bound, key=lambda i: seen[2 * i])


class Journal:
    """The history of one table, identified by ARN and TableId. Safe to feed from any thread."""

    def __init__(self, *, table_arn: str, table_id: str, key_names: Sequence[str]) -> None:
        self.table_arn = table_arn
        self.table_id = table_id
        self.key_names = tuple(key_names)
        self._hash = self.key_names[0]
        self._range = self.key_names[1] if len(self.key_names) > 1 else None
        self._versions: dict[Key, Entry] = {}
        self._lock = threading.Lock()
        self._based = False
        # Superseded images that are not packed yet.
        self.loose = 0

    def __len__(self) -> int:
        return len(self._versions)

    def key(self, item: Item) -> Key:
        """What identifies an item: the bare value, or the pair of them."""
        first: str = next(iter(item[self._hash].values()))
        if self._range is None:
            return first
        return first, next(iter(item[self._range].values()))

    def record(self, before: Item | None, after: Item | None, when: int) -> None:
        """One mutation at ``when`` (epoch microseconds). ``after`` must not be changed later.

        Several mutations of one item at the same instant (one request, one transaction) are one
        version. A stamp that is older than the newest version moves just past it: the order of
        the calls is the order of the writes.
        """
        item = after if after is not None else before
        if item is None:
            return
        key = self.key(item)
        with self._lock:
            entry = self._versions.get(key)
            if entry is None:
                # Before the base is read, what the write replaced is the base of this item.
                if before is not None and not self._based:
                    self._versions[key] = [BASE, before, when, after]
                elif after is not None:
                    self._versions[key] = [when, after]
            elif when == entry[-2]:
                self._amend(key, entry, after)
            else:
                # Packing what is superseded costs more than all of this: ``compact`` does it.
                self.loose += 1
                entry.extend((when if when > entry[-2] else entry[-2] + 1, after))

    def _amend(self, key: Key, entry: Entry, after: Item | None) -> None:
        entry[-1] = after
        if after is None and len(entry) == 2:
            del self._versions[key]

    def rebase(self, items: Iterable[Item], *, last: bool) -> None:
        """What the table held when PITR was switched on; ``last`` closes the base."""
        with self._lock:
            for item in items:
                self._versions.setdefault(self.key(item), [BASE, item])
            self._based = self._based or last

    def replace(self, items: Iterable[Item], when: int) -> None:
        """The table's whole content became ``items`` (a rollback, a load in one piece)."""
        wanted = {self.key(item): item for item in items}
        with self._lock:
            for key in list(self._versions.keys() | wanted.keys()):
                self._settle(key, wanted.get(key), when)

    def _settle(self, key: Key, wanted: Item | None, when: int) -> None:
        entry = self._versions.setdefault(key, [])
        if entry and entry[-2] == when:
            del entry[-2:]  # what a transaction that is being rolled back wrote
        current = unpacked(entry[-1]) if entry else None
        if current != wanted:
            entry.extend((max(when, entry[-2] + 1) if entry else when, wanted))
        if not entry:
            del self._versions[key]

    def keys(self) -> list[Key]:
        """All keys, for a walk outside the lock.

        Only they are copied, in one step that nothing else can interrupt: 50 ms for a million.
        """
        with self._lock:
            return list(self._versions)

    def entry(self, key: Key) -> Entry:
        """The versions of an item; none, if it has been forgotten since the walk began.

        What a walk asks for must not be older than the horizon of a compaction meanwhile.
        """
        return self._versions.get(key, [])

    def state_at(self, bound: int) -> Iterator[Item]:
        """The items just before ``bound``."""
        for key in self.keys():
            item = unpacked(image_at(self.entry(key), bound))
            if item is not None:
                yield item

    def changes(self, start: int, stop: int) -> Iterator[Change]:
        """What ``[start, stop)`` changed, one record per item."""
        for key in self.keys():
            change = change_in(self.entry(key), start, stop)
            if change is not None:
                yield change

    def compact(self, horizon: int) -> int:
        """Forget what no instant from ``horizon`` on can show, and pack what is superseded.

        Returns how many versions went. Runs in any thread, and lets writers in between.
        """
        dropped = 0
        self.loose = 0
        keys = self.keys()
        for start in range(0, len(keys), _SLICE):
            with self._lock:
                for key in keys[start : start + _SLICE]:
                    dropped += self._trim(key, horizon)
        return dropped

    def _trim(self, key: Key, horizon: int) -> int:
        entry = self._versions.get(key)
        if entry is None:
            return 0
        gone = max(_before(tuple(entry), horizon) - 1, 0)
        if gone:
            # A new list: a walk that holds the old one keeps reading it.
            entry = self._versions[key] = entry[2 * gone :]
        if len(entry) == 2 and entry[1] is None and entry[0] < horizon:
            del self._versions[key]
            return gone + 1
        for position in range(1, len(entry) - 1, 2):
            if entry[position] is not None:
                entry[position] = packed(entry[position])
        return gone

    def rows(self) -> Iterator[bytes]:
        """One JSON line per item, for a file that ``restore_rows`` reads back."""
        for key in self.keys():
            seen = tuple(self.entry(key))
            if not seen:
                continue
            parts = (
                b"%d,%s" % (seen[i], b"null" if seen[i + 1] is None else packed(seen[i + 1]))
                for i in range(0, len(seen), 2)
            )
            yield b"[" + b",".join(parts) + b"]\n"

    def restore_rows(self, rows: Iterable[bytes]) -> None:
        """Fill an empty journal from ``rows``; the base is then complete."""
        for row in rows:
            entry = json.loads(row)
            item = next(image for image in entry[1::2] if image is not None)
            key = self.key(item)
            for i in range(1, len(entry), 2):
                entry[i] = None if entry[i] is None else packed(entry[i])
            self._versions[key] = entry
        self._based = True
