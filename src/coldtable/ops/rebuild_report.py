"""What rebuilding a catalog came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coldtable.core.rebuild import Left, Recovered
from coldtable.core.records import Home
from coldtable.model import Table
from coldtable.model_archive import Slot, Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRebuilt:
    """What the archive holds of one table, and what its catalog lacked.

    ``under_way`` are exports of coldtable's that AWS still works at, by slot and export id;
    ``ended`` tells that the table was not noted as gone, and is.
    """

    table: Table
    found: int = 0
    known: int = 0
    added: tuple[Recovered, ...] = ()
    under_way: tuple[tuple[Slot, str], ...] = ()
    left: tuple[Left, ...] = ()
    ended: bool = False
    timeline: Timeline = field(default_factory=Timeline)

    @property
    def records(self) -> int:
        """How many records were, or would be, added."""
        return len(self.added) + len(self.under_way) + self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What was recreated. ``unreadable`` are exports of which not even the table is known.

    ``held`` are the tables of which nothing may expire until somebody has looked after their holds,
    and the numbers of those that are still known.
    """

    tables: tuple[TableRebuilt, ...] = ()
    unreadable: tuple[Left, ...] = ()
    unfinished: int = 0
    lost: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    held: Mapping[Home, tuple[int, ...]] = field(default_factory=dict)

    @property
    def added(self) -> int:
        """How many records were, or would be, added."""
        return sum(line.records for line in self.tables)

    @property
    def damaged(self) -> tuple[Left, ...]:
        """The exports that are not whole and that no catalog knows as such."""
        return (*self.unreadable, *(one for t in self.tables for one in t.left if one.damaged))
