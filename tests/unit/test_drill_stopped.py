"""Drills that are stopped anywhere: the same command ends them, and nothing is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.drill import Result
from coldtable.errors import Conflict
from coldtable.model_restore import Way
from coldtable.ops.drill import drill_table
from coldtable.ops.drill_plan import DrillWish, plan_drill
from coldtable.testing.exports import NOON
from tests.unit.drilling import WAYS, Deadly, Field, Stopped, calls_until
from tests.unit.restoring import KEY, line, spoil


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_it_may_die_anywhere(way: Way, *, after: bool) -> None:
    """Dead before or after any call, the same command ends it: one table at a time, which is gone
    in the end, with one record, and nothing else was touched."""
    calls = _calls(way)
    assert calls > 25
    for at in range(1, calls + 1):
        ground = _died(way, at, after=after)
        assert len(ground.scratch_tables) <= 1
        names = {drill.name for drill in ground.known}
        assert ground.scratch_tables <= names
        ground.deadly = Deadly()
        report = ground.drill(way=way)
        what = f"call {at} of {calls}"
        assert report.drill.result is Result.PASSED, what
        assert ground.scratch_tables == set(), what
        assert ground.notes == {}, what
        assert len(ground.tables.items("orders")) == 1
        # Dead after its very last call it was over, and the second one is another drill.
        drills = 2 if after and at == calls else 1
        assert ground.tables.made == 2 + drills, what
        assert len(ground.records) == drills, what
        assert len(ground.importer.made) == (drills if way is Way.IMPORT else 0), what


def _calls(way: Way) -> int:
    ground = Field()
    ground.drill(way=way)
    return ground.deadly.calls


def _died(way: Way, at: int, *, after: bool) -> Field:
    ground = Field()
    ground.deadly = Deadly(at, after)
    with pytest.raises(Stopped):
        ground.drill(way=way)
    return ground


@pytest.mark.parametrize("way", WAYS)
def test_whoever_has_no_more_time_stops_it_in_a_pause(way: Way) -> None:
    """A pause that raises ends the call; call after call goes on by what is in the bucket alone."""
    ground = Field()
    ground.tables.lingers = 3
    reports = []
    for _ in range(20):
        windows = replace(ground.windows, pause=_no_time)
        try:
            plan = plan_drill(DrillWish(table="orders", key=KEY, way=way), windows)
            reports.append(drill_table(plan, windows, ground.told.append))
            break
        except Stopped:
            assert len(ground.known) == 1
    (report,) = reports
    assert report.drill.result is Result.PASSED
    assert report.drill.runs >= 3
    assert (ground.scratch_tables, ground.notes) == (set(), {})
    (record,) = ground.records
    assert record["resumed"] is True
    # In the write way only the deletion was waited for: what was measured before stays true.
    assert record["rtoBy"] == ("import" if way is Way.IMPORT else "run")
    if way is Way.IMPORT:
        (made,) = ground.importer.made
        assert made.ended
        rto = (made.ended - report.drill.began).total_seconds()
        assert record["rtoSeconds"] == record["filledAfterSeconds"] == rto > 0


@pytest.mark.parametrize("way", WAYS)
def test_whoever_watches_may_stop_it(way: Way) -> None:
    """What hears of progress may raise, too; the next call goes on with what is left."""
    ground = Field()

    def stop(_now: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        drill_table(ground.prepare(way=way), ground.windows, stop)
    assert len(ground.known) == 1
    report = ground.drill(way=way)
    assert report.drill.result is Result.PASSED
    assert report.drill.runs == 2
    assert (ground.scratch_tables, ground.notes) == (set(), {})


def _no_time(_seconds: float) -> None:
    raise Stopped


@pytest.mark.parametrize("after", [False, True])
def test_a_failure_may_die_anywhere(*, after: bool) -> None:
    """Dead around any call, a drill that fails is noted as failed once, and its table kept."""
    for at in range(1, 100):
        ground = Field(deadly=Deadly(at, after))
        spoil(ground, "content")
        try:
            ground.drill(way=Way.IMPORT)
        except Stopped:
            ground.deadly = Deadly()
            try:
                report = ground.drill(way=Way.IMPORT)
                assert report.error
                assert report.error.exit_code == 1
                assert "delete-table" in report.error.hint
            except Conflict:
                assert ground.known[0].over
        else:
            break
        assert len(ground.scratch_tables) == 1, at
        assert [record["result"] for record in ground.records] == ["failed"], at
        assert not [key for key in ground.notes if "/drill/" not in key]
    assert at > 25


def test_newer_exports_make_no_other_drill_of_it() -> None:
    """What was begun is ended as it was begun, though there is a newer restore point since."""
    ground = Field()
    ground.change()
    ground.deadly = Deadly(calls_until("ask") + 3)
    with pytest.raises(Stopped):
        ground.drill(way=Way.WRITE)
    (known,) = ground.known
    ground.deadly = Deadly()
    ground.archive.full(known.moment, [line(n) for n in range(9)])
    ground.archive.full(NOON + timedelta(hours=3), [line(1)])
    plan = ground.prepare()
    assert plan.resumes
    assert plan.drill.moment == known.moment
    report = ground.drill()
    assert report.drill.drill_id == known.drill_id
    assert report.drill.comparison
    assert report.drill.comparison.checked == 70
    assert ground.drill().drill.moment == NOON + timedelta(hours=3)


def test_what_another_run_has_ended_is_not_failed() -> None:
    """Of two runs of one drill the other deletes the table meanwhile: that is no failure."""
    ground = Field()
    ground.deadly = Deadly(calls_until("scan"))
    with pytest.raises(Stopped):
        ground.drill(way=Way.WRITE)
    ground.deadly = Deadly()
    plan = ground.prepare()

    def meanwhile(_items: Any) -> Iterator[Any]:
        ground.tables.see = lambda items: items
        ground.drill()
        return iter(())

    ground.tables.see = meanwhile
    with pytest.raises(Conflict, match="Another run has ended this drill"):
        drill_table(plan, ground.windows, ground.told.append)
    assert [record["result"] for record in ground.records] == ["passed"]
