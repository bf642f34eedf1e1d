"""Whatever keys there are, in however many files and pieces: those that are twice are found."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.verification import Subset, parse_subset
from coldtable.ops.key_files import KeyWriter, keys_twice

FILES = st.lists(st.lists(st.integers(0, 60), max_size=40), max_size=4)


@given(FILES, st.integers(100, 900), st.sampled_from([1, 16, 100]))
@settings(max_examples=25, deadline=None)
def test_keys_that_are_twice(files: list[list[int]], held: int, compared: int) -> None:
    """Each line but a key's first is told with where the first one is, at any limit of memory."""
    with TemporaryDirectory() as folder:
        paths = []
        for number, keys in enumerate(files):
            paths.append(Path(folder) / f"{number}.keys")
            writer = KeyWriter(paths[-1], held=held)
            hashes = [hashlib.blake2b(b"%d" % key, digest_size=16).digest() for key in keys]
            for start in range(0, len(hashes), 3):
                writer.add_all(hashes[start : start + 3], start + 1)
            writer.close()
        found = list(keys_twice(paths, compared=compared))
    where = [(f, line, key) for f, keys in enumerate(files) for line, key in enumerate(keys, 1)]
    first: dict[int, tuple[int, int]] = {}
    expected = Counter[tuple[int, int, int, int]]()
    for file, line, key in where:
        if key in first:
            expected[(*first[key], file, line)] += 1
        first.setdefault(key, (file, line))
    assert Counter((t.first, t.first_line, t.second, t.second_line) for t in found) == expected


@given(st.text(), st.integers(1, 40))
def test_every_key_is_in_one_slice(key: str, of: int) -> None:
    """The slices of an archive hold each object once."""
    assert sum(Subset(number=n, of=of).holds(key, "", full=True) for n in range(1, of + 1)) == 1


@given(st.dates(date(2026, 1, 1), date(2030, 1, 1)), st.floats(0.5, 100))
def test_a_share_comes_round(today: date, percent: float) -> None:
    """A share's slice is another one each day, and after as many days each was its turn."""
    text = f"{percent:.2f}%"
    of = parse_subset(text, today).of
    days = [parse_subset(text, today + timedelta(days=n)) for n in range(of)]
    assert {part.number for part in days} == set(range(1, of + 1))
    assert 100 / of <= percent + 0.01
