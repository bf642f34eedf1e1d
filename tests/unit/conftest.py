"""What the tests of several modules are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.verifying import Verify


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    return Verify(tmp_path, capsys)
