"""The emulator's clock: it ticks, and it can be moved forward.

``time-machine`` moves ``time.time`` and ``datetime.now`` of this process. It leaves
``time.monotonic`` alone, so asyncio, thread waits and sockets do not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import time_machine

Listener = Callable[[timedelta], None]


class ClockBackwards(ValueError):
    """Somebody asked for a moment that has passed."""


class Clock:
    """Aware UTC time. ``offset`` is how far it is ahead of the real clock."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self._offset = timedelta()
        self._travel: time_machine.travel | None = None
        self._traveller: time_machine.Traveller | None = None
        self._listeners: list[Listener] = []
        if offset:
            self._shift(offset)

    @property
    def offset(self) -> timedelta:
        return self._offset

    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_now(self) -> datetime:
        """What the machine's own clock says, wherever ours stands."""
        if self._traveller is None:
            return self.now()
        import time_machine

        return time_machine.escape_hatch.datetime.datetime.now(UTC)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with the new offset after every move, and once at once."""
        self._listeners.append(listener)
        listener(self._offset)

    def move_to(self, moment: datetime) -> None:
        """Raises ``ClockBackwards`` when ``moment`` lies before now."""
        delta = moment - self.now()
        if delta < timedelta():
            raise ClockBackwards(
                f"the clock only moves forward: it is {self.now():%FT%TZ}, "
                f"and {moment:%FT%TZ} has passed"
            )
        self._shift(delta)

    def reach(self, moment: datetime) -> None:
        """Move to ``moment``, unless it has passed by itself meanwhile."""
        delta = moment - self.now()
        if delta > timedelta():
            self._shift(delta)

    def stop(self) -> None:
        """Give the process its real time back."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._traveller = None
            self._offset = timedelta()

    def _shift(self, delta: timedelta) -> None:
        if self._traveller is None:
            # Only here: where pytest is installed, this import pulls all of it in.
            import time_machine

            # A number and not a datetime: an aware datetime would change the local time zone too.
            self._travel = time_machine.travel(time.time() + delta.total_seconds(), tick=True)
            self._traveller = self._travel.start()
            time.time()  # time-machine starts to tick at the first question
        else:
            self._traveller.shift(delta)
        self._offset += delta
        for listener in self._listeners:
            listener(self._offset)
