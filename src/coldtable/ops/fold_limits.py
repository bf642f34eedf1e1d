"""How many threads and how much memory a fold may use."""

from __future__ import annotations

from dataclasses import dataclass

from coldtable.errors import UsageError
from coldtable.ops.crew import cores_here

DEFAULT_MEGABYTES = 768
LEAST_MEGABYTES = 192
_MB = 1024 * 1024
# What Python, numpy and the AWS SDK take before anything is read (measured: 75 to 95).
_ALWAYS = 100
# A worker has a chunk in hand, one in wait, and room to search; a reader has a chunk, and a part
# of an upload as it grows and as it is sent.
_WORKER, _READER = 24, 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a fold may use. ``log`` and ``index`` are bytes of memory; beyond them lies the disk."""

    workers: int
    readers: int
    log: int
    index: int


def limits(megabytes: int = DEFAULT_MEGABYTES, *, cores: int | None = None) -> Limits:
    """What keeps the process within so many megabytes, whatever the size of the archive.

    With many cores some of them stay idle if there is not memory enough for all.
    """
    if megabytes < LEAST_MEGABYTES:
        raise UsageError(
            f"{megabytes} MB of memory are not enough to fold", hint=f"At least {LEAST_MEGABYTES}"
        )
    cores = cores or cores_here()
    free = megabytes - _ALWAYS
    workers = max(1, min(cores, free // 2 // (_WORKER + _READER)))
    readers = workers + 1 if free // 2 >= (workers + 1) * (_WORKER + _READER) else workers
    return Limits(workers=workers, readers=readers, log=free * _MB // 10, index=free * _MB // 4)
