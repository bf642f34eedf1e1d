"""``coldtable verify`` on a folder, for the tests: a sound archive, and ways to spoil it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.files import FileObjects
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line

HOUR = timedelta(hours=1)
KEY, OTHER = {"pk": {"S": "1"}}, {"pk": {"S": "2"}}

ITEMS = [item_line(**KEY, n={"N": "1"}), item_line(**OTHER)]
CHANGES = [record_line(KEY, NOON, {**KEY, "n": {"N": "2"}}, {**KEY, "n": {"N": "1"}})]

Damage = Callable[[ExportsWriter], object]


def sound() -> ExportsWriter:
    """A full export of three files and the increment after it, of one table."""
    writer = ExportsWriter(prefix="orders")
    writer.full(NOON, ITEMS, [item_line(pk={"S": "3"})], [])
    writer.increment(NOON, NOON + HOUR, CHANGES, [])
    return writer


class Verify:
    """``coldtable verify`` on a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder / "archive"
        self.state = folder / "state"
        self._capsys = capsys
        self.folder.mkdir()

    def put(self, writer: ExportsWriter) -> None:
        store = FileObjects(self.folder)
        for key, content in writer.objects.items():
            store.put(key, content)

    def __call__(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON on stdout, stderr."""
        where = ["--state", str(self.state), "--output", "json"]
        if "--archive" not in words:
            where += ["--archive", str(self.folder)]
        with pytest.raises(SystemExit) as ended:
            main(["verify", *where, *words])
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out else {}, err


def told(answer: dict[str, Any]) -> list[str]:
    """``<verdict>: <reason>; …`` for each export."""
    return [
        "; ".join([e["verdict"], *(p["reason"] for p in e["problems"])]) for e in answer["exports"]
    ]


def first(writer: ExportsWriter, part: str = "0000.json.gz") -> str:
    """The key of the full export's first data file."""
    return next(key for key in writer.objects if key.endswith(part))


def change_body(writer: ExportsWriter, change: Callable[[bytes], bytes]) -> None:
    writer.objects[first(writer)] = change(writer.objects[first(writer)])


def remove(part: str) -> Damage:
    return lambda writer: writer.objects.pop(first(writer, part))


def flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 16]) + body[middle + 1 :]


def swap(writer: ExportsWriter) -> None:
    one, other = first(writer), first(writer, "0001.json.gz")
    objects = writer.objects
    objects[one], objects[other] = objects[other], objects[one]


def count_wrong(writer: ExportsWriter) -> None:
    """Summary and file list agree on a number that is not the data's."""
    for part in ("manifest-files.json", "manifest-summary.json"):
        key = first(writer, part)
        body = writer.objects[key].replace(b'"itemCount":2', b'"itemCount":4')
        writer.put_with_md5(key, body.replace(b'"itemCount":3', b'"itemCount":5'))


def name_twice(writer: ExportsWriter) -> None:
    files = first(writer, "manifest-files.json")
    lines = writer.objects[files].splitlines(keepends=True)
    writer.put_with_md5(files, b"".join([*lines, lines[2]]))
