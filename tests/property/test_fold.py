"""Whatever lines an archive has, folding it is what a plain dict would make of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.items import canonical
from coldtable.local.pitr import lines
from coldtable.testing.exports import NOON, ExportsWriter
from tests.property.test_pitr_history import VALUE, WRITES, replay, rows_of
from tests.unit.folding import LEAST, SMALL, folded, key_of, plain_fold

Item = dict[str, Any]

# Names that are also types, parts of a line, need escapes or are no ASCII.
NAMES = st.sampled_from(
    ["pk", "sk", "S", "N", "M", "Item", "Keys", "NewImage", 'q"k', "ü", "\n", "k"]
)
# Values of each type that are equal to each other in some spellings, and of all lengths.
TEXTS = st.one_of(
    st.sampled_from(["a", "b", "pk", '"', "\\", "ü", "\n", '"pk":{"S":"a"}', "x" * 31, "x" * 32]),
    st.integers(1, 300).map(lambda n: "y" * n),
)
SHORT = ["0", "-0", "1", "1.0", "01", "+1", "1E0", "10", "1E1", "-1", "0.5", ".50", "5E-1", "-0.5"]
LONG = ["1E+125", "100000000000000000000000000000000001", "12345678901234567890123456789012345678"]
NUMBERS = st.sampled_from([*SHORT, *LONG])
BINARY = st.sampled_from(["AA==", "AAE=", "AAEC", "AAECAw==", "//8=", "A" * 400])
BY_KIND = {"S": TEXTS, "N": NUMBERS, "B": BINARY}
KINDS = st.sampled_from("SNB")


def values(kind: str) -> st.SearchStrategy[Item]:
    return BY_KIND[kind].map(lambda held: {kind: held})


def spelled(row: Item, draw: st.DataObject) -> bytes:
    """A line in one of the ways that JSON has for it; most often in DynamoDB's."""
    style = draw.draw(st.integers(0, 9), label="style")
    text = json.dumps(row, ensure_ascii=style == 1, separators=None if style == 0 else (",", ":"))
    if style == 2:
        text = text.replace("k", "\\u006b").replace("/", "\\/")
    return text.encode()


def item(key: Item, data: st.DataObject) -> Item:
    """An item of that key, with other attributes before and after it, in any order."""
    more = data.draw(st.dictionaries(NAMES, VALUE, max_size=3), label="attributes")
    inner = {"M": {"inner": {"L": [{"M": dict(key)}]}, **key}}
    made = {**more, **key, **({"map": inner} if data.draw(st.booleans(), label="map") else {})}
    order = data.draw(st.permutations(sorted(made)), label="order")
    return {name: made[name] for name in order}


def by_key(rows: Sequence[bytes], names: tuple[str, ...]) -> dict[Any, Item]:
    """Items by key, each of which is there once."""
    items = [json.loads(row)["Item"] for row in rows]
    found = {key_of(one, names): one for one in items}
    assert len(found) == len(items)
    return found


@settings(deadline=None)
@given(data=st.data())
def test_a_fold_is_what_a_dict_makes_of_it(data: st.DataObject) -> None:
    """Exactly the right items, and every line of the base or image in its own bytes."""
    names = tuple(data.draw(st.lists(NAMES, min_size=1, max_size=2, unique=True), label="names"))
    kinds = [data.draw(KINDS, label="kind") for _ in names]
    keys = st.tuples(*map(values, kinds)).map(lambda held: dict(zip(names, held, strict=True)))
    pool = data.draw(st.lists(keys, min_size=1, max_size=6), label="keys")

    base: dict[Any, bytes] = {}
    for key in data.draw(st.lists(st.sampled_from(pool), max_size=6), label="base"):
        base[key_of(key, names)] = spelled({"Item": item(key, data)}, data)
    increments = []
    for _ in range(data.draw(st.integers(1, 3), label="increments")):
        rows: list[bytes] = []
        for key in data.draw(st.lists(st.sampled_from(pool), max_size=4), label="changes"):
            row: Item = {"Metadata": {"WriteTimestampMicros": {"N": str(10**15 + len(rows) % 3)}}}
            row["Keys"] = key
            if data.draw(st.booleans(), label="old"):
                row["OldImage"] = item(key, data)
            if data.draw(st.booleans(), label="new"):
                row["NewImage"] = item(key, data)
            rows.append(spelled(row, data))
        increments.append(rows)

    writer = ExportsWriter()
    items = list(base.values())
    writer.full(NOON, items[::2], items[1::2])
    for hour, changes in enumerate(increments):
        start = NOON + timedelta(hours=hour)
        writer.increment(start, start + timedelta(hours=1), changes[::2], changes[1::2])
    # Of changes of the same time the one in the later file counts.
    in_order = [changes[::2] + changes[1::2] for changes in increments]
    expected = plain_fold(items, in_order, names)
    bounds = data.draw(st.sampled_from([SMALL, LEAST]), label="bounds")
    found = folded(writer.objects, bounds=bounds, piece=data.draw(st.integers(1, 300)))
    assert by_key(found, names) == expected
    whole = b"".join([line for changes in increments for line in changes])
    for line in found:
        image = line.removeprefix(b'{"Item":').removesuffix(b"}\n")
        assert line[:-1] in items or image in whole


@settings(deadline=None)
@given(
    writes=WRITES, base=st.dictionaries(st.sampled_from("abc"), VALUE, max_size=3), data=st.data()
)
def test_exports_of_a_history_fold_to_the_table_as_it_was(
    writes: list[tuple[int, str, Any]], base: dict[str, Any], data: st.DataObject
) -> None:
    """The embedded AWS's own export of a history, folded, is the table at each window's end."""
    held = {key: {"k": {"S": key}, "v": value} for key, value in base.items()}
    journal, states = replay(writes, held)
    cuts = sorted(data.draw(st.sets(st.integers(1, 62), min_size=2, max_size=5), label="cuts"))
    kind = data.draw(st.sampled_from(["DYNAMODB_JSON", "DYNAMODB_JSON", "ION"]), label="format")
    old = data.draw(st.booleans(), label="old images")
    writer = ExportsWriter(output_format=kind)
    writer.full(NOON, *rows_of(journal, lines.full(cuts[0], kind)))
    for number, (start, stop) in enumerate(pairwise(cuts)):
        line = lines.incremental(start, stop, ("k",), kind, old=old)
        begin = NOON + timedelta(hours=number)
        writer.increment(begin, begin + timedelta(hours=1), *rows_of(journal, line))
    found = by_key(folded(writer.objects), ("k",))
    assert {key: canonical(one) for (key,), one in found.items()} == {
        key: canonical(one) for key, one in states[cuts[-1]].items()
    }
