"""Whatever happened in the windows and since: what is still as they left it is undone, no more."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.items import same
from coldtable.ops.revert import Fate, RevertPlan, RevertWish, revert_window
from coldtable.testing.exports import NOON
from tests.unit.dying import Death, Killed, Life
from tests.unit.test_revert import HOUR, Past

Item = dict[str, Any]
Items = dict[str, Item]

NAMES = [f"k{n}" for n in range(4)]
# Some are equal in other spellings, and some only nearly.
VALUES: list[Item] = [
    {"N": "1"},
    {"N": "1.0"},
    {"N": "2"},
    {"S": "1"},
    {"SS": ["a", "b"]},
    {"SS": ["b", "a"]},
    {"L": [{"BOOL": True}, {"NULL": True}]},
    {"M": {}},
]
VALUE = st.sampled_from(VALUES)
MORE = st.dictionaries(st.sampled_from("vw"), VALUE, max_size=2)
# What becomes of some of the items: new attributes, or (None) nothing.
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.none() | MORE, max_size=4)


def changed(items: Items, changes: dict[str, Item | None]) -> Items:
    """The items after these changes."""
    after = {name: item for name, item in items.items() if changes.get(name, item) is not None}
    for name, more in changes.items():
        if more is not None:
            after[name] = {"pk": {"S": name}, **more}
    return after


def alike(one: Item | None, other: Item | None) -> bool:
    if one is None or other is None:
        return one is other
    return same(one, other)


def put_down(past: Past, items: Items) -> None:
    """The live table becomes this."""
    table = past.tables.items("orders")
    assert not table
    for item in items.values():
        past.tables.put_all("orders", [json.dumps(item).encode()])


DEATHS = st.lists(
    st.builds(
        Death,
        call=st.sampled_from(["writer.put", "writer.delete", "reader.get_all", "store.read"]),
        number=st.integers(0, 6),
        after=st.booleans(),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(
    before=CHANGES,
    windows=st.lists(CHANGES, min_size=1, max_size=4),
    since=CHANGES,
    data=st.data(),
    deaths=DEATHS,
)
def test_just_what_a_window_left_is_undone(
    before: dict[str, Item | None],
    windows: list[dict[str, Item | None]],
    since: dict[str, Item | None],
    data: st.DataObject,
    deaths: list[Death],
) -> None:
    """Each item that is as the windows left it becomes what it was before them; each that is not
    is named and untouched, whatever it is now, and so is what they did not change. Killed wherever
    it was and run again it comes to the same, and run once more it writes nothing."""
    past, states = Past(), [changed({}, before)]
    for hour, changes in enumerate(windows):
        states.append(changed(states[-1], changes))
        past.window(hour, states[-2], states[-1])
    now = changed(states[-1], since)
    put_down(past, now)
    first = data.draw(st.integers(0, len(windows) - 1), label="from")
    last = data.draw(st.integers(first + 1, len(windows)), label="to")
    old, left = states[first], states[last]
    touched = [n for n in NAMES if not alike(old.get(n), left.get(n))]
    undone = [n for n in touched if alike(now.get(n), left.get(n))]
    kept = [n for n in touched if n not in undone and not alike(now.get(n), old.get(n))]
    expected = {n: old.get(n) if n in undone else now.get(n) for n in NAMES}

    def run(life: Life) -> RevertPlan:
        wish = RevertWish(table="orders", start=NOON + first * HOUR, stop=NOON + last * HOUR)
        return revert_window(wish, life.windows(past.windows), apply=True, tell=lambda _: None)

    for death in deaths:
        with suppress(Killed):
            run(Life(death=death))
    plan = run(Life())
    found = past.found
    assert all(alike(found.get(name), expected[name]) for name in NAMES)
    assert sorted(key for key, _ in plan.counts.conflicts) == [
        json.dumps({"pk": {"S": name}}, separators=(",", ":")) for name in sorted(kept)
    ]
    counts = plan.counts.fates
    assert counts[Fate.CONFLICT] == len(kept)
    assert counts[Fate.PUT] + counts[Fate.DELETE] + counts[Fate.ALREADY] + len(kept) == len(touched)
    if not deaths:
        assert counts[Fate.PUT] + counts[Fate.DELETE] == len(undone)
    again = Life()
    assert run(again).counts.fates[Fate.CONFLICT] == len(kept)
    assert not [name for name, _ in again.done if name.startswith("writer.")]
