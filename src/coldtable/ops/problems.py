"""Problems are kept until all of them are known, and then told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from coldtable.errors import ColdtableError, NoCredentials, ServiceFailed, all_together

T = TypeVar("T")


class Problems:
    """Keeps the problems that a person can mend for the end; the others end everything."""

    def __init__(self) -> None:
        self._found: list[ColdtableError] = []

    def add(self, problem: ColdtableError) -> None:
        """Keep one problem."""
        # Two checks can find the same fault, for example a name that is no name.
        if problem.message not in {p.message for p in self._found}:
            self._found.append(problem)

    def attempt(self, look: Callable[[], T]) -> T | None:
        """What ``look`` gives; ``None`` if it met a problem, which is kept."""
        try:
            return look()
        except (NoCredentials, ServiceFailed):
            raise
        except ColdtableError as problem:
            self.add(problem)
            return None

    def raise_them(self) -> None:
        """Raise the one problem that was kept, or a ``ConfigError`` that lists several."""
        if self._found:
            raise all_together(self._found, "things are in the way, and nothing was changed")
