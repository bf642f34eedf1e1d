"""What a restore's plan says and refuses: keys, targets, times, ways and estimates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.definition import parse_key
from coldtable.core.pace import parse_rate
from coldtable.errors import (
    ConfigError,
    NotCovered,
    NotFound,
    ParameterInvalid,
    UsageError,
)
from coldtable.model_restore import Merging, Way
from coldtable.testing.exports import NOON
from tests.unit.restoring import KEY, Ground, changed


def test_nothing_is_done_by_a_plan() -> None:
    """Planning only reads: no table, no import, no object anywhere (so neither does --dry-run)."""
    ground = Ground()
    ground.tables.add("there", KEY)
    before = dict(ground.objects)
    wishes: list[dict[str, Any]] = [{}, {"way": Way.WRITE}, {"to": "there"}]
    for changes in [*wishes, {"merging": Merging.REPLACE}]:
        ground.plan(**changes)
    assert ground.objects == before
    assert not ground.notes
    assert ground.tables.state("copy") is None
    assert (ground.tables.writes, ground.importer.made) == (0, [])
    assert ground.tables.asked("there") == []


def test_an_unknown_key_asks_for_it() -> None:
    """Without a record, an increment or --key there is no table to make, and the hint says how."""
    with pytest.raises(ConfigError, match="key schema is not known") as caught:
        Ground().plan(key=None)
    assert "--key pk:S" in caught.value.hint


def test_the_key_of_an_increment_is_enough_if_it_is_one_attribute() -> None:
    """Records name their keys; of two, nobody says which comes first."""
    ground = Ground()
    keys = {"pk": {"S": "a"}}
    ground.archive.increment(NOON, NOON + timedelta(hours=1), [changed(keys)])
    plan = ground.plan(key=None)
    assert str(plan.definition.key) == "pk:S"
    keys = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    ground = Ground()
    ground.archive.increment(NOON, NOON + timedelta(hours=1), [changed(keys)])
    with pytest.raises(ConfigError, match="pk:S and sk:N, and which comes first"):
        ground.plan(key=None)


def test_a_table_of_another_key_is_refused() -> None:
    """--key must be the key that the table has."""
    ground = Ground()
    ground.tables.add("copy", parse_key(["id:S"]))
    with pytest.raises(ParameterInvalid, match="id:S"):
        ground.plan()


def existing(ground: Ground) -> dict[str, Any]:
    return {"to": ground.tables.add("there", KEY).name}


def folder(ground: Ground) -> dict[str, Any]:
    ground.bucket = None
    return {}


def merge(_: Ground) -> dict[str, Any]:
    return {"merging": Merging.MISSING}


def local_index(ground: Ground) -> dict[str, Any]:
    ground.define()
    return {"key": None}


def stray(ground: Ground) -> dict[str, Any]:
    key = next(k for k in ground.objects if "/data/" in k)
    ground.objects[f"{key.rpartition('/')[0]}/stray.json.gz"] = b""
    return {}


@pytest.mark.parametrize(
    ("reason", "arrange"),
    [
        ("this one exists", existing),
        ("the archive is a folder", folder),
        ("cannot merge", merge),
        ("local secondary indexes (by-when)", local_index),
        ("is not of the export", stray),
    ],
)
def test_what_cannot_be_imported_is_written(
    reason: str, arrange: Callable[[Ground], dict[str, Any]]
) -> None:
    """Each obstacle makes write the default, with the reason, and --way import an error."""
    ground = Ground()
    changes = arrange(ground)
    plan = ground.plan(**changes)
    assert plan.way is Way.WRITE
    assert reason in plan.because
    with pytest.raises(UsageError) as caught:
        ground.plan(way=Way.IMPORT, **changes)
    assert reason in caught.value.message


def test_times_outside_coverage() -> None:
    """An instant that the archive does not cover is refused as such."""
    with pytest.raises(NotCovered):
        Ground().plan(at=NOON - timedelta(hours=1))
    with pytest.raises(NotFound):
        Ground().plan(table="nothing")


def test_the_estimate_is_of_these_items() -> None:
    """Items and bytes as they are; a price and a time by what the table takes."""
    ground = Ground()
    ground.define(BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"}, LocalSecondaryIndexes=[])
    plan = ground.plan(key=None, way=Way.WRITE)
    found = plan.estimate
    assert (found.items, found.units) == (70, 140)  # a unit for the table, one for its index
    assert found.seconds == pytest.approx(70 / 4000)
    assert found.dollars == pytest.approx(140 * 0.625 / 1e6)
    assert found.stored_bytes == sum(len(b) for k, b in ground.objects.items() if "/data/" in k)
    slow = ground.plan(key=None, way=Way.WRITE, rate=parse_rate("7")).estimate
    assert slow.seconds == 10
    ground.define()
    provisioned = ground.plan(key=None, rate=parse_rate("50%")).estimate
    assert provisioned.dollars is None
    assert provisioned.seconds == pytest.approx(70 / 3.5)
