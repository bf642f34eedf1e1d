"""Data files: items placed by a hash of their partition key, gzipped, handed out in parts.

A pass walks the journal once with all files open, so that memory is one unfinished part per file
whatever the table's size.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, cast

from .journal import Entry, Key
from .lines import Line

_BLOCK_BYTES = 256 * 1024
_STEP = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The next bytes of file number ``file``; ``last`` ends it."""

    file: int
    body: bytes
    last: bool


def file_name(export_format: str) -> str:
    """26 characters of lowercase base32 over 16 random bytes, and the format's ending [REAL-G]."""
    name = base64.b32encode(os.urandom(16)).decode().lower().rstrip("=")
    return name + (".ion.gz" if export_format == "ION" else ".json.gz")


def place(partition_key: str, files: int) -> int:
    """The file of a partition key: the same for every item that shares it."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") * files >> 32


class _Sink:
    """Where a GzipFile writes to, and parts are cut from."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes) -> int:
        self._chunks.append(bytes(chunk))
        self.size += len(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing to do: parts are taken, not flushed."""

    def take(self) -> bytes:
        body = b"".join(self._chunks)
        self._chunks, self.size = [], 0
        return body


class DataFile:
    """One gzip stream with DynamoDB's header (mtime 0, XFL 0, OS 255), and its count of items."""

    def __init__(self) -> None:
        self.items = 0
        self.raw_bytes = 0
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._sink = _Sink()
        self._lines: list[bytes] = []
        self._pending = 0
        # Levels 2 to 8 write XFL 0; GzipFile writes OS 255, gzip.compress does not [REAL-G].
        self._gzip = gzip.GzipFile(
            filename="", mode="wb", fileobj=cast(IO[bytes], self._sink), compresslevel=6, mtime=0
        )

    def add(self, line: bytes) -> bool:
        """Take one line; true when a block went through the compressor."""
        self._lines.append(line)
        self._pending += len(line)
        self.items += 1
        if self._pending < _BLOCK_BYTES:
            return False
        self._compress()
        return True

    def full_part(self, limit: int) -> bytes | None:
        """The next part if it is complete."""
        return self._taken() if self._sink.size >= limit else None

    def finish(self) -> bytes:
        """End the stream: its last bytes."""
        self._compress()
        self._gzip.close()
        return self._taken()

    def _taken(self) -> bytes:
        body = self._sink.take()
        self.md5.update(body)
        return body

    def _compress(self) -> None:
        if self._lines:
            self._gzip.write(b"".join(self._lines))
            self.raw_bytes += self._pending
            self._lines, self._pending = [], 0


class Pass:
    """One walk over a journal into ``files`` data files. ``advance`` runs in a worker thread."""

    def __init__(
        self,
        keys: Sequence[Key],
        entry_of: Callable[[Key], Entry],
        line: Line,
        files: int,
        *,
        part_bytes: int,
    ) -> None:
        self.files = [DataFile() for _ in range(files)]
        self.done = False
        self._keys, self._entry_of, self._line = keys, entry_of, line
        self._part_bytes = part_bytes
        self._position = 0
        self._ending = 0

    def advance(self) -> list[Part]:
        """Go on until a few thousand items or a part are through; ``done`` after the last part."""
        if self._position < len(self._keys):
            return self._walk()
        body = self.files[self._ending].finish()
        part = Part(file=self._ending, body=body, last=True)
        self._ending += 1
        self.done = self._ending == len(self.files)
        return [part]

    def _walk(self) -> list[Part]:
        parts: list[Part] = []
        count, line = len(self.files), self._line
        stop = min(self._position + _STEP, len(self._keys))
        while self._position < stop and not parts:
            key = self._keys[self._position]
            text = line(self._entry_of(key))
            self._position += 1
            if text is None:
                continue
            number = place(key if isinstance(key, str) else key[0], count)
            if self.files[number].add(text):
                body = self.files[number].full_part(self._part_bytes)
                if body is not None:
                    parts.append(Part(file=number, body=body, last=False))
        return parts
