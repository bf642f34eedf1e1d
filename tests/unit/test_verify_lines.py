"""The level items: which lines are wrong, and what is said of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from coldtable.core.manifest import md5_of
from coldtable.core.records import Home, base_slot, body, definition_key
from coldtable.local.pitr import ion
from coldtable.model import Table
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from tests.unit.test_creation import record
from tests.unit.verifying import CHANGES, HOUR, ITEMS, KEY, OTHER, Damage, Verify, first, told


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
