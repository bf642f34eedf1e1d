"""A drill touches its own table alone: not others of its name, nor one whose tag is not seen."""

from __future__ import annotations

import pytest

from coldtable.core.drill import Result
from coldtable.errors import (
    AccessDenied,
    Conflict,
)
from coldtable.model_restore import Way
from coldtable.ops.drill import drill_table
from coldtable.ops.restore_plan import Progress
from tests.unit.drilling import Deadly, Field, Stopped, calls_until
from tests.unit.restoring import KEY


def test_a_table_of_the_name_that_is_not_ours() -> None:
    """It is refused, empty or not, whoever has made it and when, and nothing of it is touched."""
    for items in (0, 1):
        ground = Field()
        ground.deadly = Deadly(calls_until("ask"))
        with pytest.raises(Stopped):
            ground.drill(way=Way.WRITE)
        (known,) = ground.known
        ground.deadly = Deadly()
        ground.tables.add(known.name, KEY)
        if items:
            ground.tables.put_all(known.name, [b'{"pk":{"S":"theirs"}}'])
        for _ in range(2):
            with pytest.raises(Conflict, match=known.name):
                ground.drill(way=Way.WRITE)
        assert len(ground.tables.items(known.name)) == items
        assert ground.tables.asked(known.name) == []


def test_a_table_that_was_replaced_is_not_deleted() -> None:
    """Somebody has deleted the drill's table and made another of its name: that one stays."""
    ground = Field()
    ground.deadly = Deadly(calls_until("delete_table"))
    with pytest.raises(Stopped):
        ground.drill(way=Way.WRITE)
    ground.deadly = Deadly()
    (known,) = ground.known
    ground.tables.lingers = 0
    ground.tables.delete_table(known.name)
    ground.tables.add(known.name, KEY)
    assert ground.drill(way=Way.WRITE).drill.result is Result.PASSED
    assert ground.scratch_tables == {known.name}
    assert ground.tables.asked(known.name) == []


def test_a_table_that_lost_its_tag_is_not_deleted() -> None:
    """Tags that come late are waited for; one that does not come is an error, and keeps it."""
    ground = Field()
    ground.tables.tags_late = 5
    assert ground.drill().drill.result is Result.PASSED
    ground.tables.tags_late = 1000
    with pytest.raises(Conflict, match="has lost the tag"):
        ground.drill()
    assert len(ground.scratch_tables) == 1
    ground.tables.tags_late = 0
    assert ground.drill().drill.result is Result.PASSED
    assert ground.scratch_tables == set()


def test_without_the_right_to_see_tags_nothing_is_deleted() -> None:
    """That is an error while the table is there; of one that is just going it is none."""
    ground = Field()
    ground.tables.hide_tags = True
    with pytest.raises(AccessDenied):
        ground.drill()
    (name,) = ground.scratch_tables
    ground.tables.delete_table(name)
    assert ground.drill().drill.result is Result.PASSED
    assert ground.scratch_tables == set()


def test_a_table_that_took_the_imported_one_s_place() -> None:
    """Somebody replaces it as soon as it is there: theirs is not marked, compared or deleted."""
    ground = Field()

    def take_its_place(now: Progress) -> None:
        if now.what == "items imported" and now.done == 70:
            (name,) = ground.scratch_tables
            ground.tables.lingers = 0
            ground.tables.delete_table(name)
            ground.tables.add(name, KEY)

    plan = ground.prepare(way=Way.IMPORT)
    with pytest.raises(Conflict, match="not the one that was imported"):
        drill_table(plan, ground.windows, take_its_place)
    (name,) = ground.scratch_tables
    with pytest.raises(Conflict, match=name):
        ground.drill(way=Way.IMPORT)
    assert ground.scratch_tables == {name}
    assert ground.tables.asked(name) == []
