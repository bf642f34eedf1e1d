"""What the pattern calls right, the exact check calls right too, with the same key."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coldtable.core.line_check import ChangeCheck, CheckRow, full_row
from coldtable.core.line_pattern import LinePattern
from coldtable.core.lines import parse_json
from coldtable.errors import ItemInvalid
from coldtable.model import View, Window

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
HOUR = Window(start=NOON, stop=NOON + timedelta(hours=1))
SCHEMAS = [
    {"pk": "S"},
    {"pk": "S", "sk": "S"},
    {"n.1": "N", "sk": "B"},
    {"ключ": "B", "sk": "N"},
    {},
]
TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["a", "pk", "]", "S"])
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "00",
        "7",
        "-12",
        "1.5",
        "1.50",
        ".5",
        "5.",
        "+1",
        "1E3",
        "1e400",
        "0.1",
        "-0.10",
        "x",
        "٣",
        "",
        "1" * 38,
        "1" * 39,
        "9" * 18,
        "9" * 19,
        "0." + "1" * 18,
    ]
)
BYTES = st.binary(max_size=5).map(lambda held: base64.b64encode(held).decode()) | st.sampled_from(
    ["QQ==", "QR==", "QQ=", "Q", "QQ==QQ==", "Q Q="]
)
MEMBERS = {"S": TEXT, "N": NUMBERS, "B": BYTES}
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *(st.dictionaries(st.just(kind), one, min_size=1) for kind, one in MEMBERS.items()),
        *(
            st.dictionaries(st.just(kind + "S"), st.lists(one, max_size=3), min_size=1)
            for kind, one in MEMBERS.items()
        ),
        st.sampled_from([{"BOOL": True}, {"BOOL": None}, {"NULL": True}, {"NULL": False}, {}]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda held: {"L": held}),
        st.dictionaries(TEXT, inner, max_size=2).map(lambda held: {"M": held}),
    ),
    max_leaves=5,
)
# What is put somewhere into a line, or takes the place of some of it.
PIECES = st.sampled_from(
    [
        *list('"\\{}[],: 0-\n\x01\x7f東é�'),
        r"\u0041",
        r"\ud800",
        r"\n",
        r"null",
        r"true",
        r'"S":',
        r',"pk":{"S":"x"}',
        r'"sk":{"N":"1"},',
        r'"\u0070k"',
        '"a":{"SS":["a","a"]},',
        '"a":{"L":[{"S":"b"},]},',
        '"OldImage":{},',
    ]
)


NEARLY_VALUES = [
    '{"S":"a\x01"}',
    '{"S":"a"b"}',
    '{"S":"a\\"}',
    '{"S":"\\x"}',
    '{"S":"\\ud800"}',
    '{"S":1}',
    '{"S":"a","N":"1"}',
    '{"S":"a",}',
    "{}",
    '{"X":"a"}',
    '{"N":""}',
    '{"N":"-"}',
    '{"N":"1."1"}',
    '{"N":"1e999"}',
    '{"N":"' + "1" * 39 + '"}',
    '{"B":"QR=="}',
    '{"B":"QQ="}',
    '{"BOOL":"true"}',
    '{"BOOL":null}',
    '{"NULL":false}',
    '{"L":[{"S":"a"},]}',
    '{"L":[,{"S":"a"}]}',
    '{"L":[{"S":"a"}{"S":"b"}]}',
    '{"L":{}}',
    '{"M":[]}',
    '{"M":{"a":{"S":"b"},}}',
    '{"M":{"a":{"S":"b"}"c":{"S":"d"}}}',
    '{"M":{"a":"b"}}',
    '{"SS":[]}',
    '{"SS":["a",]}',
    '{"SS":["a","a"]}',
    '{"SS":["a","b","a"]}',
    '{"SS":["a"}',
    '{"NS":["1","1"]}',
    '{"NS":["1","1.0"]}',
    '{"BS":["QQ==","QQ=="]}',
]


@st.composite
def any_line(draw: st.DrawFn, key: dict[str, str], change: bool) -> bytes:
    """A line that may be right, and mostly is nearly so."""
    keys = {name: {kind: draw(MEMBERS[kind])} for name, kind in key.items()}

    def image() -> dict[str, Any]:
        found = draw(st.dictionaries(TEXT, VALUES, max_size=3)) | keys
        return dict(draw(st.permutations(list(found.items()))))

    row: dict[str, Any] = {"Item": image()}
    if change:
        seconds = draw(st.sampled_from([-61, -60, 0, 3599, 3660]))
        micros = int((NOON + timedelta(seconds=seconds)).timestamp()) * 1_000_000
        row = {"Metadata": {"WriteTimestampMicros": {"N": str(micros)}}, "Keys": keys}
        row |= {name: image() for name in draw(st.sampled_from(IMAGES))}
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 0, 1, 5]))
        text = text[:start] + draw(PIECES | st.just(text[start : start + 9])) + text[stop:]
    return text.encode(errors="surrogateescape")


IMAGES = [(), ("NewImage",), ("OldImage",), ("OldImage", "NewImage"), ("NewImage", "OldImage")]


def exact(check: CheckRow, line: bytes) -> bytes | None:
    """The key's hash, empty without a schema; ``None`` for a line that is wrong."""
    try:
        return check(parse_json(line)) or b""
    except ItemInvalid:
        return None


@given(st.data(), st.sampled_from(SCHEMAS))
@settings(max_examples=150, deadline=None)
def test_of_a_full_export(data: st.DataObject, key: dict[str, str]) -> None:
    """Among any lines, right, nearly right and wrong, those that the pattern finds are right."""
    pattern = LinePattern(key or None, worth=0)
    block = b"".join(
        line + b"\n" for line in data.draw(st.lists(any_line(key, False), min_size=1, max_size=4))
    )
    lines = block[:-1].split(b"\n")
    found = pattern.find(block)
    check = full_row(key or None)
    assert len(found) == len(lines)
    for line, hashed in zip(lines, found, strict=True):
        assert hashed is None or hashed == exact(check, line), line


@given(st.data(), st.sampled_from(SCHEMAS[:-1]), st.sampled_from(View))
@settings(max_examples=150, deadline=None)
def test_of_an_incremental_export(data: st.DataObject, key: dict[str, str], view: View) -> None:
    """The same for changes, with their times and images."""
    pattern = LinePattern(key, view, worth=0)
    block = b"".join(
        line + b"\n" for line in data.draw(st.lists(any_line(key, True), min_size=1, max_size=4))
    )
    lines = block[:-1].split(b"\n")
    found = pattern.find(block, HOUR)
    check = ChangeCheck(window=HOUR, view=view, types=dict(sorted(key.items())))
    assert len(found) == len(lines)
    for line, hashed in zip(lines, found, strict=True):
        assert hashed is None or hashed == exact(check, line), line


RIGHT = {
    "S": "東京, or: ]}",
    "N": "-12.50",
    "B": "QUI=",
    "BOOL": False,
    "NULL": True,
    "SS": ["a", "b"],
    "NS": ["1", "2.5"],
    "BS": ["QQ==", "QUJD"],
    "M": {"a": {"L": [{"M": {"b": {"S": ""}}}, {"L": []}]}, "c": {"M": {}}},
}


@given(st.sampled_from(["", "\\", "a\n\x01", "é"]), st.booleans(), st.booleans())
@example("", False, True)
@settings(deadline=None)
def test_usual_lines_are_found(text: str, ascii_only: bool, change: bool) -> None:
    """Else it would be right in all that it says, and of no use."""
    key = {"pk": {"S": "user#1"}, "sk": {"N": "17"}}
    item = {**key, **{f"a{kind}": {kind: held} for kind, held in RIGHT.items()}, "t": {"S": text}}
    row: dict[str, Any] = {"Item": item}
    pattern = LinePattern({"pk": "S", "sk": "N"}, worth=0)
    if change:
        time = {"WriteTimestampMicros": {"N": str(int(NOON.timestamp()) * 1_000_000)}}
        row = {"Metadata": time, "Keys": key, "OldImage": item, "NewImage": item}
        pattern = LinePattern({"pk": "S", "sk": "N"}, View.NEW_AND_OLD_IMAGES, worth=0)
    line = json.dumps(row, separators=(",", ":"), ensure_ascii=ascii_only).encode() + b"\n"
    assert pattern.can_be
    found = pattern.find(line * 3, HOUR if change else None)
    assert len(found) == 3
    assert all(found)


KEYS = '"pk":{"S":"a"},"sk":{"N":"1"}'
NEARLY = [
    *(f'{{"Item":{{{KEYS},"x":{value}}}}}' for value in NEARLY_VALUES),
    f'{{"Item":{{{KEYS},}}}}',
    f'{{"Item":{{,{KEYS}}}}}',
    f'{{"Item":{{{KEYS}}}',
    f'{{"Item":{{{KEYS}}},"Item2":{{}}}}',
    '{"Item":{"pk":{"S":"a"}}}',
    '{"Item":{"sk":{"N":"1"}}}',
    '{"Item":{"pk":{"S":""},"sk":{"N":"1"}}}',
    '{"Item":{"pk":{"N":"1"},"sk":{"N":"1"}}}',
    f'{{"Item":{{{KEYS},"sk":{{"S":"1"}}}}}}',
    f'{{"Item":{{{KEYS},"\\u0073k":{{"S":"1"}}}}}}',
    f'{{"Item":{{{KEYS},"x\x01":{{"S":"1"}}}}}}',
    f'{{"Item":{{{KEYS},"x":{{"S":"a\nb"}}}}}}',
]


@pytest.mark.parametrize("line", NEARLY)
@pytest.mark.parametrize("beside", ["", "\\n"])
def test_lines_that_are_nearly_right(line: str, beside: str) -> None:
    """Each is wrong in one thing, and none of it is called right, with escapes beside it or not."""
    right = f'{{"Item":{{{KEYS},"x":{{"S":"{beside}"}}}}}}'
    block = f"{right}\n{line}\n{right}\n".encode()
    key = {"pk": "S", "sk": "N"}
    found = LinePattern(key, worth=0).find(block)
    lines = block[:-1].split(b"\n")
    said = [exact(full_row(key), one) for one in lines]
    assert said[0] == said[-1] is not None
    assert said[1:-1] == [None] * (len(lines) - 2)
    assert len(found) == len(lines)
    assert list(found[1:-1]) == said[1:-1]
