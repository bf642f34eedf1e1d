"""Which objects of an interrupted run are done, so that the next run goes on where it stopped.

One file on the local disk, a line for each object as it is done: the archive may be one that
nobody here may write to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from coldtable.core.manifest import DataFile
from coldtable.core.verification import Fault, Problem
from coldtable.ops.scan import Read

SCHEMA = "coldtable.verify-checkpoint/1"
# An older one says too little about the bytes of today.
_GOOD_FOR = timedelta(days=7)


class Checkpoint:
    """The checkpoint of one run, told from others by what was asked for.

    Nobody else may run the same at the same time.
    """

    def __init__(
        self, folder: Path, run: Mapping[str, Any], now: datetime, *, fresh: bool = False
    ) -> None:
        name = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:24]
        self._path = folder / f"{name}.jsonl"
        self.keys = folder / f"{name}.keys"
        self._good: set[bytes] = set()
        self._bad: dict[bytes, list[dict[str, Any]]] = {}
        self.began = now
        if fresh or not self._load(now):
            self.remove()
            folder.mkdir(parents=True, exist_ok=True)
            self._append({"schema": SCHEMA, "began": now.isoformat(), "run": dict(run)})
        self.keys.mkdir(exist_ok=True)
        self._file: IO[bytes] = self._path.open("ab")

    @property
    def resumed(self) -> int:
        """How many objects were done before."""
        return len(self._good) + len(self._bad)

    def find(self, export: int, place: int, file: DataFile) -> Read | None:
        """What came of this object before; ``None`` if it was not done."""
        mark = _mark(file.key, file.md5)
        if mark in self._good:
            return Read(export=export, place=place, key=file.key, md5=file.md5)
        if (told := self._bad.get(mark)) is None:
            return None
        problems = tuple(Problem(**{**one, "fault": Fault(one["fault"])}) for one in told)
        return Read(export=export, place=place, key=file.key, problems=problems)

    def add(self, read: Read, file: DataFile) -> None:
        """This object is done; it stays so when the machine stops now."""
        line: dict[str, Any] = {"key": file.key, "md5": file.md5}
        if read.problems:
            line["problems"] = [
                {"key": p.key, "fault": p.fault, "reason": p.reason, "line": p.line}
                for p in read.problems
            ]
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Keep it for another run."""
        self._file.close()

    def remove(self) -> None:
        """The run has come to its end."""
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self.keys, ignore_errors=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def _load(self, now: datetime) -> bool:
        """Whether there is one that can be gone on with; a torn last line is cut off."""
        try:
            with self._path.open("rb") as file:
                head = json.loads(file.readline())
                self.began = datetime.fromisoformat(head["began"])
                if head["schema"] != SCHEMA or not timedelta() <= now - self.began < _GOOD_FOR:
                    return False
                sound = file.tell()
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._take(json.loads(line))
                    sound += len(line)
            os.truncate(self._path, sound)
        except (OSError, ValueError, KeyError, TypeError):
            self._good, self._bad = set(), {}
            return False
        return True

    def _take(self, done: Mapping[str, Any]) -> None:
        mark = _mark(done["key"], done["md5"])
        if "problems" in done:
            self._bad[mark] = done["problems"]
        else:
            self._good.add(mark)


def _mark(key: str, md5: str) -> bytes:
    """16 bytes instead of a key: there may be millions."""
    return hashlib.blake2b(f"{key}\0{md5}".encode(), digest_size=16).digest()
