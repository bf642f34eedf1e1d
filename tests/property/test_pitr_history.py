"""Whatever is written when: full(T0) and the incremental [T0, T1) make full(T1)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.local.pitr import lines
from coldtable.local.pitr.journal import Journal
from coldtable.local.pitr.writer import Pass, place

Items = dict[str, dict[str, Any]]

TEXT = st.text(max_size=8)
NUMBER = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    # 38 digits at the most, as in DynamoDB.
    st.decimals(-(10**33), 10**33, places=4).map(str),
)
BINARY = st.sampled_from(["", "AA==", "AAH/", "dGV4dA=="])
VALUE: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        TEXT.map(lambda v: {"S": v}),
        NUMBER.map(lambda v: {"N": v}),
        BINARY.map(lambda v: {"B": v}),
        st.booleans().map(lambda v: {"BOOL": v}),
        st.just({"NULL": True}),
        st.lists(TEXT, min_size=1, unique=True, max_size=3).map(lambda v: {"SS": v}),
        st.lists(NUMBER, min_size=1, unique=True, max_size=3).map(lambda v: {"NS": v}),
        st.lists(BINARY, min_size=1, unique=True, max_size=3).map(lambda v: {"BS": v}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: {"L": v}),
        st.dictionaries(TEXT, inner, max_size=3).map(lambda v: {"M": v}),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["a", "b", "c", "ü", "d\n"])
# (time, key, value or None for a delete)
WRITES = st.lists(
    st.tuples(st.integers(1, 60), KEYS, st.one_of(st.none(), VALUE)), max_size=25
).map(lambda writes: sorted(writes, key=lambda write: write[0]))


def replay(writes: list[tuple[int, str, Any]], base: Items) -> tuple[Journal, dict[int, Items]]:
    """The journal of the writes, and the true state just before every instant."""
    journal = Journal(table_arn="arn", table_id="id", key_names=["k"])
    journal.rebase(base.values(), last=True)
    current = dict(base)
    states = {}
    pending = list(writes)
    for instant in range(1, 63):
        states[instant] = dict(current)
        while pending and pending[0][0] == instant:
            _, key, value = pending.pop(0)
            after = None if value is None else {"v": value, "k": {"S": key}}
            journal.record(current.get(key), after, instant)
            if after is None:
                current.pop(key, None)
            else:
                current[key] = after
    return journal, states


def rows_of(journal: Journal, line: Callable[[Any], bytes | None]) -> list[list[bytes]]:
    """The lines of every data file of one pass, through the real gzip and back."""
    walk = Pass(journal.keys(), journal.entry, line, 4, part_bytes=64)
    bodies = [b""] * 4
    while not walk.done:
        for part in walk.advance():
            bodies[part.file] += part.body
    for body, file in zip(bodies, walk.files, strict=True):
        assert len(gzip.decompress(body).splitlines()) == file.items
    return [gzip.decompress(body).split(b"\n")[:-1] for body in bodies]


def walked(journal: Journal, line: Callable[[Any], bytes | None]) -> list[list[dict[str, Any]]]:
    """The same as what they mean."""
    return [[json.loads(row) for row in rows] for rows in rows_of(journal, line)]


def full(journal: Journal, bound: int) -> Items:
    """The items of a full export, by key; each once, each in the file of its key."""
    found: Items = {}
    for number, rows in enumerate(walked(journal, lines.full(bound, "DYNAMODB_JSON"))):
        for row in rows:
            key = row["Item"]["k"]["S"]
            assert key not in found
            assert place(key, 4) == number
            found[key] = row["Item"]
    return found


@settings(deadline=None)
@given(writes=WRITES, base=st.dictionaries(KEYS, VALUE, max_size=3), data=st.data())
def test_full_and_incremental_make_the_next_full(
    writes: list[tuple[int, str, Any]], base: dict[str, Any], data: st.DataObject
) -> None:
    """And OldImage is always the item as it was in the first full export."""
    held = {key: {"k": {"S": key}, "v": value} for key, value in base.items()}
    journal, states = replay(writes, held)
    start = data.draw(st.integers(1, 61), label="T0")
    stop = data.draw(st.integers(start, 62), label="T1")
    first = full(journal, start)
    assert first == states[start]
    line = lines.incremental(start, stop, ("k",), "DYNAMODB_JSON", old=True)
    built = dict(first)
    seen = set()
    for rows in walked(journal, line):
        for row in rows:
            key = row["Keys"]["k"]["S"]
            assert key not in seen
            seen.add(key)
            assert start <= int(row["Metadata"]["WriteTimestampMicros"]["N"]) < stop
            assert row.get("OldImage") == first.get(key)
            assert "OldImage" in row or "NewImage" in row
            if "NewImage" in row:
                assert list(row["NewImage"]) == sorted(row["NewImage"])
                built[key] = row["NewImage"]
            else:
                del built[key]
    assert built == states[stop] == full(journal, stop)


@settings(deadline=None)
@given(writes=WRITES, horizon=st.integers(1, 62))
def test_forgetting_changes_nothing_that_can_still_be_asked(
    writes: list[tuple[int, str, Any]], horizon: int
) -> None:
    """After compaction every state from the horizon on is what it was, saved and loaded too."""
    journal, states = replay(writes, {})
    journal.compact(horizon)
    again = Journal(table_arn="arn", table_id="id", key_names=["k"])
    again.restore_rows(journal.rows())
    for instant in range(horizon, 63):
        assert {item["k"]["S"]: item for item in again.state_at(instant)} == states[instant]


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 9))
def test_placement_is_stable_and_in_range(keys: list[str], files: int) -> None:
    """The same key always lies in the same of the files that there are."""
    for key in keys:
        assert 0 <= place(key, files) < files
        assert place(key, files) == place(key, files)


@given(st.binary(max_size=200), st.integers(1, 40))
def test_parts_join_to_one_gzip_member(noise: bytes, size: int) -> None:
    """However small the parts: header, one deflate stream, trailer, nothing after it."""
    journal = Journal(table_arn="arn", table_id="id", key_names=["k"])
    for number in range(20):
        journal.record(None, {"k": {"S": f"{number}"}, "v": {"S": noise.hex()}}, 1 + number)
    walk = Pass(journal.keys(), journal.entry, lines.full(100, "DYNAMODB_JSON"), 1, part_bytes=size)
    body = b""
    while not walk.done:
        body += b"".join(part.body for part in walk.advance())
    stream = zlib.decompressobj(wbits=31)
    assert len((stream.decompress(body) + stream.flush()).splitlines()) == 20
    assert stream.eof
    assert stream.unused_data == b""
