"""What is in no chain as a table of cases: what is kept, what is removed, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from coldtable.core.retention import Gone, Piece, decide, gather
from coldtable.core.spares import Grounds, Spare, judge
from coldtable.model_archive import Attempt, Hold, Outcome, Slot
from coldtable.model_policy import Retention
from tests.unit.keeping import DAY, HOUR, chain, day, full, window

NONE = Retention()
NOW = day("2026-11-25T12")
OCTOBER = chain(day("2026-10-01"), 10, number=1)
NOVEMBER = chain(day("2026-11-01"), 24, number=2)


def damaged(piece: Piece) -> Piece:
    """The same as an attempt that the tick found damaged."""
    attempt = replace(piece.attempt, outcome=Outcome.DAMAGED, export_id=f"bad-{name(piece)}")
    return replace(piece, attempt=attempt)


def proven(piece: Piece, outcome: Outcome = Outcome.VERIFIED) -> tuple[Slot, Attempt]:
    """A second attempt for the slot."""
    return piece.slot, replace(piece.attempt, number=2, export_id="second", outcome=outcome)


def name(piece: Piece) -> str:
    return (piece.attempt.export_id or "").partition("-")[2]


@dataclass(frozen=True, kw_only=True)
class Case:
    """``says`` is a line an export: keep or remove, from, to, why. ``kept`` are the chains."""

    name: str
    says: str
    kept: Sequence[Piece] = ()
    damaged: Sequence[Piece] = ()
    loose: Sequence[Piece] = ()
    others: Sequence[tuple[Slot, Attempt]] = ()
    bad: Sequence[str] = ()
    keep: Retention = NONE
    holds: Sequence[Hold] = ()
    now: datetime = NOW
    gone: Gone | None = None


LOST = window(day("2026-10-11"))

CASES = [
    Case(
        name="a retry replaces it, whatever the rules",
        kept=[*OCTOBER, LOST],
        damaged=[damaged(LOST)],
        others=[proven(LOST)],
        says="remove 10-11T03 10-12T03 damaged, and replaced by export second",
    ),
    Case(
        name="a retry that has expired since replaced it, too",
        kept=NOVEMBER,
        damaged=[damaged(LOST)],
        others=[proven(LOST, Outcome.REMOVED)],
        says="remove 10-11T03 10-12T03 damaged, and replaced by export second, which has expired",
    ),
    Case(
        name="a retry that verify found bad replaces nothing",
        kept=OCTOBER,
        damaged=[damaged(LOST)],
        others=[proven(LOST)],
        bad=["second"],
        says="keep 10-11T03 10-12T03 damaged: the only copy of 2026-10-11T03:00:00Z to 2026-10-12T03:00:00Z; nothing covers it",
    ),
    Case(
        name="a retry of another moment replaces nothing",
        kept=OCTOBER,
        damaged=[damaged(LOST)],
        others=[proven(window(LOST.start, 2 * HOUR))],
        says="keep 10-11T03 10-12T03 damaged: the only copy of 2026-10-11T03:00:00Z to 2026-10-12T03:00:00Z; nothing covers it",
    ),
    Case(
        name="another chain with both ends of the window replaces it",
        kept=[*OCTOBER, window(LOST.start, 12 * HOUR), window(day("2026-10-11T15"), 12 * HOUR)],
        damaged=[damaged(LOST)],
        says="remove 10-11T03 10-12T03 damaged, and replaced by export inc-20261011T15",
    ),
    Case(
        name="a chain that passes its end by does not",
        kept=[*OCTOBER, window(LOST.start, 23 * HOUR), window(day("2026-10-12T02"))],
        damaged=[damaged(LOST)],
        says="keep 10-11T03 10-12T03 damaged: the only copy of 2026-10-11T03:00:00Z to 2026-10-12T03:00:00Z; nothing covers it",
    ),
    Case(
        name="a full export at its end alone does not: what lay between is not there",
        kept=[*NOVEMBER, full(LOST.stop)],
        damaged=[damaged(LOST)],
        says="keep 10-11T03 10-12T03 damaged: the only copy of 2026-10-11T03:00:00Z to 2026-10-12T03:00:00Z; nothing covers it",
    ),
    Case(
        name="a full export is replaced by whatever leads to its moment",
        kept=OCTOBER,
        damaged=[damaged(full(day("2026-10-05"), 7)), damaged(full(day("2026-10-05T04"), 8))],
        says="""
        remove 10-05T03 10-05T03 damaged, and replaced by export inc-20261004T03
        keep 10-05T04 10-05T04 damaged: the only copy of 2026-10-05T04:00:00Z; nothing covers it
        """,
    ),
    Case(
        name="a chain that goes in the same plan replaces nothing, and what is as old goes with it",
        kept=[*OCTOBER, *NOVEMBER],
        damaged=[damaged(full(day("2026-10-05"), 7)), damaged(LOST), damaged(window(day("2026-11-03")))],
        loose=[window(day("2026-10-13")), window(day("2026-11-02T04"))],
        keep=Retention(monthly=1),
        says="""
        remove 10-05T03 10-05T03 damaged, and nothing that is as old is kept
        remove 10-11T03 10-12T03 damaged, and nothing that is as old is kept
        remove 10-13T03 10-14T03 no full export that is here leads to it, and nothing that is as old is kept
        keep 11-02T04 11-03T04 no full export that is here leads to it
        remove 11-03T03 11-04T03 damaged, and replaced by export inc-20261103T03
        """,
    ),
    Case(
        name="what a rule would keep in its place stays, though all chains are younger",
        kept=NOVEMBER,
        damaged=[damaged(window(day("2026-10-20")))],
        keep=Retention(monthly=2),
        says="keep 10-20T03 10-21T03 damaged: the only copy of 2026-10-20T03:00:00Z to 2026-10-21T03:00:00Z; nothing covers it",
    ),
    Case(
        name="what no rule would keep stays, too, if something older does",
        kept=NOVEMBER,
        loose=[window(day("2025-06-01")), window(day("2026-03-01"))],
        keep=Retention(yearly=2),
        says="""
        keep 06-01T03 06-02T03 no full export that is here leads to it
        keep 03-01T03 03-02T03 no full export that is here leads to it
        """,
    ),
    Case(
        name="what no rule would keep goes, if nothing that is as old stays for another reason",
        kept=[*OCTOBER, *NOVEMBER],
        damaged=[damaged(window(day("2026-09-20"))), damaged(window(day("2026-08-20")))],
        loose=[window(day("2026-09-02"))],
        holds=[Hold(number=1, reason="case 7", at=NOW, export_id="inc-20260902T03")],
        keep=Retention(monthly=2),
        says="""
        remove 08-20T03 08-21T03 damaged, and nothing that is as old is kept
        keep 09-02T03 09-03T03 held: case 7
        keep 09-20T03 09-21T03 damaged: the only copy of 2026-09-20T03:00:00Z to 2026-09-21T03:00:00Z; nothing covers it
        """,
    ),
    Case(
        name="without a chain everything stays",
        damaged=[damaged(LOST)],
        loose=[window(day("2026-10-12"))],
        keep=Retention(daily=1),
        says="""
        keep 10-11T03 10-12T03 damaged: the only copy of 2026-10-11T03:00:00Z to 2026-10-12T03:00:00Z; nothing covers it
        keep 10-12T03 10-13T03 no full export that is here leads to it
        """,
    ),
    Case(
        name="what is held stays, though it is replaced",
        kept=[*OCTOBER, LOST],
        damaged=[damaged(LOST)],
        others=[proven(LOST)],
        holds=[Hold(number=1, reason="case 7", at=NOW, moment=day("2026-10-11T20"))],
        says="keep 10-11T03 10-12T03 held: case 7",
    ),
    Case(
        name="while a clock is wrong nothing goes",
        kept=[*OCTOBER, LOST],
        damaged=[damaged(LOST)],
        others=[proven(LOST)],
        now=day("2026-10-12T02"),
        says="keep 10-11T03 10-12T03 the archive reaches to 2026-10-12T03:00:00Z, and it is 2026-10-12T02:00:00Z: a clock is wrong",
    ),
    Case(
        name="of a table that is gone for long enough nothing stays",
        kept=OCTOBER,
        damaged=[damaged(LOST)],
        loose=[window(day("2026-10-12"))],
        keep=Retention(gone=30 * DAY),
        gone=Gone(length=31 * DAY),
        says="""
        remove 10-11T03 10-12T03 the table is gone, and other tables' exports reach 31 days further
        remove 10-12T03 10-13T03 the table is gone, and other tables' exports reach 31 days further
        """,
    ),
]  # fmt: skip


def said(spares: Sequence[Spare]) -> str:
    return "\n".join(
        f"{'keep' if s.keep else 'remove'} {s.piece.start:%m-%dT%H} {s.piece.stop:%m-%dT%H} "
        f"{'; '.join(s.reasons)}"
        for s in spares
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_kept_and_why(case: Case) -> None:
    """Each case gives its table, word for word."""
    others: dict[Slot, list[Attempt]] = {}
    for piece in (*case.kept, *case.damaged):
        others.setdefault(piece.slot, []).append(piece.attempt)
    for slot, attempt in case.others:
        others.setdefault(slot, []).append(attempt)
    grounds = Grounds(
        decisions=decide(gather(case.kept).units, case.keep, case.holds, case.now, case.gone),
        others=others,
        sound=lambda attempt: attempt.export_id not in case.bad,
        held=lambda piece: [f"held: {h.reason}" for h in case.holds if piece.is_held_by(h)],
        retention=case.keep,
        now=case.now,
        gone=case.gone,
    )
    expected = "\n".join(line.strip() for line in case.says.strip().splitlines())
    assert said(judge(case.damaged, case.loose, grounds)) == expected
