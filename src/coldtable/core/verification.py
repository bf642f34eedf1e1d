"""What verifying says: how deep it looked, what it found wrong, and what that makes of an export.

``core.verdict`` judges an export that has just ended against its request; this judges whatever
lies in an archive, years later and anywhere, against what its own manifests promise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import ceil

from coldtable.core.archive import ArchivedExport, Unfinished, Unreadable, by_table
from coldtable.core.request import exact_iso
from coldtable.core.restore_point import Seam
from coldtable.errors import UsageError
from coldtable.model import Table


class Level(StrEnum):
    """How deep to look; each includes the ones before it."""

    MANIFEST = "manifest"
    OBJECTS = "objects"
    ITEMS = "items"
    DRILL = "drill"

    @property
    def reads_objects(self) -> bool:
        """Whether data files are read at all."""
        return self is not Level.MANIFEST

    @property
    def reads_items(self) -> bool:
        """Whether each line is parsed and checked."""
        return self in (Level.ITEMS, Level.DRILL)


class Verdict(StrEnum):
    """What an export is worth.

    Unknown: it could not be read, or S3 has archived it, or it has no summary although it began
    long ago.
    """

    VERIFIED = "verified"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """The kinds of things that are wrong with an object."""

    DAMAGED = "damaged"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    ARCHIVED = "archived"
    FILTERED = "filtered"

    @property
    def unread(self) -> bool:
        """Whether nobody has seen the bytes, so that another run may."""
        return self in (Fault.UNREADABLE, Fault.ARCHIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: the object, why, and its line where there is one."""

    key: str
    fault: Fault
    reason: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An export, what was read of it, and what came of that.

    ``objects`` and ``items`` are what the manifests promise, ``compressed`` the bytes that are
    there; ``read`` and ``read_bytes`` are how much of that was read, which a subset or the level
    ``manifest`` keeps below it. ``notes`` say what could not be judged.
    """

    key: str
    export_id: str
    table: Table | None = None
    start: datetime | None = None
    stop: datetime | None = None
    full: bool = True
    verdict: Verdict
    objects: int = 0
    read: int = 0
    items: int = 0
    compressed: int = 0
    read_bytes: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether bytes are missing or wrong."""
        return self.verdict in (Verdict.DAMAGED, Verdict.INCOMPLETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjoined:
    """An increment that nothing leads to, so that nothing can be rebuilt through it.

    ``seam`` is what lies between it and the export that comes nearest; ``None`` if the table has
    no earlier export at all.
    """

    export: ArchivedExport
    seam: Seam | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run of verify found, in the order of the archive.

    ``began`` is when it did, before it was interrupted if it was. ``notes`` say what of the whole
    run could not be known.
    """

    level: Level
    began: datetime
    checked: tuple[Checked, ...]
    orphans: tuple[str, ...] = ()
    orphan_count: int = 0
    unjoined: tuple[Unjoined, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Slice ``number`` of ``of``: which data files are read today.

    The files of a full export are spread over the slices by hash of their keys; an increment lies
    in one slice as a whole, by its id, so that nobody needs the manifests of the others. So a file
    stays in its slice whatever else comes or goes.
    """

    number: int
    of: int

    def holds(self, key: str, export_id: str, *, full: bool) -> bool:
        """Whether this data file of this export is in the slice."""
        return self._has(key if full else export_id)

    def touches(self, export_id: str, *, full: bool) -> bool:
        """Whether any file of this export may be in the slice."""
        return full or self._has(export_id)

    def _has(self, name: str) -> bool:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % self.of == self.number - 1

    def covers(self, other: Subset) -> bool:
        """Whether every data file of the other slice is in this one."""
        return other.of % self.of == 0 and (other.number - 1) % self.of == self.number - 1


_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_SLICE = re.compile(r"(\d{1,6})/(\d{1,6})")


def parse_subset(text: str, today: date) -> Subset:
    """``3/20`` is that slice; ``5%`` is today's of 20, a different one each day for 20 days."""
    if found := _SLICE.fullmatch(text):
        number, of = int(found[1]), int(found[2])
        if 1 <= number <= of:
            return Subset(number=number, of=of)
    elif (found := _SHARE.fullmatch(text)) and 0 < float(found[1]) <= 100:
        of = ceil(100 / float(found[1]))
        return Subset(number=today.toordinal() % of + 1, of=of)
    raise UsageError(
        f"--subset {text!r} is no part of an archive",
        hint="Write a share that rotates from day to day, like 5%, or a slice, like 3/20",
    )


def problem_with(found: Unreadable) -> Problem:
    """What is wrong with an export whose summary cannot be believed or read."""
    fault = Fault.MISSING if found.missing else Fault.DAMAGED
    fault = Fault.ARCHIVED if found.archived else fault
    return Problem(key=found.summary_key, fault=fault, reason=found.reason)


def judge(problems: Iterable[Problem]) -> Verdict:
    """The verdict on an export with a summary. Wrong bytes weigh more than missing ones; what was
    filtered lacks items for good."""
    faults = {problem.fault for problem in problems}
    if faults & {Fault.DAMAGED, Fault.FILTERED}:
        return Verdict.DAMAGED
    if Fault.MISSING in faults:
        return Verdict.INCOMPLETE
    return Verdict.UNKNOWN if faults else Verdict.VERIFIED


# The longest export that was heard of takes hours [QUIRKS, REAL-G]; there is no promise.
_STILL_RUNNING = timedelta(days=1)


def judge_unfinished(found: Unfinished, now: datetime) -> Checked:
    """In progress if it began within a day, else unknown: only DescribeExport knows, 90 days."""
    running = now - found.started < _STILL_RUNNING
    began = f"It began at {exact_iso(found.started)} and has no summary"
    note = (
        f"{began} yet"
        if running
        else f"{began}: it failed, or its summary was removed. What it left can be removed too"
    )
    return Checked(
        key=found.folder,
        export_id=found.export_id,
        verdict=Verdict.IN_PROGRESS if running else Verdict.UNKNOWN,
        notes=(note,),
    )


def unjoined(exports: Iterable[ArchivedExport]) -> tuple[Unjoined, ...]:
    """The increments of all tables that join on to no export of the same table, with the reason.

    What joins on to such an increment is not told again: closing the first seam brings all back.
    """
    groups = by_table(exports)
    found: list[Unjoined] = []
    for table, group in groups.items():
        ends = {export.stop for export in group}
        loose = [export for export in group if not export.is_full and export.start not in ends]
        found += [_unjoined(export, table, sorted(ends), groups) for export in loose]
    return tuple(found)


def _unjoined(
    export: ArchivedExport,
    table: Table,
    ends: Sequence[datetime],
    groups: Mapping[Table, Sequence[ArchivedExport]],
) -> Unjoined:
    inside = [end for end in ends if export.start < end < export.stop]
    earlier = [end for end in ends if end < export.start]
    seams = [Seam(end=end, start=export.start) for end in (*earlier[-1:], *inside[:1])]
    if seams:
        seam = min(seams, key=lambda seam: seam.length)
        return Unjoined(export=export, seam=seam, reason=str(seam))
    others = [t for t in groups if t.arn == table.arn and t.table_id != table.table_id]
    reason = "there is no export of the table that it could follow"
    if others:
        reason += f": the earlier ones are of a table that was replaced (id {others[0].table_id})"
    return Unjoined(export=export, seam=None, reason=reason)
