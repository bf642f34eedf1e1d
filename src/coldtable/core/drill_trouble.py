"""What people are told of drills: that one failed, or that the stack cannot do it.

Of a table one such incident is open at most, however often its drills fail, and it is over when a
drill has passed, whoever did it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from coldtable.core.drill import remove_command
from coldtable.core.incidents import Telling, known_tellings, new_telling
from coldtable.errors import ColdtableError
from coldtable.model_archive import Incident, IncidentKind, Trouble

FAILED, NOT_DRILLED = "drill failed", "not drilled"
_PAGE = "More: docs/how-to/drill.md, In the stack"


def drill_tellings(
    incidents: Sequence[Incident], *, wrong: bool, passed: bool
) -> Iterator[Telling]:
    """What begins, what is over, and what was noted and never told.

    ``wrong`` says that the last drill failed or that none can be done, ``passed`` that it passed
    and the next one can be. Neither is so of a table that was not drilled yet.
    """
    known = [i for i in incidents if i.kind is IncidentKind.DRILL]
    yield from known_tellings(known, lambda _: passed)
    if wrong and all(one.over for one in known):
        yield new_telling(IncidentKind.DRILL, known)


def failure(table: str, record: Mapping[str, Any]) -> Trouble:
    """A drill that has failed, by its record."""
    mend = f"coldtable verify {table} looks for damage. To drill it again: coldtable drill {table}"
    if record.get("kept"):
        mend = (
            "Its table was kept for a look, and while it is there no other drill is begun. To "
            f"remove it: {remove_command(str(record['scratchTable']))}. {mend}"
        )
    return Trouble(
        cause=FAILED,
        since=datetime.fromisoformat(record["endedAt"]),
        what=f"A drill of table {table} has failed: {record['summary']}",
        consequence=_unproven(table),
        mend=f"{mend}. {_PAGE}",
        exports=tuple(record.get("exportIds", ())),
    )


def refusal(table: str, now: datetime, error: ColdtableError) -> Trouble:
    """A drill that is due and that the stack cannot do."""
    return Trouble(
        cause=NOT_DRILLED,
        since=now,
        what=f"A drill of table {table} is due, and the stack cannot do it: {error.message}",
        consequence=_unproven(table),
        mend=f"By hand more is possible, and counts as well: coldtable drill {table} shows what it "
        f"would do. {_PAGE}",
    )


def _unproven(table: str) -> str:
    return f"nothing shows that {table} can be restored, until a drill of it passes"
