"""Whatever a table has when an archive is merged into it: each item has the fate that was told,
whatever DynamoDB answers meanwhile, and none sooner than was asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from threading import Event, Lock
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.definition import parse_key
from coldtable.core.pace import Rate
from coldtable.errors import ServiceFailed, Throttled
from coldtable.model_restore import Compare, Merging
from coldtable.ops.restore import RestoreReport, restore_table
from coldtable.ops.restore_plan import RestoreWish, plan_table
from coldtable.ops.send import Time
from coldtable.testing.exports import NOON, ExportsWriter, item_line
from tests.unit.dying import Death, Killed, Life
from tests.unit.restoring import Ground

Item = dict[str, Any]
Items = dict[str, Item]

KEY = parse_key(["pk:S"])
NAMES = [f"p{n}" for n in range(60)]
# Of what is compared: other types, none at all, numbers that floats take for one, and base64 whose
# order is another one than that of its bytes.
MARKS: list[Item | None] = [
    None,
    {"N": "-1"},
    {"N": "12345678901234567890123456789012345678"},
    {"N": "12345678901234567890123456789012345679"},
    {"S": "2026-11-01"},
    {"S": "2026-11-02"},
    {"B": base64.b64encode(b"\x00").decode()},
    {"B": base64.b64encode(b"\xff").decode()},
    {"BOOL": True},
]


@dataclass
class VirtualTime:
    """Passes only while somebody waits."""

    seconds: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def now(self) -> float:
        return self.seconds

    def wait(self, stop: Event, seconds: float) -> bool:
        until = self.seconds + seconds
        with self.lock:
            self.seconds = max(self.seconds, until)
        return stop.is_set()


def some(chance: Random, whose: str) -> Items:
    """Some of the items, of which each tells whose it is."""
    found = {}
    for name in chance.sample(NAMES, chance.randrange(len(NAMES) + 1)):
        mark = chance.choice(MARKS)
        found[name] = {"pk": {"S": name}, "whose": {"S": whose}, **({"m": mark} if mark else {})}
    return found


class Merge:
    """An archive and a live table, both at random, and a time that does not pass by itself."""

    def __init__(self, chance: Random) -> None:
        self.archive, self.live = some(chance, "archive"), some(chance, "live")
        self.ground = Ground(archive=ExportsWriter())
        self.ground.objects.clear()
        lines = [item_line(**item) for item in self.archive.values()]
        cut = chance.randrange(len(lines) + 1)
        self.ground.archive.full(NOON, lines[:cut], lines[cut:])
        self.tables = self.ground.tables
        self.tables.add("live", KEY, write_units=40)
        for item in self.live.values():
            self.tables.put_all("live", [json.dumps(item).encode()])
        self.time = VirtualTime()

    def run(self, merging: Merging, rate: Rate | None, life: Life) -> RestoreReport:
        windows = life.windows(
            replace(self.ground.windows, time=Time(now=self.time.now, wait=self.time.wait))
        )
        wish = RestoreWish(
            table="orders", at=None, to="live", merging=merging, key=KEY, rate=rate,
            newer_by="m" if merging is Merging.NEWER else None, compare=Compare.SAMPLE,
        )  # fmt: skip
        return restore_table(plan_table(wish, windows), windows, lambda _: None)

    def expected(self, merging: Merging) -> Items:
        """By what the command's help says."""
        replaced = {
            name
            for name, item in self.archive.items()
            if merging is Merging.REPLACE
            or name not in self.live
            or (merging is Merging.NEWER and less(self.live[name], item))
        }
        return self.live | {name: self.archive[name] for name in replaced}

    @property
    def found(self) -> Items:
        return {item["pk"]["S"]: dict(item) for item in self.tables.items("live")}


def less(one: Item, other: Item) -> bool:
    """Whether one has less of the mark: of the same type, and one that has an order."""
    if "m" not in one or "m" not in other or one["m"].keys() != other["m"].keys():
        return False
    ((kind, held),), (wanted,) = one["m"].items(), other["m"].values()
    orders: dict[str, Callable[[str], Any]] = {"N": Decimal, "S": str, "B": base64.b64decode}
    return kind in orders and bool(orders[kind](held) < orders[kind](wanted))


def trouble(chance: Random, often: float) -> Callable[[], None]:
    def before() -> None:
        if chance.random() < often:
            raise chance.choice([Throttled("slow down"), ServiceFailed("broken")])

    return before


DEATHS = st.lists(
    st.builds(
        Death,
        call=st.sampled_from(["writer.put", "writer.put_all", "scratch.put", "reader.get_all"]),
        number=st.integers(0, 9),
        after=st.booleans(),
        softly=st.booleans(),
    ),
    max_size=2,
)


@settings(deadline=None)
@given(
    chance=st.randoms(use_true_random=False),
    merging=st.sampled_from(Merging),
    often=st.sampled_from([0.0, 0.2, 0.6]),
    deaths=DEATHS,
)
def test_each_item_has_the_fate_that_was_told(
    chance: Random, merging: Merging, often: float, deaths: list[Death]
) -> None:
    """MISSING only fills in; REPLACE puts what the archive has over it; NEWER does where there is
    less of the attribute. Unprocessed items, throttling, failures and being killed change nothing
    of that, and no item is lost or touched twice."""
    merge = Merge(Random(chance.random()))
    random = Random(chance.random())
    merge.tables.before = trouble(random, often)
    merge.tables.leave = lambda count: random.randint(0, count) if random.random() < often else 0
    for death in deaths:
        with suppress(Killed):
            merge.run(merging, None, Life(death=death))
    report = merge.run(merging, None, Life())
    assert merge.found == merge.expected(merging)
    assert report.comparison.same
    if not deaths:
        assert report.tally
        new = sum(merge.found[name] == item for name, item in merge.archive.items())
        assert report.tally.written == new
        assert report.tally.written + report.tally.kept == len(merge.archive)


@settings(deadline=None, max_examples=50)
@given(
    chance=st.randoms(use_true_random=False),
    merging=st.sampled_from(Merging),
    rate=st.sampled_from([Rate(items=7.0), Rate(items=100.0), Rate(share=0.5), Rate(share=0.05)]),
    often=st.sampled_from([0.0, 0.3]),
)
def test_it_is_no_faster_than_asked_for(
    chance: Random, merging: Merging, rate: Rate, often: float
) -> None:
    """By a virtual clock: whatever comes back unprocessed or is throttled, at no moment more was
    sent than the rate allows, with one second's credit and the request that is just sent. Of a
    table's capacity only what was written counts: nothing else uses any of it."""
    merge = Merge(Random(chance.random()))
    random = Random(chance.random())
    used_at: list[tuple[float, int]] = []
    put_all, put = merge.tables.put_all, merge.tables.put

    def many(table: str, items: Any) -> Any:
        now = merge.time.seconds
        if rate.items:
            used_at.append((now, len(items)))
        done = put_all(table, items)
        if rate.share:
            used_at.append((now, len(items) - len(done.left)))
        return done

    def one(table: str, item: bytes, condition: Any) -> bool:
        used_at.append((merge.time.seconds, 1))
        return put(table, item, condition)

    merge.tables.put_all, merge.tables.put = many, one  # type: ignore[method-assign]
    merge.tables.before = trouble(random, often)
    merge.tables.leave = lambda count: random.randint(0, count) if random.random() < often else 0
    merge.run(merging, rate, Life())
    assert merge.found == merge.expected(merging)
    # Of 40 units, and each item is less than 1 KB.
    allowed = rate.items or 40 * (rate.share or 0)
    used, request = 0, 1 if merging is not Merging.REPLACE else 25
    for seconds, count in sorted(used_at):
        assert used <= allowed * (seconds + 1) + request
        used += count
