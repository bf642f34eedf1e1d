"""The history of one table: what a moment shows, what a window changed, what may be forgotten."""

from __future__ import annotations

import threading
from typing import Any

from coldtable.local.pitr.journal import Journal, image_at, unpacked


def journal() -> Journal:
    made = Journal(table_arn="arn", table_id="id", key_names=["k"])
    made.rebase((), last=True)
    return made


def item(key: str, value: int) -> dict[str, Any]:
    return {"k": {"S": key}, "v": {"N": str(value)}}


def state(history: Journal, bound: int) -> dict[str, str]:
    return {one["k"]["S"]: one["v"]["N"] for one in history.state_at(bound)}


def test_state_at_an_instant_holds_the_writes_strictly_before_it() -> None:
    """A write at T is not in the state at T, and is in the state just after."""
    history = journal()
    history.record(None, item("a", 1), 100)
    history.record(item("a", 1), item("a", 2), 200)
    history.record(item("a", 2), None, 300)
    assert [state(history, t) for t in (100, 101, 200, 201, 300, 301)] == [
        {},
        {"a": "1"},
        {"a": "1"},
        {"a": "2"},
        {"a": "2"},
        {},
    ]


def test_base_is_there_at_every_instant_and_never_a_change() -> None:
    """What the table held when PITR was switched on has no write time."""
    history = Journal(table_arn="arn", table_id="id", key_names=["k"])
    history.rebase([item("a", 1)], last=True)
    assert state(history, 1) == {"a": "1"}
    assert list(history.changes(0 + 1, 1000)) == []


def test_write_during_the_base_scan_keeps_what_it_replaced() -> None:
    """A mutation that arrives before the base is read tells the base of its item."""
    history = Journal(table_arn="arn", table_id="id", key_names=["k"])
    history.record(item("a", 1), item("a", 2), 100)
    history.record(item("b", 1), None, 100)
    history.rebase([item("a", 2), item("c", 1)], last=True)
    assert state(history, 100) == {"a": "1", "b": "1", "c": "1"}
    assert state(history, 101) == {"a": "2", "c": "1"}


def test_window_shows_the_last_state_and_the_one_before_it_began() -> None:
    """Several writes are one change; OldImage is the state before the window."""
    history = journal()
    history.record(None, item("a", 1), 100)
    for when, value in ((200, 2), (210, 3), (220, 4)):
        history.record(item("a", value - 1), item("a", value), when)
    (change,) = history.changes(150, 220)
    assert (change.when, unpacked(change.before), unpacked(change.after)) == (
        210,
        item("a", 1),
        item("a", 3),
    )


def test_insert_and_delete_inside_a_window_leave_nothing() -> None:
    """Neither image, no record."""
    history = journal()
    history.record(None, item("a", 1), 100)
    history.record(item("a", 1), None, 110)
    assert list(history.changes(50, 200)) == []


def test_window_includes_its_start_and_excludes_its_end() -> None:
    """`[from, to)`."""
    history = journal()
    for name, when in (("a", 100), ("b", 199), ("c", 200)):
        history.record(None, item(name, 1), when)
    found = {unpacked(change.after)["k"]["S"] for change in history.changes(100, 200)}  # type: ignore[index]
    assert found == {"a", "b"}


def test_one_request_is_one_version() -> None:
    """Mutations with the same stamp become one; none of its inner states is ever shown."""
    history = journal()
    history.record(None, item("a", 1), 100)
    history.record(item("a", 1), item("a", 2), 100)
    assert state(history, 101) == {"a": "2"}
    history.record(None, item("b", 1), 100)
    history.record(item("b", 1), None, 100)
    assert len(history) == 1


def test_rollback_of_a_transaction_leaves_no_trace() -> None:
    """Replacing the content with what it was removes what the transaction wrote."""
    history = journal()
    history.record(None, item("a", 1), 100)
    history.record(item("a", 1), item("a", 2), 200)
    history.record(None, item("b", 1), 200)
    history.replace([item("a", 1)], 200)
    assert list(history.changes(150, 300)) == []
    assert state(history, 300) == {"a": "1"}


def test_late_stamp_moves_past_the_newest_version() -> None:
    """The order of the calls is the order of the writes, whatever their stamps say."""
    history = journal()
    history.record(None, item("a", 1), 200)
    history.record(item("a", 1), item("a", 2), 150)
    assert state(history, 201) == {"a": "1"}
    assert state(history, 202) == {"a": "2"}


def test_compaction_keeps_every_state_from_the_horizon_on() -> None:
    """Older versions go; tombstones that nothing can show go too."""
    history = journal()
    for when, value in ((100, 1), (200, 2), (300, 3)):
        history.record(None, item("a", value), when)
    history.record(None, item("b", 1), 100)
    history.record(item("b", 1), None, 150)
    before = [state(history, t) for t in (250, 300, 301)]
    assert history.compact(250) == 3
    assert [state(history, t) for t in (250, 300, 301)] == before
    assert len(history) == 1


def test_walk_that_began_before_a_compaction_sees_what_it_saw() -> None:
    """Whatever is written or forgotten behind a walk's cut, the walk shows the state at its cut."""
    history = journal()
    for name in "ab":
        history.record(None, item(name, 1), 100)
    history.record(item("a", 1), item("a", 2), 200)
    keys = history.keys()
    history.record(item("a", 2), item("a", 3), 300)
    history.record(item("b", 1), None, 300)
    history.record(None, item("c", 1), 300)
    history.compact(250)
    found = [unpacked(image_at(history.entry(key), 250)) for key in keys]
    assert found == [item("a", 2), item("b", 1)]


def test_superseded_images_are_packed_and_read_the_same() -> None:
    """Compaction turns all but the newest image into bytes, and no state changes."""
    history = journal()
    for when, value in ((100, 1), (200, 2), (300, 3)):
        history.record(None, item("a", value), when)
    assert history.loose == 2
    history.compact(0)
    (entry,) = map(history.entry, history.keys())
    assert [type(image) for image in entry[1::2]] == [bytes, bytes, dict]
    assert history.loose == 0
    assert state(history, 201) == {"a": "2"}


def test_rows_bring_the_same_history_back() -> None:
    """Saved and read back, every state and every change is the same."""
    history = journal()
    history.record(None, item("a", 1), 100)
    history.record(item("a", 1), None, 200)
    history.record(None, item("ü\n", 2), 300)
    again = Journal(table_arn="arn", table_id="id", key_names=["k"])
    again.restore_rows(history.rows())
    for bound in (100, 101, 200, 201, 301):
        assert state(again, bound) == state(history, bound)
    assert [(c.when, unpacked(c.before), unpacked(c.after)) for c in again.changes(150, 400)] == [
        (c.when, unpacked(c.before), unpacked(c.after)) for c in history.changes(150, 400)
    ]
    again.record(item("ü\n", 2), item("ü\n", 3), 400)
    assert state(again, 401) == {"ü\n": "3"}


def test_feed_from_several_threads_loses_nothing() -> None:
    """Four threads write four hundred items each while a fifth walks."""
    history = journal()

    def feed(name: str) -> None:
        for number in range(400):
            history.record(None, item(f"{name}{number}", number), 100 + number)

    threads = [threading.Thread(target=feed, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(history.state_at(10_000))
    for thread in threads:
        thread.join()
    assert len(state(history, 10_000)) == 1600
