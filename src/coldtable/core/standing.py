"""How one table stands: what the catalog's names say of it, in the terms that people ask in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from coldtable.core import bar
from coldtable.core.incidents import lag
from coldtable.core.records import Fact, parse_base_name, parse_log_name
from coldtable.core.timeline import known_timeline, ledger_timeline
from coldtable.model import Snapshot, Span, Window
from coldtable.model_archive import Attempt, Chain, Ledger, Slot, Timeline
from coldtable.model_policy import Mode, Policy

# AWS forgets an export after 90 days [MODEL]: whatever became of it, it is not under way.
_FORGOTTEN = timedelta(days=90)
# Failures and gaps that are older are history: the report tells of them.
RECENT = timedelta(days=35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flying:
    """An export that is under way."""

    slot: Slot
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that came to nothing; ``name`` is its record's. ``mended`` tells that a later
    attempt was proven."""

    name: str
    slot: Slot
    attempt: Attempt
    mended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What cannot be restored, from a restore point to the next; ``None``: there is none yet.

    In snapshot mode it is one moment that was missed. ``noted`` tells that there is a record of it.
    """

    start: datetime
    stop: datetime | None
    noted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One table's state. ``chain`` is the newest one, in continuous mode."""

    timeline: Timeline
    lag: timedelta | None
    stale: bool
    chain: Chain | None
    flying: tuple[Flying, ...]
    failure: Failure | None
    gaps: tuple[Gap, ...]
    days: tuple[bar.Share, ...]
    months: tuple[bar.Share, ...]


def first_listed(now: datetime, policy: Policy, base_names: Iterable[str]) -> datetime:
    """From when on the records are needed for a bar of twelve months: from the base on that the
    first of them stands on."""
    begin = bar.months(now, policy.rule.zone)[0].start
    if policy.mode is Mode.SNAPSHOT:
        return begin
    before = [
        fact.attempt.span.moment
        for fact in map(parse_base_name, base_names)
        if fact
        and fact.attempt
        and fact.attempt.outcome == "verified"
        and isinstance(fact.attempt.span, Snapshot)
        and fact.attempt.span.moment <= begin
    ]
    return max(before, default=begin)


def standing(ledger: Ledger, troubled: Sequence[str], policy: Policy, now: datetime) -> Standing:
    """The state of a table; ``troubled`` are the names of records of what ended badly."""
    found = ledger_timeline(ledger)
    behind, flying = lag(found, now), tuple(_flying(ledger, now))
    continuous = policy.mode is Mode.CONTINUOUS
    return Standing(
        timeline=found,
        lag=behind,
        stale=_is_stale(policy, behind, flying, now),
        chain=found.chains[-1] if found.chains and continuous else None,
        flying=flying,
        failure=_last_failure(troubled, found, now),
        gaps=tuple(_gaps(ledger, found, continuous=continuous)),
        days=tuple(_shares(ledger, policy, now, bar.DAYS)),
        months=tuple(_shares(ledger, policy, now, bar.MONTHS)),
    )


def is_troubled(name: str) -> bool:
    """Whether it is the name of a record of an attempt that ended badly, or of a gap."""
    return any(f".{state}." in name for state in ("failed", "damaged", "cleared")) or name.endswith(
        ".gap.json"
    )


def _is_stale(
    policy: Policy, behind: timedelta | None, flying: Sequence[Flying], now: datetime
) -> bool:
    """Over its objective; of a table without any restore point, its first export is."""
    if policy.pause is not None:
        return False
    if behind is not None:
        return behind > policy.rpo
    moments = [f.attempt.span.moment for f in flying if isinstance(f.attempt.span, Snapshot)]
    return not moments or now - min(moments) > policy.rpo


def _flying(ledger: Ledger, now: datetime) -> Iterable[Flying]:
    for wanted in ledger.pending:
        for attempt in wanted.attempts:
            span = attempt.span
            if attempt.in_flight and span is not None and now - _end(span) < _FORGOTTEN:
                yield Flying(slot=wanted.slot, attempt=attempt)


def _last_failure(troubled: Iterable[str], found: Timeline, now: datetime) -> Failure | None:
    failures = [
        Failure(
            name=name,
            slot=fact.slot,
            attempt=fact.attempt,
            mended=_is_mended(fact.attempt.span, found),
        )
        for name, fact in ((name, parse_any_name(name)) for name in troubled)
        if fact
        and fact.attempt
        and fact.attempt.spoilt
        and fact.attempt.ended
        and now - fact.attempt.ended < RECENT
    ]
    return max(failures, key=lambda f: f.attempt.ended or now, default=None)


def parse_any_name(name: str) -> Fact | None:
    """What a record's name says, of a log or of a base."""
    return parse_log_name(name) or parse_base_name(name)


def _is_mended(span: Span | None, found: Timeline) -> bool:
    """A window that is covered, or a full export since."""
    match span:
        case Window(start=start, stop=stop):
            return any(c.start <= start and stop <= c.stop for c in found.coverage)
        case Snapshot(moment=moment):
            return any(chain.base >= moment for chain in found.chains)
    return False


def _gaps(ledger: Ledger, found: Timeline, *, continuous: bool) -> Iterable[Gap]:
    """What was noted, and in continuous mode also what was not. What expired is no gap, and what
    came before all that is kept is of no use to anybody."""
    known = known_timeline(ledger)
    first = min((c.start for c in found.coverage), default=None)
    starts = {
        gap
        for gap in ledger.gaps
        if not any(c.start <= gap < c.stop for c in known.coverage)
        and (first is None or gap >= first)
    }
    if continuous:
        # Between two snapshots of a table that was in snapshot mode nothing was promised.
        bare = {c.start for c in known.coverage if c.start == c.stop}
        starts |= {gap.start for gap in found.gaps if gap.start not in bare}
    for start in sorted(starts):
        after = (c.start for c in known.coverage if c.start > start)
        yield Gap(
            start=start,
            stop=next(after, None) if continuous else None,
            noted=start in ledger.gaps,
        )


def _shares(ledger: Ledger, policy: Policy, now: datetime, cells: int) -> list[bar.Share]:
    zone, found = policy.rule.zone, ledger_timeline(ledger)
    windows = bar.days(now, zone) if cells == bar.DAYS else bar.months(now, zone)
    # What is younger than the objective need not be there yet.
    until = max(now - policy.rpo, found.newest or now - policy.rpo)
    begin = found.chains[0].base if found.chains else None
    kept, known = found, known_timeline(ledger)
    if policy.mode is Mode.CONTINUOUS:
        return bar.covered(kept.coverage, windows, begin, until, known.coverage)
    moments, proven = ([c.base for c in t.chains] for t in (kept, known))
    gone = set(proven) - set(moments)
    return bar.made(moments, policy.rule, windows, begin, until, gone)


def _end(span: Span) -> datetime:
    return span.stop if isinstance(span, Window) else span.moment
