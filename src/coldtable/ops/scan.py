"""Read data files to their last byte: what of them is not as the manifest promises?

Runs in worker processes: what goes in and out can be pickled.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event

from isal import igzip_lib

from coldtable.core.lines import count_lines
from coldtable.core.manifest import DataFile
from coldtable.core.verification import Fault, Problem
from coldtable.errors import (
    AccessDenied,
    Archived,
    BucketNotFound,
    ColdtableError,
    NoCredentials,
    NotFound,
    NotInstalled,
)
from coldtable.ops.rows import LineRules, Rows
from coldtable.ports import ObjectStore

_UNSOUND: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stubs are wrong
# So much text at a time stays in the caches, whatever it was zipped to, and is small enough for the
# heap: what is larger may be mapped anew each time, and its page faults cost up to a third. This
# decompressor, which fills one buffer of that size, is faster than isal's zlib, which makes it from
# pieces.
_TEXT = 120 * 1024
# It copies what is left of its input, which so is never much.
_STEP = 32 * 1024
# Lines that are checked take several times their size meanwhile.
_CHECKED = 64 * 1024
# DynamoDB's items are at most 400 KB [DOC-CONSTR]; a change holds two images and keys, and JSON
# may spell a byte with six.
_LONGEST_LINE = 16 * 1024 * 1024
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One data file to read. Without ``rules`` its lines are only counted.

    ``export`` and ``place`` are the caller's numbers for where it belongs.
    """

    export: int
    place: int
    file: DataFile
    rules: LineRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What came of a reading; ``md5`` is that of the bytes that were found."""

    export: int
    place: int
    key: str
    size: int = 0
    md5: str = ""
    problems: tuple[Problem, ...] = ()


class Stopped(Exception):
    """Nobody wants the result any more."""


def read_batch(
    store: ObjectStore, batch: Sequence[Reading], *, threads: int = 1, stop: Event | None = None
) -> list[Read]:
    """Read all of them, ``threads`` at a time, which is good while a store keeps one waiting."""
    if threads == 1 or len(batch) == 1:
        return [read_object(store, reading, stop) for reading in batch]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda reading: read_object(store, reading), batch))


def read_object(store: ObjectStore, reading: Reading, stop: Event | None = None) -> Read:
    """Read one data file. What is wrong with it is in the result; an error is about all of them.

    Raises ``AccessDenied`` and the like, which would only come again, and ``Stopped`` once
    ``stop`` is set.
    """
    scan = _Scan(reading)
    try:
        for piece in store.read(reading.file.key):
            if stop and stop.is_set():
                raise Stopped
            scan.feed(piece)
        scan.close()
    except (AccessDenied, NoCredentials, BucketNotFound, NotInstalled):
        raise
    except NotFound:
        scan.wrong("it is not there", fault=Fault.MISSING)
    except Archived as error:
        scan.wrong(error.reason, fault=Fault.ARCHIVED)
    except ColdtableError as error:
        scan.wrong(error.message, fault=Fault.UNREADABLE)
    return scan.result()


@dataclass(slots=True)
class _Scan:
    """The state of reading one data file."""

    reading: Reading
    size: int = 0
    lines: int = 0
    md5: str = ""
    problems: list[Problem] = field(default_factory=list)
    _digest: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _unzip: igzip_lib.IgzipDecompressor | None = field(default_factory=lambda: _gunzip())
    _tail: bytes = b""
    _rows: Rows | None = None

    def __post_init__(self) -> None:
        if self.reading.rules:
            self._rows = Rows(self.reading.rules, self._wrong_line)

    def feed(self, piece: bytes) -> None:
        """The next bytes of the object."""
        self._digest.update(piece)
        self.size += len(piece)
        whole = memoryview(piece)
        for start in range(0, len(piece), _STEP):
            if self._unzip is None:
                return
            self._unzipped(self._unzip, whole[start : start + _STEP])

    def close(self) -> None:
        """The object has ended: now its sums must be right."""
        file = self.reading.file
        self.md5 = base64.b64encode(self._digest.digest()).decode()
        if self.md5 != file.md5:
            self.wrong(f"its MD5 is {self.md5}, and its manifest says {file.md5}")
        if self._unzip is None:
            return
        if self._unzip.unused_data:
            self._unsound("it has bytes after the end of its gzip stream")
            return
        if not self._unzip.eof:
            self._unsound("it is cut short: its gzip stream does not end")
            return
        if self._tail:
            self.wrong("it ends in the middle of a line", line=self.lines + 1)
        if self.lines != file.items:
            self.wrong(f"it holds {self.lines} items, and its manifest says {file.items}")
        if self._rows:
            self._rows.close()

    def wrong(self, reason: str, *, fault: Fault = Fault.DAMAGED, line: int | None = None) -> None:
        """Note a problem."""
        key = self.reading.file.key
        self.problems.append(Problem(key=key, fault=fault, reason=reason, line=line))

    def _wrong_line(self, reason: str, line: int) -> None:
        self.wrong(reason, line=line)

    def result(self) -> Read:
        """What is known of the object; of many bad lines only the first ones are told."""
        told = self.problems
        bad = [problem for problem in told if problem.line is not None]
        if len(bad) > _MOST_TOLD:
            more = f"{bad[_MOST_TOLD].reason} (and {len(bad) - _MOST_TOLD - 1} more lines)"
            told = [problem for problem in told if problem.line is None]
            told += [*bad[:_MOST_TOLD], replace(bad[_MOST_TOLD], reason=more)]
        return Read(
            export=self.reading.export,
            place=self.reading.place,
            key=self.reading.file.key,
            size=self.size,
            md5=self.md5,
            problems=tuple(told),
        )

    def _unzipped(self, unzip: igzip_lib.IgzipDecompressor, piece: memoryview) -> None:
        if unzip.eof:
            self._unsound("it has bytes after the end of its gzip stream")
            return
        try:
            for text in _texts(unzip, piece, _CHECKED if self._rows else _TEXT):
                self._text(text)
                if self._unzip is None:
                    return
        except _UNSOUND as error:
            self._unsound(f"it is not sound gzip: {error}")

    def _unsound(self, reason: str) -> None:
        self.wrong(reason)
        self._unzip = None

    def _text(self, text: bytes) -> None:
        if self._rows is None:
            self._tail = b"" if text.endswith(b"\n") else b"x"
            self.lines += count_lines(text)
            return
        text = self._tail + text
        end = text.rfind(b"\n") + 1
        self._tail = text[end:]
        if end:
            self.lines += self._rows.check(text[:end], self.lines + 1)
        if len(self._tail) > _LONGEST_LINE:
            self._unsound(f"its line {self.lines + 1} is longer than {_LONGEST_LINE} bytes")


def _gunzip() -> igzip_lib.IgzipDecompressor:
    """For the gzip format and no other; it checks the CRC and the size at the end."""
    return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP, igzip_lib.MAX_HIST_BITS)


def _texts(
    unzip: igzip_lib.IgzipDecompressor, piece: bytes | memoryview, most: int = _CHECKED
) -> Iterator[bytes]:
    """What the piece holds, so much at a time that memory stays small however it was zipped."""
    while text := unzip.decompress(piece, most):
        yield text
        if unzip.needs_input or unzip.eof:
            return
        piece = b""  # It has kept what it has not unzipped yet.
