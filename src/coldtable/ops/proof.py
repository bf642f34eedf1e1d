"""Prove that a completed export is whole: its manifests, and every byte that they promise."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from coldtable.core.manifest import (
    DataFile,
    Manifest,
    check_md5,
    check_sum,
    parse_files,
    parse_summary,
)
from coldtable.errors import DamagedError, NotFound, ObjectMissing
from coldtable.model import Export
from coldtable.ports import ObjectStore

# 32 + 15: gzip format, largest window; the header is recognised.
_GZIP = 32 + zlib.MAX_WBITS


def read_manifest(export: Export, store: ObjectStore) -> Manifest:
    """Both manifests of a COMPLETED export, checked against their MD5s and against each other.

    Raises ``DamagedError``; ``NotFound`` if the summary is not there.
    """
    summary_key = _summary_key(export, store)
    manifest = parse_summary(summary_key, read_with_md5(summary_key, store))
    files = parse_files(manifest.files_key, read_with_md5(manifest.files_key, store))
    manifest = replace(manifest, files=files)
    check_sum(manifest)
    if manifest.export_arn != export.arn:
        raise DamagedError(f"{summary_key} belongs to another export: {manifest.export_arn}")
    if export.items is not None and export.items != manifest.items:
        raise DamagedError(
            f"DynamoDB reports {export.items} items for {export.arn}, its manifest {manifest.items}"
        )
    return manifest


def read_items(file: DataFile, store: ObjectStore) -> Iterator[bytes]:
    """The lines of a data file, without their newline; streamed, and checked when they end.

    Raises ``DamagedError`` at the end unless MD5, gzip CRC and line count are as promised, and
    ``ObjectMissing``.
    """
    digest, unzip, rest, count = hashlib.md5(usedforsecurity=False), _Gunzip(file.key), b"", 0
    for piece in read_named(file.key, store):
        digest.update(piece)
        *lines, rest = (rest + unzip.feed(piece)).split(b"\n")
        count += len(lines)
        yield from lines
    unzip.close()
    _hold(file, digest.digest(), count, torn=bool(rest))


def first_line(store: ObjectStore, key: str) -> bytes | None:
    """The first line of a data file, read no further than needed; ``None`` if there is none."""
    unzip, text = _Gunzip(key), b""
    try:
        for piece in store.read(key):
            line, newline, _ = (text := text + unzip.feed(piece)).partition(b"\n")
            if newline:
                return line
    except DamagedError:
        return None
    return None


def read_through(file: DataFile, pieces: Iterable[bytes]) -> int:
    """Hold the bytes of a data file against its MD5, gzip CRC and line count; how many there were.

    Raises ``DamagedError`` unless all are as promised.
    """
    digest, unzip = hashlib.md5(usedforsecurity=False), _Gunzip(file.key)
    size = count = 0
    last = b"\n"
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
        text = unzip.feed(piece)
        count += text.count(b"\n")
        last = text[-1:] or last
    unzip.close()
    _hold(file, digest.digest(), count, torn=last != b"\n")
    return size


def _hold(file: DataFile, md5: bytes, count: int, *, torn: bool) -> None:
    """Raise ``DamagedError`` unless that is what the manifest promises."""
    if torn:
        raise DamagedError(f"{file.key} ends in the middle of a line")
    found = base64.b64encode(md5).decode()
    if found != file.md5:
        raise DamagedError(f"{file.key} has MD5 {found}, and its manifest says {file.md5}")
    if count != file.items:
        raise DamagedError(f"{file.key} holds {count} items, and its manifest says {file.items}")


def read_named(key: str, store: ObjectStore) -> Iterator[bytes]:
    """The bytes of an object that a manifest names; ``ObjectMissing`` if it is not there."""
    try:
        yield from store.read(key)
    except NotFound as error:
        raise ObjectMissing(
            f"{error.message}, and the export's manifest names it",
            hint="It was removed, or never copied",
        ) from None


class _Gunzip:
    """zlib's decompressor, with its errors and a stream cut short as ``DamagedError``."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._zlib = zlib.decompressobj(_GZIP)

    def feed(self, piece: bytes) -> bytes:
        try:
            out = self._zlib.decompress(piece)
        except zlib.error as error:
            raise DamagedError(f"{self._key} is not sound gzip: {error}") from None
        if self._zlib.unused_data:
            raise DamagedError(f"{self._key} has bytes after the end of its gzip stream")
        return out

    def close(self) -> None:
        if not self._zlib.eof:
            raise DamagedError(f"{self._key} is cut short: its gzip stream does not end")


def read_with_md5(key: str, store: ObjectStore) -> bytes:
    """A manifest, held against the ``.md5`` object beside it [REAL-G]."""
    body = b"".join(store.read(key))
    check_md5(key, body, b"".join(store.read(key.removesuffix(".json") + ".md5")))
    return body


def _summary_key(export: Export, store: ObjectStore) -> str:
    """The summary's key. Whether AWS reports it with the prefix is UNVERIFIED: try both."""
    told = export.manifest_key or ""
    prefixed = f"{(export.prefix or '').rstrip('/')}/{told}".lstrip("/")
    for key in dict.fromkeys((told, prefixed)):
        if key and key in store.keys(key):
            return key
    raise NotFound(
        f"The manifest of {export.arn} is not in the bucket {export.bucket}",
        hint="The export is not complete, or its objects were removed",
    )
