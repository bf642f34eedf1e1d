"""AWS's rate limits on the control plane, when they are switched on [QUIRKS, MODEL]."""

from __future__ import annotations

from collections.abc import Callable

# Calls at once, and seconds until one more. About 20 quick exports, 13 to 18 describes, then one in
# 1.5 s is always let through [QUIRKS]; continuous backups ten times a second [MODEL].
_LIMITS = {
    "ExportTableToPointInTime": (20, 1.5),
    "DescribeExport": (13, 1.5),
    "DescribeImport": (13, 1.5),
    "DescribeContinuousBackups": (10, 0.1),
    "UpdateContinuousBackups": (10, 0.1),
}
_DEFAULT = (20, 1.5)


class Throttle:
    """A token bucket for each account, region and operation. Refused calls count too."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def refuses(self, account: str, region: str, operation: str) -> bool:
        """Count one call; whether it is one too many."""
        burst, refill = _LIMITS.get(operation, _DEFAULT)
        now = self._clock()
        level, seen = self._buckets.get((account, region, operation), (float(burst), now))
        level = min(level + max(now - seen, 0.0) / refill, burst)
        refused = level < 1
        self._buckets[(account, region, operation)] = (max(level - 1, 0.0), now)
        return refused

    def clear(self) -> None:
        """Fill all buckets."""
        self._buckets.clear()
