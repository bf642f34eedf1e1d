"""What verified exports add up to: chains, coverage, and the gaps between."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from coldtable.model import Snapshot, Window
from coldtable.model_archive import Chain, Ledger, Run, Timeline, Wanted


def timeline(bases: Iterable[datetime], runs: Iterable[Run]) -> Timeline:
    """The timeline of one TableId: ``bases`` are the moments of verified full exports.

    ``runs`` must be cut at the bases: a base joins a run that begins exactly at its moment, and a
    run joins the next that begins where it stops. A base inside a run does not help it, because
    a window can only be applied whole, to the state at its start.
    """
    ordered = sorted(runs)
    chains = tuple(_chain(base, ordered) for base in sorted(set(bases)))
    coverage = _merged(chains)
    gaps = tuple(
        Window(start=before.stop, stop=after.start) for before, after in pairwise(coverage)
    )
    return Timeline(chains=chains, coverage=coverage, gaps=gaps)


def ledger_timeline(ledger: Ledger) -> Timeline:
    """The timeline of what a ledger holds as verified.

    A base that is older than what was listed is left out: its chain is there, and not known.
    What has expired is not covered any more, and nobody lost it: its place is no gap.
    """
    kept = timeline(_moments(ledger, [w for w in _fulls(ledger) if w.verified]), ledger.runs)
    if not kept.coverage or not (
        ledger.expired or any(w.settled and not w.verified for w in _fulls(ledger))
    ):
        return kept
    first = kept.coverage[0].stop
    return replace(kept, gaps=tuple(g for g in known_timeline(ledger).gaps if g.start >= first))


def known_timeline(ledger: Ledger) -> Timeline:
    """The timeline of all that was ever verified, as if nothing had expired."""
    proven = [w for w in _fulls(ledger) if w.settled]
    return timeline(_moments(ledger, proven), (*ledger.runs, *ledger.expired))


def _fulls(ledger: Ledger) -> tuple[Wanted, ...]:
    return (*ledger.bases, *ledger.snapshots)


def _moments(ledger: Ledger, wanted: Iterable[Wanted]) -> Iterator[datetime]:
    for one in wanted:
        if isinstance(one.span, Snapshot) and (
            ledger.since is None or one.span.moment >= ledger.since
        ):
            yield one.span.moment


def _chain(base: datetime, runs: Sequence[Run]) -> Chain:
    end, count = base, 0
    starts = [run.window.start for run in runs]
    while (at := bisect_left(starts, end)) < len(runs) and starts[at] == end:
        # Of several that begin here the one that reaches furthest.
        best = max((r for r in runs[at:] if r.window.start == end), key=lambda r: r.window.stop)
        end, count = best.window.stop, count + best.count
    return Chain(base=base, end=end, windows=count)


def _merged(chains: Sequence[Chain]) -> tuple[Window, ...]:
    merged: list[Window] = []
    for chain in chains:
        if merged and chain.base <= merged[-1].stop:
            stop = max(merged[-1].stop, chain.end)
            merged[-1] = Window(start=merged[-1].start, stop=stop)
        else:
            merged.append(Window(start=chain.base, stop=chain.end))
    return tuple(merged)
