"""How fast to write: so many a second, also when several threads write at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from coldtable.errors import UsageError
from coldtable.model_restore import TableState

_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<share>%?)")
# What a new table on demand takes at first (general knowledge, UNVERIFIED), and what is taken for
# granted where AWS does not say more.
NEW_TABLE_UNITS = 4000.0
# How much may be caught up with after a pause, in seconds.
_CREDIT = 1.0
# The longest pause between two attempts, in seconds.
_LONGEST = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Either items a second, or a share (0 to 1) of what the table takes."""

    items: float | None = None
    share: float | None = None


def parse_rate(text: str) -> Rate:
    """``500`` is items a second, ``50%`` a share of the table's write capacity."""
    found = _RATE.fullmatch(text.strip())
    number = float(found["number"]) if found else 0.0
    if not found or not number or (found["share"] and number > 100):
        raise UsageError(
            f"--rate {text!r} is no rate",
            hint="Write 500 for 500 items a second, or 50% for half of the write capacity",
        )
    return Rate(share=number / 100) if found["share"] else Rate(items=number)


def units_a_second(rate: Rate | None, table: TableState) -> float | None:
    """The write units a second that a share means for this table; ``None`` without a share."""
    if rate is None or rate.share is None:
        return None
    return (table.write_units or NEW_TABLE_UNITS) * rate.share


class Pace:
    """Gives out time: whoever asks is told how long to wait. Without ``rate`` nobody waits."""

    def __init__(self, rate: float | None, now: Callable[[], float]) -> None:
        self._rate = rate
        self._now = now
        self._lock = Lock()
        self._next = now()

    def reserve(self, amount: float) -> float:
        """Take ``amount`` of the rate, and the seconds to wait before it may be used."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._now()
            start = max(self._next, now - _CREDIT)
            self._next = start + amount / self._rate
            return max(0.0, start - now)

    def correct(self, difference: float) -> None:
        """So much more (or less) was used than had been reserved."""
        if self._rate is not None:
            with self._lock:
                self._next += difference / self._rate


def back_off(attempt: int, chance: float) -> float:
    """How long to wait after failure number ``attempt`` (from 1), in seconds.

    Twice as long each time up to 20 s, of which ``chance`` (0 to 1) is taken, so that threads
    that failed together do not come back together.
    """
    longest = min(_LONGEST, 0.05 * float(2 ** min(attempt, 16)))
    return longest * (0.5 + chance / 2)
