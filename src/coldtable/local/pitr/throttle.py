"""AWS's rate limits on the control plane, when they are switched on [QUIRKS]."""

from __future__ import annotations

from collections.abc import Callable

# About 20 quick exports, 13 to 18 describes; one call in 1.5 s is always let through.
_BURST = {"ExportTableToPointInTime": 20, "DescribeExport": 13, "DescribeImport": 13}
_DEFAULT_BURST = 20
_REFILL_SECONDS = 1.5


class Throttle:
    """A token bucket for each account, region and operation. Refused calls count too."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def refuses(self, account: str, region: str, operation: str) -> bool:
        """Count one call; whether it is one too many."""
        burst = _BURST.get(operation, _DEFAULT_BURST)
        now = self._clock()
        level, seen = self._buckets.get((account, region, operation), (float(burst), now))
        level = min(level + max(now - seen, 0.0) / _REFILL_SECONDS, burst)
        refused = level < 1
        self._buckets[(account, region, operation)] = (max(level - 1, 0.0), now)
        return refused

    def clear(self) -> None:
        """Fill all buckets."""
        self._buckets.clear()
