"""A bar of coverage: one character for each day or month, to be read without any colour."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from coldtable.core.schedule import latest_moment, resolve_local
from coldtable.model import MomentRule, Window

DAYS, MONTHS = 35, 12

# All of it, at least half, less, none of it; and where nothing was to be expected.
BLOCKS, PLAIN = "█▆▂x·", "#+-x."
LEGEND = "{0} all of it  {1} at least half  {2} less  {3} none  {4} nothing was due"

# The share of a cell that is there; ``None`` where nothing was due.
Share = float | None


def draw(shares: Iterable[Share], characters: str = BLOCKS) -> str:
    """The bar. Only what is complete looks so, however little is missing."""
    whole, most, some, none, idle = tuple(characters)
    drawn = []
    for share in shares:
        match share:
            case None:
                drawn.append(idle)
            case _ if share >= 1:
                drawn.append(whole)
            case _ if share >= 0.5:
                drawn.append(most)
            case _:
                drawn.append(some if share > 0 else none)
    return "".join(drawn)


def days(now: datetime, zone: ZoneInfo, count: int = DAYS) -> list[Window]:
    """The last ``count`` days of a zone, today's too; a day has 23 to 25 hours."""
    today = now.astimezone(zone).date()
    return _cells([today - timedelta(days=n) for n in range(count - 1, -2, -1)], zone)


def months(now: datetime, zone: ZoneInfo, count: int = MONTHS) -> list[Window]:
    """The last ``count`` months of a zone, this one too."""
    today = now.astimezone(zone).date()
    number = today.year * 12 + today.month - 1
    firsts = [date(n // 12, n % 12 + 1, 1) for n in range(number - count + 1, number + 2)]
    return _cells(firsts, zone)


def covered(
    coverage: Sequence[Window],
    cells: Iterable[Window],
    begin: datetime | None,
    until: datetime,
    known: Sequence[Window] = (),
) -> list[Share]:
    """How much of each cell can be restored, of what lies in ``[begin, until)``.

    ``begin`` is when the first export was, ``until`` up to when there should be something by now.
    What is ``known`` to have been there and is not any more has expired: it is not due.
    """
    shares: list[Share] = []
    for cell in cells:
        start, stop = max(cell.start, begin or until), min(cell.stop, until)
        there = _overlap(coverage, start, stop)
        due = stop - start - max(_overlap(known, start, stop) - there, timedelta())
        shares.append(there / due if start < stop and due else None)
    return shares


def made(
    moments: Iterable[datetime],
    rule: MomentRule,
    cells: Iterable[Window],
    begin: datetime | None,
    until: datetime,
    gone: Collection[datetime] = (),
) -> list[Share]:
    """How many of the moments that a rule wants in each cell there are, since ``begin``.

    They are counted, because the rule may have been another one then. Those that are ``gone`` have
    expired: they are not due.
    """
    found, shares = sorted(moments), list[Share]()
    for cell in cells:
        start, stop = max(cell.start, begin or until), min(cell.stop, until)
        wanted = sum(1 for _ in _due(rule, start, stop))
        wanted -= sum(start <= moment < stop for moment in gone)
        there = sum(cell.start <= moment < cell.stop for moment in found)
        if wanted <= 0:
            shares.append(1.0 if there else None)
        else:
            shares.append(min(1.0, there / wanted))
    return shares


def _due(rule: MomentRule, start: datetime, stop: datetime) -> Iterable[datetime]:
    moment = latest_moment(rule, stop - timedelta(seconds=1))
    while start <= moment:
        yield moment
        moment = latest_moment(rule, moment - timedelta(seconds=1))


def _overlap(coverage: Iterable[Window], start: datetime, stop: datetime) -> timedelta:
    shared = (min(c.stop, stop) - max(c.start, start) for c in coverage)
    return sum((length for length in shared if length > timedelta()), timedelta())


def _cells(edges: Sequence[date], zone: ZoneInfo) -> list[Window]:
    midnight = datetime.min.time()
    instants = [resolve_local(day, midnight, zone).astimezone(UTC) for day in edges]
    return [Window(start=start, stop=stop) for start, stop in pairwise(instants)]
