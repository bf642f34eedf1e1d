"""Which part of an archive is verified when: all of it, each part once, whatever comes or goes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coldtable.core.records import Home
from coldtable.core.rotation import Turn, hour_of

NAMES = st.text("abc123-_.", min_size=3, max_size=12)
HOMES = NAMES.map(lambda name: Home(account="000000000000", region="eu-north-1", name=name))
BEGINNINGS = st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(HOMES, st.lists(st.tuples(NAMES, st.booleans(), NAMES)), BEGINNINGS, st.integers(1, 9))
def test_each_file_of_each_export_is_due_once_in_a_rotation(
    home: Home, files: list[tuple[str, bool, str]], begin: datetime, days: int
) -> None:
    """Hour by hour over a rotation that begins at any time; the next one repeats it; and the
    exports whose manifests are read are those of the files, beside the full ones."""
    seen: Counter[tuple[str, bool, str]] = Counter()
    for hour in range(2 * 24 * days):
        turn = Turn(moment=begin + timedelta(hours=hour), days=days)
        for export_id, full, key in files if turn.has(home) else ():
            if turn.subset.holds(key, export_id, full=full):
                assert turn.subset.touches(export_id, full=full)
                seen[export_id, full, key] += 1
    assert seen == {file: 2 * files.count(file) for file in set(files)}


@given(st.sets(HOMES, max_size=30), HOMES, BEGINNINGS)
def test_what_comes_moves_nothing_else(homes: set[Home], new: Home, begin: datetime) -> None:
    """A further table changes neither the hour of another nor their order, and increments lie in
    one slice each, whatever else there is."""
    turn = Turn(moment=begin, days=7)
    before = [home for home in turn.in_order(homes) if home != new]
    assert [home for home in turn.in_order({*homes, new}) if home != new] == before
    assert all(hour_of(home) == begin.hour for home in before)


@given(st.sets(HOMES, max_size=30), BEGINNINGS, st.integers(1, 9))
def test_what_came_last_comes_first_a_rotation_later(
    homes: set[Home], begin: datetime, days: int
) -> None:
    """So that with time for more than half, two rotations read everything."""
    now = Turn(moment=begin, days=days)
    later = Turn(moment=begin + timedelta(days=days), days=days)
    assert now.subset == later.subset
    assert list(now.in_order(homes)) == list(later.in_order(homes))[::-1]
