"""--keys: the items that are meant are found, and no other, however they are spelled."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtable.core.definition import parse_key
from coldtable.core.selection import parse_selection
from coldtable.errors import DamagedError, NotFound, UsageError
from coldtable.model_restore import Way
from coldtable.testing.exports import NOON, item_line, record_line

from .restoring import Ground, line

PAIR = parse_key(["pk:S", "sk:N"])
HOUR = timedelta(hours=1)


def item(pk: str, sk: str = "1") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"N": sk}, "other": {"S": "user#42"}}


def test_a_partition_and_a_whole_key() -> None:
    """A plain word means all of a partition, JSON one item; numbers are compared as numbers."""
    found = parse_selection(["user#42", '{"pk":{"S":"b"},"sk":{"N":"1.0"}}'], PAIR)
    assert found.key(item("user#42"))
    assert found.key(item("user#42", "2"))
    assert found.key(item("b", "1"))
    assert not found.key(item("b", "2"))
    assert not found.key(item("user#4"))


def test_lines_that_cannot_be_meant_are_not_parsed() -> None:
    """A line without the key's bytes is passed over, one that has them anywhere is looked at."""
    found = parse_selection(["user#42"], PAIR)
    assert found.may_be(item_line(**item("user#42")))
    assert found.may_be(item_line(**item("x")))
    assert not found.may_be(item_line(pk={"S": "x"}, sk={"N": "1"}))


@given(st.text(min_size=1, max_size=20), st.sampled_from([True, False]))
def test_no_spelling_hides_a_key(text: str, escaped: bool) -> None:
    """Whatever characters a key has, and however JSON escapes them, its line is found."""
    row = {"Item": {"pk": {"S": text}, "sk": {"N": "1"}}}
    spelled = json.dumps(row, ensure_ascii=escaped).replace("/", "\\/" if escaped else "/")
    if text.startswith("{"):
        return
    try:
        raw = spelled.encode()
    except UnicodeEncodeError:
        return
    assert parse_selection([text], PAIR).may_be(raw)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["nine"], ["pk:N"]),
        (["not base64"], ["pk:B"]),
        (["{broken"], ["pk:S"]),
        (['{"pk":{"S":"a"}}'], ["pk:S", "sk:N"]),
        (['{"pk":{"N":"1"}}'], ["pk:S"]),
    ],
)
def test_what_means_nothing(words: list[str], key: list[str]) -> None:
    """A value must be of the key's type, and JSON a whole key."""
    with pytest.raises(UsageError):
        parse_selection(words, parse_key(key))


@pytest.mark.parametrize(("kind", "word", "value"), [("N", "007.0", "7"), ("B", "AA==", "AA==")])
def test_keys_of_other_types(kind: str, word: str, value: str) -> None:
    """Numbers and binary are meant by their value."""
    found = parse_selection([word], parse_key([f"pk:{kind}"]))
    assert found.may_be(item_line(pk={kind: value}))
    assert found.key({"pk": {kind: value}})


def test_single_items_are_restored_as_they_were() -> None:
    """From the full export and the increments after it: changed, deleted and new ones."""
    ground = Ground()
    fresh = {"pk": {"S": "new"}, "n": {"N": "1000"}}
    ground.archive.increment(
        NOON,
        NOON + HOUR,
        [
            record_line({"pk": {"S": "p3"}}, NOON, new={"pk": {"S": "p3"}, "n": {"N": "33"}}),
            record_line({"pk": {"S": "p4"}}, NOON, old={"pk": {"S": "p4"}}),
            record_line({"pk": {"S": "new"}}, NOON, new=fresh),
        ],
    )
    ground.archive.increment(
        NOON + HOUR,
        NOON + 2 * HOUR,
        [record_line({"pk": {"S": "p5"}}, NOON + HOUR, new={"pk": {"S": "p5"}, "n": {"N": "5"}})],
    )
    keys = ("p2", "p3", "p4", "p5", "new", "nowhere")
    report = ground.restore(keys=keys)
    assert report.plan.way is Way.WRITE
    found = {i["pk"]["S"]: i["n"]["N"] for i in ground.tables.items("copy")}
    assert found == {"p2": "2", "p3": "33", "p5": "5", "new": "1000"}
    assert any("there was no item p4 or nowhere" in said for said in ground.said)
    ground.tables.delete_table("copy")
    ground.restore(keys=keys, at=NOON)
    found = {i["pk"]["S"]: i["n"]["N"] for i in ground.tables.items("copy")}
    assert found == {"p2": "2", "p3": "3", "p4": "4", "p5": "5"}


def test_keys_of_no_item_make_no_table() -> None:
    """Where nothing is meant nothing is made, and the words that mean nothing are named."""
    ground = Ground()
    with pytest.raises(NotFound, match="there was no item nowhere or") as caught:
        ground.restore(keys=("nowhere", '{"pk":{"S":"p777"}}'))
    assert "p777" in str(caught.value)
    assert ground.tables.state("copy") is None


def test_damage_anywhere_stops_it() -> None:
    """The whole archive is proven on the way, though only a few items are meant."""
    ground = Ground()
    ground.damage()
    with pytest.raises(DamagedError):
        ground.restore(keys=("p2",))
    assert ground.tables.state("copy") is None


def test_an_item_without_its_key_is_damage() -> None:
    """A line that may be meant and lacks the key is named with its file."""
    ground = Ground()
    ground.archive.full(NOON + HOUR, [line(1), item_line(id={"S": "p2"})])
    with pytest.raises(DamagedError, match=r"data/.*pk"):
        ground.restore(keys=("p2",))
