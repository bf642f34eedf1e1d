"""Damaged archives: each kind of damage gives its verdict, its reason and its exit code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.core.manifest import md5_of
from coldtable.core.records import Home, base_slot, body, definition_key
from coldtable.files import FileObjects
from coldtable.local.pitr import ion
from coldtable.model import Table
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from tests.unit.test_creation import record

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


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    return Verify(tmp_path, capsys)


def told(answer: dict[str, Any]) -> list[str]:
    """``<verdict>: <reason>; …`` for each export."""
    return [
        "; ".join([e["verdict"], *(p["reason"] for p in e["problems"])]) for e in answer["exports"]
    ]


@pytest.mark.parametrize("level", ["manifest", "objects", "items"])
def test_a_sound_archive(verify: Verify, level: str) -> None:
    """Every export is verified at every level, with what was read; nothing is left behind."""
    verify.put(sound())
    code, answer, err = verify("--level", level)
    assert (code, err) == (0, "")
    assert answer["schema"] == "coldtable.verify/1"
    assert told(answer) == ["verified", "verified"]
    read = [0, 0] if level == "manifest" else [3, 2]
    assert [e["objectsRead"] for e in answer["exports"]] == read
    assert [(e["objects"], e["items"], e["tableName"]) for e in answer["exports"]] == [
        (3, 3, "orders"),
        (2, 1, "orders"),
    ]
    assert (answer["orphans"], answer["unjoined"]) == ([], [])
    assert not verify.state.exists() or list(verify.state.iterdir()) == []


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


@pytest.mark.parametrize(
    ("damage", "verdict", "said"),
    [
        (remove("0000.json.gz"), "incomplete", "it is not there"),
        (lambda w: change_body(w, lambda b: b[:-9]), "damaged", "it is cut short"),
        (lambda w: change_body(w, lambda b: b[:-9]), "damaged", "its MD5 is"),
        (lambda w: change_body(w, flip), "damaged", "its MD5 is"),
        (lambda w: change_body(w, lambda _: b""), "damaged", "it is cut short"),
        (lambda w: change_body(w, lambda b: b + b"x"), "damaged", "has bytes after the end"),
        (lambda w: change_body(w, lambda b: b + b), "damaged", "has bytes after the end"),
        (lambda w: change_body(w, lambda _: b"no gzip at all"), "damaged", "not sound gzip"),
        (swap, "damaged", "it is the content of orders/AWSDynamoDB/"),
        (count_wrong, "damaged", "it holds 2 items, and its manifest says 4"),
        (name_twice, "damaged", "the manifest names a data file twice"),
        (remove("manifest-files.json"), "incomplete", "manifest-files.json"),
        (remove("manifest-files.md5"), "incomplete", "manifest-files.md5"),
        (remove("manifest-summary.md5"), "incomplete", "manifest-summary.md5"),
    ],
)
def test_damage(verify: Verify, damage: Damage, verdict: str, said: str) -> None:
    """What is missing or wrong is found at the level objects; the other export is verified."""
    writer = sound()
    damage(writer)
    verify.put(writer)
    code, answer, err = verify("-q")
    assert code == 5
    assert "1 of 2 exports are damaged or incomplete" in err
    bad, good = sorted(told(answer))
    assert good == "verified"
    assert bad.startswith(verdict)
    assert said in bad
    assert answer["orphans"] == []
    # Without its full export the increment joins on to nothing.
    assert len(answer["unjoined"]) == ("summary" in said)


@pytest.mark.parametrize("name", ["manifest-files.json", "manifest-summary.json"])
@pytest.mark.parametrize("level", ["manifest", "objects"])
def test_manifests_that_cannot_be_believed(verify: Verify, name: str, level: str) -> None:
    """A manifest that does not match its MD5 is damage already at the first level."""
    writer = sound()
    key = first(writer, name)
    writer.objects[key] += b" "
    verify.put(writer)
    code, answer, _ = verify("--level", level, "-q")
    assert code == 5
    assert f"{name} does not match its MD5" in str(told(answer))


def test_what_is_missing_is_seen_without_reading(verify: Verify) -> None:
    """The level manifest reads no data file, and sees that one is not there."""
    writer = sound()
    change_body(writer, flip)
    remove("0001.json.gz")(writer)
    verify.put(writer)
    code, answer, _ = verify("--level", "manifest", "-q")
    assert code == 5
    assert told(answer) == ["incomplete; it is not there", "verified"]


def line_damage(change: Callable[[ExportsWriter], object]) -> ExportsWriter:
    writer = ExportsWriter(prefix="orders")
    change(writer)
    return writer


def increment(*lines: bytes, view: str = "NEW_AND_OLD_IMAGES") -> Damage:
    return lambda w: (w.full(NOON, ITEMS), w.increment(NOON, NOON + HOUR, lines, view=view))


def full(*files: list[bytes]) -> Damage:
    return lambda w: (w.full(NOON, *files), w.increment(NOON, NOON + HOUR, CHANGES))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (full([item_line(pk={"S": 7})]), "line 1: pk: S holds no string"),
        (full([ITEMS[0], b"{"]), "line 2: The item: it is not JSON"),
        (full([CHANGES[0]]), "line 1: The item: it is no item"),
        (full([item_line(n={"N": "1"})]), "line 1: pk: it is a key attribute, and the item lacks"),
        (full([item_line(pk={"N": "1"})]), "line 1: pk: it is a key attribute, and not of type S"),
        (full([item_line(pk={"S": ""})]), "line 1: pk: it is a key attribute, and empty"),
        (full([ITEMS[0], ITEMS[0]]), "line 2: the item's key is that of line 1, too"),
        (full(ITEMS, ITEMS[:1]), "line 1: the item's key is that of line 1 of orders/AWSDynamoDB"),
        (increment(*CHANGES, *CHANGES), "line 2: the item's key is that of line 1, too"),
        (increment(ITEMS[0]), "line 1: The item: it is no change of an item"),
        (increment(record_line(KEY, NOON, OTHER)), "NewImage: its key attribute pk is not that"),
        (increment(record_line(KEY, NOON, None, OTHER)), "OldImage: its key attribute pk is not"),
        (increment(record_line(KEY, NOON, {"n": {"N": "1"}})), "NewImage: the image lacks the key"),
        (increment(record_line(KEY, NOON, {**KEY, "n": {"N": "x"}})), "NewImage.n: 'x' is not a"),
        (increment(record_line({"pk": {"L": []}}, NOON)), "Keys: a key is one or two attributes"),
        (increment(record_line({"pk": {"S": ""}}, NOON)), "Keys.pk: it is a key attribute, and"),
        (increment(record_line({}, NOON)), "Keys: a key is one or two attributes"),
        (increment(CHANGES[0], record_line({"id": {"S": "1"}}, NOON)), "Keys: the key is pk (S)"),
        (increment(*CHANGES, view="NEW_IMAGE"), "OldImage: an export of new images has none"),
        (
            increment(record_line(KEY, NOON - HOUR)),
            "Metadata: WriteTimestampMicros 1768388400000000 lies outside the window",
        ),
        (increment(record_line(KEY, NOON + HOUR + timedelta(seconds=61))), "outside the window"),
        (increment(b'{"Keys":{"pk":{"S":"1"}}}'), "Metadata: there is no time"),
    ],
)
def test_lines_that_are_wrong(verify: Verify, write: Damage, said: str) -> None:
    """The level items reads each line, and names the one that is wrong; objects does not mind."""
    verify.put(line_damage(write))
    assert verify("-q")[0] == 0
    code, answer, err = verify("--level", "items", "-q")
    assert code == 5
    assert said in err
    assert sorted(e["verdict"] for e in answer["exports"]) == ["damaged", "verified"]


def test_writes_within_a_minute_of_the_window(verify: Verify) -> None:
    """AWS's clock may be a minute off [DOC-REQ]: that is no damage."""
    late = record_line(KEY, NOON + HOUR + timedelta(seconds=59))
    verify.put(line_damage(increment(late, record_line(OTHER, NOON - timedelta(seconds=60)))))
    assert verify("--level", "items")[0] == 0


def test_many_bad_lines_are_told_as_some(verify: Verify) -> None:
    """A thousand bad lines are ten and a number; the answer stays small."""
    verify.put(line_damage(full([b"{"] * 1000)))
    _, answer, _ = verify("--level", "items", "-q")
    problems = answer["exports"][0]["problems"]
    assert len(problems) == 11
    assert problems[-1]["reason"].endswith("(and 989 more lines)")
    verify.put(line_damage(full(ITEMS * 50)))
    _, answer, _ = verify("--level", "items", "-q")
    problems = answer["exports"][0]["problems"]
    assert len(problems) == 10
    assert problems[-1]["reason"].endswith("(and 88 more)")


def test_a_line_that_is_torn(verify: Verify) -> None:
    """A file that does not end with a line's end is damaged even if all its sums are right."""
    writer = ExportsWriter()
    writer.full(NOON, ITEMS)
    key = first(writer)
    body = gzip.compress(b"\n".join(ITEMS), mtime=0)
    files = first(writer, "manifest-files.json")
    row = json.loads(writer.objects[files])
    writer.put_with_md5(files, json.dumps({**row, "md5Checksum": md5_of(body)}).encode())
    writer.objects[key] = body
    verify.put(writer)
    for level in ("objects", "items"):
        code, answer, _ = verify("--level", level, "-q")
        assert code == 5
        assert "it ends in the middle of a line" in told(answer)[0]


def test_without_a_key_schema(verify: Verify) -> None:
    """Exports do not tell the key: without an increment keys are not compared, and that is said;
    with --key they are."""
    writer = ExportsWriter()
    writer.full(NOON, [ITEMS[0], ITEMS[0]])
    verify.put(writer)
    code, answer, _ = verify("--level", "items")
    assert code == 0
    assert answer["exports"][0]["notes"] == [
        "The key schema is not known, so keys were not compared: --key"
    ]
    assert verify("--level", "items", "--key", "pk:S", "-q")[0] == 5
    assert verify("--level", "items", "--key", "id:S", "-q")[0] == 5


def test_the_catalog_tells_the_key_schema(verify: Verify) -> None:
    """Where a definition of the table was noted keys are compared without an increment; a record
    that cannot be read keeps nothing from being verified."""
    writer = ExportsWriter()
    writer.full(NOON, [ITEMS[0], ITEMS[0]])
    table = Table(name="orders", arn=writer.table_arn, table_id=writer.table_id)
    key = definition_key(Home.of(table), table.table_id, base_slot(1))
    schema = {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    writer.objects[key] = body("definition", NOON, definition=record(**schema))
    verify.put(writer)
    code, answer, _ = verify("--level", "items", "-q")
    assert code == 5
    assert "the item's key is that of line 1, too" in told(answer)[0]
    writer.objects[key] = b"{"
    verify.put(writer)
    assert verify("--level", "items")[0] == 0


def test_ion_is_read_as_well(verify: Verify) -> None:
    """The level items reads ION, in full and incremental exports."""
    writer = ExportsWriter(output_format="ION")
    full_lines = [f"$ion_1_0 {{Item:{ion.struct(item)}}}".encode() for item in (KEY, OTHER)]
    change = (
        f'$ion_1_0 {{Record:{{Keys:{{pk:"1"}},Metadata:{{WriteTimestampMicros:'
        f'{int(NOON.timestamp())}000000.}},NewImage:{{pk:"1",n:1.5}}}}}}'
    ).encode()
    writer.full(NOON, full_lines)
    writer.increment(NOON, NOON + HOUR, [change])
    verify.put(writer)
    assert told(verify("--level", "items")[1]) == ["verified", "verified"]
    writer.full(NOON, [*full_lines, full_lines[0]], [b"$ion_1_0 {Item:{pk:1e0}}"])
    verify.put(writer)
    code, answer, _ = verify("--level", "items", "-q")
    assert code == 5
    assert "pk: DynamoDB has no type for Ion's FLOAT" in str(told(answer))
    assert "the item's key is that of line 1, too" in str(told(answer))


def test_a_gap(verify: Verify) -> None:
    """An increment that joins on to nothing: exit code 4 with the gap; --allow-gap accepts it.
    What joins on to it is not told again."""
    writer = ExportsWriter()
    writer.full(NOON + timedelta(seconds=1.622), ITEMS)
    writer.increment(NOON + timedelta(minutes=1), NOON + HOUR, CHANGES)
    writer.increment(NOON + HOUR, NOON + 2 * HOUR)
    verify.put(writer)
    code, answer, err = verify()
    assert code == 4
    assert "a gap of 58.378 s from 2026-01-14T12:00:01.622+00:00 to 2026-01-14T12:01" in err
    assert told(answer) == ["verified"] * 3
    assert [(u["gapSeconds"], u["overlap"]) for u in answer["unjoined"]] == [(58.378, False)]
    assert verify("--allow-gap")[0] == 0


def test_a_table_that_was_re_created(verify: Verify) -> None:
    """Increments of the new table do not continue the old one's chain, though the times fit."""
    writer = sound()
    ExportsWriter(writer.objects, table_id="new", prefix="later").increment(
        NOON + HOUR, NOON + 2 * HOUR, CHANGES
    )
    verify.put(writer)
    code, answer, err = verify()
    assert code == 4
    assert "a table that was replaced (id cf263806-6bf1-4e51-a242-7067dcdecc72)" in err
    assert [u["tableId"] for u in answer["unjoined"]] == ["new"]


@pytest.mark.parametrize(
    ("age", "verdict"), [(timedelta(hours=1), "in progress"), (timedelta(days=2), "unknown")]
)
def test_an_export_that_only_started(verify: Verify, age: timedelta, verdict: str) -> None:
    """`_started` alone is in progress for a day, then nobody knows; both are no damage."""
    writer = sound()
    folder = writer.started(datetime.now(UTC) - age)
    data = f"{folder}/data/x.json.gz"
    writer.objects[data] = b"x"
    verify.put(writer)
    code, answer, _ = verify()
    assert code == 0
    assert told(answer) == ["verified", "verified", verdict]
    assert "has no summary" in answer["exports"][2]["notes"][0]
    assert answer["orphans"] == []


def test_objects_that_no_manifest_names(verify: Verify) -> None:
    """Files beside those of an export are orphans, told and no damage; the catalog is none."""
    writer = sound()
    own = first(writer).rpartition("/")[0]
    strange = sorted([f"{own}/a.json.gz", "orders/AWSDynamoDB/data/b.json.gz"])
    for key in [*strange, "coldtable/v1/x.json", "orders/readme.txt"]:
        writer.objects[key] = b"x"
    verify.put(writer)
    code, answer, _ = verify()
    assert code == 0
    assert answer["orphanCount"] == 2
    assert [key.removeprefix(f"{verify.folder}/") for key in answer["orphans"]] == strange


def test_data_of_an_increment_in_progress_is_no_orphan(verify: Verify) -> None:
    """Increments share a folder: what an unfinished one writes there is not called an orphan."""
    writer = sound()
    writer.objects["orders/AWSDynamoDB/data/new.json.gz"] = b"x"
    writer.started(datetime.now(UTC) - HOUR)
    verify.put(writer)
    assert verify()[1]["orphanCount"] == 0


def test_one_table_and_a_time(verify: Verify) -> None:
    """TABLE and --since choose exports; an unknown table is exit code 12 with what there is."""
    writer = sound()
    ExportsWriter(writer.objects, table="users", prefix="u").full(NOON, ITEMS)
    verify.put(writer)
    assert [e["tableName"] for e in verify("users")[1]["exports"]] == ["users"]
    assert [e["items"] for e in verify("orders", "--since", "2026-01-14T12:30Z")[1]["exports"]] == [
        1
    ]
    assert len(verify("--since", "2026-01-14")[1]["exports"]) == 3
    assert verify("--since", "1d")[1]["exports"] == []
    code, _, err = verify("nothing")
    assert code == 12
    assert "hint: It holds: orders, users" in err


def test_all_slices_together_read_everything(verify: Verify) -> None:
    """--subset reads each file in exactly one of its slices, and says how many it read."""
    verify.put(sound())
    answers = [verify("--subset", f"{n}/3")[1] for n in (1, 2, 3)]
    assert [sum(a["exports"][e]["objectsRead"] for a in answers) for e in (0, 1)] == [3, 2]
    assert max(sum(e["objectsRead"] for e in a["exports"]) for a in answers) < 5
    assert verify("--subset", "100%")[1]["exports"][0]["objectsRead"] == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--level", "drill"], 2, "drills one table"),
        (["--level", "deep"], 2, "deep"),
        (["--subset", "0%"], 2, "is no part of an archive"),
        (["--subset", "4/3"], 2, "is no part of an archive"),
        (["--since", "yesterday"], 2, "is no time"),
        (["--since", "2026-01-14T12:30"], 2, "has no offset"),
        (["--key", "pk"], 2, "is no key schema"),
        (["--cores", "0"], 2, "--cores must be"),
        (["--archive", "/no/such/folder"], 12, "There is no folder"),
    ],
)
def test_words_that_make_no_sense(verify: Verify, words: list[str], code: int, said: str) -> None:
    """One clear error before anything is read."""
    found, answer, err = verify(*words)
    assert (found, answer) == (code, {})
    assert said in err


def test_people_read_a_table(verify: Verify, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --output json: a row for each export, a line for each problem, and the sum."""
    writer = sound()
    remove("0001.json.gz")(writer)
    verify.put(writer)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--archive", str(verify.folder), "--state", str(verify.state)])
    out, err = capsys.readouterr()
    assert ended.value.code == 5
    lines = out.splitlines()
    assert lines[0].split() == ["TABLE", "EXPORT", "COVERS", "VERDICT", "OBJECTS", "ITEMS"]
    assert lines[1].split()[-3:] == ["incomplete", "2/3", "3"]
    assert lines[3].endswith("0001.json.gz: it is not there")
    assert lines[4] == "2 exports: 1 verified, 1 incomplete"
    assert "orders 01768392300000-00000001: incomplete" in err
