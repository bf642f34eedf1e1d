"""Folding by example: whose change counts, what passes through, and what is refused."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest

from coldtable.errors import DamagedError, UsageError
from coldtable.model_restore import KeyAttribute, KeySchema
from coldtable.ops.fold_limits import Limits, limits
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from tests.unit.folding import LEAST, SMALL, folded

HOUR = timedelta(hours=1)
S = {"S": "a"}


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: str) -> dict[str, str]:
    return {"N": value}


@pytest.fixture
def written() -> ExportsWriter:
    return ExportsWriter()


def test_without_increments_every_byte_passes(written: ExportsWriter) -> None:
    """A base alone comes out as it is, lines that no reader would like included."""
    lines = [item_line(pk=text("a")), b'{"Item": {"pk":{"S":"b"} } }', b"not even JSON"]
    written.full(NOON, lines[:2], [], lines[2:])
    assert folded(written.objects) == [line + b"\n" for line in lines]


def test_put_new_deleted_and_untouched(written: ExportsWriter) -> None:
    """An image replaces, a change without one deletes, a new key is added, the rest passes."""
    odd = b'{"Item":{"x":{"N":"1.50"},"pk":{"S":"d"} }}'
    written.full(NOON, [item_line(pk=text(key)) for key in "abc"], [odd])
    written.increment(
        NOON,
        NOON + HOUR,
        [record_line({"pk": text("a")}, NOON, {"pk": text("a"), "v": text("1")})],
        [record_line({"pk": text("b")}, NOON), record_line({"pk": text("e")}, NOON)],
        [record_line({"pk": text("f")}, NOON, {"pk": text("f")})],
    )
    assert folded(written.objects) == [
        b'{"Item":{"pk":{"S":"c"}}}\n',
        odd + b"\n",
        b'{"Item":{"pk":{"S":"a"},"v":{"S":"1"}}}\n',
        b'{"Item":{"pk":{"S":"f"}}}\n',
    ]


def test_an_image_keeps_its_bytes(written: ExportsWriter) -> None:
    """Spaces, escapes and number spellings of an image come out as they went in."""
    image = b'{ "pk":{"S":"\\u0061"},"n":{"N":"1.0E+2"},"NewImage":{"M":{"a":{"S":"}"}}} }'
    line = b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},"Keys":{"pk":{"S":"a"}},'
    written.full(NOON, [item_line(pk=text("a"))])
    written.increment(NOON, NOON + HOUR, [line + b'"NewImage":' + image + b"}"])
    assert folded(written.objects) == [b'{"Item":' + image + b"}\n"]


@pytest.mark.parametrize(("first", "second", "wins"), [(1, 2, 1), (2, 1, 0), (1, 1, 1)])
@pytest.mark.parametrize("apart", ["exports", "files", "lines"])
def test_the_newest_change_counts(
    written: ExportsWriter, first: int, second: int, wins: int, apart: str
) -> None:
    """By its time; of the same time the one of the later export, file or line."""
    changes = [
        record_line({"pk": S}, NOON + timedelta(seconds=at), {"pk": S, "v": number(str(place))})
        for place, at in enumerate((first, second))
    ]
    written.full(NOON, [item_line(pk=S)])
    match apart:
        case "exports":
            written.increment(NOON, NOON + HOUR, changes[:1])
            written.increment(NOON + HOUR, NOON + 2 * HOUR, changes[1:])
        case "files":
            written.increment(NOON, NOON + HOUR, changes[:1], changes[1:])
        case "lines":
            written.increment(NOON, NOON + HOUR, changes)
    (line,) = folded(written.objects)
    assert json.loads(line)["Item"]["v"] == number(str(wins))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("N", "1", "1.0"),
        ("N", "100", "1E2"),
        ("N", "-0.5", "-.50"),
        ("N", "0", "-0.00"),
        ("N", "1" + "0" * 37, "1E+37"),
        ("B", "AAH/", "AAH\\/"),
        ("B", "AA==", "AB=="),
        ("B", "AAE=", "AAF="),
        ("S", "ü/", "\\u00fc\\/"),
        ("S", "a" * 300, "\\u0061" + "a" * 299),
    ],
)
def test_keys_are_equal_by_value(kind: str, one: str, other: str) -> None:
    """A key is the same however it is spelled, in the base and in a change."""
    for base, change in ((one, other), (other, one)):
        fresh = ExportsWriter()
        fresh.full(NOON, [b'{"Item":{"pk":{"%s":"%s"}}}' % (kind.encode(), base.encode())])
        line = b'{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"pk":{"%s":"%s"}}}'
        fresh.increment(NOON, NOON + HOUR, [line % (kind.encode(), change.encode())])
        assert folded(fresh.objects) == []


def test_both_keys_make_the_key(written: ExportsWriter) -> None:
    """Keys whose parts join to the same text are different keys; order of attributes is not."""
    pairs = [("a", "bc"), ("ab", "c"), ("abc", "d")]
    lines = [item_line(sk=text(sk), pk=text(pk)) for pk, sk in pairs]
    written.full(NOON, [*lines, item_line(pk=text("x"), sk=text("y"))])
    written.increment(
        NOON,
        NOON + HOUR,
        [record_line({"pk": text("ab"), "sk": text("c")}, NOON)],
        [record_line({"sk": text("y"), "pk": text("x")}, NOON)],
    )
    assert folded(written.objects) == [lines[0] + b"\n", lines[2] + b"\n"]


@pytest.mark.parametrize("place", range(4))
def test_a_name_inside_a_map_is_not_the_key(written: ExportsWriter, place: int) -> None:
    """The key is the item's own attribute, wherever it stands, whatever maps and texts hold."""
    inner: dict[str, Any] = {"M": {"pk": text("other"), "sk": number("9")}}
    attributes = [("m", inner), ("t", text('"pk":{"S":"other"}')), ("u", {"L": [inner]})]
    attributes.insert(place, ("pk", text("mine")))
    line = item_line(**dict(attributes))
    written.full(NOON, [line] * 3)
    written.increment(NOON, NOON + HOUR, [record_line({"pk": text("other")}, NOON)])
    assert folded(written.objects) == [line + b"\n"] * 3
    written.increment(NOON + HOUR, NOON + 2 * HOUR, [record_line({"pk": text("mine")}, NOON)])
    assert folded(written.objects) == []


@pytest.mark.parametrize(("name", "escaped"), [("pk", "\\u0070k"), ("鍵", "\\u9375")])
def test_only_the_escaped_name_is_the_key(written: ExportsWriter, name: str, escaped: str) -> None:
    """An attribute in a map is not taken for a key that is spelled with an escape."""
    inner = f'"m":{{"M":{{"{name}":{{"S":"other"}}}}}}'
    line = f'{{"Item":{{{inner},"{escaped}":{{"S":"mine"}}}}}}'.encode()
    written.full(NOON, [line])
    written.increment(NOON, NOON + HOUR, [record_line({name: text("other")}, NOON)])
    assert folded(written.objects) == [line + b"\n"]


def large(count: int) -> ExportsWriter:
    """A base of several megabytes, every third item of which is changed or deleted."""
    made = ExportsWriter()
    lines = [
        item_line(v=text("lorem ipsum " * (n % 40)), pk=text(f"k{n}"), sk=number(str(n % 7)))
        for n in range(count)
    ]
    made.full(NOON, lines[: count // 2], lines[count // 2 :])
    for hour in range(3):
        made.increment(
            NOON + hour * HOUR,
            NOON + (hour + 1) * HOUR,
            [
                record_line(
                    keys := {"pk": text(f"k{n}"), "sk": number(str(n % 7))},
                    NOON,
                    None if n % 2 else {**keys, "h": number(str(hour))},
                )
                for n in range(hour, count, 9)
            ],
        )
    return made


def test_large_and_small_bounds_give_the_same() -> None:
    """Threads, memory, disk and the size of what is read change nothing of the result."""
    objects = large(20_000).objects
    expected = folded(objects)
    assert len(expected) == 16_666
    many = Limits(workers=5, readers=4, log=100_000, index=200_000)
    for bounds, piece in ((LEAST, 100_000), (many, 333), (SMALL, 7919)):
        assert folded(objects, bounds=bounds, piece=piece) == expected


def test_a_line_longer_than_a_chunk(written: ExportsWriter) -> None:
    """Lines of several megabytes pass, in the base and in a change."""
    long = [item_line(v=text("x" * size), pk=text(str(size))) for size in (10, 1_500_000, 3)]
    written.full(NOON, long)
    image = {"pk": text("10"), "v": text("y" * 2_200_000)}
    written.increment(NOON, NOON + HOUR, [record_line({"pk": text("10")}, NOON, image)])
    assert folded(written.objects) == [
        *(line + b"\n" for line in long[1:]),
        item_line(**image) + b"\n",
    ]


def test_the_key_that_is_given_must_be_the_one_of_the_changes(written: ExportsWriter) -> None:
    """A definition that the changes contradict is an error that names the line."""
    written.full(NOON, [item_line(pk=S)])
    written.increment(NOON, NOON + HOUR, [record_line({"pk": S}, NOON)])
    good = KeySchema(partition=KeyAttribute(name="pk", kind="S"))
    assert folded(written.objects, key=good) == []
    bad = KeySchema(partition=KeyAttribute(name="id", kind="S"), sort=good.partition)
    with pytest.raises(DamagedError, match=r"line 1: .*lacks the key attribute id"):
        folded(written.objects, key=bad)
    two = ExportsWriter()
    two.full(NOON, [item_line(pk=S, sk=S)])
    two.increment(NOON, NOON + HOUR, [record_line({"pk": S, "sk": S}, NOON)])
    with pytest.raises(DamagedError, match="the table's key has no sk"):
        folded(two.objects, key=good)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"Item":{"sk":{"S":"x"}}}', "lacks the key attribute pk"),
        (b'{"Item":{"pk":{"N":"1"}}}', "pk: it is not of the type S"),
        (b'{"Item":{"pk":{"S":""}}}', "empty"),
        (b'{"Item":{"pk":{"S":"b","N":"1"}}}', "pk: it is not of the type S"),
        (b'{"Item":{"pk":{"S":"b\n"}}}', "it is no item"),
        (b'{"Item":{"pk":{"S":"a"}', "it is no item"),
        (b'{"Thing":{"pk":{"S":"a"}}}', "it is no item"),
        (b"", "it is no item"),
        (b'{"Item":{"pk":{"S":"\\ud800"}}}', "it is no item"),
    ],
)
def test_a_line_without_a_key_is_damage(written: ExportsWriter, line: bytes, said: str) -> None:
    """What has no key joins with nothing and is not passed on: it is named by file and line."""
    written.full(NOON, [item_line(pk=S)], [item_line(pk=text("b")), line])
    written.increment(NOON, NOON + HOUR, [record_line({"pk": S}, NOON)])
    with pytest.raises(DamagedError, match=f"0001.json.gz, line 2: .*{said}"):
        folded(written.objects)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", "line 2: .*no change of an item"),
        (b'{"Keys":{"pk":{"S":"a"}}}', "no time in microseconds"),
        (
            b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},'
            b'"Keys":{"pk":{"S":"a"}},"NewImage":null}',
            "its NewImage is no object",
        ),
        (
            b'{"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}},'
            b'"Keys":{"pk":{"S":"a"}},"NewImage":{"pk"',
            "line 2: it is no change of an item",
        ),
    ],
)
def test_a_change_that_is_none_is_damage(written: ExportsWriter, line: bytes, said: str) -> None:
    """Damage in an increment is named, too, whether the first reading finds it or the second."""
    written.full(NOON, [item_line(pk=S)])
    written.increment(NOON, NOON + HOUR, [record_line({"pk": text("b")}, NOON), line])
    with pytest.raises(DamagedError, match=said):
        folded(written.objects)


def damage(objects: dict[str, bytes], which: str, how: str) -> str:
    """Damage one data file of the base or of the increment."""
    folder = "/data/" if which == "base" else "AWSDynamoDB/data/"
    key = next(
        k for k in objects if folder in k and k.startswith("AWSDynamoDB/data") is (which != "base")
    )
    body = objects[key]
    match how:
        case "missing":
            del objects[key]
        case "cut":
            objects[key] = body[:-5]
        case "flipped":
            objects[key] = body[:-6] + bytes([body[-6] ^ 1]) + body[-5:]
        case "surplus":
            objects[key] = body + b"more"
        case "repacked":
            objects[key] = gzip.compress(gzip.decompress(body), mtime=1)
        case "swapped":
            objects[key] = gzip.compress(gzip.decompress(body) + b"{}\n", mtime=0)
        case "no gzip":
            objects[key] = b"hello"
        case "unended":
            objects[key] = gzip.compress(gzip.decompress(body)[:-1], mtime=0)
    return key


@pytest.mark.parametrize("which", ["base", "increment"])
@pytest.mark.parametrize(
    "how",
    ["missing", "cut", "flipped", "surplus", "repacked", "swapped", "no gzip", "unended"],
)
def test_damaged_files_are_refused(written: ExportsWriter, which: str, how: str) -> None:
    """MD5, gzip checksum, end and line count of every file are checked on the way."""
    written.full(NOON, [item_line(pk=text(key)) for key in "abc"])
    written.increment(NOON, NOON + HOUR, [record_line({"pk": S}, NOON, {"pk": S})])
    key = damage(written.objects, which, how)
    with pytest.raises(DamagedError) as caught:
        folded(written.objects)
    assert key in caught.value.message
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("which", ["base", "increment"])
def test_a_wrong_count_is_refused(written: ExportsWriter, which: str, count: int) -> None:
    """A manifest that promises more or fewer lines than there are is damage."""
    written.full(NOON, [item_line(pk=text(key)) for key in "abc"])
    written.increment(NOON, NOON + HOUR, [record_line({"pk": text(key)}, NOON) for key in "abc"])
    names = sorted(key for key in written.objects if key.endswith(".json"))
    files, summary = names[:2] if which == "base" else names[2:]
    for name in (files, summary):
        told = written.objects[name].replace(b'"itemCount":3', b'"itemCount":%d' % count)
        written.put_with_md5(name, told)
    with pytest.raises(DamagedError, match="its manifest says"):
        folded(written.objects)


def test_too_little_memory_is_refused() -> None:
    """Less than a process needs cannot be promised."""
    with pytest.raises(UsageError, match="100 MB of memory are not enough"):
        limits(100)
    assert limits(192, cores=64).workers < limits(1500, cores=64).workers < 64
    assert limits(cores=2).workers == 2
