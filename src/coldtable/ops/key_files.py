"""Is any key twice in an export? Answered in bounded memory, for any number of items.

Each object's keys go to a file of their own on the local disk as 16-byte hashes with the line
that each is on: 24 bytes for an item. They are grouped by the hash's first byte, so that the keys
of all objects are compared group by group. A finished object's file stays until its export is
done, so that an interrupted run need not read the object again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_GROUPS = 256
_RECORD = 24
_LENGTHS = struct.Struct(f">{_GROUPS}I")
_NUMBER = struct.Struct(">Q")
# What one object's keys may take in memory before they are written.
_MOST_HELD = 32 * 1024 * 1024
# How many hashes are compared at a time: about 200 bytes each in a dict.
_MOST_COMPARED = 200_000


class KeyWriter:
    """Takes the keys of one object in the order of its lines.

    ``alone``: no other object's keys will be compared with these, so that they are only written if
    one is twice among them, or if they are many. An archive has many small exports of one object,
    and making a file takes longer than all else about it.
    """

    def __init__(self, path: Path, *, alone: bool = False, held: int = _MOST_HELD) -> None:
        self._path = path
        self._alone = alone
        self._most = held
        self._partial = path.with_suffix(".partial")
        self._mode = "wb"
        self._clear()

    def add_all(self, hashes: Iterable[bytes | None], first: int) -> None:
        """The keys of the lines from ``first`` on; of some there may be none."""
        groups, number = self._groups, first
        for number, hashed in enumerate(hashes, first):
            if hashed:
                group = groups[hashed[0]]
                group += hashed
                group += number.to_bytes(8)
        self._held += _RECORD * (number - first + 1)
        if self._held >= self._most:
            self._flush()

    def close(self) -> None:
        """The object is read to its end: its file counts from now on."""
        if self._alone and self._mode == "wb" and not any(map(_has_twice, self._groups)):
            self._path.unlink(missing_ok=True)
            return
        self._flush()
        self._partial.replace(self._path)

    def _clear(self) -> None:
        self._groups = [bytearray() for _ in range(_GROUPS)]
        self._held = 0

    def _flush(self) -> None:
        # What an interrupted run has left there is written over.
        with self._partial.open(self._mode) as file:
            file.write(_LENGTHS.pack(*map(len, self._groups)))
            file.writelines(self._groups)
        self._mode = "ab"
        self._clear()


def _has_twice(group: bytearray) -> bool:
    return len(group) > _RECORD and len(set(_hashes(bytes(group)))) < len(group) // _RECORD


def _hashes(body: bytes) -> list[bytes]:
    return [body[place : place + 16] for place in range(0, len(body), _RECORD)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """One key that is on two lines: of ``paths[first]`` and ``paths[second]``."""

    first: int
    first_line: int
    second: int
    second_line: int


def keys_twice(paths: Sequence[Path], *, compared: int = _MOST_COMPARED) -> Iterator[Twice]:
    """Every key that was seen before, in any of these objects' files; ``compared`` at a time."""
    total = sum(path.stat().st_size for path in paths) // _RECORD
    # As many groups at a time as fit; if one alone does not, as many parts of it.
    together = max(1, min(_GROUPS, _GROUPS * compared // max(total, 1)))
    parts = -(-total // (_GROUPS * compared)) or 1
    for start in range(0, _GROUPS, together):
        groups = range(start, min(start + together, _GROUPS))
        # Nearly always no key is twice, which is sooner seen than where it is.
        if parts > 1 or _any_twice(paths, groups):
            for part in range(parts):
                yield from _compare(paths, groups, part, parts)


def _any_twice(paths: Sequence[Path], groups: range) -> bool:
    seen: set[bytes] = set()
    keys = 0
    for path in paths:
        for body in _bodies(path, groups):
            seen.update(_hashes(body))
            keys += len(body) // _RECORD
    return len(seen) < keys


def _compare(paths: Sequence[Path], groups: range, part: int, parts: int) -> Iterator[Twice]:
    seen: dict[bytes, tuple[int, int]] = {}
    for number, path in enumerate(paths):
        for body in _bodies(path, groups):
            for place in range(0, len(body), _RECORD):
                if parts > 1 and body[place + 1] % parts != part:
                    continue
                hashed = body[place : place + 16]
                (line,) = _NUMBER.unpack_from(body, place + 16)
                if (before := seen.setdefault(hashed, (number, line))) != (number, line):
                    yield Twice(
                        first=before[0], first_line=before[1], second=number, second_line=line
                    )


def _bodies(path: Path, groups: range) -> Iterator[bytes]:
    """What the file has of these groups, in pieces."""
    with path.open("rb") as file:
        while head := file.read(_LENGTHS.size):
            lengths = _LENGTHS.unpack(head)
            begin = file.tell()
            file.seek(begin + sum(lengths[: groups.start]))
            yield file.read(sum(lengths[groups.start : groups.stop]))
            file.seek(begin + sum(lengths))
