"""What a plain ``pip install`` brings is enough for every command's start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What only the extras bring: the embedded AWS, Ion, and folding.
EXTRAS = ("amazon", "awslambdaric", "hypercorn", "ministack", "numpy", "time_machine", "zstandard")


@pytest.mark.parametrize(
    "words", [["--version"], ["verify", "--help"], ["restore", "--help"], ["drill", "--help"]]
)
def test_the_command_line_starts_without_the_extras(tmp_path: Path, words: list[str]) -> None:
    """With the extras' packages missing, no command fails at its import."""
    for name in EXTRAS:
        (tmp_path / f"{name}.py").write_text("raise ImportError('it is not installed')\n")
    done = subprocess.run(
        [sys.executable, "-m", "coldtable", *words],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2] / 'src'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
