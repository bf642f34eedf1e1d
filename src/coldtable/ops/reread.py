"""Read one slice of one table's archive again: what the catalog says is there, held against what
the manifests promise. For a function of 15 minutes: nothing on a disk, memory that does not grow,
threads alone, and an end before its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from coldtable.core.archive import SUMMARY, ArchivedExport, Unreadable
from coldtable.core.index import Line
from coldtable.core.ledger import attempts
from coldtable.core.manifest import DataFile
from coldtable.core.records import parse_base_name, parse_log_name, record_key
from coldtable.core.retention import Piece
from coldtable.core.rotation import Turn
from coldtable.core.verification import Checked, Fault, Problem, judge, problem_with
from coldtable.errors import (
    AccessDenied,
    Archived,
    BucketNotFound,
    ColdtableError,
    DamagedError,
    Deferred,
    NoCredentials,
    NotFound,
    ObjectMissing,
)
from coldtable.model import Table
from coldtable.model_archive import Outcome
from coldtable.ops.archive import read_summary
from coldtable.ops.history import History
from coldtable.ops.pace import Watch
from coldtable.ops.proof import read_through
from coldtable.ops.shelf import folder_of
from coldtable.ops.survey import load_list
from coldtable.ports import ObjectStore

# Most of reading is unzipping, and zlib lets other threads run meanwhile; the rest is waiting.
AT_A_TIME = 8
# So many exports are open at once, with the lists of their files.
_OPEN = 64
_NO_TIME = "there was no time left to read it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An export that the catalog has as proven and not expired; ``line`` is its record's."""

    piece: Piece
    line: Line | None = None

    @property
    def export_id(self) -> str:
        """The export's id."""
        return self.piece.attempt.export_id or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What was read: each export, and how many files there was no time for. An export that was
    not begun counts as one."""

    checked: tuple[Checked, ...] = ()
    left: int = 0


def kept_exports(history: History, base_names: Iterable[str]) -> Iterator[Kept]:
    """The exports of one TableId that should be there, one after the other, from names alone."""
    bases = [(Line(name), fact) for name in sorted(base_names) if (fact := parse_base_name(name))]
    logged = ((line, fact) for line in history.lines() if (fact := parse_log_name(line.name)))
    for told, is_base in ((iter(bases), True), (logged, False)):
        for slot, same in groupby(told, key=lambda one: one[1].slot):
            some = list(same)
            for attempt in attempts(fact for _, fact in some).values():
                if attempt.outcome is Outcome.VERIFIED:
                    line = next(line for line, fact in some if fact.attempt == attempt)
                    piece = Piece(slot=slot, attempt=attempt)
                    yield Kept(piece=piece, line=None if is_base else line)


def record_of(history: History, kept: Kept) -> dict[str, Any]:
    """What was noted when the export was proven."""
    if kept.line:
        return dict(history.details(kept.line))
    return history.catalog.read(_record_key(history, kept))


def _record_key(history: History, kept: Kept) -> str:
    return record_key(history.home, history.table_id, kept.piece.slot, kept.piece.attempt)


@dataclass(slots=True)
class _Open:
    """One export, and what came of it so far. ``found`` is ``None`` if it cannot be opened."""

    kept: Kept
    key: str
    found: ArchivedExport | None = None
    wanted: Sequence[DataFile] = ()
    problems: list[Problem] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    read: int = 0
    size: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads the exports of one TableId, as far as the time of ``watch`` goes, so many objects at a
    time as it has ``threads``."""

    history: History
    table: Table
    turn: Turn
    watch: Watch
    threads: int = AT_A_TIME

    def read(self, chosen: Sequence[Kept]) -> Reread:
        """Read these exports: of full ones the files of the slice, of the others all."""
        chosen = chosen[::-1] if self.turn.backwards else chosen
        done = Reread()
        with ThreadPoolExecutor(self.threads) as threads:
            for start in range(0, len(chosen), _OPEN):
                opened = list(threads.map(self._open, chosen[start : start + _OPEN]))
                readings = [(one, file) for one in opened for file in one.wanted]
                for (one, file), came in zip(
                    readings, threads.map(self._read, [f for _, f in readings]), strict=True
                ):
                    _take(one, file, came)
                done = Reread(
                    checked=(*done.checked, *map(self._checked, opened)),
                    left=done.left + sum(one.left for one in opened),
                )
        return done

    @property
    def _store(self) -> ObjectStore:
        return self.history.catalog.store

    def _open(self, kept: Kept) -> _Open:
        """Its manifests, and which of its files are to be read."""
        opened = _Open(kept=kept, key=_record_key(self.history, kept))
        if self.watch.left <= 0:
            opened.left = 1
            return opened
        try:
            folder = folder_of(kept.piece, record_of(self.history, kept))
        except (DamagedError, NotFound) as error:
            # The record is no part of the export, which may be as good as ever.
            opened.problems.append(_problem(opened.key, Fault.UNREADABLE, error.message))
            return opened
        opened.key = f"{folder}/{SUMMARY}"
        try:
            self._look(opened)
        except ColdtableError as error:
            opened.problems.append(_fault(opened.key, error))
        return opened

    def _look(self, opened: _Open) -> None:
        found = read_summary(self._store, opened.key)
        if isinstance(found, Unreadable):
            opened.problems.append(problem_with(found))
            return
        meant = (found.export_id, found.table.table_id)
        if meant != (opened.kept.export_id, self.table.table_id):
            reason = f"it is the manifest of another export: {found.manifest.export_arn}"
            opened.problems.append(_problem(opened.key, Fault.DAMAGED, reason))
            return
        loaded = load_list(self._store, found)
        if isinstance(loaded, Problem):
            opened.problems.append(loaded)
            return
        opened.found = loaded
        files = loaded.files
        if loaded.is_full:
            # What is missing is noticed in every slice, not only in its own.
            listed = self._store.entries(f"{loaded.folder}/")
            opened.sizes = {entry.key: entry.size for entry in listed}
            gone = [file.key for file in files if file.key not in opened.sizes]
            opened.problems += [_problem(key, Fault.MISSING, "it is not there") for key in gone]
            files = tuple(file for file in files if file.key in opened.sizes)
        holds, whole = self.turn.subset.holds, loaded.is_full
        wanted = [f for f in files if holds(f.key, loaded.export_id, full=whole)]
        opened.wanted = wanted[::-1] if self.turn.backwards else wanted

    def _read(self, file: DataFile) -> int | Problem | None:
        """The size of a file that is as promised; ``None`` if there was no time for it."""
        if self.watch.left <= 0:
            return None
        try:
            return read_through(file, self._in_time(self._store.read(file.key)))
        except Deferred:
            return None
        except ColdtableError as error:
            return _fault(file.key, error)

    def _in_time(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self.watch.left <= 0:
                raise Deferred(_NO_TIME)
            yield piece

    def _checked(self, opened: _Open) -> Checked:
        problems, found, piece = list(opened.problems), opened.found, opened.kept.piece
        if opened.left:
            # An export of which not all was read must not count as read.
            reason = f"{_NO_TIME}: {opened.left} of its files are not verified"
            problems.append(_problem(opened.key, Fault.UNREADABLE, reason))
        return Checked(
            key=opened.key,
            export_id=opened.kept.export_id,
            table=self.table,
            start=piece.start,
            stop=piece.stop,
            full=piece.is_full,
            verdict=judge(problems),
            objects=len(found.files) if found else 0,
            read=opened.read,
            items=found.manifest.items if found else 0,
            compressed=sum(opened.sizes.get(f.key, 0) for f in found.files) if found else 0,
            read_bytes=opened.size,
            problems=tuple(problems),
        )


def _take(opened: _Open, file: DataFile, came: int | Problem | None) -> None:
    if came is None:
        opened.left += 1
        return
    if isinstance(came, Problem):
        opened.problems.append(came)
        if came.fault.unread:
            return
        came = opened.sizes.get(file.key, 0)
    opened.read += 1
    opened.sizes[file.key] = came
    opened.size += came


def _fault(key: str, error: ColdtableError) -> Problem:
    """What an error says of the object; raises it again if it is about all of them."""
    match error:
        case AccessDenied() | NoCredentials() | BucketNotFound():
            raise error
        case Archived():
            return _problem(key, Fault.ARCHIVED, error.reason)
        case NotFound() | ObjectMissing():
            return _problem(key, Fault.MISSING, "it is not there")
        case DamagedError():
            return _problem(key, Fault.DAMAGED, error.message.removeprefix(f"{key} "))
    return _problem(key, Fault.UNREADABLE, error.message)


def _problem(key: str, fault: Fault, reason: str) -> Problem:
    return Problem(key=key, fault=fault, reason=reason)
