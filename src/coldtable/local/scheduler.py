"""Fires what is due: a few looks a second while time passes, step by step when it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

from .schedule import Schedule

TICK = 0.25
# More firings than this in one move are refused: each one starts something real.
MOST_FIRINGS = 500

Deliver = Callable[[Schedule, datetime], Awaitable[object]]


class MovableClock(Protocol):
    """``clock.Clock``, as far as the scheduler uses it."""

    def now(self) -> datetime: ...

    def move_to(self, moment: datetime) -> None: ...

    def reach(self, moment: datetime) -> None: ...


class ScheduleBook(Protocol):
    """Where schedules are kept."""

    def current(self) -> Iterable[Schedule]: ...

    def delete(self, schedule: Schedule) -> None: ...


class TooManyFirings(Exception):
    """A move of the clock would fire more often than makes sense; the message says what to do."""


@dataclass(slots=True)
class _Watch:
    """What we know of a schedule: everything up to ``seen`` has fired; ``due`` comes next."""

    changed: float
    seen: datetime
    due: datetime | None


class Scheduler:
    """``deliver`` is called once per firing; it may take its time. ``settled`` waits for all that
    firings have started, so that a moved clock does not overtake them.
    """

    def __init__(
        self,
        clock: MovableClock,
        book: ScheduleBook,
        deliver: Deliver,
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._book = book
        self._deliver = deliver
        self._settled = settled
        self._since = clock.now()
        self._watches: dict[tuple[str, str, str, str], _Watch] = {}
        self._moving = asyncio.Lock()
        self._deliveries: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            async with self._moving:
                self._fire_due()
            await asyncio.sleep(TICK)

    async def move_to(self, moment: datetime, *, fire: bool) -> int:
        """Move the clock and return how often schedules fired on the way.

        Each firing happens at its own time and is finished before the clock goes on. Raises
        ``ClockBackwards`` and ``TooManyFirings``.
        """
        async with self._moving:
            if not fire or moment < self._clock.now():
                self._clock.move_to(moment)
                self._skip()
                return 0
            self._fire_due()
            self._count_firings(moment)
            fired = 0
            while (due := self._next_due()) is not None and due <= moment:
                self._clock.reach(due)
                fired += self._fire_due()
                await self.idle()
            self._clock.reach(moment)
            return fired

    async def idle(self) -> None:
        """Until every delivery, and what it started, is finished."""
        if self._deliveries:
            await asyncio.wait(set(self._deliveries))
        await self._settled()

    def _watched(self) -> list[tuple[Schedule, _Watch]]:
        """Every schedule with what we know of it; forgets those that are gone."""
        found = []
        known = {}
        for schedule in self._book.current():
            watch = self._watches.get(schedule.key)
            if watch is None or watch.changed != schedule.changed:
                watch = self._begin(schedule, new=watch is None)
            known[schedule.key] = watch
            found.append((schedule, watch))
        self._watches = known
        return found

    def _begin(self, schedule: Schedule, *, new: bool) -> _Watch:
        # A rate's first firing is its creation, so that instant still lies ahead, also where
        # CloudFormation has completed it by an update since.
        changed = datetime.fromtimestamp(schedule.changed, UTC)
        begun = (schedule.timing.created if new else changed) - timedelta(milliseconds=1)
        seen = max(begun, self._since)
        return _Watch(schedule.changed, seen, schedule.timing.next_after(seen))

    def _next_due(self) -> datetime | None:
        return min(
            (watch.due for one, watch in self._watched() if one.enabled and watch.due is not None),
            default=None,
        )

    def _fire_due(self) -> int:
        now = self._clock.now()
        due = [
            (watch.due, schedule)
            for schedule, watch in self._watched()
            if watch.due is not None and watch.due <= now
        ]
        fired = 0
        for moment, schedule in sorted(due, key=lambda pair: pair[0]):
            watch = self._watches[schedule.key]
            while watch.due is not None and watch.due <= now:
                moment, watch.seen = watch.due, watch.due
                watch.due = schedule.timing.next_after(moment)
                if schedule.enabled:
                    self._start(schedule, moment)
                    fired += 1
            if schedule.delete_after and schedule.enabled and watch.due is None:
                self._book.delete(schedule)
        return fired

    def _start(self, schedule: Schedule, due: datetime) -> None:
        async def deliver() -> object:
            return await self._deliver(schedule, due)

        task = asyncio.get_running_loop().create_task(deliver())
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def _skip(self) -> None:
        now = self._clock.now()
        for schedule, watch in self._watched():
            watch.seen, watch.due = now, schedule.timing.next_after(now)

    def _count_firings(self, moment: datetime) -> None:
        left = MOST_FIRINGS
        for schedule, watch in self._watched():
            if schedule.enabled:
                left -= len(list(islice(schedule.timing.between(watch.seen, moment), left + 1)))
            if left < 0:
                raise TooManyFirings(
                    f"schedules would fire more than {MOST_FIRINGS} times until "
                    f"{moment:%Y-%m-%dT%H:%M:%SZ}; move the clock in smaller steps, or with "
                    '"fire": false'
                )
