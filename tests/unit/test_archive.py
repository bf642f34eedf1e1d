"""Exports are found wherever they were copied to, and their files beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from coldtable.cli.archive import open_archive
from coldtable.cli.context import Context
from coldtable.core.archive import ArchivedExport, by_table, of_table
from coldtable.errors import DamagedError, NotFound, UsageError
from coldtable.files import FileObjects
from coldtable.ops.archive import find_exports, load_files
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from coldtable.testing.fakes import FakeObjects

ONE, TWO = item_line(pk={"S": "1"}), item_line(pk={"S": "2"})
LATER = NOON + timedelta(hours=1)
CHANGE = record_line({"pk": {"S": "1"}}, NOON, {"pk": {"S": "1"}})

Moved = Callable[[str], str]


def pair(prefix: str = "2026/orders") -> ExportsWriter:
    """A full export and the increment after it."""
    writer = ExportsWriter(prefix=prefix)
    writer.full(NOON, [ONE], [TWO], [])
    writer.increment(NOON, LATER, [CHANGE], [])
    return writer


def read(objects: dict[str, bytes], prefix: str = "") -> list[tuple[ArchivedExport, list[bytes]]]:
    """Each export with the bodies of its files; KeyError if one is not where it should be."""
    store = FakeObjects(objects)
    loaded = [load_files(store, export) for export in find_exports(store, prefix).exports]
    return [(export, [objects[file.key] for file in export.files]) for export in loaded]


@pytest.mark.parametrize(
    "moved",
    [
        lambda key: key,
        lambda key: key.removeprefix("2026/orders/"),
        lambda key: f"copies/of/{key}",
        lambda key: key.replace("2026/orders/AWSDynamoDB", "flat"),
        lambda key: key.replace("2026/orders/", "AWSDynamoDB/in/AWSDynamoDB/"),
        lambda key: key.replace("2026/orders/AWSDynamoDB/", ""),
    ],
)
def test_files_are_found_wherever_the_exports_were_copied_to(moved: Moved) -> None:
    """A prefix added, changed or taken away: every data file is found, with its bytes."""
    objects = pair().objects
    there = {moved(key): body for key, body in objects.items()}
    found = read(there)
    assert [bodies for _, bodies in found] == [bodies for _, bodies in read(objects)]
    assert [len(bodies) for _, bodies in found] == [3, 2]
    assert [export.is_full for export, _ in found] == [True, False]


def test_only_what_lies_below_the_prefix_is_found() -> None:
    """The prefix keeps other exports out."""
    objects = pair("a").objects | pair("b").objects
    assert {export.summary_key[0] for export, _ in read(objects, "b/")} == {"b"}


def test_keys_without_their_prefix_are_found_too() -> None:
    """AWS's documentation shows keys without the prefix; what counts is the tail [DOC-OUT]."""
    writer = pair("p")
    for key in [key for key in writer.objects if key.endswith(".json")]:
        writer.put_with_md5(key, writer.objects[key].replace(b'Key":"p/', b'Key":"'))
    assert [len(bodies) for _, bodies in read(writer.objects)] == [3, 2]


@pytest.mark.parametrize(
    "evil",
    [
        "p/AWSDynamoDB/{id}/data/../../../secret",
        "p/AWSDynamoDB/../secret",
        "p/AWSDynamoDB/{id}//data/x",
        "p/AWSDynamoDB/{id}/data/./x",
        "p/AWSDynamoDB",
        "etc/passwd",
        "/etc/passwd",
        "",
        "p/AWSDynamoDB/data/\0",
    ],
)
def test_a_manifest_cannot_name_files_elsewhere(evil: str) -> None:
    """A key that leads out of the export's folder is damage, not a file to read."""
    writer = ExportsWriter(prefix="p")
    summary = writer.full(NOON, [ONE])
    files = summary.replace("summary", "files")
    row = json.loads(writer.objects[files])
    row["dataFileS3Key"] = evil.replace("{id}", summary.split("/")[2])
    writer.put_with_md5(files, json.dumps(row).encode())
    store = FakeObjects(writer.objects)
    (export,) = find_exports(store).exports
    with pytest.raises(DamagedError, match="no object of this export"):
        load_files(store, export)


def test_an_export_without_a_summary_is_unfinished() -> None:
    """Only `_started`, or data without a summary: told with the time that its id holds."""
    writer = ExportsWriter(prefix="p")
    folder = writer.started(NOON)
    summary = writer.full(NOON, [ONE])
    del writer.objects[summary]
    found = find_exports(FakeObjects(writer.objects))
    assert [one.folder for one in found.unfinished] == [folder, summary.rpartition("/")[0]]
    assert {one.started for one in found.unfinished} == {NOON + timedelta(minutes=5)}
    assert found.exports == ()


def test_one_bad_summary_keeps_nobody_from_the_others() -> None:
    """Damage and absence are told with their reason; the other exports are there."""
    writer = pair()
    flipped, without = writer.full(LATER, [ONE]), writer.full(LATER, [ONE])
    writer.objects[flipped] += b" "
    del writer.objects[without.replace(".json", ".md5")]
    found = find_exports(FakeObjects(writer.objects))
    assert len(found.exports) == 2
    assert [(u.summary_key, u.missing) for u in found.unreadable] == [
        (flipped, False),
        (without, True),
    ]
    assert "does not match its MD5" in found.unreadable[0].reason


def test_the_file_list_is_checked() -> None:
    """Its MD5, and that its counts add up to the summary's."""
    writer = ExportsWriter()
    files = writer.full(NOON, [ONE]).replace("summary", "files")
    store = FakeObjects(writer.objects)
    (export,) = find_exports(store).exports
    writer.objects[files] += b" "
    with pytest.raises(DamagedError, match="does not match its MD5"):
        load_files(store, export)
    writer.put_with_md5(files, b"")
    with pytest.raises(DamagedError, match="the summary counts 1 items, its files together 0"):
        load_files(store, export)


def test_tables_are_told_apart_by_their_id() -> None:
    """Two tables and one that was re-created are three groups; a name finds both of the latter."""
    writer = pair()
    ExportsWriter(writer.objects, table="orders", table_id="new", prefix="n").full(LATER, [ONE])
    ExportsWriter(writer.objects, table="users", prefix="u").full(NOON, [ONE])
    exports = find_exports(FakeObjects(writer.objects)).exports
    assert [(t.name, len(group)) for t, group in by_table(exports).items()] == [
        ("orders", 2),
        ("orders", 1),
        ("users", 1),
    ]
    assert len(of_table(exports, "orders")) == 3
    assert len(of_table(exports, writer.table_arn)) == 3
    with pytest.raises(NotFound) as caught:
        of_table(exports, "nothing")
    assert caught.value.hint == "It holds: orders, users"


def test_one_name_in_two_regions_is_not_one_table() -> None:
    """A name that means two tables asks for the ARN."""
    writer = pair()
    other = ExportsWriter(writer.objects, prefix="q")
    key = other.full(NOON, [ONE])
    other.put_with_md5(key, other.objects[key].replace(b"eu-north-1", b"us-east-1"))
    with pytest.raises(UsageError, match="several tables named orders"):
        of_table(find_exports(FakeObjects(writer.objects)).exports, "orders")


def test_a_folder_is_an_archive(tmp_path: Path) -> None:
    """--archive DIR, also the folder of one export whose files lie beside it."""
    store = FileObjects(tmp_path)
    for key, body in pair("").objects.items():
        store.put(key, body)
    for folder in [tmp_path, *(tmp_path / "AWSDynamoDB").glob("0*")]:
        place = open_archive(Context(), str(folder))
        found = [
            load_files(place.store, e) for e in find_exports(place.store, place.prefix).exports
        ]
        assert len(found) == (2 if folder == tmp_path else 1)
        for file in (file for export in found for file in export.files):
            assert b"".join(place.store.read(file.key))


def test_a_folder_that_begins_too_deep_says_so() -> None:
    """An increment's own folder holds no data: the error names the folder to give."""
    writer = ExportsWriter()
    writer.increment(NOON, LATER, [CHANGE])
    inside = {key.split("/", 2)[2]: body for key, body in writer.objects.items() if "-0" in key}
    store = FakeObjects(inside)
    (export,) = find_exports(store).exports
    with pytest.raises(NotFound, match="lie beside its folder, in data/"):
        load_files(store, export)


@pytest.mark.parametrize(
    ("where", "error"),
    [("ftp://x/y", UsageError), ("s3://", UsageError), ("no/such/folder", NotFound)],
)
def test_places_that_are_none(where: str, error: type[Exception]) -> None:
    """What is no bucket and no folder is an error before anything is read."""
    with pytest.raises(error):
        open_archive(Context(), where)
