"""Follow exports to their end. A real one takes minutes to hours, and there is no event for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from coldtable.errors import AccessDenied, BucketNotFound, ColdtableError, ExportFailed
from coldtable.model import Export, ExportStatus
from coldtable.ops.export import failure_hint
from coldtable.ports import Exporter

# From quick to the 20 s of AWS's own waiter [MODEL]: bursts of DescribeExport throttle [QUIRKS].
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.5, 20.0, 1.5

# What S3 or KMS says is missing [QUIRKS]; S3 may say no more than "Access Denied".
_ACTION = re.compile(r"\b(kms|s3):[A-Z][A-Za-z]+")

Progress = Callable[[Export], None]


def follow_exports(
    exports: Sequence[Export],
    exporter: Exporter,
    pause: Callable[[float], None],
    *,
    progress: Progress | None = None,
) -> list[Export]:
    """Describe the exports until none is IN_PROGRESS; they come back in the same order.

    ``pause`` waits so many seconds; ``progress`` hears of each change of state.
    """
    now = {export.arn: export for export in exports}
    wait = _FIRST_PAUSE
    while running := [e for e in now.values() if e.status is ExportStatus.IN_PROGRESS]:
        pause(wait)
        wait = min(wait * _GROWTH, _LONGEST_PAUSE)
        for export in running:
            seen = exporter.describe(export.arn)
            now[seen.arn] = seen
            if progress and seen.status is not export.status:
                progress(seen)
    return [now[export.arn] for export in exports]


def failure_of(export: Export) -> ColdtableError | None:
    """The error that a FAILED export means, ``None`` for any other state."""
    if export.status is not ExportStatus.FAILED:
        return None
    message = f"The export {export.arn} failed: {export.failure_code}: {export.failure_message}"
    hint = failure_hint(export)
    match export.failure_code:
        case "S3AccessDenied":
            missing = _ACTION.search(export.failure_message or "")
            action = missing[0] if missing else "s3:PutObject"
            return AccessDenied(message, action=action, hint=hint)
        case "S3NoSuchBucket":
            return BucketNotFound(message, hint=hint)
    return ExportFailed(message, hint=hint)
