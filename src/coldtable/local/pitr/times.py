"""Instants as AWS writes them, and the microseconds that the journal counts in."""

from __future__ import annotations

from datetime import UTC, datetime

MICROS = 1_000_000


def micros(seconds: float) -> int:
    """Epoch seconds as whole microseconds, rounded to the nearest one."""
    return round(seconds * MICROS)


def iso_millis(seconds: float) -> str:
    """``2026-01-14T10:18:50.622Z``: always three digits, as in every manifest [REAL-G]."""
    millis = round(seconds * 1000)
    moment = datetime.fromtimestamp(millis // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"


def iso_seconds(seconds: float) -> str:
    """``2026-10-09T00:41:50Z``: as in error texts [QUIRKS]."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


def floor_millis(seconds: float) -> float:
    """The instant cut to whole milliseconds."""
    return int(seconds * 1000) / 1000
