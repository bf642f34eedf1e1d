"""Loading: every item arrives, whatever AWS does meanwhile; a checkpoint never says too much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from threading import Barrier, Event
from typing import Any

import pytest

from coldtable.core.manifest import DataFile
from coldtable.core.pace import Pace
from coldtable.errors import (
    ColdtableError,
    DamagedError,
    ItemRefused,
    ServiceFailed,
    TableNotFound,
    Throttled,
)
from coldtable.model_restore import Condition, KeyAttribute, KeySchema
from coldtable.ops.load import Reached, load
from coldtable.ops.raw import raw_item
from coldtable.ops.send import Sender
from coldtable.testing.exports import item_line
from coldtable.testing.tables import FakeTables

KEY = KeySchema(partition=KeyAttribute(name="pk", kind="S"))
ABSENT = Condition(expression="attribute_not_exists(#k)", names={"#k": "pk"})


class Work:
    """Files of numbered items, and a table to load them into."""

    def __init__(self, *sizes: int, pad: int = 0) -> None:
        names = [f"f{n}" for n in range(len(sizes))]
        self.files = [DataFile(key=n, items=s, md5=n) for n, s in zip(names, sizes, strict=True)]
        self.lines = {
            f.key: [
                item_line(pk={"S": f"{f.key}-{n}"}, pad={"S": "x" * pad}) for n in range(f.items)
            ]
            for f in self.files
        }
        self.tables = FakeTables()
        self.tables.add("new", KEY)
        self.saved = Reached()
        self.stop = Event()
        self.sender = self.new_sender()

    def new_sender(self, **options: Any) -> Sender:
        self.stop = Event()
        # Nobody waits in a test: a pause only tells whether to stop.
        return Sender(self.tables, "new", pause=lambda _: not self.stop.is_set(), **options)

    def load(
        self,
        *,
        threads: int = 4,
        read: Callable[[DataFile], Sequence[bytes] | Iterator[bytes]] | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        load(
            self.files,
            read or (lambda file: self.lines[file.key]),
            self.sender,
            self.stop,
            threads=threads,
            reached=self.saved,
            save=self.save,
            tell=tell,
        )

    def save(self, reached: Reached) -> None:
        """Nothing may be claimed that is not in the table."""
        self.saved = reached
        present = {item["pk"]["S"] for item in self.tables.items("new")}
        for place, file in enumerate(self.files):
            sure = file.items if place in reached.done else reached.part.get(place, 0)
            assert {f"{file.key}-{n}" for n in range(sure)} <= present

    @property
    def whole(self) -> bool:
        wanted = sorted(line for lines in self.lines.values() for line in lines)
        found = sorted(item_line(**item) for item in self.tables.items("new"))
        return found == wanted and self.saved.done == set(range(len(self.files)))


def test_every_line_arrives() -> None:
    """Files of any size, also empty ones, are written whole, 25 items at a time."""
    work = Work(0, 1, 25, 26, 103, 0, 7, 50, 50, 50, 50)
    work.load()
    assert work.whole
    assert work.sender.tally.written == 362
    assert work.tables.writes == 0 + 1 + 1 + 2 + 5 + 0 + 1 + 2 + 2 + 2 + 2


def test_requests_that_wait_are_joined_by_others() -> None:
    """A table that answers only two requests together gets two: who waits for it is not alone."""
    work, both = Work(100), Barrier(2, timeout=30)
    put_all = work.tables.put_all

    def meet(table: str, items: Sequence[bytes]) -> Any:
        both.wait()
        return put_all(table, items)

    work.tables.put_all = meet  # type: ignore[method-assign]
    work.load()
    assert work.whole


def test_batches_are_bounded_by_bytes() -> None:
    """Large items come fewer at a time: no request is far over four million bytes."""
    work = Work(30, pad=390_000)
    sizes = []
    put_all = work.tables.put_all

    def measure(table: str, items: Sequence[bytes]) -> Any:
        sizes.append(sum(map(len, items)))
        return put_all(table, items)

    work.tables.put_all = measure  # type: ignore[method-assign]
    work.load()
    assert work.whole
    assert max(sizes) <= 4_000_000
    assert len(sizes) == 3


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lost_to_trouble(seed: int) -> None:
    """Unprocessed items, throttling and failures of AWS only take time."""
    work, random = Work(60, 40, 3, 90), Random(seed)
    work.tables.leave = lambda count: random.randint(0, count)

    def trouble() -> None:
        if random.random() < 0.4:
            raise random.choice([Throttled("slow down"), ServiceFailed("broken")])

    work.tables.before = trouble
    work.load()
    assert work.whole
    tally = work.sender.tally
    assert tally.again
    assert tally.refused
    assert tally.failed


@pytest.mark.parametrize("after", [0, 1, 3, 7, 9])
def test_a_load_that_died_goes_on_where_it_was(after: int) -> None:
    """Whatever ends a load, the next one with its checkpoint writes the rest, and little twice."""
    work = Work(60, 40, 3, 90)

    def die() -> None:
        if work.tables.writes > after:
            raise TableNotFound("gone")

    work.tables.before = die
    with pytest.raises(TableNotFound):
        work.load()
    assert not work.whole
    work.tables.before = lambda: None
    work.sender = work.new_sender()
    first = work.tables.writes
    work.load()
    assert work.whole
    assert work.tables.writes - first <= 10


def test_what_is_done_is_not_done_again() -> None:
    """A load that is complete writes nothing when it is run again."""
    work = Work(30, 30)
    work.load()
    before = work.tables.writes
    work.sender = work.new_sender()
    work.load()
    assert work.tables.writes == before
    assert work.sender.tally.written == 0


def test_an_interruption_keeps_what_was_written() -> None:
    """Ctrl-C ends the load with a checkpoint, and every thread with it."""
    work = Work(60, 40, 3, 90)

    gate = Event()
    work.tables.before = lambda: bool(gate.wait(5)) and None

    def tell() -> None:
        gate.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.load(tell=tell)
    assert not work.whole
    work.sender = work.new_sender()
    work.load()
    assert work.whole


def test_throttling_for_ever_can_be_interrupted() -> None:
    """Whoever bears throttling gives up as soon as nobody wants it to go on."""
    work = Work(60)

    def throttle() -> None:
        raise Throttled("never")

    def tell() -> None:
        raise KeyboardInterrupt

    work.tables.before = throttle
    with pytest.raises(KeyboardInterrupt):
        work.load(tell=tell)
    assert work.stop.is_set()


def test_one_refused_item_is_named() -> None:
    """An item that DynamoDB does not take ends the load, with its file and about its line."""
    work = Work(40)
    work.lines["f0"][30] = item_line(pk={"N": "1"})
    with pytest.raises(ItemRefused, match="f0, near line 31"):
        work.load()
    assert len(work.tables.items("new")) >= 25


def test_one_key_twice_does_not_spoil_a_batch() -> None:
    """Two items of one key cannot be in one request; the later one wins, as its line does."""
    work = Work(10)
    work.lines["f0"][9] = item_line(pk={"S": "f0-3"}, again={"BOOL": True})
    work.files[0] = DataFile(key="f0", items=9, md5="f0")
    work.load(threads=1)
    found = {item["pk"]["S"]: item for item in work.tables.items("new")}
    assert len(found) == 9
    assert found["f0-3"]["again"] == {"BOOL": True}


@pytest.mark.parametrize(
    "line",
    [
        b'{"Item":{"pk":{"S":"a"}}}},{"DeleteRequest":{"Key":{"pk":{"S":"b"}}}',
        b'{"Item":{"pk":{"S":"a"}}},{"PutRequest":{"Item":{}}',
        b'{"Item":[]}',
        b'{"Keys":{"pk":{"S":"a"}}}',
        b"",
        b"nothing",
    ],
)
def test_only_whole_items_get_into_a_request(line: bytes) -> None:
    """A line that is anything but one object with an Item is damage, and names its place."""
    work = Work(3)
    work.lines["f0"][1] = line
    with pytest.raises(DamagedError, match="f0, line 2"):
        work.load()


def test_an_item_keeps_its_bytes() -> None:
    """Binary, numbers, spaces and escapes go out as the export spells them."""
    item = rb'{"pk":{"S":"\u00e9 \" \\ /"}, "n":{"N":"1E+3"},"l":{"L":[{"B":"AA=="}]},"b":{"B":""}}'
    assert raw_item(b'{"Item": ' + item + b"}") == item


def test_damage_found_at_the_end_of_a_file_is_told() -> None:
    """A file whose checksum is wrong is never done."""
    work = Work(30, 30)

    def read(file: DataFile) -> Iterator[bytes]:
        yield from work.lines[file.key]
        if file.key == "f1":
            raise DamagedError("f1 has another MD5")

    with pytest.raises(DamagedError, match="f1 has another MD5"):
        work.load(read=read)
    assert 1 not in work.saved.done


def test_a_merge_leaves_what_is_there() -> None:
    """With a condition each item is put alone, and one that does not hold keeps the old item."""
    work = Work(30)
    work.tables.put_all("new", [b'{"pk":{"S":"f0-4"},"live":{"BOOL":true}}'])
    work.sender = work.new_sender(condition=lambda _: ABSENT)
    work.load()
    found = {item["pk"]["S"]: item for item in work.tables.items("new")}
    assert len(found) == 30
    assert found["f0-4"] == {"pk": {"S": "f0-4"}, "live": {"BOOL": True}}
    assert (work.sender.tally.written, work.sender.tally.kept) == (29, 1)


def test_a_service_that_never_answers_is_given_up() -> None:
    """After the patience is over the failure is raised; throttling alone is borne for ever."""
    times = iter(range(0, 10_000, 100))
    work = Work(10)
    work.sender = work.new_sender(now=lambda: float(next(times)), patience=900)
    outcomes: list[ColdtableError] = [Throttled("slow")] * 50 + [ServiceFailed("dead")] * 50

    def trouble() -> None:
        raise outcomes.pop(0)

    work.tables.before = trouble
    with pytest.raises(ServiceFailed, match="dead"):
        work.load(threads=1)
    assert work.sender.tally.refused == 50
    assert 9 <= work.sender.tally.failed <= 11


def test_the_rate_is_kept_to() -> None:
    """A pace of items makes whoever writes wait: at 100 a second 300 items take 2 to 3 seconds."""
    waited: list[float] = []
    clock = [0.0]

    def pause(seconds: float) -> bool:
        waited.append(seconds)
        clock[0] += seconds
        return True

    work = Work(300)
    work.sender = Sender(work.tables, "new", pause=pause, items_pace=Pace(100.0, lambda: clock[0]))
    work.load(threads=1)
    assert work.whole
    assert 2.0 <= clock[0] <= 3.0


def test_a_pace_of_units_learns_what_items_cost() -> None:
    """Units are reserved by the length of the JSON, and corrected by what AWS counts."""
    clock = [0.0]

    def pause(seconds: float) -> bool:
        clock[0] += seconds
        return True

    work = Work(100, pad=1500)
    half = work.tables.put_all

    def cheaper(table: str, items: Sequence[bytes]) -> Any:
        done = half(table, items)
        assert done.units
        return replace(done, units=done.units / 2)

    work.tables.put_all = cheaper  # type: ignore[method-assign]
    work.sender = Sender(work.tables, "new", pause=pause, units_pace=Pace(10.0, lambda: clock[0]))
    work.load(threads=1)
    assert work.whole
    # 100 items of two units by their length, of one as counted: 25 units between four batches.
    assert clock[0] == pytest.approx(7.5)
