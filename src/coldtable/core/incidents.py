"""Which incidents there are, in words that a person on call can act on.

A trouble is something that can be mended; of one table at most one is open, however many symptoms
it has, and it is over when none is left. A loss is history that nothing can bring back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from coldtable.core.chain import still_wanted
from coldtable.core.records import iso_z, stamp
from coldtable.core.timeline import known_timeline
from coldtable.errors import ColdtableError
from coldtable.model import Pitr, Snapshot, Table
from coldtable.model_archive import (
    Incident,
    IncidentKind,
    Ledger,
    Timeline,
    Trouble,
    Wanted,
)
from coldtable.model_policy import Mode, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How one table stands after a tick. ``error`` is what kept the tick from doing its part."""

    table: Table
    pitr: Pitr
    ledger: Ledger
    timeline: Timeline
    policy: Policy
    now: datetime
    error: ColdtableError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One incident that begins or is over, and whether that is news to the catalog, too."""

    kind: IncidentKind
    name: str
    over: bool
    noted: bool = False


def lag(timeline: Timeline, now: datetime) -> timedelta | None:
    """Now minus the newest restore point; ``None`` while there is none."""
    return now - timeline.newest if timeline.newest else None


def troubles(condition: Condition) -> tuple[Trouble, ...]:
    """What is wrong now, the cause before its symptoms. A paused table has none."""
    if condition.policy.pause:
        return ()
    return tuple(_troubles(condition))


def _troubles(here: Condition) -> Iterator[Trouble]:
    name, newest = here.table.name, here.timeline.newest
    safe = f"Restorable up to {iso_z(newest)}" if newest else "Nothing is restorable yet"
    if not here.pitr.enabled:
        yield Trouble(
            cause="pitr-off",
            since=here.now,
            what=f"Point-in-time recovery of table {name} is off, so nothing can be exported.",
            consequence=f"{safe}; what is written until it is on again can never be restored.",
            mend=f"aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        )
    if here.error is not None and not here.error.retryable:
        yield Trouble(
            cause="refused",
            since=here.now,
            what=f"The tick cannot do its part for table {name}: {here.error.message}",
            consequence=f"{safe}; {_deadline(here)}.",
            mend=here.error.hint or f"coldtable tick {name} --debug",
        )
    for wanted in still_wanted(here.ledger, here.pitr, here.policy):
        if wanted.spoilt >= here.policy.attempts:
            yield _failing(here, wanted, safe)
            break
    reference = _reference(here)
    if reference and here.now - reference > here.policy.rpo:
        yield Trouble(
            cause="stale",
            since=reference,
            what=f"Table {name} has no restore point newer than {iso_z(reference)}: its lag of "
            f"{_span(here.now - reference)} is over its objective of {_span(here.policy.rpo)}.",
            consequence=f"{safe}; {_deadline(here)}.",
            mend=f"coldtable status {name}, then coldtable tick {name}",
        )


def losses(here: Condition, former: Sequence[Ledger] = ()) -> Mapping[str, Trouble]:
    """The gaps that are noted and real, by the incident's name."""
    found: dict[str, Trouble] = {}
    covered = (*here.timeline.coverage, *known_timeline(here.ledger).coverage)
    for ledger in (here.ledger, *former):
        for start in sorted(ledger.gaps):
            if any(c.start <= start < c.stop for c in covered):
                continue
            found[stamp(start)] = Trouble(
                cause="gap",
                since=start,
                what=f"Table {here.table.name} has a gap from {iso_z(start)} on: that part of its "
                "history is lost, because point-in-time recovery does not reach it any more.",
                consequence=f"No moment after {iso_z(start)} can be restored until the next full "
                "export, which begins a new chain and is started by itself.",
                mend=f"Nothing to do, but to find out why: coldtable status {here.table.name}",
            )
    return found


def tellings(
    incidents: Sequence[Incident],
    trouble: Trouble | None,
    lost: Mapping[str, Trouble],
    newest_full: datetime | None,
) -> Iterator[Telling]:
    """What begins, what is over, and what was noted and never told (a crash came between).

    ``newest_full`` is the moment of the newest verified full export: a loss is over with it.
    """
    for incident in incidents:
        kind, name = incident.kind, incident.name
        if kind in (IncidentKind.DAMAGE, IncidentKind.DRILL):
            continue
        if not incident.told:
            yield Telling(kind=kind, name=name, over=False, noted=True)
        over = trouble is None
        if kind is IncidentKind.LOSS:
            over = newest_full is not None and stamp(newest_full) >= name
        if incident.over and not incident.over_told:
            yield Telling(kind=kind, name=name, over=True, noted=True)
        elif over and not incident.over:
            yield Telling(kind=kind, name=name, over=True)
    of_trouble = [i for i in incidents if i.kind is IncidentKind.TROUBLE]
    if trouble is not None and all(i.over for i in of_trouble):
        yield Telling(kind=IncidentKind.TROUBLE, name=f"{len(of_trouble) + 1:06}", over=False)
    known = {i.name for i in incidents if i.kind is IncidentKind.LOSS}
    for name in sorted(lost.keys() - known):
        yield Telling(kind=IncidentKind.LOSS, name=name, over=False)


def known_tellings(
    known: Iterable[Incident], is_over: Callable[[Incident], bool]
) -> Iterator[Telling]:
    """Of incidents that were noted: what was never told, and what is over now."""
    for one in known:
        if not one.told:
            yield Telling(kind=one.kind, name=one.name, over=False, noted=True)
        if one.over and not one.over_told:
            yield Telling(kind=one.kind, name=one.name, over=True, noted=True)
        elif not one.over and is_over(one):
            yield Telling(kind=one.kind, name=one.name, over=True)


def new_telling(kind: IncidentKind, known: Iterable[Incident]) -> Telling:
    """One that begins, with the next number."""
    number = max((int(one.name) for one in known), default=0) + 1
    return Telling(kind=kind, name=f"{number:06}", over=False)


def newest_full(ledger: Ledger) -> datetime | None:
    """The moment of the newest verified full export."""
    return max(
        (
            w.span.moment
            for w in (*ledger.bases, *ledger.snapshots)
            if w.verified and isinstance(w.span, Snapshot)
        ),
        default=None,
    )


def message(table: str, trouble: Trouble) -> tuple[str, str]:
    """Subject and text of an incident that begins."""
    word = "history lost" if trouble.cause == "gap" else trouble.cause
    subject = _subject(f"coldtable: {table}: {word}")
    text = (
        f"{trouble.what}\n\nSince: {iso_z(trouble.since)}\nConsequence: {trouble.consequence}\n"
        f"What to do: {trouble.mend}\n\nYou hear of this once, and once more when it is over."
    )
    return subject, text


def over_message(
    table: str, what: str, now: datetime, timeline: Timeline | None
) -> tuple[str, str]:
    """Subject and text of an incident that is over; ``what`` is what was told at its start, and
    ``timeline`` what can be restored now, where that is known."""
    standing = ""
    if timeline:
        newest = f"up to {iso_z(timeline.newest)}" if timeline.newest else "at no moment yet"
        gaps = "".join(f"\nGap: {iso_z(g.start)} to {iso_z(g.stop)}" for g in timeline.gaps[-3:])
        standing = f" Restorable {newest}.{gaps}"
    text = f"It is over, at {iso_z(now)}.{standing}\n\nIt was: {what}"
    return _subject(f"coldtable: {table}: over"), text


def _failing(here: Condition, wanted: Wanted, safe: str) -> Trouble:
    last = wanted.last
    first = next((a.ended for a in wanted.attempts if a.spoilt and a.ended), here.now)
    return Trouble(
        cause="failing",
        since=first,
        what=f"{wanted.spoilt} exports of table {here.table.name} for the same {wanted.slot.kind} "
        f"have failed, the last with {last.reason}.",
        consequence=f"{safe}; {_deadline(here)}. Further attempts follow by themselves.",
        mend=_remedy(last.reason, here),
    )


def _remedy(reason: str, here: Condition) -> str:
    bucket, name = here.policy.to.bucket, here.table.name
    match reason:
        case "S3AccessDenied":
            key = f"; coldtable policy key --table {name}" if here.policy.to.key else ""
            return (
                f"Compare the policies of bucket {bucket}, of its KMS key and of the function's "
                f"role with: coldtable policy bucket --table {name}; coldtable policy lambda{key}"
            )
        case "S3NoSuchBucket":
            return f"Create the bucket {bucket}, or correct the bucket's name in the parameters"
        case "KmsNotFoundException":
            return (
                "The KMS key must exist in the bucket's region: correct kms_key, or see "
                f"coldtable policy key --table {name}"
            )
    return f"coldtable status {name} shows the failure's text"


def _deadline(here: Condition) -> str:
    """Until when nothing is lost yet."""
    newest, days = here.timeline.newest, here.pitr.recovery_days
    if newest is None or days is None or here.policy.mode is not Mode.CONTINUOUS:
        return "nothing is lost while point-in-time recovery still reaches it"
    until = newest + timedelta(days=days)
    return f"nothing is lost if it is mended before {iso_z(until)}"


def _reference(here: Condition) -> datetime | None:
    """What the lag of an alarm is counted from: the newest restore point or, for a chain that
    has just begun, its full export that is under way."""
    under_way = [
        w.span.moment
        for w in still_wanted(here.ledger, here.pitr, here.policy)
        if isinstance(w.span, Snapshot)
    ]
    if here.timeline.newest is None or here.policy.mode is Mode.SNAPSHOT:
        return here.timeline.newest or min(under_way, default=None)
    return max([here.timeline.newest, *under_way])


def _span(length: timedelta) -> str:
    minutes = int(length / timedelta(minutes=1))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min"]
    return " ".join(p for p in parts if p)


def _subject(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:100]
