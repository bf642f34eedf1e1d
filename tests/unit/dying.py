"""A run that ends at a call to the outside: killed at once with all its threads, or interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, TypeVar

from coldtable.ops.restore_windows import RestoreWindows

P = TypeVar("P")


class Killed(BaseException):
    """What a kill looks like from inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """At which call of which name (``scratch.put``), counted from 0; before or after its effect.

    A run that ends ``softly`` is interrupted as by Ctrl-C: it may still put away what it has.
    """

    call: str
    number: int = 0
    after: bool = False
    softly: bool = False


@dataclass
class Life:
    """One run. ``done`` are the calls that took effect, by name and first argument.

    When it is dead nothing gets out any more: neither what it would tidy up on its way nor what
    its other threads are about to do. What is out already comes to its end, and nobody hears of it.
    """

    death: Death | None = None
    dead: bool = False
    done: list[tuple[str, Any]] = field(default_factory=list)
    begun: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def windows(self, windows: RestoreWindows) -> RestoreWindows:
        """These windows, as far as it lives."""
        return replace(
            windows,
            store=self.wire("store", windows.store),
            open_store=lambda: self.wire("store", windows.open_store()),
            scratch=self.wire("scratch", windows.scratch),
            tables=self.wire("tables", windows.tables),
            writer=self.wire("writer", windows.writer),
            reader=self.wire("reader", windows.reader),
            importer=self.wire("importer", windows.importer),
        )

    def wire(self, name: str, port: P) -> P:
        """The port, whose every method goes through here."""
        wired: Any = _Wired(self, name, port)
        found: P = wired
        return found

    def call(self, name: str, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """One call."""
        with self.lock:
            self._living()
            death, number = self.death, self.begun[name]
            self.begun[name] += 1
            last = death is not None and (death.call, death.number) == (name, number)
            if last and death and not death.after:
                self._die(death)
        answer = method(*args, **named)
        with self.lock:
            self.done.append((name, args[0] if args else None))
            if last and death and death.after:
                self._die(death)
            self._living()
        return answer

    def _die(self, death: Death) -> None:
        self.dead = not death.softly
        raise Killed(str(death))

    def _living(self) -> None:
        if self.dead:
            raise Killed(str(self.death))


class _Wired:
    def __init__(self, life: Life, name: str, port: Any) -> None:
        self._life, self._name, self._port = life, name, port

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        name = f"{self._name}.{method}"
        return lambda *args, **named: self._life.call(name, found, *args, **named)
