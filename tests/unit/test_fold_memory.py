"""The promise of a fold: so many megabytes and no more, whatever the size of the archive."""

from __future__ import annotations

from pathlib import Path

from coldtable.ops.fold_limits import LEAST_MEGABYTES
from tests.unit.folding_large import fold_measured, write_large


def test_a_fold_keeps_within_its_memory(tmp_path: Path) -> None:
    """300 MB of JSON, with more changes than the log may keep in memory, are folded by a process
    of its own that never has more than the least that may be asked for."""
    left = write_large(tmp_path / "in", items=130_000, size=2200, step=1)
    answer, peak = fold_measured(tmp_path / "in", tmp_path / "out", LEAST_MEGABYTES)
    assert answer["itemCount"] == left
    assert peak < LEAST_MEGABYTES
