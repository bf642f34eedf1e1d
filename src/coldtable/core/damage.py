"""What people are told of exports that were whole once and are no more.

Of one table several incidents may be open: each is about the exports that were found bad together,
and is over when none of them is bad any more, or there any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from coldtable.core.incidents import Telling, known_tellings, new_telling
from coldtable.core.records import iso_z
from coldtable.model import Span, Window
from coldtable.model_archive import Incident, IncidentKind, Trouble

CAUSE = "damaged"
# A mail names so many; `coldtable status` and the record of the verification have all.
_MOST_NAMED = 5


def damage_tellings(
    incidents: Sequence[Incident], about: Mapping[str, Collection[str]], bad: Collection[str]
) -> Iterator[Telling]:
    """What begins, what is over, and what was noted and never told.

    ``about`` are the exports of each incident that is not over, by the incident's name; ``bad``
    those that are known to be bad now.
    """
    known = [i for i in incidents if i.kind is IncidentKind.DAMAGE]
    yield from known_tellings(known, lambda one: not set(about[one.name]) & set(bad))
    if untold(about, bad):
        yield new_telling(IncidentKind.DAMAGE, known)


def untold(about: Mapping[str, Collection[str]], bad: Collection[str]) -> tuple[str, ...]:
    """The bad exports that no open incident is about."""
    told = {export_id for exports in about.values() for export_id in exports}
    return tuple(export_id for export_id in bad if export_id not in told)


def damage_trouble(
    table: str, now: datetime, bad: Mapping[str, str], spans: Mapping[str, Span]
) -> Trouble:
    """The exports of a table that are newly known to be bad, each with why, in words.

    ``spans`` say what each of them covers, as far as it is known.
    """
    named = list(bad)[:_MOST_NAMED]
    rest = len(bad) - len(named)
    more = f"\n(and {rest} more: coldtable status {table})" if rest else ""
    lines = "\n".join(f"- {one}: {bad[one]}" for one in named)
    losses = dict.fromkeys(_loss(spans[one]) for one in named if one in spans)
    which = f"{len(bad)} exports of table {table} are"
    if len(bad) == 1:
        which = f"An export of table {table} is"
    return Trouble(
        cause=CAUSE,
        since=now,
        what=f"{which} not to be relied upon:\n{lines}{more}",
        consequence="; ".join(losses) or "what they hold may be lost",
        mend="If the bucket keeps versions, bring back the older version of each object that is "
        f"named (aws s3api list-object-versions), then: coldtable verify {table}. What cannot be "
        f"brought back is in DynamoDB while its history reaches back: coldtable export {table}. "
        "More: docs/how-to/verify.md, Damage",
        exports=tuple(bad),
    )


def _loss(span: Span) -> str:
    if isinstance(span, Window):
        return (
            f"no moment after {iso_z(span.start)} can be restored exactly, up to the next full "
            "export"
        )
    return (
        f"nothing can be restored from the full export of {iso_z(span.moment)}, nor any moment "
        "after it, up to the next full export"
    )
