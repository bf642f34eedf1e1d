"""Verify an archive: are the bytes there, and are they those that DynamoDB wrote?

Needs nothing but the objects: no catalog, no table, no AWS API but S3's reads. Memory does not
grow with what is read; what is done survives an interruption (``ops.checkpoint``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from coldtable.core.archive import ArchivedExport, Unreadable, of_table
from coldtable.core.line_check import KeyTypes
from coldtable.core.manifest import DataFile
from coldtable.core.verification import (
    Checked,
    Fault,
    Level,
    Problem,
    Report,
    Subset,
    judge,
    judge_unfinished,
    problem_with,
    unjoined,
)
from coldtable.errors import DamagedError
from coldtable.model import Table
from coldtable.ops.archive import find_exports
from coldtable.ops.batches import batches
from coldtable.ops.catalog import Catalog
from coldtable.ops.checkpoint import Checkpoint
from coldtable.ops.crew import Crew, OpenStore
from coldtable.ops.definitions import recorded_definition
from coldtable.ops.key_files import keys_twice
from coldtable.ops.key_schema import find_types
from coldtable.ops.rows import LineRules, ion_parser
from coldtable.ops.scan import Read, Reading
from coldtable.ops.survey import Survey
from coldtable.ops.witness import FILTERED, Told, Witness

_MOST_TWICE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to verify, and how. ``keys`` is the key schema where nothing in the archive tells it.

    ``state`` is a local folder for what an interrupted run has done; ``where`` names the archive
    in it.
    """

    where: str
    prefix: str
    level: Level
    state: Path
    table: str | None = None
    since: datetime | None = None
    subset: Subset | None = None
    keys: KeyTypes | None = None
    fresh: bool = False


class Watch(Protocol):
    """Who wants to hear how it goes on."""

    def begin(self, exports: int, objects: int, size: int, resumed: int) -> None:
        """So much there is to read; so many objects of it were read by an interrupted run."""
        ...

    def advance(self, objects: int, size: int) -> None:
        """So much more was read (bytes as they lie in the archive)."""
        ...

    def judged(self, checked: Checked) -> None:
        """An export has its verdict."""
        ...


def verify_archive(
    open_store: OpenStore,
    wanted: Wanted,
    crew: Crew,
    now: datetime,
    watch: Watch,
    witness: Witness | None = None,
) -> Report:
    """Verify what ``wanted`` says, and report on every export and on what no export explains.

    ``witness`` is DynamoDB, where it may be asked which exports were filtered; about those that the
    catalog has noted as proven nobody asks again. Raises ``NotFound`` if there is no export of the
    table, and what keeps everything from being read (``AccessDenied``); all else is in the report.
    """
    store = open_store()
    archive = find_exports(store, wanted.prefix)
    selected = _selected(archive.exports, wanted)
    survey = Survey(store=store, prefix=wanted.prefix, archive=archive, selected=selected, now=now)
    survey.carry_out()
    checked = [judge_unfinished(found, now) for found in archive.unfinished]
    checked += [_unreadable(found) for found in archive.unreadable]
    for one in checked:
        watch.judged(one)
    told = witness.ask(selected, Catalog(store)) if witness else Told()
    run = _Run(
        survey=survey, wanted=wanted, watch=watch, now=now, began=now, filtered=told.filtered
    )
    if wanted.level.reads_objects:
        checked += run.read(open_store, crew)
    else:
        checked += run.list_only()
    place = {export.summary_key: number for number, export in enumerate(selected)}
    return Report(
        level=wanted.level,
        began=run.began,
        checked=tuple(sorted(checked, key=lambda one: place.get(one.key, len(place)))),
        orphans=tuple(survey.orphans),
        orphan_count=survey.orphan_count,
        unjoined=tuple(u for u in unjoined(archive.exports) if u.export.summary_key in place),
        notes=(f"Whether exports were filtered is not known: {told.silent}",)
        if told.silent
        else (),
    )


def _selected(exports: Sequence[ArchivedExport], wanted: Wanted) -> tuple[ArchivedExport, ...]:
    found = of_table(exports, wanted.table) if wanted.table else tuple(exports)
    since = wanted.since
    return tuple(export for export in found if since is None or export.stop >= since)


def _unreadable(found: Unreadable) -> Checked:
    problems = (problem_with(found),)
    return Checked(
        key=found.summary_key,
        export_id=found.summary_key.split("/")[-2] if "/" in found.summary_key else "",
        verdict=judge(problems),
        problems=problems,
    )


@dataclass(slots=True)
class _Open:
    """An export some of whose files are still being read."""

    export: ArchivedExport
    files: dict[int, DataFile] = field(default_factory=dict)
    waiting: int = 0
    read: int = 0
    read_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    strange: dict[str, str] = field(default_factory=dict)
    key_files: dict[int, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """Whether it has one file: what is twice in that one was seen when it was read."""
        return len(self.export.files) == 1


@dataclass(slots=True)
class _Run:
    """One run: hands out what is to be read, and judges each export when its last file is in."""

    survey: Survey
    wanted: Wanted
    watch: Watch
    now: datetime
    began: datetime
    filtered: frozenset[str] = frozenset()
    _open: dict[int, _Open] = field(default_factory=dict)
    _judged: list[Checked] = field(default_factory=list)
    _types: dict[Table, KeyTypes | None] = field(default_factory=dict)

    def list_only(self) -> list[Checked]:
        """The level ``manifest``: what is missing, and no more."""
        for number in range(len(self.survey.selected)):
            self._begin(number)
            self._judge(number)
        return self._judged

    def read(self, open_store: OpenStore, crew: Crew) -> list[Checked]:
        """Read every file that is wanted, as many at a time as the crew is large."""
        checkpoint, unread = self._checkpoint(), 0
        self.began = checkpoint.began
        inventory = self.survey.inventory
        self.watch.begin(
            len(self.survey.selected), inventory.objects, inventory.bytes, checkpoint.resumed
        )
        checked = self.wanted.level.reads_items
        crew = crew.for_size(inventory.bytes, inventory.objects, checked=checked)
        try:
            for reads in crew.read(open_store, batches(self._readings(checkpoint), inventory.size)):
                for read in reads:
                    if any(p.fault.unread for p in read.problems):
                        unread += 1
                    else:
                        checkpoint.add(read, self._open[read.export].files[read.place])
                    self._take(read)
        finally:
            checkpoint.close()
        if not unread:
            checkpoint.remove()
        return self._judged

    def _checkpoint(self) -> Checkpoint:
        wanted = self.wanted
        run = {
            "archive": wanted.where,
            "level": wanted.level,
            "table": wanted.table,
            "since": wanted.since.isoformat() if wanted.since else None,
            "subset": f"{wanted.subset.number}/{wanted.subset.of}" if wanted.subset else None,
            "keys": wanted.keys,
        }
        return Checkpoint(wanted.state, run, self.now, fresh=wanted.fresh)

    def _readings(self, checkpoint: Checkpoint) -> Iterator[Reading]:
        """Every file to read, export by export; what was read before is taken from there."""
        for number in range(len(self.survey.selected)):
            opened = self._begin(number)
            rules = self._rules(opened, checkpoint.keys)
            some = []
            for place, file in list(opened.files.items()):
                if not self._is_wanted(opened.export, file):
                    continue
                reading = Reading(export=number, place=place, file=file, rules=rules)
                if rules and rules.keys:
                    opened.key_files[place] = Path(f"{rules.keys}-{place:08}.keys")
                    own = replace(rules, keys=opened.key_files[place], alone=opened.alone)
                    reading = replace(reading, rules=own)
                some.append(reading)
            opened.waiting = len(some)
            for reading in some:
                before = checkpoint.find(number, reading.place, reading.file)
                kept = opened.key_files.get(reading.place)
                if before and (kept is None or opened.alone or kept.exists() or before.problems):
                    self._take(before)
                else:
                    yield reading
            if not some:
                self._judge(number)

    def _is_wanted(self, export: ArchivedExport, file: DataFile) -> bool:
        subset = self.wanted.subset
        return subset is None or subset.holds(file.key, export.export_id, full=export.is_full)

    def _begin(self, number: int) -> _Open:
        export = self.survey.selected[number]
        opened = self._open[number] = _Open(export=export)
        if export.export_id in self.filtered:
            opened.problems.append(
                Problem(key=export.summary_key, fault=Fault.FILTERED, reason=FILTERED)
            )
        broken = self.survey.broken.get(export.summary_key)
        if broken:
            opened.problems.append(broken)
            return opened
        opened.export = self.survey.files(export)
        for place, file in enumerate(opened.export.files):
            if self.survey.inventory.size(file.key) is None:
                opened.problems.append(
                    Problem(key=file.key, fault=Fault.MISSING, reason="it is not there")
                )
            else:
                opened.files[place] = file
        return opened

    def _rules(self, opened: _Open, keys: Path) -> LineRules | None:
        if not self.wanted.level.reads_items:
            return None
        export, manifest = opened.export, opened.export.manifest
        types = self._types_of(export.table)
        if types is None and export.is_full:
            opened.notes.append("The key schema is not known, so keys were not compared: --key")
        whole = self.wanted.subset is None and (types is not None or not export.is_full)
        stem = keys / hashlib.sha256(export.summary_key.encode()).hexdigest()[:24]
        return LineRules(
            ion=manifest.output_format == "ION",
            window=manifest.window,
            view=manifest.view,
            types=types,
            keys=stem if whole else None,
        )

    def _types_of(self, table: Table) -> KeyTypes | None:
        if self.wanted.keys:
            return self.wanted.keys
        if table not in self._types:
            exports = self.survey.archive.exports
            group = [e for e in exports if e.table == table and not e.is_full and e.manifest.items]
            found = self._noted_types(table)
            self._types[table] = found or find_types(self.survey.store, group, _read_ion)
        return self._types[table]

    def _noted_types(self, table: Table) -> KeyTypes | None:
        """As the catalog noted the table's definition."""
        try:
            noted = recorded_definition(self.survey.store, self.wanted.prefix, table, self.now)
        except DamagedError:
            # What records are worth is not the question here.
            return None
        if noted is None:
            return None
        return dict(sorted((one.name, one.kind) for one in noted[0].key.attributes))

    def _take(self, read: Read) -> None:
        """One file is read; the last one of its export brings the verdict."""
        opened = self._open[read.export]
        file = opened.files[read.place]
        size = self.survey.inventory.size(file.key) or 0
        self.watch.advance(1, size)
        if not any(problem.fault.unread for problem in read.problems):
            opened.read += 1
            opened.read_bytes += size
        opened.waiting -= 1
        opened.problems.extend(read.problems)
        if read.md5 and read.md5 != file.md5:
            opened.strange[read.key] = read.md5
        if not opened.waiting:
            self._judge(read.export)

    def _judge(self, number: int) -> None:
        opened = self._open.pop(number)
        export = opened.export
        problems = [_explained(problem, opened) for problem in opened.problems]
        problems += _twice(opened)
        checked = Checked(
            key=export.summary_key,
            export_id=export.export_id,
            table=export.table,
            start=export.start,
            stop=export.stop,
            full=export.is_full,
            verdict=judge(problems),
            objects=len(export.files),
            read=opened.read,
            items=export.manifest.items,
            compressed=sum(self.survey.inventory.size(f.key) or 0 for f in export.files),
            read_bytes=opened.read_bytes,
            problems=tuple(problems),
            notes=tuple(opened.notes),
        )
        self._judged.append(checked)
        self.watch.judged(checked)


def _explained(problem: Problem, opened: _Open) -> Problem:
    """A file whose bytes are another file's of the same export was swapped: that is told."""
    found = opened.strange.get(problem.key)
    if found is None or "MD5" not in problem.reason:
        return problem
    others = [file.key for file in opened.export.files if file.md5 == found]
    if not others or others == [problem.key]:
        return problem
    return replace(problem, reason=f"{problem.reason}: it is the content of {others[0]}")


def _twice(opened: _Open) -> list[Problem]:
    """The keys that are on two lines of the export. Its key files are not needed any more, but for
    one that is alone, and says so to the next run if this one is interrupted."""
    places = [place for place, path in opened.key_files.items() if path.exists()]
    paths = [opened.key_files[place] for place in places]
    problems: list[Problem] = []
    more = 0
    for one in keys_twice(paths):
        first, second = (opened.files[places[n]].key for n in (one.first, one.second))
        if len(problems) == _MOST_TWICE:
            more += 1
            continue
        where = "" if first == second else f" of {first}"
        problems.append(
            Problem(
                key=second,
                fault=Fault.DAMAGED,
                reason=f"the item's key is that of line {one.first_line}{where}, too",
                line=one.second_line,
            )
        )
    if more:
        problems[-1] = replace(problems[-1], reason=f"{problems[-1].reason} (and {more} more)")
    for path in paths:
        if not (opened.alone and problems):
            path.unlink()
    return problems


def _read_ion(line: bytes) -> dict[str, Any]:
    return ion_parser()(line)
