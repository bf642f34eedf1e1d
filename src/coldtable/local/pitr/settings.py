"""What can be chosen about the history and its exports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PitrSettings:
    """The defaults are AWS's, but for the duration of an export.

    ``export_seconds`` are real seconds; everything else counts on the emulator's clock.
    ``restorable_lag`` and ``min_window`` are seconds; ``partitions`` is data files per export.
    ``part_bytes`` is the size of an upload's parts, at least 5 MiB for S3 (UNVERIFIED: AWS's).
    """

    export_seconds: float = 0.3
    restorable_lag: float = 300.0
    min_window: float = 900.0
    max_window: float = 86_400.0
    throttle: bool = False
    max_concurrent_exports: int = 300
    max_concurrent_imports: int = 50
    max_import_objects: int = 50_000
    partitions: int = 4
    part_bytes: int = 5 * 1024 * 1024
