"""Of what is known to be bad, over any life of an archive: damage, repairs, and readings of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtable.core.evidence import (
    Kind,
    Run,
    bad_exports,
    ever_bad,
    only_about,
    verification_fields,
)
from coldtable.core.verification import Checked, Fault, Level, Problem, Report, Subset, judge
from coldtable.model import Table

TABLE = Table(name="t", arn="arn:aws:dynamodb:r:1:table/t", table_id="i")
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
EXPORTS, FILES = 3, 4
# What is wrong with a file, and from which level on anybody sees it.
SOUND, MISSING, BYTES, LINES = 0, 1, 2, 3
LEVELS = (Level.MANIFEST, Level.OBJECTS, Level.ITEMS)


@dataclass
class Life:
    """Some exports of some files. ``seen`` are the files whose damage of now a run has met."""

    state: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = {f"e{e}/{f}": SOUND for e in range(EXPORTS) for f in range(FILES)}

    def change(self, key: str, to: int) -> None:
        if self.state[key] != to:
            self.state[key] = to
            self.seen.discard(key)

    def look(self, level: Level, subset: Subset | None) -> None:
        """A run, which sees what it can see, and its record."""
        checked = [self._checked(number, level, subset) for number in range(EXPORTS)]
        now = NOON + timedelta(hours=len(self.records))
        fields = verification_fields(
            TABLE,
            checked,
            Report(level=level, began=now, checked=tuple(checked)),
            Run(prefix="", began=now, ended=now, subset=subset),
            known=bad_exports(self.records),
        )
        self.records.append({"kind": str(Kind.VERIFICATION), **fields})

    def _checked(self, number: int, level: Level, subset: Subset | None) -> Checked:
        problems, read = [], 0
        for key in (key for key in self.state if key.startswith(f"e{number}/")):
            here = subset is None or subset.holds(key, "", full=True)
            damage = self.state[key]
            read += here and level.reads_objects and damage != MISSING
            visible = damage == MISSING or (here and 0 < damage <= LEVELS.index(level) + 1)
            if visible:
                fault = Fault.MISSING if damage == MISSING else Fault.DAMAGED
                problems.append(Problem(key=key, fault=fault, reason="so"))
                self.seen.add(key)
        return Checked(
            key=f"e{number}/manifest-summary.json",
            export_id=f"e{number}",
            table=TABLE,
            verdict=judge(problems),
            objects=FILES,
            read=read,
            problems=tuple(problems),
        )

    def damaged(self, among: Iterable[str]) -> set[str]:
        return {key.split("/")[0] for key in among if self.state[key] != SOUND}


KEYS = [f"e{e}/{f}" for e in range(EXPORTS) for f in range(FILES)]
SLICES = st.integers(1, 4).flatmap(
    lambda of: st.integers(1, of).map(lambda number: Subset(number=number, of=of))
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(KEYS), st.sampled_from([SOUND, MISSING, BYTES, LINES])),
        st.tuples(st.sampled_from(LEVELS), st.none() | SLICES),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps=STEPS, shuffled=st.randoms(use_true_random=False))
def test_what_was_found_is_known_until_it_was_looked_at_again(steps: Any, shuffled: Any) -> None:
    """Damage that a run has met stays known as long as it is there, whatever runs come after it;
    nothing else is ever called bad but what was bad once; and a whole run at the deepest level
    knows exactly what is bad now. In which order records are read does not matter, nor what they
    say of exports that were never bad."""
    life, ever = Life(), set[str]()
    for one, other in steps:
        if isinstance(one, Level):
            life.look(one, other)
        else:
            life.change(one, other)
            ever |= life.damaged(KEYS)
        known = set(bad_exports(life.records))
        assert life.damaged(life.seen) <= known <= ever
        mixed = list(life.records)
        shuffled.shuffle(mixed)
        assert set(bad_exports(mixed)) == known
        once = ever_bad(life.records)
        assert set(bad_exports(only_about(record, once) for record in mixed)) == known
    life.look(Level.ITEMS, None)
    assert set(bad_exports(life.records)) == life.damaged(KEYS)


@settings(deadline=None)
@given(key=st.text(), one=SLICES, other=SLICES)
def test_a_slice_that_covers_another_holds_all_of_it(key: str, one: Subset, other: Subset) -> None:
    """Whatever is in the covered slice is in the covering one; and each covers itself."""
    assert one.covers(one)
    if one.covers(other) and other.holds(key, "", full=True):
        assert one.holds(key, "", full=True)
