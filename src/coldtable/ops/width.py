"""How many requests to have out at a time: as many as keep one core busy, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Event

# A look at less than this (seconds) says little.
_SPAN = 0.09
# So much of one core is to be busy: threads that want more take turns at Python's lock, and that
# costs more than it gives (measured, ``bench/restore_write.py``: each item three times as much).
_BUSY = 0.9
# How often whoever has to wait looks whether anybody still wants it to.
_LOOK_UP = 0.1


class Width:
    """Lets some of ``most`` threads go on, and makes the others wait.

    The first one alone begins. While requests wait for the server, the process is idle, and twice
    as many go on at each look; when the process is busy, more threads would only be in each
    other's way.
    """

    def __init__(
        self,
        most: int,
        *,
        now: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
    ) -> None:
        self._most = most
        self._now, self._spent = now, spent
        self._seen = now(), spent()
        self._change = Condition()
        self._ended = False
        self.open = 1

    def look(self) -> None:
        """See how busy the process was since the last look. To be called every now and then."""
        now, spent = self._now(), self._spent()
        passed = now - self._seen[0]
        if passed < _SPAN:
            return
        busy = max((spent - self._seen[1]) / passed, 0.001)
        self._seen = now, spent
        with self._change:
            # The hundredth is for what is just short of a whole one.
            fitting = int(self.open * _BUSY / busy + 0.01)
            self.open = max(1, self.open // 2, min(fitting, 2 * self.open, self._most))
            self._change.notify_all()

    def wait(self, number: int, stop: Event) -> None:
        """Wait until the thread of this number, from 0, may go on, or there is nothing to do."""
        # Without the lock: a number that is read a moment late does no harm.
        if number < self.open:
            return
        with self._change:
            while number >= self.open and not self._ended and not stop.is_set():
                self._change.wait(_LOOK_UP)

    def end(self) -> None:
        """There is nothing left to do: nobody waits any more."""
        with self._change:
            self._ended = True
            self._change.notify_all()
