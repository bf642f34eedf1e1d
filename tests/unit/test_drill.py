"""Drills, with everything outside faked: what is planned, made, compared, deleted and noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.drill import SOURCE_TAG, TAG, Drill, Result
from coldtable.core.records import Home
from coldtable.errors import (
    AccessDenied,
    Conflict,
    DamagedError,
    Different,
    ImportFailed,
    NotCovered,
)
from coldtable.model_restore import TableRequest, Way
from coldtable.ops.catalog import Catalog
from coldtable.ops.drill import DrillReport, drill_table
from coldtable.ops.drill_plan import DrillPlan, DrillWish, drills_of, last_drill, plan_drill
from coldtable.ops.restore_plan import Progress, Windows
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.test_restore import KEY, Ground, line, spoil


class Stopped(BaseException):
    """The process is gone."""


@dataclass
class Deadly:
    """Calls of all ports are counted; the one of that number dies, before or after it is done."""

    at: int = -1
    after: bool = False
    calls: int = 0
    names: list[str] = field(default_factory=list)

    def wrap(self, port: Any) -> Any:
        return _Wrapped(port, self)

    def call(self, name: str, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        self.calls += 1
        self.names.append(name)
        mine = self.calls == self.at
        if mine and not self.after:
            raise Stopped(name)
        found = function(*args, **more)
        if mine:
            raise Stopped(name)
        return found


class _Wrapped:
    def __init__(self, port: Any, deadly: Deadly) -> None:
        self._port = port
        self._deadly = deadly

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return lambda *args, **more: self._deadly.call(name, found, *args, **more)


@dataclass
class Field(Ground):
    """A restore's ground, beside which other tables lie."""

    deadly: Deadly = field(default_factory=Deadly)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tables.add("orders", KEY, arn=self.archive.table_arn)
        self.tables.put_all("orders", [b'{"pk":{"S":"p3"}}'])
        self.tables.add("coldtable-drill-orders-00000000", KEY)
        self.tables.lingers = 2
        self.now = NOON + timedelta(hours=2)

    @property
    def windows(self) -> Windows:
        found = super().windows
        wrap = self.deadly.wrap
        return replace(
            found,
            scratch=wrap(found.scratch),
            tables=wrap(found.tables),
            writer=wrap(found.writer),
            reader=wrap(found.reader),
            importer=wrap(found.importer),
            now=self.tick,
            pause=wrap(_Pause()).pause,
        )

    def tick(self) -> Any:
        self.now += timedelta(seconds=1)
        return self.now

    def prepare(self, **changes: Any) -> DrillPlan:
        wish = DrillWish(table="orders", key=KEY)
        return plan_drill(replace(wish, **changes), self.windows)

    def drill(self, **changes: Any) -> DrillReport:
        return drill_table(self.prepare(**changes), self.windows, self.told.append)

    @property
    def known(self) -> tuple[Drill, ...]:
        return drills_of(FakeObjects(self.notes), "")

    @property
    def records(self) -> list[dict[str, Any]]:
        keys = sorted(key for key in self.objects if "/evidence/" in key)
        return [json.loads(self.objects[key]) for key in keys]

    @property
    def scratch_tables(self) -> set[str]:
        """The tables that were not there before."""
        return set(self.tables.names) - {"orders", "coldtable-drill-orders-00000000"}


class _Pause:
    def pause(self, _seconds: float) -> None: ...


WAYS = [pytest.param(way, id=str(way)) for way in Way]


@pytest.mark.parametrize("way", WAYS)
def test_a_drill_leaves_nothing_but_its_record(way: Way) -> None:
    """The table is made, tagged, filled, compared and deleted; the record has what was measured,
    and nothing else is there or was touched."""
    ground = Field()
    ground.change()
    before = dict(ground.objects)
    report = ground.drill(way=way)
    assert report.drill.result is Result.PASSED
    assert ground.scratch_tables == set()
    assert len(ground.tables.items("orders")) == 1
    assert ground.notes == {}
    (record,) = ground.records
    assert {k: v for k, v in ground.objects.items() if "/evidence/" not in k} == before
    assert record["result"] == "passed"
    assert "all 70 items are the same" in record["summary"]
    assert record["rtoSeconds"] >= sum(record["seconds"][p] for p in ("plan", "read", "fill")) - 0.1
    assert set(record["seconds"]) == {"plan", "read", "fill", "compare", "delete"}
    assert record["lagSeconds"] == pytest.approx(3600, abs=5)
    assert (record["way"], record["resumed"], record["kept"]) == (str(way), False, False)
    assert record["table"]["id"] == ground.archive.table_id


@pytest.mark.parametrize("way", WAYS)
def test_the_table_is_a_real_one_and_marked(way: Way) -> None:
    """It has the indexes and the tags of a drill, and nothing that acts on it or outlives it."""
    ground = Field()
    ground.define(LocalSecondaryIndexes=[])
    asked: list[TableRequest] = []
    ground.tables.hear = asked.append
    report = ground.drill(way=way, key=None)
    made, *after = asked
    assert [i["IndexName"] for i in made.body["GlobalSecondaryIndexes"]] == ["by-who"]
    tagged = made if way is Way.WRITE else after.pop()
    tags = {tag["Key"]: tag["Value"] for tag in tagged.body["Tags"]}
    assert tags == {TAG: report.drill.drill_id, SOURCE_TAG: "orders"}
    assert after == []


def test_nothing_is_done_by_a_plan() -> None:
    """Planning only reads."""
    ground = Field()
    before = dict(ground.objects)
    plan = ground.prepare()
    assert plan.drill.name.startswith("coldtable-drill-orders-")
    assert (ground.objects, ground.notes, ground.scratch_tables) == (before, {}, set())


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
    # In the write way only the deletion was waited for: what was measured before stays true.
    assert (report.drill.rto_seconds is None) == (way is Way.IMPORT)
    (record,) = ground.records
    assert record["resumed"] is True
    assert record["filledAfterSeconds"] > 0


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


def test_a_table_of_the_name_that_is_not_ours() -> None:
    """It is refused, empty or not, whoever has made it and when, and nothing of it is touched."""
    for items in (0, 1):
        ground = Field()
        ground.deadly = Deadly(_calls_until("ask"))
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


def _calls_until(name: str) -> int:
    """The number of the first call of that name."""
    ground = Field()
    ground.drill(way=Way.WRITE)
    return ground.deadly.names.index(name) + 1


def test_a_table_that_was_replaced_is_not_deleted() -> None:
    """Somebody has deleted the drill's table and made another of its name: that one stays."""
    ground = Field()
    ground.deadly = Deadly(_calls_until("delete_table"))
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


def test_newer_exports_make_no_other_drill_of_it() -> None:
    """What was begun is ended as it was begun, though there is a newer restore point since."""
    ground = Field()
    ground.change()
    ground.deadly = Deadly(_calls_until("ask") + 3)
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


def test_exports_that_went_away_end_it() -> None:
    """A drill whose exports have expired fails with what it lost, and its table is told."""
    ground = Field()
    ground.deadly = Deadly(_calls_until("put_all"))
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


def test_which_instant_is_drilled() -> None:
    """The newest, the newest full export's, or the one that is named."""
    ground = Field()
    ground.change()
    assert ground.prepare().drill.moment == NOON + timedelta(hours=1)
    assert ground.prepare(full_only=True).drill.moment == NOON
    assert ground.prepare(at=NOON).drill.moment == NOON
    with pytest.raises(NotCovered):
        ground.prepare(at=NOON - timedelta(hours=1))


def test_the_table_stays_if_it_shall() -> None:
    """--keep leaves it, and the next drill makes another one."""
    ground = Field()
    report = ground.drill(keep=True)
    assert ground.scratch_tables == {report.drill.name}
    assert report.drill.kept
    assert ground.notes == {}
    assert ground.drill().drill.name != report.drill.name
    assert ground.scratch_tables == {report.drill.name}


def test_what_another_run_has_ended_is_not_failed() -> None:
    """Of two runs of one drill the other deletes the table meanwhile: that is no failure."""
    ground = Field()
    ground.deadly = Deadly(_calls_until("scan"))
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


def test_no_record_if_none_is_wanted() -> None:
    """--no-record leaves the archive as it was."""
    ground = Field()
    before = dict(ground.objects)
    assert ground.drill(record=False).noted is None
    assert ground.objects == before


def test_when_a_table_was_drilled_last() -> None:
    """The end of its newest record, also of one that failed."""
    ground = Field()
    catalog = Catalog(FakeObjects(ground.objects))
    home = Home(account="123456789012", region="eu-north-1", name="orders")
    assert last_drill(catalog, home, ground.archive.table_id) is None
    ground.drill()
    ground.damage()
    report = ground.drill()
    assert report.error
    found = last_drill(catalog, home, ground.archive.table_id)
    assert report.drill.ended
    assert found == report.drill.ended.replace(microsecond=0)
    before = found - timedelta(seconds=1)
    last = last_drill(catalog, home, ground.archive.table_id, until=before)
    assert last
    assert last < found


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
