"""The index of changes: exact whatever the hashes are, in memory and on disk."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.ops.fold_changes import Changes
from coldtable.ops.fold_chunks import Buffer, Chunk
from coldtable.ops.fold_crew import Crew, Stopped
from coldtable.ops.fold_gzip import HEADER, Trailer, deflate
from coldtable.ops.fold_index import Bits, ChangeIndex
from coldtable.ops.fold_keys import WIDEST, Column, Keys, put_values
from coldtable.ops.fold_log import ChangeLog

Pair = tuple[bytes, bytes]


def keys(pairs: list[Pair], hashes: list[int]) -> Keys:
    """Keys with hashes of our own choice."""
    columns = []
    for place in range(2):
        column = Column(np.zeros((len(pairs), 32), np.uint8), np.zeros(len(pairs), np.uint8))
        put_values(column, range(len(pairs)), [pair[place] for pair in pairs])
        columns.append(column)
    return Keys(columns, np.array(hashes, np.uint64))


def hash_of(pair: Pair, spread: int) -> int:
    """A very bad hash: ``spread`` values, from the smallest to the largest that there are."""
    return (sum(pair[0]) + 3 * sum(pair[1])) % spread * ((2**64 - 1) // max(spread - 1, 1))


# Few enough that many are of the same size and hash, and are not the same.
SHORT = st.text("abc", min_size=1, max_size=2).map(str.encode)
VALUES = st.one_of(SHORT, SHORT, st.integers(30, 250).map(lambda n: b"z" * n))
PAIRS = st.tuples(VALUES, VALUES)


@settings(deadline=None)
@given(
    changes=st.lists(st.tuples(PAIRS, st.integers(0, 3)), min_size=1, max_size=250),
    asked=st.lists(PAIRS, max_size=50),
    spread=st.sampled_from([1, 2, 7, 1000]),
    # All of it on disk, some of it, none.
    budget=st.sampled_from([1, 800, 3000, 10**8]),
)
def test_an_index_is_exact_though_hashes_are_not(
    changes: list[tuple[Pair, int]],
    asked: list[Pair],
    spread: int,
    budget: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With hashes that clash all the time, it finds just the keys that were changed, and of each
    its newest change."""
    folder = tmp_path_factory.getbasetemp()
    log = ChangeLog(folder, budget)
    newest: dict[Pair, tuple[int, int]] = {}
    for start in reversed(range(0, len(changes), 4)):
        part = changes[start : start + 4]
        pairs = [pair for pair, _ in part]
        held = keys(pairs, [hash_of(pair, spread) for pair in pairs])
        log.add(Changes(held, np.array([when for _, when in part], np.int64)), start)
        for number, (pair, when) in enumerate(part, start):
            newest[pair] = max(newest.get(pair, (when, number)), (when, number))
    index = ChangeIndex(log, len(changes), folder, budget)
    try:
        won = set(np.flatnonzero(index.won(0, len(changes))).tolist())
        assert won == {number for _, number in newest.values()}
        every = [*asked, *newest]
        found = index.has(keys(every, [hash_of(pair, spread) for pair in every])).tolist()
        assert found == [pair in newest for pair in every]
    finally:
        index.close()
        log.close()


def test_a_chunk_of_changed_keys_is_looked_for_in_bounded_memory(tmp_path: Path) -> None:
    """A chunk of tiny lines, all of them changed: 40,000 keys on the disk, looked for in turns."""
    pairs = [(b"%06d" % number, b"x") for number in range(40_000)]
    noise = np.random.default_rng(1).permutation(len(pairs)).astype(np.uint64)
    hashes = (noise << np.uint64(48)).tolist()
    log = ChangeLog(tmp_path, 1 << 20)
    log.add(Changes(keys(pairs, hashes), np.zeros(len(pairs), np.int64)), 0)
    index = ChangeIndex(log, len(pairs), tmp_path, 1)
    asked = keys(pairs, hashes)
    tracemalloc.start()
    try:
        assert index.has(asked).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        index.close()
        log.close()
    assert peak < 24_000_000, peak


@pytest.mark.parametrize(
    "other", [(b"a", b"c"), (b"x", b"b"), (b"ab", b""), (b"", b"ab"), (b"a\0", b"b")]
)
@pytest.mark.parametrize("budget", [1, 10**8])
def test_a_key_of_the_same_hash_and_size_is_another_key(
    other: Pair, budget: int, tmp_path: Path
) -> None:
    """A base item whose key only has the hash of a changed one is not lost."""
    log = ChangeLog(tmp_path, budget)
    log.add(Changes(keys([(b"a", b"b")], [7]), np.array([1])), 0)
    index = ChangeIndex(log, 1, tmp_path, budget)
    assert index.has(keys([other, (b"a", b"b")], [7, 7])).tolist() == [False, True]
    index.close()


@given(st.sets(st.integers(0, 500)), st.integers(0, 500), st.integers(0, 100))
def test_bits_are_a_set(numbers: set[int], first: int, count: int) -> None:
    """What was put in is in, alone and in a row."""
    bits = Bits(601)
    bits.add(np.array(sorted(numbers), np.int64))
    assert bits.has(np.arange(601)).tolist() == [n in numbers for n in range(601)]
    stop = min(first + count, 601)
    assert bits.between(first, stop).tolist() == [n in numbers for n in range(first, stop)]


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_blocks_join_to_one_member(blocks: list[bytes]) -> None:
    """Blocks that were compressed apart are one sound gzip member, as short as AWS's if empty."""
    import gzip
    import zlib

    trailer, body = Trailer(), HEADER
    for block in blocks:
        made = deflate(block)
        trailer.add(made)
        body += made.body
    body += trailer.bytes()
    assert gzip.decompress(body) == b"".join(blocks)
    unzip = zlib.decompressobj(31)
    unzip.decompress(body)
    assert unzip.eof
    assert unzip.unused_data == b""
    if not any(blocks):
        assert body.hex() == "1f8b08000000000000ff03000000000000000000"


def test_the_first_failure_is_the_one_that_is_raised() -> None:
    """Who fails stops the others, in the middle of a file too, and his error is told."""
    begun = threading.Event()

    def read(number: int) -> int:
        if number == 1:
            begun.wait(10)
            raise KeyError("the first")
        begun.set()

        def chunks() -> Iterator[Chunk]:
            while True:
                yield Chunk(buffer=crew.take(), size=0)

        return sum(1 for _ in crew.work(chunks(), lambda _: None))

    with Crew(readers=3, workers=2) as crew, pytest.raises(KeyError, match="the first"):
        list(crew.each(range(5), read))
    with pytest.raises(Stopped):
        crew.take()


def test_work_comes_back_in_order() -> None:
    """Results come in the order of the chunks, though workers end in another."""

    def chunks() -> Iterator[Chunk]:
        for number in range(50):
            yield Chunk(buffer=crew.take(), size=number)

    def slow_if_even(chunk: Chunk) -> int:
        if chunk.size % 2 == 0:
            sum(range(20_000))
        return chunk.size

    with Crew(readers=1, workers=4) as crew:
        (found,) = crew.each([None], lambda _: list(crew.work(chunks(), slow_if_even)))
    assert found == list(range(50))


def test_the_widest_value_fits() -> None:
    """A value may take up to 250 bytes, as many as a row can have."""
    column = Column(np.zeros((2, 32), np.uint8), np.zeros(2, np.uint8))
    put_values(column, [1], [b"x" * 250])
    assert column.rows.shape == (2, WIDEST)
    assert Buffer().usual
