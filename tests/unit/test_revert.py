"""Reverting: every item that is still what the window left becomes what it was, and no other."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from coldtable.core.definition import parse_key
from coldtable.core.reversal import unchanged
from coldtable.errors import (
    ConfigError,
    Conflict,
    DamagedError,
    NotCovered,
    ServiceFailed,
    TableNotFound,
    Throttled,
)
from coldtable.ops.revert import Fate, RevertPlan, RevertWish, revert_window
from coldtable.testing.exports import NOON, TABLE_ID, ExportsWriter, record_line
from coldtable.testing.tables import FakeTables

from .restoring import Ground
from .test_witness import Dynamo

KEY = parse_key(["pk:S"])
HOUR = timedelta(hours=1)
Item = dict[str, Any]


def key_of(name: str) -> Item:
    return {"pk": {"S": name}}


def item(name: str, value: int, **more: Any) -> Item:
    return {"pk": {"S": name}, "v": {"N": str(value)}, **more}


class Past(Ground):
    """A live table whose last three hours are archived, window by window."""

    def __init__(self) -> None:
        super().__init__(archive=ExportsWriter())
        self.live = self.tables.add("orders", KEY, arn=self.archive.table_arn, table_id=TABLE_ID)

    def window(
        self, hour: int, before: dict[str, Item], after: dict[str, Item], **more: Any
    ) -> str:
        """The increment of an hour in which the table went from ``before`` to ``after``; its id."""
        when = NOON + hour * HOUR
        lines = [
            record_line(key_of(k), when, new=after.get(k), old=before.get(k))
            for k in sorted(before.keys() | after.keys())
            if before.get(k) != after.get(k)
        ]
        middle = len(lines) // 2
        summary = self.archive.increment(when, when + HOUR, lines[:middle], lines[middle:], **more)
        return summary.split("/")[-2]

    def now(self, items: dict[str, Item]) -> None:
        """What the table is."""
        for one in items.values():
            self.tables.put_all("orders", [json.dumps(one).encode()])

    @property
    def found(self) -> dict[str, Item]:
        return {i["pk"]["S"]: dict(i) for i in self.tables.items("orders")}

    def revert(
        self,
        start: datetime = NOON,
        stop: datetime | None = None,
        *,
        apply: bool = True,
        **more: Any,
    ) -> RevertPlan:
        wish = RevertWish(table="orders", start=start, stop=stop, **more)
        return revert_window(wish, self.windows, apply=apply, tell=lambda _: None)


def state(**values: int) -> dict[str, Item]:
    return {name: item(name, value) for name, value in values.items()}


def test_a_window_is_undone() -> None:
    """Changed items get their old values, deleted ones come back, new ones go, others stay."""
    past = Past()
    before, after = state(a=1, b=2, c=3), state(a=10, c=3, d=4)
    past.window(0, before, after)
    past.now(after)
    plan = past.revert()
    assert past.found == before
    assert plan.counts.fates == {Fate.PUT: 2, Fate.DELETE: 1, Fate.ALREADY: 0, Fate.CONFLICT: 0}
    assert plan.stop == NOON + HOUR


def test_planning_writes_nothing() -> None:
    """The plan counts what would be done, and does none of it."""
    past = Past()
    past.window(0, state(a=1), state(a=2))
    past.now(state(a=2))
    writes = past.tables.writes
    plan = past.revert(apply=False)
    assert plan.counts.fates[Fate.PUT] == 1
    assert not plan.done
    assert past.tables.writes == writes


def test_what_was_written_since_is_left_alone() -> None:
    """Changed, deleted and re-created items are conflicts, each with its reason."""
    past = Past()
    past.window(0, state(a=1, b=2, c=3, d=4), state(a=10, b=20))
    past.now({**state(a=10), "b": item("b", 99), "d": item("d", 5)})
    plan = past.revert()
    assert past.found == {**state(a=1, c=3), "b": item("b", 99), "d": item("d", 5)}
    assert dict(plan.counts.conflicts) == {
        '{"pk":{"S":"b"}}': "it was written since",
        '{"pk":{"S":"d"}}': "it was put again since",
    }
    past = Past()
    past.window(0, {}, state(a=1))
    past.window(1, state(x=1), state(x=2))
    plan = past.revert()
    # A new item that is gone is as it was; a changed one that is gone is not.
    assert plan.counts.fates[Fate.ALREADY] == 1
    assert plan.counts.conflicts == [('{"pk":{"S":"x"}}', "it was deleted since")]


def test_an_item_that_got_another_attribute_since_is_a_conflict() -> None:
    """All of the item counts, not only what the window changed."""
    past = Past()
    past.window(0, state(a=1), state(a=2))
    past.now({"a": item("a", 2, added={"S": "since"})})
    assert past.revert().counts.fates[Fate.CONFLICT] == 1
    assert past.found["a"]["v"] == {"N": "2"}


@pytest.mark.parametrize(
    "meanwhile",
    [
        item("a", 7, w={"S": "left"}),
        item("a", 2, w={"S": "other"}),
        item("a", 2, w={"S": "left"}, gone={"S": "again"}),
        {"pk": {"S": "a"}},
    ],
)
def test_a_write_at_this_very_moment_is_a_conflict(meanwhile: Item) -> None:
    """Between the look and the write somebody else writes: the condition does not hold."""
    past = Past()
    before, after = item("a", 1, gone={"S": "x"}), item("a", 2, w={"S": "left"})
    past.window(0, {"a": before}, {"a": after})
    past.now({"a": after})

    def meddle() -> None:
        past.tables.before = lambda: None
        past.now({"a": meanwhile})

    past.tables.before = meddle
    plan = past.revert()
    assert plan.counts.conflicts == [('{"pk":{"S":"a"}}', "it was written at this moment")]
    assert past.found == {"a": meanwhile}


def test_several_windows_are_one() -> None:
    """Of each item the first old image counts, and the last new one; what evens out is nothing."""
    past = Past()
    first, second, third = state(a=1, b=1, e=1), state(a=2, c=1, e=2), state(a=3, b=9, e=1)
    past.window(0, first, second)
    past.window(1, second, third)
    past.now(third)
    plan = past.revert(stop=NOON + 2 * HOUR)
    assert past.found == first
    assert plan.counts.fates == {Fate.PUT: 2, Fate.DELETE: 0, Fate.ALREADY: 0, Fate.CONFLICT: 0}


def test_a_part_of_the_time() -> None:
    """Only the windows between the instants are undone; what came after them is a conflict."""
    past = Past()
    first, second, third = state(a=1, b=1), state(a=2, b=2), state(a=3, b=2)
    past.window(0, first, second)
    past.window(1, second, third)
    past.now(third)
    plan = past.revert(stop=NOON + HOUR)
    assert past.found == state(a=3, b=1)
    assert plan.counts.fates[Fate.CONFLICT] == 1
    past.revert(start=NOON + HOUR)
    assert past.found == state(a=2, b=1)


def test_again_does_nothing() -> None:
    """Run a second time, everything is already so, and nothing is written."""
    past = Past()
    past.window(0, state(a=1, b=2), state(a=10, c=3))
    past.now(state(a=10, c=3))
    past.revert()
    writes = past.tables.writes
    plan = past.revert()
    assert plan.counts.fates[Fate.ALREADY] == 3
    assert past.tables.writes == writes


def test_only_some_items() -> None:
    """--keys reverts those alone."""
    past = Past()
    past.window(0, state(a=1, b=1), state(a=2, b=2))
    past.now(state(a=2, b=2))
    past.revert(keys=("a",))
    assert past.found == state(a=1, b=2)


def test_instants_must_be_ends_of_windows() -> None:
    """Old images are those of a window's start: another instant is refused with the nearest."""
    past = Past()
    past.window(0, state(a=1), state(a=2))
    past.window(2, state(a=2), state(a=3))
    for start, stop, near in [
        (NOON + HOUR / 2, None, "12:00:00"),
        (NOON, NOON + HOUR / 2, "13:00:00"),
        (NOON, NOON + 3 * HOUR, "13:00:00"),  # there is a gap before it
    ]:
        with pytest.raises(NotCovered) as caught:
            past.revert(start, stop)
        assert near in caught.value.hint


def test_old_images_are_needed() -> None:
    """Increments without them cannot be reverted."""
    past = Past()
    past.window(0, state(a=1), state(a=2), view="NEW_IMAGE")
    with pytest.raises(ConfigError, match="NEW_IMAGE"):
        past.revert()


def test_the_table_must_be_that_one() -> None:
    """A table that is gone or was made again is refused; --in says which to write to instead."""
    past = Past()
    past.window(0, state(a=1), state(a=2))
    past.tables.delete_table("orders")
    with pytest.raises(TableNotFound):
        past.revert()
    past.tables.add("orders", KEY)
    with pytest.raises(Conflict, match="made again") as caught:
        past.revert()
    assert "--in orders" in caught.value.hint
    past.tables.add("copy", KEY)
    past.tables.put_all("copy", [json.dumps(item("a", 2)).encode()])
    past.revert(to="copy")
    assert past.tables.items("copy") == [item("a", 1)]


def test_a_filtered_window_is_refused() -> None:
    """It has not all of what happened: nothing is written, and no other window is in its way."""
    past = Past()
    past.window(0, state(a=1, b=1), state(a=2, b=2))
    past.witness = Dynamo(past.window(1, state(a=2), state(a=3))).witness()
    past.now(state(a=3, b=2))
    writes = past.tables.writes
    with pytest.raises(DamagedError, match="FilterSpecification"):
        past.revert()
    assert past.tables.writes == writes
    assert past.revert(stop=NOON + HOUR).counts.fates[Fate.PUT] == 1


def test_damage_comes_before_any_write() -> None:
    """A spoilt file ends it before the table is touched."""
    past = Past()
    past.window(0, state(a=1, b=1), state(a=2, b=2))
    past.window(1, state(a=2), state(a=3))
    past.now(state(a=3, b=2))
    key = [k for k in past.objects if "AWSDynamoDB/data/" in k][-1]
    past.objects[key] = past.objects[key][:-4] + b"xxxx"
    writes = past.tables.writes
    with pytest.raises(DamagedError, match="data"):
        past.revert()
    assert past.tables.writes == writes


@pytest.mark.parametrize("seed", range(6))
def test_random_histories(seed: int) -> None:
    """Whatever happened in several windows, with trouble on the way, all of it is undone."""
    chance, past = Random(seed), Past()
    states = [state(**{f"k{n}": n for n in range(120)})]
    for hour in range(3):
        after = dict(states[-1])
        for n in chance.sample(range(160), 70):
            if chance.random() < 0.3:
                after.pop(f"k{n}", None)
            else:
                after[f"k{n}"] = item(f"k{n}", chance.randrange(5), s={"SS": ["b", "a"]})
        past.window(hour, states[-1], after)
        states.append(after)
    past.now(states[-1])

    def trouble() -> None:
        if chance.random() < 0.05:
            raise chance.choice([Throttled("slow"), ServiceFailed("broken")])

    past.tables.before = trouble
    start = chance.randrange(3)
    past.revert(NOON + start * HOUR)
    assert past.found == states[start]


def test_conditions_keep_within_the_limits() -> None:
    """However many attributes an item has, its condition is one that DynamoDB takes."""
    left = {"pk": {"S": "a"}} | {f"l{n}": {"N": str(n)} for n in range(500)}
    old = {"pk": {"S": "a"}} | {f"o{n}": {"N": str(n)} for n in range(500)}
    for one, other in [(left, old), (item("a", 1), old), (left, None)]:
        found = unchanged(one, other, KEY)
        assert len(found.expression) <= 4096
        operators = found.expression.count("=") + found.expression.count("AND")
        assert operators + found.expression.count("attribute") <= 300
        assert set(found.values) <= set(found.expression.split(" "))


def test_the_condition_of_a_bare_item() -> None:
    """An item that is only its key is unchanged while it is there."""
    tables = FakeTables()
    tables.add("t", KEY)
    condition = unchanged(key_of("a"), None, KEY)
    assert not tables.delete("t", b'{"pk":{"S":"a"}}', condition)
    tables.put_all("t", [b'{"pk":{"S":"a"}}'])
    assert tables.delete("t", b'{"pk":{"S":"a"}}', condition)
