"""The template as it is sent: the same as it lies there, in fewer bytes."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from coldtable.core.template_text import compact
from tests.unit.rendering import Loader


def parsed(text: str) -> Any:
    return yaml.load(text, Loader)  # noqa: S506  a SafeLoader


@pytest.mark.parametrize("name", ["template.yaml", "demo.yaml"])
def test_it_means_the_same(name: str) -> None:
    """Without comments and most of its indentation it is the same template."""
    text = files("coldtable.infra").joinpath(name).read_text(encoding="utf-8")
    short = compact(text)
    assert parsed(short) == parsed(text)
    assert len(short) < 0.95 * len(text)
    assert compact(short) == short


@pytest.mark.parametrize(
    "text",
    [
        "a:\n    b: 1\n    c:\n        - 2\n\n        # 3\n        - 4\nd: 5\n",
        "a:\n  - b: 1\n    c:\n      - - 2\n        - 3\n      - d: 4\n        e: 5\n  - f\ng: 6\n",
        "a:\n  - - - b: 1\n        c: 2\n      - 3\n    - 4\n  - 5\n",
        "a: >-\n    one\n    two\nb:\n- 1\n-  c: 2\n",
    ],
)
def test_lists_and_folded_texts_keep_their_shape(text: str) -> None:
    """Lists in lists, mappings in lists, and texts of several lines."""
    assert parsed(compact(text)) == parsed(text)
