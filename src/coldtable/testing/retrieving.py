"""S3's archive classes in memory, with a clock of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coldtable.errors import NotFound, UsageError
from coldtable.model_restore import Copy, Stored
from coldtable.testing.fakes import ARCHIVE_CLASSES, FakeObjects

_TIERS = ("ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")


@dataclass
class FakeRetriever:
    """Implements ``ports_restore.Retriever`` over a ``FakeObjects``, which it lets be read.

    ``asked`` are the requests, each with its tier and days, ``listed`` and ``looked`` what was
    listed and looked at; ``takes`` is how long a copy is made.
    """

    bucket: FakeObjects
    now: datetime
    takes: timedelta = timedelta(hours=12)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    _copies: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def pass_time(self, length: timedelta) -> None:
        """Let time pass: copies come, and go."""
        self.now += length
        for key, (ready, until) in list(self._copies.items()):
            self.bucket.copies[key] = ready <= self.now < until
            if self.now >= until:
                del self._copies[key]
            elif self.bucket.copies[key] and self.bucket.storage.get(key) in _TIERS:
                self.bucket.storage[key] = "INTELLIGENT_TIERING"
                del self._copies[key]

    def objects(self, prefix: str) -> Iterator[Stored]:
        """See ``ports_restore.Retriever.objects``."""
        self.listed.append(prefix)
        for key, size, storage in self.bucket.entries(prefix):
            hidden = storage in _TIERS
            copy = None if hidden else self._copy(key)
            yield Stored(key, size, "INTELLIGENT_TIERING" if hidden else storage, copy)

    def look(self, key: str) -> Stored:
        """See ``ports_restore.Retriever.look``."""
        self.looked.append(key)
        for found, size, storage in self.bucket.entries(key):
            if found == key:
                return Stored(key, size, storage, self._copy(key))
        raise NotFound(f"There is no object {key}")

    def retrieve(self, found: Stored, tier: str, days: int) -> None:
        """See ``ports_restore.Retriever.retrieve``."""
        kept = self.bucket.storage.get(found.key, "")
        if kept not in ARCHIVE_CLASSES:
            return
        if tier == "Expedited" and kept.startswith("DEEP"):
            raise UsageError(f"{kept} has no {tier}")
        self.asked.append((found.key, tier, days))
        ready, _ = self._copies.get(found.key, (self.now + self.takes, self.now))
        if found.key not in self._copies or ready <= self.now:
            self._copies[found.key] = ready, max(ready, self.now) + timedelta(days=days)

    def _copy(self, key: str) -> Copy | None:
        if key not in self._copies:
            return None
        ready, until = self._copies[key]
        return Copy(until if ready <= self.now else None)
