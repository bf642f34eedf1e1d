"""Restoring, with everything outside faked: what is made, compared and said."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from coldtable.errors import (
    Conflict,
    DamagedError,
    Different,
    ImportFailed,
)
from coldtable.model_restore import Compare, Merging, Parts, Way
from coldtable.ops.archive import find_exports
from coldtable.ops.materialize import Destination, materialize, plan_materialize
from coldtable.ops.restore import restore_table
from coldtable.ops.restore_plan import RestoreWish, plan_table
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.restoring import KEY, Ground, by_key, everything, spoil


@pytest.mark.parametrize("way", list(Way))
def test_both_ways_make_the_table(way: Way) -> None:
    """The table has every item, a plain one has nothing more; the report says how it was done."""
    ground = Ground()
    report = ground.restore(way=way)
    assert by_key(ground.tables.items("copy")) == everything()
    assert report.comparison.same
    assert report.comparison.checked == 70
    assert [r.operation for r in ground.tables.asked("copy")] == ["CreateTable"]
    assert (report.tally is None) == (way is Way.IMPORT)
    assert ground.told[-1].done == 70


def test_a_folded_export_takes_its_definition_along() -> None:
    """What was materialized to another place restores from there alone, with all its indexes."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    ground.change()
    source, folded = FakeObjects(ground.objects, piece=1000), FakeObjects({})
    materialize(
        plan_materialize(find_exports(source).exports, None),
        source,
        Destination(store=folded, prefix="kept/here"),
        now=lambda: NOON,
        archive="",
    )
    ground.objects = folded.objects
    plan = plan_table(
        RestoreWish(table="orders", at=None, to="copy"),
        replace(ground.windows, prefix="kept/here/"),
    )
    assert not plan.source.increments
    assert "kept/here/coldtable/" in plan.defined_by
    assert plan.definition.table["GlobalSecondaryIndexes"]


def test_a_definition_is_found_and_followed() -> None:
    """With a record of it the table gets its indexes, and in the end tags, TTL, stream, PITR."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    plan = ground.plan(key=None)
    assert plan.way is Way.IMPORT
    assert "000001.definition.json" in plan.defined_by
    ground.restore(key=None)
    made, *after = ground.tables.asked("copy")
    assert [i["IndexName"] for i in made.body["GlobalSecondaryIndexes"]] == ["by-who"]
    assert [r.what for r in after] == [
        "the table class",
        "1 tags",
        "time to live by expires",
        "the stream",
        "point-in-time recovery",
        "deletion protection",
    ]


def test_parts_are_left_out() -> None:
    """--without-… reaches the table."""
    ground = Ground()
    ground.define()
    nothing = Parts(indexes=False, ttl=False, tags=False, streams=False, pitr=False)
    ground.restore(key=None, parts=nothing)
    made, *after = ground.tables.asked("copy")
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & made.body.keys()
    assert [r.what for r in after] == ["the table class", "deletion protection"]


def test_the_source_is_spared() -> None:
    """The table that the exports are of is written to only if that is said, and then merged."""
    ground = Ground()
    ground.tables.add("orders", KEY, arn=ground.archive.table_arn)
    ground.tables.put_all("orders", [b'{"pk":{"S":"p3"},"n":{"N":"333"}}'])
    with pytest.raises(Conflict, match="is the table that the exports are of") as caught:
        ground.plan(to="orders")
    assert "--into-source" in caught.value.hint
    with pytest.raises(Conflict, match="has items") as caught:
        ground.plan(to="orders", into_source=True)
    assert "--merge" in caught.value.hint
    plan = ground.plan(to="orders", into_source=True, merging=Merging.MISSING)
    assert "Items that were deleted after that time come back" in plan.notes
    report = restore_table(plan, ground.windows, ground.told.append)
    assert report.tally
    assert (report.tally.written, report.tally.kept) == (69, 1)
    found = {item["pk"]["S"]: item["n"]["N"] for item in ground.tables.items("orders")}
    assert found["p3"] == "333"


def test_an_empty_table_is_filled_and_stays_what_it_is() -> None:
    """A table that is there keeps its settings: only what this restore made is given any."""
    ground = Ground()
    ground.define()
    ground.tables.add("copy", KEY)
    ground.restore(key=None)
    assert len(ground.tables.items("copy")) == 70
    assert ground.tables.asked("copy") == []


@pytest.mark.parametrize(
    ("merging", "newer_by", "expected"),
    [
        (Merging.MISSING, None, {"p1": "old", "p2": "old", "p3": None, "p4": None}),
        (Merging.REPLACE, None, {"p1": None, "p2": None, "p3": None, "p4": None}),
        (Merging.NEWER, "n", {"p1": None, "p2": "old", "p3": None, "p4": None}),
    ],
)
def test_three_ways_to_merge(
    merging: Merging, newer_by: str | None, expected: dict[str, str | None]
) -> None:
    """What the table has stays, is replaced, or is replaced if its attribute is less."""
    ground = Ground()
    ground.tables.add("copy", KEY)
    for name, n in (("p1", 0), ("p2", 2)):
        item = {"pk": {"S": name}, "n": {"N": str(n)}, "who": {"S": "old"}}
        ground.tables.put_all("copy", [json.dumps(item).encode()])
    ground.restore(merging=merging, newer_by=newer_by)
    found = {i["pk"]["S"]: i.get("who", {}).get("S") for i in ground.tables.items("copy")}
    assert {name: found[name] for name in expected} == expected
    assert len(found) == 70


@pytest.mark.parametrize("way", list(Way))
def test_damage_is_found_before_anything_is_written(way: Way) -> None:
    """A wrong byte anywhere ends the restore with its object named, and no table made."""
    ground = Ground()
    key = ground.damage()
    plan = ground.plan(way=way)
    with pytest.raises(DamagedError, match=key):
        restore_table(plan, ground.windows, ground.told.append)
    assert ground.tables.state("copy") is None
    assert ground.importer.made == []
    assert not ground.notes


def test_without_proof_damage_is_found_on_the_way() -> None:
    """--unproven begins at once; a spoilt file still ends it, and is never done."""
    ground = Ground()
    key = ground.damage()
    with pytest.raises(DamagedError, match=key):
        ground.restore(way=Way.WRITE, prove=False)
    assert ground.tables.items("copy") != []


def test_an_import_that_brought_less_is_a_failure() -> None:
    """COMPLETED with another number of items than the manifest's is not done."""
    ground = Ground()
    ground.importer.lose = 1
    with pytest.raises(ImportFailed, match="69 items, and the export has 70"):
        ground.restore(way=Way.IMPORT)


@pytest.mark.parametrize("level", [Compare.SAMPLE, Compare.FULL])
@pytest.mark.parametrize("way", list(Way))
def test_a_table_that_differs_is_told(way: Way, level: Compare) -> None:
    """An item that changed or vanished meanwhile makes the restore fail, and nothing follows."""
    for change in ("content", "missing"):
        ground = Ground()
        ground.define(LocalSecondaryIndexes=[])
        spoil(ground, change)
        with pytest.raises(Different, match="p5" if level is Compare.SAMPLE else "archive"):
            ground.restore(key=None, way=way, compare=level)
        assert [r.operation for r in ground.tables.asked("copy")] == ["CreateTable"]


def test_no_comparison_on_request() -> None:
    """--compare none reads nothing back."""
    ground = Ground()
    spoil(ground, "content")
    report = ground.restore(compare=Compare.NONE)
    assert report.comparison.level is Compare.NONE


@pytest.mark.parametrize("way", list(Way))
def test_increments_are_folded_first(way: Way) -> None:
    """Changed, deleted and new items; the fold is gone when the table is there."""
    ground = Ground()
    ground.change()
    for _ in range(2):
        report = ground.restore(way=way)
        found = {item["pk"]["S"]: item["n"]["N"] for item in ground.tables.items("copy")}
        assert len(found) == 70
        assert (found["p3"], found["p1000"]) == ("1000", "1000")
        assert "p4" not in found
        assert report.comparison.checked == 70
        assert [key for key in ground.notes if "/scratch/" in key] == []
        ground.tables.delete_table("copy")


def test_an_empty_export_makes_an_empty_table() -> None:
    """An export of nothing is restored, too."""
    for way in Way:
        ground = Ground()
        ground.archive.full(NOON + timedelta(days=1), [], [])
        ground.restore(way=way)
        assert ground.tables.items("copy") == []
