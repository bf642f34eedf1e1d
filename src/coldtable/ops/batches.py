"""What one process is given to read at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from coldtable.ops.scan import Reading

# Many small objects, or a large one.
_BATCH_BYTES, _BATCH_OBJECTS = 4 * 1024 * 1024, 64


def batches(
    readings: Iterator[Reading], size: Callable[[str], int | None]
) -> Iterator[list[Reading]]:
    """Readings together, until there is enough for one process to do."""
    batch: list[Reading] = []
    held = 0
    for reading in readings:
        batch.append(reading)
        held += size(reading.file.key) or 0
        if held >= _BATCH_BYTES or len(batch) >= _BATCH_OBJECTS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
