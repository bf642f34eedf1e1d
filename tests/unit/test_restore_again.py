"""Restores that died or failed: the same wish goes on with what is its own, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coldtable.errors import (
    Conflict,
    DamagedError,
    ImportFailed,
    ServiceFailed,
)
from coldtable.model_restore import TableRequest, Way
from coldtable.ops.restore import restore_table
from coldtable.testing.exports import NOON, item_line
from tests.unit.restoring import KEY, Ground, by_key, everything, line


def test_a_restore_that_died_is_gone_on_with() -> None:
    """Died while writing, the same wish knows the table as its own and writes only the rest."""
    ground = Ground()

    def die() -> None:
        if ground.tables.writes > 2:
            raise KeyboardInterrupt

    ground.tables.before = die
    with pytest.raises(KeyboardInterrupt):
        ground.restore(way=Way.WRITE)
    first = len(ground.tables.items("copy"))
    assert 0 < first < 70
    ground.tables.before = lambda: None
    plan = ground.plan()
    assert plan.resumes
    assert plan.way is Way.WRITE
    report = restore_table(plan, ground.windows, ground.told.append)
    assert by_key(ground.tables.items("copy")) == everything()
    assert report.tally
    assert report.tally.written <= 70 - first + 25
    assert ground.told[-1].done <= 70


def test_another_table_of_the_name_begins_anew() -> None:
    """A checkpoint is of one TableId: a table that was made again is not half full."""
    ground = Ground()
    ground.restore(way=Way.WRITE)
    ground.tables.delete_table("copy")
    assert not ground.plan(way=Way.WRITE).resumes
    ground.tables.add("copy", KEY)
    assert not ground.plan(way=Way.WRITE).resumes
    ground.restore(way=Way.WRITE)
    assert len(ground.tables.items("copy")) == 70


def test_another_wish_does_not_resume() -> None:
    """Restoring something else into the same table is no continuation, and finds items there."""
    ground = Ground()
    ground.restore(way=Way.WRITE)
    ground.archive.full(NOON + timedelta(days=1), [line(1)])
    with pytest.raises(Conflict, match="has items"):
        ground.plan()


def test_what_is_asked_for_afterwards_is_asked_again() -> None:
    """Died after the items were written, the same wish gives the table what it still lacks."""
    ground = Ground()
    ground.define()
    ground.tables.hear = dying
    with pytest.raises(KeyboardInterrupt):
        ground.restore(key=None)
    ground.tables.hear = lambda _: None
    writes = ground.tables.writes
    ground.restore(key=None)
    assert ground.tables.writes == writes
    assert ground.tables.asked("copy")[-1].what == "deletion protection"


def dying(request: TableRequest) -> None:
    if request.operation == "TagResource":
        raise KeyboardInterrupt


@pytest.mark.parametrize("ended", [False, True])
def test_a_lost_answer_starts_no_second_import(*, ended: bool) -> None:
    """Died between asking for an import and noting it, the same wish follows that one, also when
    it has ended meanwhile."""
    ground = Ground()

    def lose() -> None:
        raise ServiceFailed("no answer")

    ground.importer.before_answer = lose
    with pytest.raises(ServiceFailed):
        ground.restore(way=Way.IMPORT)
    ground.importer.before_answer = lambda: None
    if ended:
        ground.importer.describe(ground.importer.made[0].arn)
    ground.restore()
    assert len(ground.importer.made) == 1
    assert len(ground.tables.items("copy")) == 70


def test_a_failed_import_is_named_and_never_done() -> None:
    """The error has AWS's words, the item's place and the partial table; again it fails again."""
    ground = Ground()
    files = [line(1), item_line(id={"S": "no pk"})]
    ground.archive.full(NOON + timedelta(days=1), files)
    for _ in range(2):
        with pytest.raises(ImportFailed, match="ItemValidationError") as caught:
            ground.restore(way=None)
        assert "item 1" in caught.value.message
        assert "delete-table --table-name copy" in caught.value.hint
    assert len(ground.importer.made) == 1
    ground.tables.delete_table("copy")
    with pytest.raises(ImportFailed):
        ground.restore(way=None)
    assert len(ground.importer.made) == 2


def test_another_way_after_a_failed_import() -> None:
    """Once the partial table is deleted the restore may be written instead, and imported later."""
    ground = Ground()
    ground.importer.lose = 1
    with pytest.raises(ImportFailed):
        ground.restore(way=Way.IMPORT)
    ground.tables.delete_table("copy")
    ground.importer.lose = 0
    ground.restore(way=Way.WRITE)
    assert len(ground.tables.items("copy")) == 70
    assert ground.plan().way is Way.WRITE
    ground.tables.delete_table("copy")
    ground.restore(way=Way.IMPORT)
    first, second = (ground.importer.token(made) for made in ground.importer.made)
    assert first != second


def test_an_imported_table_that_was_replaced_is_not_ours() -> None:
    """A table of the name that somebody made since is neither continued nor given anything."""
    ground = Ground()
    ground.define(LocalSecondaryIndexes=[])
    ground.restore(key=None)
    ground.tables.delete_table("copy")
    ground.tables.add("copy", KEY)
    assert not ground.plan(key=None).resumes
    ground.tables.put_all("copy", [b'{"pk":{"S":"theirs"}}'])
    with pytest.raises(Conflict, match="has items"):
        ground.plan(key=None)


@pytest.mark.parametrize("spoil_it", [False, True])
def test_a_fold_outlives_an_interruption(*, spoil_it: bool) -> None:
    """Died after the fold, the same wish uses it again, once it is proven to be whole."""
    ground = Ground()
    ground.change()
    ground.tables.before = _die
    with pytest.raises(KeyboardInterrupt):
        ground.restore(way=Way.WRITE)
    ground.tables.before = lambda: None
    folded = {key: body for key, body in ground.notes.items() if "/scratch/" in key}
    data = [key for key in folded if "/data/" in key]
    if spoil_it:
        ground.notes[max(data, key=lambda key: len(folded[key]))] = b"spoilt"
        with pytest.raises(DamagedError, match="data"):
            ground.restore()
        return
    report = ground.restore()
    assert report.plan.resumes
    assert len(ground.tables.items("copy")) == 70


def _die() -> None:
    raise KeyboardInterrupt
