"""What every command gets from the global options: AWS, and where to write."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from coldtable.aws.session import AwsSession

Output = Literal["table", "json"]

# Kept open at the most: as many as threads may read and write at a time on a large machine.
_CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Context:
    """The global options, and what follows from them. stdout is the answer; stderr the rest."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    # Only for the embedded AWS, whose keys are no secret; people's own come from their profile.
    access_key: str | None = None
    secret_key: str | None = None
    output: Output = "table"
    verbosity: int = 0

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the options, and nothing that was made of them here."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def session(self) -> AwsSession:
        """The AWS session; the SDK is imported when a command first needs it."""
        from coldtable.aws.session import AT_A_TERMINAL, AwsSession

        return AwsSession(
            profile=self.profile,
            region=self.region,
            endpoint_url=self.endpoint_url,
            access_key=self.access_key,
            secret_key=self.secret_key,
            attempts=AT_A_TERMINAL,
            connections=_CONNECTIONS,
        )

    @cached_property
    def err(self) -> Console:
        """stderr, for progress and notes."""
        return Console(stderr=True, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A line on stderr for people who watch; ``--quiet`` keeps it back."""
        if self.verbosity >= 0:
            self.err.print(text, markup=False)

    def detail(self, text: str) -> None:
        """A line on stderr that only ``--verbose`` shows."""
        if self.verbosity > 0:
            self.err.print(text, markup=False, style="dim")

    @contextmanager
    def waiting(self, text: Callable[[], str]) -> Iterator[Callable[[float], None]]:
        """A pause function for a loop that waits; on a terminal ``text`` is shown meanwhile."""
        if self.verbosity < 0:
            yield time.sleep
            return
        with self.err.status("") as status:

            def pause(seconds: float) -> None:
                status.update(escape(text()))
                time.sleep(seconds)

            yield pause

    def answer(self, schema: str, body: Mapping[str, Any], table: Callable[[], None]) -> None:
        """The command's result on stdout: JSON with its schema's name, or what ``table`` prints."""
        if self.output == "json":
            sys.stdout.write(json.dumps({"schema": schema, **body}, indent=2) + "\n")
        else:
            table()
        # Some commands go on after their answer, and whoever reads it through a pipe waits for it.
        sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on stdout. Long values wrap on a terminal and stay whole in a pipe."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 100_000)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    with out.capture() as drawn:
        out.print(grid)
    sys.stdout.writelines(line.rstrip() + "\n" for line in drawn.get().splitlines())
