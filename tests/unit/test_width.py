"""How many requests are out at a time: what the server's answers take, and what a core can do."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event, Thread

import pytest

from coldtable.ops.width import Width


@dataclass
class Machine:
    """A clock, and how much of one core the process has used."""

    at: float = 0.0
    used: float = 0.0

    def width(self, most: int = 16) -> Width:
        return Width(most, now=lambda: self.at, spent=lambda: self.used)

    def passes(self, width: Width, busy: float, seconds: float = 0.1) -> int:
        """How many may go on after a look at so busy a process."""
        self.at += seconds
        self.used += busy * seconds
        width.look()
        return width.open


def test_it_widens_while_requests_wait() -> None:
    """One request of 7 ms costs the client 0.12: twice as many at each look, up to the most."""
    machine = Machine()
    width = machine.width()
    assert width.open == 1
    assert [machine.passes(width, width.open * 0.12 / 7) for _ in range(6)] == [2, 4, 8, 16, 16, 16]


def test_it_stays_narrow_while_the_client_is_busy() -> None:
    """Where the server answers at once, a second thread would be in the way of the first one."""
    machine = Machine()
    width = machine.width()
    assert [machine.passes(width, busy) for busy in (0.79, 0.5, 0.97, 1.2)] == [1, 1, 1, 1]


def test_it_comes_to_rest_where_one_core_is_busy() -> None:
    """Requests of which each takes a tenth of a core: nine of them, not sixteen."""
    machine = Machine()
    width = machine.width()
    assert [machine.passes(width, width.open * 0.1) for _ in range(6)] == [2, 4, 8, 9, 9, 9]


def test_it_narrows_when_threads_are_in_each_others_way() -> None:
    """The server has become quick: half as many at each look, but never none."""
    machine = Machine()
    width = machine.width(8)
    for _ in range(4):
        machine.passes(width, 0.0)
    assert [machine.passes(width, busy) for busy in (1.2, 1.2, 9.0, 1.2, 1.2)] == [6, 4, 2, 1, 1]


def test_a_look_too_soon_says_nothing() -> None:
    """What happened within a few milliseconds is chance: it counts at the next look."""
    machine = Machine()
    width = machine.width()
    assert machine.passes(width, 0.0, seconds=0.01) == 1
    assert machine.passes(width, 0.0) == 2


@pytest.mark.parametrize("how", ["widened", "ended", "stopped"])
def test_whoever_waits_is_let_go(how: str) -> None:
    """A thread waits until there is room for it, nothing left to do, or nobody wants it."""
    machine, stop = Machine(), Event()
    width = machine.width(2)
    width.wait(0, stop)
    second = Thread(target=width.wait, args=(1, stop), daemon=True)
    second.start()
    second.join(0.02)
    assert second.is_alive()
    match how:
        case "widened":
            machine.passes(width, 0.0)
        case "ended":
            width.end()
        case _:
            stop.set()
    second.join(10)
    assert not second.is_alive()
