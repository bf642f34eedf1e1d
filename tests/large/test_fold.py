"""Folding 5 GB within its memory: minutes long, so only ``make test-large`` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.folding_large import fold_measured, write_large


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """5 GB of JSON, every tenth item of which is changed, and how many items are left."""
    root = tmp_path_factory.mktemp("large")
    return root, write_large(root, items=2_600_000, size=2000, step=10)


@pytest.mark.parametrize("megabytes", [192, 768])
def test_5_gb_are_folded_within_the_cap(
    archive: tuple[Path, int], tmp_path: Path, megabytes: int
) -> None:
    """The whole of it, and never more memory than was asked for."""
    root, left = archive
    answer, peak = fold_measured(root, tmp_path, megabytes)
    assert answer["itemCount"] == left
    assert answer["jsonBytes"] > 4_800_000_000
    assert peak < megabytes


def test_many_small_changes_are_folded_within_the_cap(tmp_path: Path) -> None:
    """Eight million keys, all of them changed: they do not fit into memory, and need not."""
    left = write_large(tmp_path / "in", items=8_000_000, size=10, step=1)
    answer, peak = fold_measured(tmp_path / "in", tmp_path / "out", 192)
    assert answer["itemCount"] == left
    assert peak < 192
