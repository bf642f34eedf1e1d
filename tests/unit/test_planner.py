"""The planner as a table: what is true, and what a tick should do about it.

Times are hours of one day; the table's policy is a window an hour, PITR reaches back to 00:00.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from coldtable.core.ledger import fold, with_spans
from coldtable.core.planner import Observation, plan
from coldtable.core.records import base_slot
from coldtable.model import Export, ExportStatus, Pitr, Snapshot, Table, Window
from coldtable.model_archive import (
    Adopt,
    Attempt,
    EndTable,
    Limits,
    MarkGap,
    Resume,
    Settle,
    Start,
)
from coldtable.model_policy import Mode, Pause
from tests.unit.ticking import policy

TABLE = Table(
    name="orders", arn="arn:aws:dynamodb:us-east-1:000000000000:table/orders", table_id="id"
)
X = "01764000000000-0000000a"


def at(hour: float) -> datetime:
    return datetime(2026, 11, 25, tzinfo=UTC) + timedelta(hours=hour)


def z(hour: float) -> str:
    return f"{at(hour):%Y%m%dT%H%M%SZ}"


def base(number: int, hour: float, state: str = "verified") -> str:
    return f"{number:06}.a1.{state}.{z(hour)}.{X}.json"


def window(start: float, stop: float, state: str = "verified", attempt: int = 1) -> str:
    return f"{z(start)}.window.a{attempt}.{state}.{z(stop)}.{X}.json"


def failed(start: float, stop: float, ended: float, attempt: int = 1) -> str:
    return f"{z(start)}.window.a{attempt}.failed.{z(stop)}.{X}.{z(ended)}.S3AccessDenied.json"


def gap(start: float) -> str:
    return f"{z(start)}.window.gap.json"


@dataclass(frozen=True)
class Case:
    """The catalog's names, PITR and time, and the actions that should come of it, in words."""

    claim: str
    wanted: list[str]
    bases: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    latest: float = 10.0
    earliest: float = 0.0
    now: float = 10.1
    seen: ExportStatus | None = None
    changed: Mapping[str, object] = field(default_factory=dict)
    pitr: bool = True


DAYS = {"full_every": timedelta(hours=6)}
CHAIN = [window(1, 2), window(2, 3)]

CASES = [
    Case("a new table gets a full export at the latest minute", ["full 10"]),
    Case(
        "right after enabling the minute lies before the history: the very second then",
        ["full 10.0125"],
        latest=10.0125,
        earliest=10.0125,
    ),
    Case("windows begin exactly at the full export", ["window 9-10"], bases=[base(1, 9)]),
    Case(
        "they do not wait for the full export's proof",
        ["window 9-10"],
        bases=[base(1, 9, "started")],
    ),
    Case("a window that is not over waits", [], bases=[base(1, 9.5)]),
    Case("the chain goes on where it ends", ["window 3-10"], bases=[base(1, 1)], log=CHAIN),
    Case(
        "what is under way counts as planned",
        ["window 9-10"],
        bases=[base(1, 1)],
        log=[*CHAIN, window(3, 9, "started")],
    ),
    Case(
        "an outage is caught up in windows of 24 hours at the most",
        ["window 0-24", "window 24-48", "window 48-51"],
        bases=[base(1, 0)],
        latest=51.5,
        now=51.6,
    ),
    Case(
        "no window is shorter than 15 minutes: the one before it gives some of its length",
        ["window 0-23.8333", "window 23.8333-24.0833"],
        bases=[base(1, 0)],
        latest=24.1,
        now=24.2,
        changed={"every": timedelta(minutes=17)},
    ),
    Case(
        "a failure is tried again after a quarter of an hour",
        ["window 3-9 again"],
        bases=[base(1, 1)],
        log=[*CHAIN, failed(3, 9, 9.5)],
        latest=9.5,
    ),
    Case(
        "but not sooner",
        [],
        bases=[base(1, 1)],
        log=[*CHAIN, failed(3, 9, 10)],
        latest=9.5,
    ),
    Case(
        "the second time after half an hour",
        [],
        bases=[base(1, 1)],
        log=[*CHAIN, failed(3, 9, 8), failed(3, 9, 9.7, 2)],
        latest=9.5,
    ),
    Case(
        "an end is settled",
        ["settle"],
        bases=[base(1, 9.5, "started")],
        seen=ExportStatus.COMPLETED,
    ),
    Case(
        "an export that goes on is left alone",
        [],
        bases=[base(1, 9.5, "started")],
        seen=ExportStatus.IN_PROGRESS,
    ),
    Case(
        "a chain whose next window left the history has a gap, and a new one begins",
        ["gap 3", "full 10"],
        bases=[base(1, 1)],
        log=CHAIN,
        earliest=4,
    ),
    Case(
        "so has one whose failed window left it",
        ["gap 3", "full 10"],
        bases=[base(1, 1)],
        log=[*CHAIN, failed(3, 4, 9)],
        earliest=4,
    ),
    Case(
        "a noted gap is not noted again; only the new chain is missing",
        ["full 10"],
        bases=[base(1, 1)],
        log=[*CHAIN, gap(3)],
        earliest=4,
    ),
    Case(
        "after a gap nothing is paid for that could not be used",
        ["window 9-10"],
        bases=[base(1, 1), base(2, 9)],
        log=[*CHAIN, gap(3), failed(4, 5, 6)],
        earliest=3.5,
    ),
    Case(
        "what still runs is not lost, however old",
        ["window 9-10"],
        bases=[base(1, 1)],
        log=[*CHAIN, window(3, 9, "started")],
        earliest=4,
    ),
    Case(
        "the full export's own age does not matter: the next window's start does",
        ["window 8-10"],
        bases=[base(1, 1)],
        log=[window(1, 8)],
        earliest=7,
    ),
    Case(
        "a period that is due begins a chain where the old one ends",
        ["full 8", "window 8-10"],
        bases=[base(1, 1)],
        log=[window(1, 8)],
        changed=DAYS,
    ),
    Case("without PITR nothing can be done", [], bases=[base(1, 9)], pitr=False),
    Case(
        "a pause starts nothing",
        [],
        bases=[base(1, 9)],
        changed={"pause": Pause(since=at(5), reason="because")},
    ),
    Case(
        "a pause settles what ends",
        ["settle"],
        bases=[base(1, 9, "started")],
        seen=ExportStatus.FAILED,
        changed={"pause": Pause(since=at(5), reason="because")},
    ),
    Case(
        "snapshots: the newest moment of the rule, on a new table",
        ["snapshot 3"],
        changed={"mode": Mode.SNAPSHOT},
    ),
    Case(
        "snapshots: the schedule has three hours to start its own",
        ["adopt 3"],
        latest=5.8,
        now=5.9,
        changed={"mode": Mode.SNAPSHOT, "scheduled": True},
    ),
    Case(
        "snapshots: then the tick does it",
        ["snapshot 3"],
        latest=5.9,
        now=6,
        changed={"mode": Mode.SNAPSHOT, "scheduled": True},
    ),
    Case(
        "snapshots: nights that were missed are made up for, oldest first",
        ["snapshot 27", "snapshot 51"],
        log=[f"{z(3)}.snapshot.a1.verified.{z(3)}.{X}.json"],
        latest=52,
        now=52.1,
        changed={"mode": Mode.SNAPSHOT},
    ),
]


def words(actions: object) -> list[str]:
    """The actions in the words of the table."""

    def hours(moment: datetime) -> str:
        return f"{(moment - at(0)) / timedelta(hours=1):.6g}"

    found = []
    for action in actions:  # type: ignore[attr-defined]
        match action:
            case Start(slot=slot, span=Snapshot(moment=moment)):
                kind = "full" if slot.kind == "base" else "snapshot"
                found.append(f"{kind} {hours(moment)}")
            case Start(attempt=attempt, span=Window(start=start, stop=stop)):
                again = " again" if attempt > 1 else ""
                found.append(f"window {hours(start)}-{hours(stop)}{again}")
            case MarkGap(start=start):
                found.append(f"gap {hours(start)}")
            case Adopt(span=Snapshot(moment=moment)):
                found.append(f"adopt {hours(moment)}")
            case Settle():
                found.append("settle")
            case Resume():
                found.append("resume")
            case EndTable():
                found.append("end")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_plan(case: Case) -> None:
    """Each line of the table; and every action has a reason."""
    pitr = Pitr(enabled=False)
    if case.pitr:
        pitr = Pitr(
            enabled=True, recovery_days=35, earliest=at(case.earliest), latest=at(case.latest)
        )
    seen = {}
    if case.seen:
        seen[X] = Export(
            arn=f"{TABLE.arn}/export/{X}",
            status=case.seen,
            table_arn=TABLE.arn,
            bucket="archive",
            prefix=None,
            moment=at(9),
        )
    observed = Observation(
        table=TABLE, pitr=pitr, ledger=fold("id", case.bases, sorted(case.log)), seen=seen
    )
    found = plan(observed, policy(**case.changed), at(case.now), Limits())
    assert words(found.actions) == case.wanted
    assert all(action.reason for action in found.actions)


def test_another_table_of_the_name_ends_the_first_ones_history() -> None:
    """A changed TableId: the old chain gets its gap, is noted as gone, and a new chain begins."""
    observed = Observation(
        table=TABLE,
        pitr=Pitr(enabled=True, recovery_days=35, earliest=at(9), latest=at(10)),
        ledger=fold("id", [], []),
        former=(fold("old", [base(1, 1)], CHAIN),),
    )
    found = plan(observed, policy(), at(10.1), Limits())
    assert words(found.actions) == ["gap 3", "end", "full 10"]
    assert isinstance(found.actions[0], MarkGap)
    assert found.actions[0].table_id == "old"


def test_an_unanswered_intent_is_asked_again_before_anything_else_is_decided() -> None:
    """Whether a full export runs is not known: no second one is chosen until AWS has answered."""
    asked = Attempt(number=1, span=Snapshot(moment=at(9)))
    ledger = with_spans(fold("id", ["000001.a1.intent.json"], []), {(base_slot(1), 1): asked})
    observed = Observation(
        table=TABLE,
        pitr=Pitr(enabled=True, recovery_days=35, earliest=at(9.5), latest=at(10)),
        ledger=ledger,
    )
    found = plan(observed, policy(), at(10.1), Limits())
    assert words(found.actions) == ["resume"]


def test_windows_that_overlap_do_not_hide_the_next_one() -> None:
    """After a lost catalog a window can lie across others: what follows is still part of the
    chain, and is not asked for again."""
    log = [*CHAIN, window(3, 6), window(4, 6), window(6, 9)]
    observed = Observation(
        table=TABLE,
        pitr=Pitr(enabled=True, recovery_days=35, earliest=at(0), latest=at(10)),
        ledger=fold("id", [base(1, 1)], sorted(log)),
    )
    assert words(plan(observed, policy(), at(10.1), Limits()).actions) == ["window 9-10"]


def test_of_two_windows_that_begin_together_the_longer_counts() -> None:
    """It holds what the shorter one does."""
    log = [*CHAIN, window(3, 5), window(3, 7, attempt=2)]
    found = fold("id", [base(1, 1)], sorted(log))
    assert found.runs[-1].window.stop == at(7)
