"""Gather what is written into a table: a full export as it lies, a fold of several, or a few
items."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from coldtable.core.archive import SUMMARY, ArchivedExport
from coldtable.core.checkpoint import digest_of
from coldtable.core.lines import parse_json
from coldtable.core.manifest import DataFile
from coldtable.core.request import exact_iso
from coldtable.core.selection import Selection, parse_selection
from coldtable.core.verification import Fault, Problem
from coldtable.errors import (
    Archived,
    ColdtableError,
    DamagedError,
    ItemInvalid,
    NotFound,
    ServiceFailed,
)
from coldtable.ops.archive import load_files
from coldtable.ops.content import Content, Tell, exported
from coldtable.ops.crew import Crew, OpenStore
from coldtable.ops.raw import raw_change, raw_item
from coldtable.ops.restore_plan import Progress, TablePlan, json_lines
from coldtable.ops.restore_windows import RestoreWindows
from coldtable.ops.scan import Reading

# As many data files as a process is given at once.
_AT_A_TIME = 16


def content_of(plan: TablePlan, windows: RestoreWindows, progress: Tell) -> Content:
    """Everything that the plan restores; read to its last byte before anything is written.

    Raises ``DamagedError`` for what is not as its manifest says.
    """
    if plan.wish.keys:
        selection = parse_selection(plan.wish.keys, plan.definition.key)
        return _selected(plan, selection, windows, progress)
    if plan.source.increments:
        return _folded(plan, windows, progress)
    if plan.wish.prove and not _proven(plan, plan.base):
        crew = windows.crew.for_size(plan.estimate.stored_bytes or 0, len(plan.base.files))
        _prove(plan.base, crew, windows.open_store, progress)
    return exported(plan.base, windows.store, windows)


def _folded(plan: TablePlan, windows: RestoreWindows, progress: Tell) -> Content:
    """A full export made of all of them, in the scratch place; an earlier run's, if it is there."""
    # Only here: it needs the extra "archive".
    from coldtable.ops.materialize import Destination, materialize

    to = Destination(
        store=windows.scratch, prefix=windows.fold_place, bucket=windows.scratch_bucket
    )

    def tell(done: int, every: int) -> None:
        progress(Progress(what="lines folded", done=done, total=every))

    made = materialize(
        plan.source,
        windows.store,
        to,
        now=windows.now,
        bounds=windows.bounds,
        key=plan.definition.key,
        tell=tell,
    )
    files = tuple(sorted(made.manifest.files, key=lambda file: file.key))
    export = ArchivedExport(
        manifest=made.manifest, summary_key=f"{made.folder}/{SUMMARY}", files=files
    )
    if not made.new and not _proven(plan, export):
        _prove(export, Crew(cores=1), lambda: windows.scratch, progress)
    return replace(exported(export, windows.scratch, windows), scratch=made.folder)


def _proven(plan: TablePlan, export: ArchivedExport) -> bool:
    """Whether an earlier run came so far that it had read these very files to their end."""
    return plan.checkpoint is not None and plan.checkpoint.files == digest_of(export.files)


def _prove(export: ArchivedExport, crew: Crew, open_store: OpenStore, progress: Tell) -> None:
    """Read every data file once and hold it against its manifest."""
    done, files = 0, export.files
    readings = [Reading(export=0, place=place, file=file) for place, file in enumerate(files)]
    batches = [readings[n : n + _AT_A_TIME] for n in range(0, len(readings), _AT_A_TIME)]
    for batch in crew.read(open_store, batches):
        for read in batch:
            if read.problems:
                raise _broken(read.problems[0])
            done += files[read.place].items
        progress(Progress(what="items proven", done=done, total=export.manifest.items))


def _broken(problem: Problem) -> ColdtableError:
    text = f"{problem.key}: {problem.reason}"
    if problem.fault is Fault.ARCHIVED:
        # It was there when it was planned: the copy has gone since.
        return Archived(text, hint="Run it again with --retrieve")
    if problem.fault is Fault.UNREADABLE:
        return ServiceFailed(text, hint="Run it again")
    return DamagedError(
        text, hint="Nothing was written. To see all that is damaged: coldtable verify"
    )


def _selected(
    plan: TablePlan, selection: Selection, windows: RestoreWindows, progress: Tell
) -> Content:
    """The items that are meant, as they were at the restore point; all files are read for them.

    They are kept in memory: whoever means most of a table should restore all of it.
    """
    found: dict[bytes, bytes] = {}
    takes = [(plan.base, _item_key(selection))]
    takes += [
        (load_files(windows.store, export), _change_key(selection))
        for export in plan.source.increments
    ]
    for export, take in takes:
        for key, item in _meant(export, take, selection, windows, progress):
            if item is None:
                found.pop(key, None)
            else:
                found[key] = item
    if missing := selection.missing(map(parse_json, found.values())):
        text = f"At {exact_iso(plan.source.moment)} there was no item {' or '.join(missing)}"
        if not found:
            raise NotFound(text, hint="Nothing was written. Was it another key, or another time?")
        windows.say(text)
    lines = [b'{"Item":' + item + b"}" for _, item in sorted(found.items())]
    file = DataFile(key="the selected items", items=len(lines), md5=_digest(lines))
    return Content(files=(file,), read=lambda _: lines, items=len(lines))


Row = tuple[bytes, bytes | None]


def _meant(
    export: ArchivedExport,
    take: Callable[[bytes], Row | None],
    selection: Selection,
    windows: RestoreWindows,
    progress: Tell,
) -> Iterator[Row]:
    """Of each item that is meant its key and what became of it; ``None`` if it was deleted."""
    done = 0
    for file in export.files:
        try:
            for line in json_lines(file, export, windows.store, windows.ion):
                if selection.may_be(line) and (row := take(line)):
                    yield row
        except ItemInvalid as error:
            raise DamagedError(f"{file.key}: {error.message}") from None
        done += file.items
        progress(Progress(what="lines searched", done=done, total=export.manifest.items))


def _item_key(selection: Selection) -> Callable[[bytes], Row | None]:
    def take(line: bytes) -> Row | None:
        item = raw_item(line)
        key = selection.key(parse_json(item))
        return (key, item) if key is not None else None

    return take


def _change_key(selection: Selection) -> Callable[[bytes], Row | None]:
    def take(line: bytes) -> Row | None:
        change = raw_change(line)
        key = selection.key(parse_json(change.keys))
        return (key, change.new) if key is not None else None

    return take


def _digest(lines: list[bytes]) -> str:
    return hashlib.blake2b(b"\n".join(lines), digest_size=16).hexdigest()
