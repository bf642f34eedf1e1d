"""The emulator's scheduler and its deliveries, with a hand-moved clock and no emulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coldtable.local.delivery import Deliverer
from coldtable.local.interface import Caller, Reply, Scope
from coldtable.local.schedule import UNTRUSTED, Schedule
from coldtable.local.scheduler import Scheduler, TooManyFirings
from coldtable.local.timing import Timing, parse

_START = datetime(2026, 5, 1, 12, tzinfo=UTC)
_SCOPE = Scope(account="123456789012", region="us-east-1")
_QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
_DEAD = "arn:aws:sqs:us-east-1:123456789012:dead"


def _schedule(expression: str, **more: Any) -> Schedule:
    target = {"Arn": _QUEUE, "RoleArn": "role", "DeadLetterConfig": {"Arn": _DEAD}}
    whole = Schedule(
        scope=_SCOPE,
        name="s",
        group="default",
        arn="arn:aws:scheduler:us-east-1:123456789012:schedule/default/s",
        changed=_START.timestamp(),
        timing=Timing(expression=parse(expression), zone=ZoneInfo("UTC"), created=_START),
        target={**target, **more.pop("target", {})},
        enabled=True,
        delete_after=False,
    )
    return replace(whole, **more)


@dataclass
class _Clock:
    at: datetime = _START

    def now(self) -> datetime:
        return self.at

    def move_to(self, moment: datetime) -> None:
        assert moment >= self.at
        self.at = moment

    def reach(self, moment: datetime) -> None:
        self.at = max(self.at, moment)


@dataclass
class _Book:
    schedules: list[Schedule] = field(default_factory=list)

    def current(self) -> Iterable[Schedule]:
        return list(self.schedules)

    def delete(self, schedule: Schedule) -> None:
        self.schedules.remove(schedule)


@dataclass
class _World:
    clock: _Clock = field(default_factory=_Clock)
    book: _Book = field(default_factory=_Book)
    fired: list[tuple[datetime, datetime]] = field(default_factory=list)

    def scheduler(self) -> Scheduler:
        async def deliver(_schedule: Schedule, due: datetime) -> None:
            self.fired.append((due, self.clock.now()))

        async def settled() -> None:
            return None

        return Scheduler(self.clock, self.book, deliver, settled)

    def move(self, *moments: datetime, fire: bool = True) -> int:
        async def run() -> int:
            scheduler = self.scheduler()
            return sum([await scheduler.move_to(moment, fire=fire) for moment in moments])

        return asyncio.run(run())


def test_a_move_stops_the_clock_at_every_firing() -> None:
    """Each delivery sees the clock at its own time; afterwards the clock is where it should be."""
    world = _World()
    world.book.schedules = [_schedule("cron(0 4 * * ? *)")]
    assert world.move(_START + timedelta(days=3)) == 3
    assert [due for due, _ in world.fired] == [now for _, now in world.fired]
    assert [due.day for due, _ in world.fired] == [2, 3, 4]
    assert world.clock.at == _START + timedelta(days=3)


class _Running(_Clock):
    """A clock that goes on while it is read, as the real one does."""

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def move_to(self, moment: datetime) -> None:
        assert moment >= self.now()
        self.at = moment


def test_time_that_passes_meanwhile_is_no_step_back() -> None:
    """A delivery that takes longer than its schedule's interval lets the next become due by itself:
    it fires late, and the move goes on to its end, which may have passed as well."""
    clock = _Running(_START)
    world = _World(clock=clock)
    world.book.schedules = [_schedule("cron(* * * * ? *)")]

    async def deliver(_schedule: Schedule, due: datetime) -> None:
        world.fired.append((due, clock.at))
        clock.at += timedelta(seconds=80)

    async def settled() -> None:
        return None

    scheduler = Scheduler(clock, world.book, deliver, settled)
    asyncio.run(scheduler.move_to(_START + timedelta(minutes=5), fire=True))
    assert len(world.fired) >= 5
    assert clock.at >= _START + timedelta(minutes=5)


def test_two_schedules_fire_in_the_order_of_time() -> None:
    """Not one schedule after the other."""
    world = _World()
    early = _schedule("cron(0 4 * * ? *)")
    world.book.schedules = [replace(early, name="late"), early]
    world.book.schedules[0] = _schedule("cron(0 5 * * ? *)", name="late")
    world.move(_START + timedelta(days=2))
    assert [due.hour for due, _ in world.fired] == [4, 5, 4, 5]


def test_two_moves_fire_nothing_twice() -> None:
    """A firing that lies exactly where a move ended belongs to that move."""
    world = _World()
    world.book.schedules = [_schedule("cron(0 4 * * ? *)")]
    four = datetime(2026, 5, 2, 4, tzinfo=UTC)
    world.move(four, four + timedelta(hours=1))
    assert [due for due, _ in world.fired] == [four]


def test_a_one_time_schedule_that_deletes_itself_is_gone() -> None:
    """ActionAfterCompletion DELETE, and only after it has fired."""
    world = _World()
    world.book.schedules = [_schedule("at(2026-05-01T13:00:00)", delete_after=True)]
    world.move(_START + timedelta(minutes=30))
    assert len(world.book.schedules) == 1
    world.move(_START + timedelta(hours=2))
    assert (len(world.fired), world.book.schedules) == (1, [])


def test_a_rate_fires_at_its_creation() -> None:
    """A rate without a start fires at once."""
    world = _World(clock=_Clock(_START - timedelta(seconds=1)))
    world.book.schedules = [_schedule("rate(1 hour)")]
    world.move(_START + timedelta(minutes=1))
    assert [due for due, _ in world.fired] == [_START]


def test_a_rate_that_was_completed_after_its_creation_fires_at_once_too() -> None:
    """As CloudFormation's are, before anybody sees them; later updates fire nothing."""
    world = _World(clock=_Clock(_START - timedelta(seconds=1)))
    completed = (_START + timedelta(milliseconds=80)).timestamp()
    world.book.schedules = [_schedule("rate(1 hour)", changed=completed)]
    world.move(_START + timedelta(minutes=1))
    world.book.schedules = [
        _schedule("rate(1 hour)", changed=(_START + timedelta(minutes=1)).timestamp())
    ]
    world.move(_START + timedelta(minutes=2))
    assert [due for due, _ in world.fired] == [_START]


def test_too_many_firings_move_nothing() -> None:
    """The clock stays where it was."""
    world = _World()
    world.book.schedules = [_schedule("rate(1 minute)")]
    with pytest.raises(TooManyFirings):
        world.move(_START + timedelta(days=30))
    assert (world.clock.at, world.fired) == (_START, [])


@dataclass
class _Inner:
    """Answers the target with the given statuses, and dead letters with 200."""

    statuses: list[int]
    sent: list[dict[str, Any]] = field(default_factory=list)

    async def dynamodb(
        self, scope: Scope, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        raise NotImplementedError

    async def call(self, *_: object, **more: Any) -> Reply:
        message = json.loads(more["body"])
        self.sent.append(message)
        if message["QueueUrl"].endswith("/dead"):
            return Reply(status=200)
        body = b'{"__type": "com.amazonaws.sqs#Oops", "message": "why"}'
        return Reply(status=self.statuses.pop(0), body=body)

    def deny_reason(self, caller: Caller, action: str, resource: str) -> str | None:
        raise NotImplementedError


def _deliver(
    inner: _Inner, schedule: Schedule, *, trusted: bool = True, late: timedelta = timedelta()
) -> bool:
    async def no_pause(_seconds: float) -> None:
        return None

    deliverer = Deliverer(
        inner, lambda _s, _name: "key" if trusted else None, lambda: _START + late, no_pause
    )
    return asyncio.run(deliverer.deliver(schedule, _START))


def test_a_throttled_target_is_tried_again_with_a_new_execution_id() -> None:
    """429 and 5xx are worth another attempt; attempt-number counts, execution-id changes."""
    inner = _Inner([429, 503, 200])
    text = "<aws.scheduler.attempt-number> <aws.scheduler.execution-id>"
    assert _deliver(inner, _schedule("rate(1 day)", target={"Input": text}))
    bodies = [message["MessageBody"].split() for message in inner.sent]
    assert [number for number, _ in bodies] == ["1", "2", "3"]
    assert len({execution for _, execution in bodies}) == 3


def test_retries_end_with_the_policy() -> None:
    """MaximumRetryAttempts 2 means three attempts and then a dead letter that says so."""
    inner = _Inner([500, 500, 500])
    policy = {"RetryPolicy": {"MaximumRetryAttempts": 2}}
    assert not _deliver(inner, _schedule("rate(1 day)", target=policy))
    letter = inner.sent[-1]
    attributes = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
    assert len(inner.sent) == 4
    assert attributes["RETRY_ATTEMPTS"] == "2"
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert (attributes["ERROR_CODE"], attributes["ERROR_MESSAGE"]) == ("Oops", "why")


def test_an_old_event_is_given_up() -> None:
    """MaximumEventAgeInSeconds counts from the scheduled time, on the emulator's clock."""
    inner = _Inner([500])
    policy = {"RetryPolicy": {"MaximumEventAgeInSeconds": 60}}
    assert not _deliver(inner, _schedule("rate(1 day)", target=policy), late=timedelta(seconds=61))
    condition = inner.sent[-1]["MessageAttributes"]["EXHAUSTED_RETRY_CONDITION"]["StringValue"]
    assert condition == "MaximumEventAgeInSeconds"


def test_a_refused_call_is_not_tried_again() -> None:
    """Trying cannot help against a missing right."""
    inner = _Inner([403])
    assert not _deliver(inner, _schedule("rate(1 day)"))
    assert len(inner.sent) == 2


def test_without_trust_nothing_is_sent() -> None:
    """The role gives neither the target nor the dead-letter queue."""
    inner = _Inner([])
    assert not _deliver(inner, _schedule("rate(1 day)"), trusted=False)
    assert inner.sent == []
    assert "assume the role" in UNTRUSTED


def test_a_target_without_input_gets_the_scheduled_event() -> None:
    """Its time is the scheduled one and its resource the schedule."""
    inner = _Inner([200])
    _deliver(inner, _schedule("rate(1 day)"))
    event = json.loads(inner.sent[0]["MessageBody"])
    assert event["source"] == "aws.scheduler"
    assert event["time"] == "2026-05-01T12:00:00Z"
    assert event["resources"] == ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/s"]
