"""How the stack drills: it imports a full export as it lies, and waits for nothing long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from coldtable.errors import Deferred
from coldtable.ops.content import Content, exported
from coldtable.ops.fill import Filled, fill_by_import
from coldtable.ops.pace import Watch
from coldtable.ops.restore_plan import Progress, TablePlan, Windows

# Seconds that a run waits for AWS, whatever it waits for. Most imports take minutes at the least:
# whoever waited for them would pay for it each time.
PATIENCE = 120.0
_NEXT = "The next run goes on with it"


class Patience:
    """A pause for all that one run waits for; ``Deferred`` once it has waited for long enough."""

    def __init__(self, watch: Watch, seconds: float) -> None:
        self._watch = watch
        self._left = seconds

    def pause(self, seconds: float) -> None:
        """Wait, or raise ``Deferred``."""
        if seconds > min(self._left, self._watch.left):
            raise Deferred("AWS is still at work on it", hint=_NEXT)
        self._left -= seconds
        self._watch.pause(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """Imports, and reads as long as there is time. Implements ``drill_run.Hands``."""

    windows: Windows
    watch: Watch

    def gather(self, plan: TablePlan) -> Content:
        """See ``drill_run.Hands.gather``. ImportTable itself reads all of it: nothing else does."""
        found = exported(plan.base, self.windows.store, self.windows)
        return replace(found, read=lambda file: self._in_time(found.read(file)))

    def fill(self, plan: TablePlan, content: Content) -> Filled:
        """See ``drill_run.Hands.fill``."""
        return fill_by_import(plan, self.windows, content, _tell_nobody)

    def _in_time(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            if self.watch.left <= 0:
                raise Deferred("There is no time left to compare it", hint=_NEXT)
            yield line


def _tell_nobody(_now: Progress) -> None: ...
