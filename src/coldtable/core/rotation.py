"""Which part of an archive is verified when, so that every byte is read again every so many days.

It follows from the time and from names alone: nobody has to remember how far it has come, and what
comes or goes moves nothing else. Each table has its hour of the day, and each day reads one slice
of it. An increment lies in one slice as a whole, by its id, so that the manifests of those of all
other slices need not be read: a table may have 35,000 of them a year. The files of a full export,
of which there are few and which may be large, are spread over all slices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coldtable.core.records import Home
from coldtable.core.verification import Subset
from coldtable.errors import ParameterInvalid

_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One hour of a rotation over ``days`` days."""

    moment: datetime
    days: int

    @property
    def subset(self) -> Subset:
        """The day's slice: the same that ``verify --subset`` counts by days."""
        return Subset(number=self._day % self.days + 1, of=self.days)

    def has(self, home: Home) -> bool:
        """Whether it is the hour of this table."""
        return hour_of(home) == self.moment.astimezone(UTC).hour

    def in_order(self, homes: Iterable[Home]) -> Sequence[Home]:
        """The tables of this hour, those first that came last one rotation ago: what there was no
        time for then must not be left again."""
        mine = sorted((home for home in homes if self.has(home)), key=_hashed)
        return mine[::-1] if self.backwards else mine

    @property
    def backwards(self) -> bool:
        """Whether this rotation reads in the opposite order of the one before."""
        return bool(self._day // self.days % 2)

    @property
    def _day(self) -> int:
        return self.moment.astimezone(UTC).toordinal()


def due_at(event: Mapping[str, Any], now: datetime) -> datetime:
    """The event's ``scheduledTime`` as EventBridge Scheduler writes it; now, if it has none."""
    text = str(event.get("scheduledTime", now.isoformat()))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ParameterInvalid(
            f"The event's scheduledTime {text!r} is not a time",
            hint="By hand, write it like 2026-11-01T04:00:00Z",
        ) from None


def hour_of(home: Home) -> int:
    """The hour of the day, in UTC, at which a table has its turn."""
    return _hashed(home) % _HOURS


def _hashed(home: Home) -> int:
    name = f"{home.account}/{home.region}/{home.name}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
