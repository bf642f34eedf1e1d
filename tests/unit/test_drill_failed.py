"""Drills that fail: what is noted, what is kept for a look, and how the next one begins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coldtable.core.drill import Result
from coldtable.errors import (
    Conflict,
    DamagedError,
    Different,
    ImportFailed,
    NotCovered,
)
from coldtable.model_restore import Way
from coldtable.testing.exports import NOON
from tests.unit.drilling import WAYS, Deadly, Field, Stopped, calls_until
from tests.unit.restoring import KEY, line, spoil


@pytest.mark.parametrize("way", WAYS)
def test_a_difference_keeps_the_table(way: Way) -> None:
    """The report fails and names the table and how to remove it; the drill is noted as failed, and
    no other is begun before somebody has removed the table."""
    ground = Field()
    spoil(ground, "content")
    report = ground.drill(way=way)
    (name,) = ground.scratch_tables
    assert isinstance(report.error, Different)
    assert report.error.hint.endswith(f"aws dynamodb delete-table --table-name {name}")
    assert len(ground.tables.items(name)) == 70
    (record,) = ground.records
    assert (record["result"], record["kept"], record["scratchTable"]) == ("failed", True, name)
    assert record["error"] == report.error.message
    assert record["rtoSeconds"] is not None
    assert not [key for key in ground.notes if "/drill/" not in key]
    ground.tables.see = lambda items: items
    ground.archive.full(NOON + timedelta(hours=1), [line(1)])
    with pytest.raises(Conflict, match=f"its table {name} is still there") as caught:
        ground.drill(way=way)
    assert f"delete-table --table-name {name}" in caught.value.hint
    assert ground.scratch_tables == {name}
    ground.tables.lingers = 0
    ground.tables.delete_table(name)
    assert ground.drill(way=way).drill.result is Result.PASSED
    assert (ground.scratch_tables, ground.notes) == (set(), {})


def test_a_failed_import_keeps_the_table() -> None:
    """What AWS has imported of it is there for a look, tagged; the record has AWS's words."""
    ground = Field()
    ground.archive.full(NOON + timedelta(days=1), [line(1), b'{"Item":{"id":{"S":"no pk"}}}'])
    report = ground.drill(way=Way.IMPORT)
    (name,) = ground.scratch_tables
    assert isinstance(report.error, ImportFailed)
    state = ground.tables.state(name)
    assert state
    assert ground.tables.tags(state.arn) == dict(report.drill.marks)
    assert "ItemValidationError" in ground.records[0]["error"]
    assert ground.records[0]["rtoSeconds"] is None


def test_damage_fails_before_there_is_a_table() -> None:
    """Nothing is made of damaged bytes; the record says what is damaged, and nothing is left."""
    ground = Field()
    key = ground.damage()
    for count in (1, 2):
        report = ground.drill()
        assert isinstance(report.error, DamagedError)
        assert report.error.hint == "Nothing is left of it"
        assert key in ground.records[-1]["summary"]
        assert len(ground.records) == count
        assert (ground.scratch_tables, ground.notes) == (set(), {})


def test_exports_that_went_away_end_it() -> None:
    """A drill whose exports have expired fails with what it lost, and its table is told."""
    ground = Field()
    ground.deadly = Deadly(calls_until("put_all"))
    with pytest.raises(Stopped):
        ground.drill(way=Way.WRITE)
    ground.deadly = Deadly()
    ground.objects.clear()
    ground.archive.full(NOON + timedelta(hours=1), [line(1)])
    report = ground.drill()
    (name,) = ground.scratch_tables
    assert isinstance(report.error, NotCovered)
    assert name in report.error.hint
    assert ground.records[0]["result"] == "failed"


def test_a_failed_one_s_name_may_be_somebody_else_s() -> None:
    """Once the kept table is gone, another one of its name keeps no drill from being begun."""
    ground = Field()
    spoil(ground, "content")
    assert ground.drill().error
    ground.tables.see = lambda items: items
    (name,) = ground.scratch_tables
    ground.tables.lingers = 0
    ground.tables.delete_table(name)
    ground.tables.add(name, KEY)
    assert ground.drill().drill.result is Result.PASSED
    assert ground.scratch_tables == {name}
