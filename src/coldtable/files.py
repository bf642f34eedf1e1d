"""A folder as an object store: for archives that were copied to a disk.

Keys are the paths below the folder, with slashes. Beside ``aws/`` this is the other room of the
cellar: it implements ``ports.ObjectStore`` on local files.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from coldtable.errors import (
    AccessDenied,
    ColdtableError,
    Conflict,
    NotFound,
    ParameterInvalid,
    ServiceFailed,
)
from coldtable.ports import Entry

_PIECE = 256 * 1024


class FileObjects:
    """Implements ``ports.ObjectStore``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``ports.ObjectStore.keys``."""
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """See ``ports.ObjectStore.entries``."""
        folder = prefix.rpartition("/")[0]
        yield from self._walk(folder, prefix, after)

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        try:
            with self._path(key).open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise _translated(error, self._path(key)) from None

    def put(self, key: str, body: bytes) -> None:
        """See ``ports.ObjectStore.put``. Nobody sees half an object, also after a crash."""
        path = self._path(key)
        temporary = self._write(path, body)
        try:
            temporary.replace(path)
        except OSError as error:
            raise _translated(error, path) from None

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``: a hard link is made or is not, at one instant."""
        path = self._path(key)
        temporary = self._write(path, body)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise _translated(error, path) from None
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        """See ``ports.ObjectStore.put_stream``.

        The half-written file has a name that follows from the key, so that a later run takes over
        what one that was killed has left.
        """
        path = self._path(key)
        part = path.with_name(f".{path.name}.part")
        with self._open_alone(part) as file:
            try:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                # Still locked: from here on the name is free for the next writer.
                part.replace(path)
            except BaseException as error:
                part.unlink(missing_ok=True)
                if isinstance(error, OSError):
                    raise _translated(error, path) from None
                raise
        return ""

    def remove(self, key: str) -> None:
        """See ``ports.ObjectStore.remove``. An empty folder stays: it is no object."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _translated(error, path) from None

    def remove_many(self, keys: Iterable[str]) -> Mapping[str, ColdtableError]:
        """See ``ports.ObjectStore.remove_many``."""
        refused: dict[str, ColdtableError] = {}
        for key in keys:
            try:
                self.remove(key)
            except ColdtableError as error:
                refused[key] = error
        return refused

    def _open_alone(self, path: Path) -> BinaryIO:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise _translated(error, path) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise Conflict(f"{path} is being written by somebody else") from None
        file.truncate(0)
        return file

    def _write(self, path: Path, body: bytes) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
        except OSError as error:
            raise _translated(error, path) from None
        return Path(name)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if key.startswith("/") or ".." in parts or "\0" in key:
            raise ParameterInvalid(f"{key!r} is no key inside {self._root}")
        return self._root.joinpath(*parts)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[Entry]:
        """In S3's order: that of whole keys, in which ``a-b`` comes before ``a/b``."""
        try:
            found = list(os.scandir(self._path(folder) if folder else self._root))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _translated(error, self._root / folder) from None
        start = f"{folder}/" if folder else ""
        # Files that begin with a dot are this class's own, half written.
        names = sorted(
            (start + e.name + ("/" if e.is_dir() else ""), e)
            for e in found
            if e.is_dir() or not e.name.startswith(".")
        )
        for key, entry in names:
            if key.endswith("/"):
                inside = key.startswith(prefix) or prefix.startswith(key)
                # A folder that lies before ``after`` altogether need not be looked into.
                if inside and (key > after or after.startswith(key)):
                    yield from self._walk(key[:-1], prefix, after)
            elif key.startswith(prefix) and key > after:
                yield Entry(key, entry.stat().st_size)


def _translated(error: OSError, path: Path) -> ColdtableError:
    match error:
        case FileNotFoundError():
            return NotFound(f"There is no file {path}")
        case PermissionError():
            return AccessDenied(f"The file {path} cannot be used: {error.strerror}", action="file")
    return ServiceFailed(f"{path}: {error.strerror}")
