"""docs/format.md shows what is written, byte for byte, and shows one of every kind."""

from __future__ import annotations

import re

import pytest

from tests.golden.catalog.page import PAGE, examples, shown
from tests.golden.catalog.scene import play

STATES = {
    "intent", "started", "verified", "failed", "damaged", "definition", "gap", "ended",
    "open", "told", "over", "overtold", "index", "expired", "removed", "added", "released",
    "verification", "drill", "cleared",
}  # fmt: skip


@pytest.fixture(scope="module")
def objects() -> dict[str, bytes]:
    return play()


def state_of(key: str) -> str:
    if key.startswith("coldtable/v1/index/"):
        return "index"
    found = re.search(rf"(?:^|\.)({'|'.join(STATES)})\.", key.rsplit("/", 1)[1])
    return found[1] if found else key


def test_the_page_shows_what_is_written(objects: dict[str, bytes]) -> None:
    """To write them anew after a change: python -m tests.golden.catalog.page"""
    for key, text in examples(PAGE.read_text("utf-8")).items():
        assert text == shown(key, objects[key]), key


def test_the_page_shows_every_kind(objects: dict[str, bytes]) -> None:
    """Every kind of key that a table's whole life leaves behind is among the examples."""
    found = {state_of(key) for key in examples(PAGE.read_text("utf-8"))}
    assert found == {state_of(key) for key in objects} == STATES


def test_the_examples_do_not_depend_on_the_machine(objects: dict[str, bytes]) -> None:
    """The same life twice leaves the same bytes."""
    assert play() == objects
