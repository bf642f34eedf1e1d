"""A table's verified exports in a line or two, for the tests of retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from coldtable.core.records import base_slot, slot_of
from coldtable.core.retention import Piece
from coldtable.model import Snapshot, Window
from coldtable.model_archive import Attempt, Outcome, SlotKind

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def day(text: str) -> datetime:
    """Three o'clock of a day, or whatever the text says beyond one."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return moment if "T" in text else moment.replace(hour=3)


def full(moment: datetime, number: int | None = None) -> Piece:
    """A verified full export: a snapshot, or the base of that number."""
    slot = base_slot(number) if number else slot_of(SlotKind.SNAPSHOT, moment)
    return Piece(slot=slot, attempt=_attempt(Snapshot(moment=moment), f"full-{moment:%Y%m%dT%H}"))


def window(start: datetime, length: timedelta = DAY) -> Piece:
    """A verified increment."""
    span = Window(start=start, stop=start + length)
    return Piece(
        slot=slot_of(SlotKind.WINDOW, start), attempt=_attempt(span, f"inc-{start:%Y%m%dT%H}")
    )


def chain(start: datetime, windows: int, length: timedelta = DAY, number: int = 1) -> list[Piece]:
    """A base and so many windows after it."""
    return [full(start, number), *(window(start + n * length, length) for n in range(windows))]


def snapshots(first: datetime, last: datetime, every: timedelta = DAY) -> list[Piece]:
    """Full exports from the first moment to the last."""
    return [full(first + n * every) for n in range((last - first) // every + 1)]


def _attempt(span: Snapshot | Window, export_id: str) -> Attempt:
    return Attempt(number=1, span=span, export_id=export_id, outcome=Outcome.VERIFIED)
