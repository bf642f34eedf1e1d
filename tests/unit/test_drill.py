"""Drills, with everything outside faked: what is planned, made, compared, deleted and noted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.drill import SOURCE_TAG, TAG, Drill, Result
from coldtable.model_restore import TableRequest, Way
from coldtable.ops.drill import DrillReport, drill_table
from coldtable.ops.drill_plan import DrillPlan, DrillWish, drills_of, plan_drill
from coldtable.ops.restore_plan import Windows
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.test_restore import KEY, Ground


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


def ways() -> list[Any]:
    return [pytest.param(way, id=str(way)) for way in Way]


@pytest.mark.parametrize("way", ways())
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


@pytest.mark.parametrize("way", ways())
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
@pytest.mark.parametrize("way", ways())
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


def _ground(way: Way) -> Field:
    ground = Field()
    # A fold has its own tests; here it would only cost time.
    del way
    return ground


def _calls(way: Way) -> int:
    ground = _ground(way)
    ground.drill(way=way)
    return ground.deadly.calls


def _died(way: Way, at: int, *, after: bool) -> Field:
    ground = _ground(way)
    ground.deadly = Deadly(at, after)
    with pytest.raises(Stopped):
        ground.drill(way=way)
    return ground
