"""Fold the keys of a table's records into its ledger; no record is read for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from coldtable.core.records import (
    Fact,
    Home,
    parse_base_name,
    parse_incident_name,
    parse_log_name,
    unstamp,
)
from coldtable.model import Snapshot, Span, Window
from coldtable.model_archive import (
    Attempt,
    Incident,
    IncidentKind,
    Ledger,
    Outcome,
    Run,
    Slot,
    SlotKind,
    Wanted,
)

_NEVER = datetime.min.replace(tzinfo=UTC)
_PROGRESS = {
    Outcome.FAILED: 2,
    Outcome.DAMAGED: 2,
    Outcome.CLEARED: 3,
    Outcome.VERIFIED: 4,
    Outcome.EXPIRED: 5,
    Outcome.REMOVED: 6,
}


def split_table_keys(home: Home, keys: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The keys of a table's folder: base names by TableId, and incident names."""
    bases: dict[str, list[str]] = {}
    incidents: list[str] = []
    for key in keys:
        parts = key.removeprefix(home.table).split("/")
        if len(parts) == 3 and parts[0] == "base":
            bases.setdefault(parts[1], []).append(parts[2])
        elif len(parts) == 2 and parts[0] == "incident":
            incidents.append(parts[1])
    return bases, incidents


def fold(table_id: str, base_names: Iterable[str], log_names: Iterable[str]) -> Ledger:
    """The ledger of one TableId. ``log_names`` come in order, as they are listed.

    Verified windows that join are merged into runs as they come, so that memory does not grow
    with them; runs are cut at every full export, because a chain begins with a whole window.
    """
    base_names = list(base_names)
    bases, defined = _bases(base_names)
    cuts = {w.span.moment for w in bases if isinstance(w.span, Snapshot)}
    runs, expired = _Runs(cuts), _Runs(cuts)
    windows, snapshots, gaps = list[Wanted](), list[Wanted](), set[datetime]()
    for slot, facts in _by_slot(parse_log_name(name) for name in log_names):
        if any(f.gap for f in facts):
            gaps.add(unstamp(slot.name))
        if any(f.definition for f in facts):
            defined.add(slot.name)
        wanted = _wanted(slot, facts)
        if wanted is None:
            continue
        if slot.kind is SlotKind.SNAPSHOT:
            # Its key comes before that of a window at the same moment, so the cut is in time.
            snapshots.append(wanted)
            cuts.add(unstamp(slot.name))
        elif wanted.settled and isinstance(span := _settled_span(wanted), Window):
            (runs if wanted.verified else expired).add(span)
        else:
            windows.append(wanted)
    return Ledger(
        table_id=table_id,
        bases=tuple(bases),
        runs=runs.finished(),
        windows=tuple(windows),
        snapshots=tuple(snapshots),
        expired=expired.finished(),
        gaps=frozenset(gaps),
        defined=frozenset(defined),
        ended="ended.json" in base_names,
    )


def furthest(log_names: Iterable[str]) -> Iterator[str]:
    """The names without those that say less than another of the same attempt; in order."""
    named = ((name, parse_log_name(name)) for name in log_names)
    known = ((name, fact) for name, fact in named if fact is not None)
    for _, same in groupby(known, key=lambda one: one[1].slot):
        best: dict[object, tuple[str, Fact]] = {}
        for name, fact in same:
            what = fact.attempt.number if fact.attempt else ("gap" if fact.gap else "definition")
            old = best.get(what)
            if old is None or _further(fact, old[1]):
                best[what] = (name, fact)
        yield from sorted(name for name, _ in best.values())


def attempts(facts: Iterable[Fact | None]) -> dict[tuple[Slot, int], Attempt]:
    """Each attempt of each slot, as far as the facts tell."""
    found: dict[tuple[Slot, int], Attempt] = {}
    for fact in facts:
        if fact is None or (new := fact.attempt) is None:
            continue
        old = found.get((fact.slot, new.number))
        if old is None or _progress(new) > _progress(old):
            found[fact.slot, new.number] = new
    return found


def export_of(name: str) -> str | None:
    """The id of the export that the name of a record, of a base or of a log, tells of."""
    fact = parse_base_name(name) or parse_log_name(name)
    return fact.attempt.export_id if fact and fact.attempt else None


def proven_exports(names: Iterable[str]) -> frozenset[str]:
    """The ids of the exports that were proven and have not expired, by names of records."""
    found = attempts(parse_base_name(name) or parse_log_name(name) for name in names)
    proven = (a.export_id for a in found.values() if a.outcome is Outcome.VERIFIED)
    return frozenset(one for one in proven if one)


def newest_proven_base(base_names: Iterable[str]) -> datetime | None:
    """The moment of the newest full export that carries, or carried, a chain."""
    facts = (parse_base_name(name) for name in base_names)
    attempts = (fact.attempt for fact in facts if fact and fact.attempt)
    return max(
        (
            a.span.moment
            for a in attempts
            if (a.outcome is Outcome.VERIFIED or a.expired) and isinstance(a.span, Snapshot)
        ),
        default=None,
    )


def fold_incidents(names: Iterable[str]) -> tuple[Incident, ...]:
    """The incidents that the names tell of, in order."""
    states: dict[tuple[IncidentKind, str], set[str]] = {}
    for name in names:
        if parsed := parse_incident_name(name):
            states.setdefault(parsed[:2], set()).add(parsed[2])
    return tuple(
        Incident(
            kind=kind,
            name=name,
            told="told" in found,
            over="over" in found,
            over_told="overtold" in found,
        )
        for (kind, name), found in sorted(states.items())
    )


def with_spans(ledger: Ledger, spans: Mapping[tuple[Slot, int], Attempt]) -> Ledger:
    """The ledger with the spans of intents that had to be read."""

    def filled(wanted: Wanted) -> Wanted:
        attempts = tuple(spans.get((wanted.slot, a.number), a) for a in wanted.attempts)
        return replace(wanted, attempts=attempts)

    return replace(
        ledger,
        bases=tuple(map(filled, ledger.bases)),
        windows=tuple(map(filled, ledger.windows)),
        snapshots=tuple(map(filled, ledger.snapshots)),
    )


def unread(ledger: Ledger) -> list[tuple[Slot, Attempt]]:
    """The intents whose span is not known from any other attempt's key."""
    return [
        (wanted.slot, attempt)
        for wanted in ledger.pending
        for attempt in wanted.attempts
        if attempt.span is None and attempt.export_id is None
    ]


def _bases(names: Iterable[str]) -> tuple[list[Wanted], set[str]]:
    bases, defined = list[Wanted](), set[str]()
    for slot, facts in _by_slot(parse_base_name(name) for name in sorted(names)):
        if any(f.definition for f in facts):
            defined.add(slot.name)
        if wanted := _wanted(slot, facts):
            bases.append(wanted)
    return bases, defined


def _by_slot(facts: Iterable[Fact | None]) -> Iterator[tuple[Slot, list[Fact]]]:
    known = (fact for fact in facts if fact is not None)
    # Keys are in order, so a slot's keys are neighbours.
    for slot, same in groupby(known, key=lambda fact: fact.slot):
        yield slot, list(same)


def _wanted(slot: Slot, facts: Iterable[Fact]) -> Wanted | None:
    """Of each attempt what the furthest record says: intent, then started, then its outcome."""
    found = attempts(facts)
    if not found:
        return None
    return Wanted(slot=slot, attempts=tuple(found[key] for key in sorted(found)))


def _further(new: Fact, old: Fact) -> bool:
    return bool(new.attempt and old.attempt and _progress(new.attempt) > _progress(old.attempt))


def _progress(attempt: Attempt) -> int:
    if attempt.outcome is not None:
        # Two ticks can judge the same export at the same time; proof weighs more than doubt.
        return _PROGRESS[attempt.outcome]
    return 1 if attempt.export_id else 0


def _settled_span(wanted: Wanted) -> Window | Snapshot | None:
    """That of the attempt that is there, if one is, else of the one that has expired."""
    proven = [a for a in wanted.attempts if a.outcome is Outcome.VERIFIED or a.expired]
    there = [a.span for a in proven if not a.expired] or [a.span for a in proven]
    # After a lost catalog two can begin here: the one that reaches further holds the other.
    return max(there, key=_reach, default=None)


def _reach(span: Span | None) -> datetime:
    return span.stop if isinstance(span, Window) else _NEVER


@dataclass(slots=True)
class _Joined:
    """A run while it grows: it may be joined a hundred thousand times."""

    start: datetime
    stop: datetime
    count: int = 1


class _Runs:
    """The runs of a log whose windows come in order of their start.

    A window joins the run before it only where no other run ends, too: after a lost catalog windows
    can overlap, and the next one must be reached from each of them.
    """

    def __init__(self, cuts: set[datetime]) -> None:
        self._cuts = cuts
        self._runs: list[_Joined] = []
        self._ends: Counter[datetime] = Counter()

    def add(self, span: Window) -> None:
        """One more window."""
        last = self._runs[-1] if self._runs else None
        joins = last is not None and last.stop == span.start and span.start not in self._cuts
        if last is not None and joins and self._ends[span.start] == 1:
            del self._ends[span.start]
            last.stop = span.stop
            last.count += 1
        else:
            self._runs.append(_Joined(span.start, span.stop))
        self._ends[span.stop] += 1

    def finished(self) -> tuple[Run, ...]:
        """The runs, in order."""
        return tuple(
            Run(window=Window(start=r.start, stop=r.stop), count=r.count) for r in self._runs
        )
