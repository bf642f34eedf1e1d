"""Read data files to their last byte: what of them is not as the manifest promises?

Runs in worker processes: what goes in and out can be pickled.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isal import igzip_lib

from coldtable.core.line_check import ChangeCheck, CheckRow, KeyTypes, full_row
from coldtable.core.lines import Parse, parse_json
from coldtable.core.manifest import DataFile
from coldtable.core.verification import Fault, Problem
from coldtable.errors import (
    AccessDenied,
    Archived,
    BucketNotFound,
    ColdtableError,
    ItemInvalid,
    NoCredentials,
    NotFound,
    NotInstalled,
)
from coldtable.model import View, Window
from coldtable.ops.key_files import KeyWriter
from coldtable.ports import ObjectStore

_UNSOUND: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stubs are wrong
# So much text at a time stays in the caches, whatever it was zipped to. This decompressor, which
# fills one buffer of that size, is a tenth faster than isal's zlib, which makes it from pieces.
_TEXT = 256 * 1024
# DynamoDB's items are at most 400 KB [DOC-CONSTR]; a change holds two images and keys, and JSON
# may spell a byte with six.
_LONGEST_LINE = 16 * 1024 * 1024
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRules:
    """What the lines of an export must be; ``keys`` is where their keys are kept meanwhile."""

    ion: bool
    window: Window | None
    view: View | None
    types: KeyTypes | None
    keys: Path | None = None


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


def read_batch(store: ObjectStore, batch: Sequence[Reading], *, threads: int = 1) -> list[Read]:
    """Read all of them, ``threads`` at a time, which is good while a store keeps one waiting."""
    if threads == 1 or len(batch) == 1:
        return [read_object(store, reading) for reading in batch]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda reading: read_object(store, reading), batch))


def read_object(store: ObjectStore, reading: Reading) -> Read:
    """Read one data file. What is wrong with it is in the result; an error is about all of them.

    Raises ``AccessDenied`` and the like, which would only come again.
    """
    scan = _Scan(reading)
    try:
        for piece in store.read(reading.file.key):
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
    _rows: _Rows | None = None

    def __post_init__(self) -> None:
        if self.reading.rules:
            self._rows = _Rows(self, self.reading.rules)

    def feed(self, piece: bytes) -> None:
        """The next bytes of the object."""
        self._digest.update(piece)
        self.size += len(piece)
        if self._unzip:
            self._unzipped(self._unzip, piece)

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

    def _unzipped(self, unzip: igzip_lib.IgzipDecompressor, piece: bytes) -> None:
        if unzip.eof:
            self._unsound("it has bytes after the end of its gzip stream")
            return
        try:
            for text in _texts(unzip, piece):
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
            # ``count`` looks at each byte, ``replace`` leaps from line to line: 3 and 14 GB/s for
            # lines of 300 bytes, and the same for lines of 30 (measured, CPython 3.11).
            self.lines += len(text) - len(text.replace(b"\n", b""))
            return
        *lines, self._tail = (self._tail + text).split(b"\n")
        for line in lines:
            self.lines += 1
            self._rows.check(line, self.lines)
        if len(self._tail) > _LONGEST_LINE:
            self._unsound(f"its line {self.lines + 1} is longer than {_LONGEST_LINE} bytes")


class _Rows:
    """The check of each line, and where the keys go."""

    def __init__(self, scan: _Scan, rules: LineRules) -> None:
        self._scan = scan
        self._parse: Parse = _ion_parser() if rules.ion else _json_parser()
        self._check: CheckRow = full_row(rules.types)
        if rules.window and rules.view:
            self._check = ChangeCheck(window=rules.window, view=rules.view, types=rules.types)
        self._keys = KeyWriter(rules.keys) if rules.keys else None
        self._bad = 0

    def check(self, line: bytes, number: int) -> None:
        try:
            hashed = self._check(self._parse(line))
        except ItemInvalid as error:
            self._bad += 1
            # Enough to tell what is wrong; an object of a million bad lines stays small.
            if self._bad <= 1000:
                self._scan.wrong(error.message, line=number)
            return
        if hashed and self._keys:
            self._keys.add(hashed, number)

    def close(self) -> None:
        if self._keys:
            self._keys.close()


def _json_parser() -> Parse:
    """msgspec's, where the extra ``archive`` is installed: three times as fast as Python's own."""
    try:
        from msgspec import DecodeError, json
    except ImportError:
        return parse_json
    decode = json.Decoder().decode

    def parse(line: bytes) -> dict[str, Any]:
        try:
            found = decode(line)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return parse_json(line)
        return found if type(found) is dict else parse_json(line)

    return parse


def _ion_parser() -> Parse:
    from coldtable.ion import read_line

    return read_line


def _gunzip() -> igzip_lib.IgzipDecompressor:
    """For the gzip format and no other; it checks the CRC and the size at the end."""
    return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP, igzip_lib.MAX_HIST_BITS)


def _texts(unzip: igzip_lib.IgzipDecompressor, piece: bytes) -> Iterator[bytes]:
    """What the piece holds, so much at a time that memory stays small however it was zipped."""
    while text := unzip.decompress(piece, _TEXT):
        yield text
        if unzip.needs_input or unzip.eof:
            return
        piece = b""  # It has kept what it has not unzipped yet.


def first_line(store: ObjectStore, key: str) -> bytes | None:
    """The first line of a data file, read no further than needed; ``None`` if there is none."""
    return next(_lines(store, key), None)


def _lines(store: ObjectStore, key: str) -> Iterator[bytes]:
    unzip, tail = _gunzip(), b""
    try:
        for piece in store.read(key):
            if unzip.eof:
                return
            for text in _texts(unzip, piece):
                *lines, tail = (tail + text).split(b"\n")
                yield from lines
    except _UNSOUND:
        return
