"""A ground for the tests of drills, and calls to the outside at which a drill ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.drill import Drill
from coldtable.model_restore import Way
from coldtable.ops.drill import drill_table
from coldtable.ops.drill_plan import DrillPlan, DrillWish, drills_of, plan_drill
from coldtable.ops.drill_run import DrillReport
from coldtable.ops.restore_windows import RestoreWindows
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.restoring import KEY, Ground


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
        self.importer.now = self.tick

    @property
    def windows(self) -> RestoreWindows:
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


def calls_until(name: str) -> int:
    """The number of the first call of that name."""
    ground = Field()
    ground.drill(way=Way.WRITE)
    return ground.deadly.names.index(name) + 1
