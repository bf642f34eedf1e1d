"""From exports to restore points: which instants an archive can rebuild, and from what.

A full export is the table at its moment. An incremental one leads from the table at the start of
its window to the table at its end, and to nothing between: it holds each item's last state only.
So the restore points are the moments of full exports and the ends of windows that join on to one
without a seam.

Both kinds of seam lose something. Between an end and a later start writes are missing. Where a
window begins before the moment of the full export that it is applied to, an item that was written
before that moment and deleted after it is in the full export, and in the window not at all
(inserted and deleted within it [DOC-OUT]): it would come back to life.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from coldtable.core.archive import ArchivedExport, by_table
from coldtable.core.request import exact_iso
from coldtable.errors import NotCovered, UsageError
from coldtable.model import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Two exports that do not join: the first leads to ``end``, the next one begins at ``start``.

    A gap if ``start`` is later, an overlap if it is earlier.
    """

    end: datetime
    start: datetime

    @property
    def is_gap(self) -> bool:
        """Whether there is nothing between the two, rather than something twice."""
        return self.start > self.end

    @property
    def length(self) -> timedelta:
        """How long the gap or the overlap is."""
        return abs(self.start - self.end)

    def __str__(self) -> str:
        if self.is_gap:
            return (
                f"a gap of {_seconds(self.length)} from {exact_iso(self.end)} to "
                f"{exact_iso(self.start)}: what was written then may be missing or stale"
            )
        return (
            f"an overlap of {_seconds(self.length)} from {exact_iso(self.start)} to "
            f"{exact_iso(self.end)}: items that were new then and deleted later may come back"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What to read for one restore point: ``base``, then ``increments`` in this order.

    ``seams`` is empty unless gaps were allowed: then the result is not exact, and each of them
    says what may be wrong.
    """

    moment: datetime
    base: ArchivedExport
    increments: tuple[ArchivedExport, ...] = ()
    seams: tuple[Seam, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One full export and the increments that join on to it without a seam."""

    base: ArchivedExport
    increments: tuple[ArchivedExport, ...] = ()

    @property
    def stop(self) -> datetime:
        """Its last restore point."""
        return self.increments[-1].stop if self.increments else self.base.stop


@dataclass(frozen=True, slots=True)
class _Path:
    """The best way to one instant found so far: its last export and the way before that."""

    export: ArchivedExport
    before: _Path | None
    base: datetime
    steps: int
    lost: timedelta = timedelta()
    seam: Seam | None = None

    @property
    def rank(self) -> tuple[timedelta, float, int, str]:
        """Less is better: little lost, a late base, few increments, the export made first."""
        return self.lost, -self.base.timestamp(), self.steps, self.export.export_id

    def walk(self) -> Iterator[_Path]:
        """From the last export back to the base."""
        here: _Path | None = self
        while here:
            yield here
            here = here.before


def restore_points(exports: Iterable[ArchivedExport]) -> tuple[datetime, ...]:
    """Every instant that exports of one table can rebuild exactly, in order."""
    return tuple(sorted(_paths(list(exports), allow_gap=False)))


def chains(exports: Iterable[ArchivedExport]) -> tuple[Chain, ...]:
    """The chains of one table, in order of time: for each full export what joins on to it.

    A chain ends where the next one begins. An increment that joins on to none is in no chain.
    """
    onward: dict[datetime, ArchivedExport] = {}
    far: dict[datetime, datetime] = {}
    bases = []
    for export in sorted(exports, key=lambda e: (e.start, e.stop, e.export_id), reverse=True):
        if export.is_full:
            if not export.manifest.seams:
                bases.append(export)
            continue
        # Of several windows that begin here, the one from which the way leads furthest.
        reach = far.get(export.stop, export.stop)
        if export.start not in far or reach >= far[export.start]:
            onward[export.start], far[export.start] = export, reach
    moments = {base.stop for base in bases}
    return tuple(
        Chain(base=base, increments=tuple(_onward(base.stop, onward, moments)))
        for base in reversed(bases)
    )


def _onward(
    here: datetime, onward: dict[datetime, ArchivedExport], moments: set[datetime]
) -> Iterator[ArchivedExport]:
    while export := onward.get(here):
        yield export
        here = export.stop
        if here in moments:
            return


def plan_restore(
    exports: Iterable[ArchivedExport], at: datetime | None, *, allow_gap: bool = False
) -> RestorePlan:
    """What to read to rebuild one table as it was ``at``; ``None`` is the newest restore point.

    The base is the latest full export from which the increments lead there. ``exports`` are those
    of one ARN; of several tables that had it one after the other, the one that existed ``at``.
    ``NotCovered`` names the nearest restore points and the seam in the way. ``None`` is refused
    too if newer increments do not join: whoever asks for the newest state expects them in it.
    With ``allow_gap`` the way that loses the least time is taken, and the plan lists its seams.
    """
    tables = by_table(exports)
    if len({table.arn for table in tables}) > 1:
        raise UsageError("The exports are of several tables", hint="Name the table to restore")
    if not tables:
        raise NotCovered("There is no export to restore from", hint="Is it the right folder?")
    if at is None:
        newest = max(tables, key=lambda table: max(e.stop for e in tables[table]))
        return _newest(tables[newest], newest, allow_gap=allow_gap)
    for gaps in (False, True) if allow_gap else (False,):
        for group in tables.values():
            if found := _paths(group, allow_gap=gaps).get(at):
                return _plan(at, found)
    raise _not_covered(tables, at)


def _newest(group: Sequence[ArchivedExport], table: Table, *, allow_gap: bool) -> RestorePlan:
    last = max(e.stop for e in group)
    paths = _paths(group, allow_gap=allow_gap)
    if allow_gap and paths:
        last = max(paths)
    if last in paths:
        return _plan(last, paths[last])
    raise _not_covered({table: tuple(group)}, last)


def _not_covered(tables: dict[Table, tuple[ArchivedExport, ...]], at: datetime) -> NotCovered:
    """The error that names the nearest restore points, what is in the way, and what to do."""
    name = next(iter(tables)).name
    points = sorted(point for group in tables.values() for point in restore_points(group))
    place = bisect_left(points, at)
    near = [*points[max(place - 1, 0) : place], *points[place : place + 1]]
    shown = " and ".join(map(exact_iso, near))
    nearest = (
        f"the nearest restore points are {shown}"
        if near[1:]
        else (f"the nearest restore point is {shown}" if near else "it has no restore point at all")
    )
    message = f"Table {name} cannot be rebuilt as it was at {exact_iso(at)}: {nearest}"
    hints = [f"Name one of those with --at {exact_iso(near[0])}"] if near else []
    for group in tables.values():
        if path := _paths(group, allow_gap=True).get(at):
            seams = _plan(at, path).seams
            message += ". In the way is " + "; and ".join(map(str, seams))
            hints.append("--allow-gap accepts that")
        elif inside := next((e for e in group if e.start < at < e.stop), None):
            message += (
                f". It lies within the window from {exact_iso(inside.start)} to "
                f"{exact_iso(inside.stop)}, which holds only the last state of each item"
            )
            hints.append(
                "DynamoDB itself reaches back 35 days. As long as it does, have that very instant "
                f"exported first: coldtable export {name} --at {exact_iso(at)} --wait"
            )
    if not any(e.is_full for group in tables.values() for e in group):
        hints.append("An increment needs the full export that it follows, and there is none here")
    return NotCovered(message, hint="\n".join(hints))


def _plan(at: datetime, path: _Path) -> RestorePlan:
    steps = list(path.walk())[::-1]
    return RestorePlan(
        moment=at,
        base=steps[0].export,
        increments=tuple(step.export for step in steps[1:]),
        seams=(
            *(Seam(end=s.start, start=s.stop) for s in steps[0].export.manifest.seams),
            *(step.seam for step in steps if step.seam),
        ),
    )


def _paths(exports: Sequence[ArchivedExport], *, allow_gap: bool) -> dict[datetime, _Path]:
    """The best way to each instant that can be reached, in one sweep through time.

    When an increment is looked at, every way to an instant up to its start is known already: they
    come from increments that begin earlier.
    """
    best: dict[datetime, _Path] = {}
    for base in (e for e in exports if e.is_full):
        # One that was made over seams is no better than what it was made of.
        lost = sum((abs(s.stop - s.start) for s in base.manifest.seams), timedelta())
        if allow_gap or not lost:
            _offer(best, base.stop, _Path(base, None, base.stop, 0, lost))
    bases = {moment: best[moment] for moment in sorted(best)}
    moments, jump = list(bases), _Jump(best)
    for export in sorted((e for e in exports if not e.is_full), key=lambda e: (e.start, e.stop)):
        if before := best.get(export.start):
            _offer(best, export.stop, _step(export, before, None))
        if not allow_gap:
            continue
        if before := jump.to(export.start):
            seam = Seam(end=before.export.stop, start=export.start)
            _offer(best, export.stop, _step(export, before, seam))
        # Of several full exports within the window the first one overlaps least.
        place = bisect_right(moments, export.start)
        if place < len(moments) and moments[place] < export.stop:
            seam = Seam(end=moments[place], start=export.start)
            _offer(best, export.stop, _step(export, bases[moments[place]], seam))
        jump.know(export.stop)
    return best


class _Jump:
    """Which instant to cross a gap from: the one by which the least time is lost in all."""

    def __init__(self, best: dict[datetime, _Path]) -> None:
        self._best = best
        self._ahead = sorted(best)
        self._from: _Path | None = None

    def know(self, instant: datetime) -> None:
        """There is a way to ``instant`` now, or a better one."""
        if instant in self._best:
            heappush(self._ahead, instant)

    def to(self, start: datetime) -> _Path | None:
        """The best way to any instant before ``start``; starts must not go back in time."""
        while self._ahead and self._ahead[0] < start:
            path = self._best[heappop(self._ahead)]
            if self._from is None or _loss(path) < _loss(self._from):
                self._from = path
        return self._from


def _loss(path: _Path) -> timedelta:
    """What a later start would lose by coming from here, but for that start itself."""
    return path.lost - (path.export.stop - _EPOCH)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _step(export: ArchivedExport, before: _Path, seam: Seam | None) -> _Path:
    lost = before.lost + (seam.length if seam else timedelta())
    return _Path(export, before, before.base, before.steps + 1, lost, seam)


def _offer(best: dict[datetime, _Path], at: datetime, path: _Path) -> None:
    if at not in best or path.rank < best[at].rank:
        best[at] = path


def _seconds(length: timedelta) -> str:
    """``9.378 s`` below a minute, ``2 days, 1:00:00`` and the like above."""
    if length >= timedelta(minutes=1):
        return str(length)
    return f"{length.total_seconds():.6f}".rstrip("0").rstrip(".") + " s"
