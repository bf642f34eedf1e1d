"""Fold increments into a full export: the table as it was at the end of the last window.

The newest change of each key counts, by its time; of changes of the same time the one that comes
later in the exports. A change without a new image deletes. Lines of the full export whose keys
were not changed pass through byte for byte, and images keep their bytes as well.

The result comes in parts, and a part in blocks of whole lines. Both follow from the exports alone:
another run, with other limits, gives the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Generic, Self, TypeVar

import numpy as np

from coldtable.core.archive import ArchivedExport
from coldtable.core.manifest import DataFile
from coldtable.errors import DamagedError, ItemInvalid
from coldtable.model_restore import KeyAttribute, KeySchema
from coldtable.ops.fold_changes import ChangeScanner, ImageReader, first_key
from coldtable.ops.fold_chunks import Buffer, Chunk, Unpacked, chunks, inflate
from coldtable.ops.fold_crew import Crew
from coldtable.ops.fold_find import Finder
from coldtable.ops.fold_index import ChangeIndex
from coldtable.ops.fold_limits import Limits, limits
from coldtable.ops.fold_log import ChangeLog
from coldtable.ops.fold_parse import BadLine
from coldtable.ops.fold_scan import BaseScanner
from coldtable.ops.proof import read_named
from coldtable.ports import ObjectStore

T = TypeVar("T")
R = TypeVar("R")
Thing = TypeVar("Thing")

# How many changes are put together in one part: about as many items are in a file of the result.
_CHANGES = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A data file; ``number`` is that of its first change, counted over all increments."""

    data: DataFile
    ion: bool
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one or several data files give to the result; ``place`` is its place in it."""

    place: int
    is_base: bool
    files: tuple[_File, ...]


@dataclass(frozen=True, slots=True)
class Block(Generic[R]):
    """Some lines of the result: what was made of them, and how many they are."""

    made: R
    items: int


class Fold:
    """One fold, in a ``with``: it has threads, and a folder for what memory does not hold.

    ``base`` and ``increments`` have their files (``ops.archive.load_files``); the increments are
    in order. ``tell`` hears how many lines were read, from several threads, one at a time.
    """

    def __init__(
        self,
        store: ObjectStore,
        base: ArchivedExport,
        increments: Sequence[ArchivedExport] = (),
        *,
        key: KeySchema | None = None,
        bounds: Limits | None = None,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._base = [_File(data=file, ion=_is_ion(base)) for file in base.files]
        self._changes = list(_numbered(increments))
        self._wanted = key.attributes if key else None
        self._bounds = bounds or limits()
        self._tell = tell
        self._lock = Lock()
        self._changed: _Changed | None = None
        self._images = ImageReader()
        self._finder = Finder([])
        self.parts = tuple(_parts(self._base, self._changes))

    @property
    def lines(self) -> int:
        """How many lines are read in all; those of increments are read twice."""
        return sum(f.data.items for f in self._base) + 2 * sum(f.data.items for f in self._changes)

    def __enter__(self) -> Self:
        """Read all keys of the changes. Raises ``DamagedError``."""
        with ExitStack() as stack:
            self._crew = stack.enter_context(
                Crew(readers=self._bounds.readers, workers=self._bounds.workers)
            )
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="coldtable-")))
            if any(file.data.items for file in self._changes):
                self._changed = self._read_changes(folder)
                stack.callback(self._changed.index.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def each(self, things: Iterable[Thing], do: Callable[[Thing], R]) -> Iterator[R]:
        """What ``do`` returns for each of the things (parts), several at a time, in any order."""
        return self._crew.each(things, do)

    def blocks(self, part: Part, make: Callable[[bytes | memoryview], R]) -> Iterator[Block[R]]:
        """The lines of a part, in order. Only to be called by what ``each`` calls.

        ``make`` gets lines as bytes and makes something of them while others do, too; it must not
        keep a ``memoryview``. Raises ``DamagedError`` for a file that is not as its manifest says,
        at the latest after its last block: whoever cannot wait must not trust the first ones.
        """
        for file in part.files:
            if part.is_base:
                yield from self._file(file, lambda chunk: self._kept(chunk, make))
            else:
                yield from self._file(
                    file,
                    lambda chunk, first=file.number: self._newest(chunk, first, make),  # type: ignore[misc]
                    count=True,
                )

    def _read_changes(self, folder: Path) -> _Changed:
        wanted = self._wanted or self._inferred()
        scanner = ChangeScanner(wanted)
        log = ChangeLog(folder, self._bounds.log)

        def note(file: _File) -> None:
            number = file.number
            for changes in self._read(file, scanner.changes, len):
                if number + len(changes) > file.number + file.data.items:
                    raise DamagedError(f"{file.data.key} holds more items than its manifest says")
                log.add(changes, number)
                number += len(changes)

        total = self._changes[-1].number + self._changes[-1].data.items
        with closing(log):
            for _ in self._crew.each(self._changes, note):
                pass
            index = ChangeIndex(log, total, folder, self._bounds.index)
        return _Changed(index, BaseScanner(wanted))

    def _inferred(self) -> tuple[KeyAttribute, ...]:
        """The key as the first change that there is has it."""
        file = next(file for file in self._changes if file.data.items)
        pieces = self._pieces(file, Unpacked())
        chunk = next(chunks(file.data.key, pieces, Buffer))
        line = bytes(chunk.buffer.raw[: chunk.buffer.raw.find(b"\n", 0, chunk.size)])
        try:
            return first_key(line)
        except ItemInvalid as error:
            raise DamagedError(f"{file.data.key}, line 1: {error.message}") from None

    def _file(
        self, file: _File, do: Callable[[Chunk], tuple[int, Block[R]]], *, count: bool = False
    ) -> Iterator[Block[R]]:
        for _, block in self._read(file, do, lambda done: done[0], count=count):
            yield block

    def _read(
        self,
        file: _File,
        do: Callable[[Chunk], T],
        lines_of: Callable[[T], int],
        *,
        count: bool = False,
    ) -> Iterator[T]:
        """What ``do`` returns for each chunk of a file, which is held against its manifest."""
        read, seen = Unpacked(), 0
        key = file.data.key
        pieces = self._pieces(file, read)
        try:
            for done in self._crew.work(chunks(key, pieces, self._crew.take, count=count), do):
                lines = lines_of(done)
                seen += lines
                with self._lock:
                    self._tell(lines)
                yield done
        except BadLine as bad:
            raise DamagedError(
                f"{key}, line {seen + bad.line + 1}: {bad.reason}",
                hint="The export is not what DynamoDB wrote, or not of this table",
            ) from None
        read.check(file.data, seen)

    def _pieces(self, file: _File, read: Unpacked) -> Iterator[bytes]:
        pieces = inflate(file.data.key, read_named(file.data.key, self._store), read)
        return _json_of_ion(file.data.key, pieces) if file.ion else pieces

    def _kept(self, chunk: Chunk, make: Callable[[bytes | memoryview], R]) -> tuple[int, Block[R]]:
        """The lines of the base that nothing changed."""
        whole = memoryview(chunk.buffer.raw)[: chunk.size]
        if self._changed is None:
            count = len(self._finder.newlines(chunk))
            return count, Block(make(whole), count)
        lines = self._changed.scanner.lines(chunk)
        keep = ~self._changed.index.has(lines.keys)
        count, kept = len(keep), int(np.count_nonzero(keep))
        if kept == count:
            return count, Block(make(whole), count)
        edges = np.flatnonzero(np.diff(keep, prepend=False, append=False))
        begins, ends = lines.starts[edges[0::2]], lines.ends[edges[1::2] - 1] + 1
        at = 0
        # Moved together where they are: the chunk is nobody else's, and new memory costs time.
        for start, end in zip(begins.tolist(), ends.tolist(), strict=True):
            whole[at : at + end - start] = whole[start:end]
            at += end - start
        return count, Block(make(whole[:at]), kept)

    def _newest(
        self, chunk: Chunk, first: int, make: Callable[[bytes | memoryview], R]
    ) -> tuple[int, Block[R]]:
        """The new images of the changes that are the newest of their keys."""
        ends = self._finder.newlines(chunk)
        start = first + chunk.first
        # Without changes there are no parts of changes.
        won = self._changed.index.won(start, start + len(ends)) if self._changed else ends > 0
        items, count = self._images.items(chunk, ends, won)
        return len(ends), Block(make(items), count)


@dataclass(frozen=True, slots=True)
class _Changed:
    """What is known of the changes once all are read, and how to find their keys in the base."""

    index: ChangeIndex
    scanner: BaseScanner


def _is_ion(export: ArchivedExport) -> bool:
    return export.manifest.output_format == "ION"


def _numbered(increments: Iterable[ArchivedExport]) -> Iterator[_File]:
    number = 0
    for export in increments:
        for file in export.files:
            yield _File(data=file, ion=_is_ion(export), number=number)
            number += file.items


def _parts(base: Sequence[_File], changes: Sequence[_File]) -> Iterator[Part]:
    """Each file of the base alone; the files of the increments in groups of like size."""
    for place, file in enumerate(base):
        yield Part(place=place, is_base=True, files=(file,))
    filled = [file for file in changes if file.data.items]
    cuts = [0]
    count = 0
    for place, file in enumerate(filled, 1):
        count += file.data.items
        if count >= _CHANGES or place == len(filled):
            cuts.append(place)
            count = 0
    for place, (start, stop) in enumerate(pairwise(cuts), len(base)):
        yield Part(place=place, is_base=False, files=tuple(filled[start:stop]))


def _json_of_ion(key: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of Ion as the lines of JSON that DynamoDB would have written."""
    from coldtable.ion import read_line

    rest, number = b"", 0
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        made = []
        for line in lines:
            number += 1
            try:
                row = read_line(line)
            except ItemInvalid as error:
                raise DamagedError(f"{key}, line {number}: {error.message}") from None
            ordered = {name: row[name] for name in _ORDER if name in row} | row
            made.append(json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode())
            made.append(b"\n")
        yield b"".join(made)
    yield rest


_ORDER = ("Metadata", "Keys", "OldImage", "NewImage")
