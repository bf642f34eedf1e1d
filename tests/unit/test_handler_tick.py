"""The tick's door: what it answers, what it raises, what it measures, and its heartbeat."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.errors import (
    AccessDenied,
    ParameterInvalid,
    ParameterMissing,
    ServiceFailed,
    Untold,
)
from coldtable.handler_tick import respond
from coldtable.local.emf import points
from coldtable.model import Table
from coldtable.ops.tick import World
from coldtable.testing.fakes import FakeParameters
from coldtable.testing.world import FakeAws
from tests.unit.ticking import NOON, Night

PATH = "/test/stg/infra"
SCHEDULED = {"source": "coldtable.tick", "scheduledTime": "2026-11-25T12:30:00Z"}
MINUTES = timedelta(minutes=15)


@dataclass
class Beacon:
    """Counts its beats; ``broken`` fails them."""

    beats: list[str] = field(default_factory=list)
    broken: bool = False

    def beat(self, url: str) -> None:
        if self.broken:
            raise ServiceFailed("The heartbeat did not reach monitor")
        self.beats.append(url)


class Unreachable(FakeAws):
    """An AWS whose tables cannot be described at the moment."""

    def table(self, name: str) -> Table:
        raise ServiceFailed(f"dynamodb could not be reached (table {name})")


class Door:
    """One installation: its parameters, its AWS, and what its ticks answer."""

    def __init__(self, aws: FakeAws | None = None) -> None:
        self.night = Night(aws=aws or FakeAws(NOON))
        self.aws = self.night.aws
        self.parameters = FakeParameters(
            {
                f"{PATH}/BACKUP_BUCKET_NAME": "archive",
                f"{PATH}/TABLE_NAMES": "orders",
                f"{PATH}/POLICY": '{"mode": "continuous"}',
            }
        )
        self.beacon = Beacon()
        self.lines: list[str] = []

    def tick(self, event: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
        """Status code and body, in one."""
        self.lines.clear()
        answer = respond(
            SCHEDULED if event is None else event,
            path=PATH,
            stack="prod",
            parameters=self.parameters,
            world=lambda: self.world(**changed),
            beacon=self.beacon,
            measure=self.lines.append,
        )
        assert set(answer) == {"statusCode", "body"}
        return {"status": answer["statusCode"], **json.loads(answer["body"])}

    def world(self, **changed: Any) -> World:
        return replace(self.night.world(), **changed)

    @property
    def measured(self) -> dict[str, float]:
        """The metrics of the last tick that have the stack as their only dimension."""
        return {
            p.name: p.value for line in self.lines for p in points(line) if len(p.dimensions) == 1
        }


def test_ticks_grow_a_chain() -> None:
    """A full export, then windows; each tick answers 200 and measures what it did."""
    door = Door()
    first = door.tick()
    assert (first["status"], first["schema"], first["started"]) == (200, "coldtable.tick/1", 1)
    assert first["tables"][0]["plan"][0]["action"] == "Start"
    assert door.measured["ExportsStarted"] == 1
    assert "LagSeconds" not in door.measured
    for _ in range(8):
        door.aws.pass_time(MINUTES)
        last = door.tick()
    assert last["tables"][0]["lagSeconds"] == door.measured["LagSeconds"] > 0
    assert len(door.aws.started) >= 2
    assert (door.measured["Tick"], door.measured["StaleTables"]) == (1, 0)


def test_an_incident_that_was_told_is_no_failure() -> None:
    """PITR is off: people get a message, the schedule's run does not raise."""
    door = Door()
    door.aws.switch_pitr("orders", on=False)
    answer = door.tick()
    assert answer["status"] == 200
    assert answer["tables"][0]["told"] == ["coldtable: orders: pitr-off"]
    assert door.tick()["tables"][0]["told"] == []


def test_what_nobody_could_be_told_is_raised() -> None:
    """Without sns:Publish the schedule's run raises after it has measured; by hand it is 500."""
    door = Door()
    door.parameters.values[f"{PATH}/HEARTBEAT_URL"] = "https://monitor.example/x"
    door.aws.switch_pitr("orders", on=False)
    door.aws.notifier.broken = True
    with pytest.raises(Untold, match="orders: Access denied: sns:Publish"):
        door.tick()
    assert door.measured["Tick"] == 1
    answer = door.tick({})
    assert (answer["status"], answer["problem"]["code"]) == (500, "Untold")
    # Nobody could be told here, so the monitor outside shall miss us.
    assert (door.beacon.beats, answer["heartbeat"]) == ([], "withheld")


def test_a_table_that_is_not_there_is_raised() -> None:
    """A named table without a catalog of its own has no incident, so the alarm has to speak."""
    door = Door()
    door.parameters.values[f"{PATH}/TABLE_NAMES"] = "orders,gone"
    with pytest.raises(Untold, match="gone: The table does not exist"):
        door.tick()
    assert [r.table.name for r in door.aws.started] == ["orders"]


def test_a_missing_right_to_list_is_raised_after_the_rest_is_done() -> None:
    """The named table's chain goes on; the error names the action."""
    door = Door()

    class Blind(FakeAws):
        def names(self) -> Any:
            raise AccessDenied("dynamodb:ListTables is missing", action="dynamodb:ListTables")

    with pytest.raises(Untold, match="dynamodb:ListTables is missing"):
        door.tick(directory=Blind(NOON))
    assert len(door.aws.started) == 1


def test_a_configuration_that_makes_no_sense() -> None:
    """It is raised for the schedule, and answered with its path for a person; nothing is done."""
    door = Door()
    door.parameters.values[f"{PATH}/POLICY"] = '{"mode": "continuous", "every_minutes": 5}'
    with pytest.raises(ParameterInvalid, match=r"POLICY: \$.every_minutes: 5 is less than 15"):
        door.tick()
    answer = door.tick({})
    assert (answer["status"], answer["code"]) == (500, "ParameterInvalid")
    assert door.aws.started == []
    assert door.lines == []


def test_no_parameters_at_all() -> None:
    """An empty path is an error and never a tick over no table."""
    door = Door()
    door.parameters.values.clear()
    with pytest.raises(ParameterMissing):
        door.tick()


def test_what_was_not_seen_is_counted() -> None:
    """AWS out of reach is no incident and no error of ours: the metric counts the table."""
    door = Door(Unreachable(NOON))
    assert door.tick()["status"] == 200
    assert door.measured["UnseenTables"] == 1
    assert door.measured["Tick"] == 1


def test_uncovered_tables_are_counted_and_named() -> None:
    """A table that matches nothing is in the report."""
    door = Door()
    door.aws.create("strange")
    assert door.tick()["uncovered"] == ["strange"]
    assert door.measured["UncoveredTables"] == 1


def test_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    """It is sent after a good tick; one that fails is logged and answered, and fails nothing."""
    door = Door()
    assert door.tick()["heartbeat"] == "none"
    door.parameters.values[f"{PATH}/HEARTBEAT_URL"] = "https://monitor.example/secret"
    assert door.tick()["heartbeat"] == "sent"
    assert door.beacon.beats == ["https://monitor.example/secret"]
    door.beacon.broken = True
    answer = door.tick()
    assert (answer["status"], answer["heartbeat"]) == (200, "The heartbeat did not reach monitor")
    assert "no heartbeat" in caplog.messages
    assert "secret" not in caplog.text


def test_the_log_sums_the_tick_up(caplog: pytest.LogCaptureFixture) -> None:
    """One record for the tick, with its counts."""
    door = Door()
    with caplog.at_level(logging.INFO, "coldtable"):
        door.tick()
    (line,) = (r.__dict__ for r in caplog.records if r.getMessage() == "tick")
    assert (line["tables"], line["started"], line["heartbeat"]) == (1, 1, "none")
