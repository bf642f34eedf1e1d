"""What it takes to read 100,000 records: the numbers of docs/format.md, counted.

Requests are counted, not records: an index is one GET however much it holds, so of the months that
are indexed a part of the records stands for all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

from coldtable.core.index import Index, Period, due_until, encode, make_line
from coldtable.core.records import Home, record_key, slot_of
from coldtable.model import Snapshot, Span, Window
from coldtable.model_archive import Attempt, Outcome, SlotKind
from coldtable.ops.catalog import Catalog
from coldtable.ops.history import histories
from coldtable.testing.fakes import FakeObjects
from tests.unit.counting import CountingObjects

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# The day before a month is indexed: the longest tail that there can be.
NOW = datetime(2026, 12, 9, tzinfo=UTC)
DETAILS = {"bucket": "archive", "prefix": "p", "items": 1, "files": 4, "bytes": 1234}
# What S3 asks for a request, in USD.
PRICES = {"LIST": 0.005 / 1000, "GET": 0.0004 / 1000}


class Years:
    """A catalog of years, with the indexes that the tick has written by now, and a loose tail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def add(self, home: Home, spans: Iterator[Span]) -> None:
        months: dict[Period, list[str]] = {}
        for number, span in enumerate(spans):
            start = span.start if isinstance(span, Window) else span.moment
            kind = SlotKind.WINDOW if isinstance(span, Window) else SlotKind.SNAPSHOT
            done = Attempt(
                number=1,
                span=span,
                export_id=f"{number:014}-00000000",
                outcome=Outcome.VERIFIED,
            )
            key = record_key(home, "x", slot_of(kind, start), done)
            months.setdefault(Period.holding(start), []).append(key.rsplit("/", 1)[1])
            if start >= due_until(NOW):
                self.objects[key] = b""
                self.objects[key.replace(".verified.", ".started.")] = b""
                self.objects[record_key(home, "x", slot_of(kind, start), Attempt(number=1))] = b""
        self._index(home, months)

    def _index(self, home: Home, months: dict[Period, list[str]]) -> None:
        years: dict[Period, list[str]] = {}
        for month, names in months.items():
            if month.stop <= due_until(NOW):
                self._write(home, month, names)
                years.setdefault(month.whole_year, []).extend(names)
        for year, names in years.items():
            if year.stop <= due_until(NOW):
                self._write(home, year, names)

    def _write(self, home: Home, period: Period, names: list[str]) -> None:
        lines = [make_line(name, DETAILS) for name in names]
        key = home.index("x") + Index(period=period).name
        self.objects[key] = encode(home, "x", period, lines)

    def read(self) -> tuple[int, Counter[str]]:
        """How many verified records there are, and what it took to read them all."""
        store = CountingObjects(FakeObjects(self.objects, piece=1 << 20))
        found = 0
        for history in histories(Catalog(store), "000000000000", "us-east-1"):
            found += sum(".verified." in name for name in history.names())
        return found, store.requests


def row(first: str) -> tuple[int, int, float]:
    """LISTs, GETs and USD of a row of the page's table."""
    text = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(first))
    found = re.search(r"([\d,]+) LIST, ([\d,]+) GET \| ([\d.]+) \|", text)
    assert found, text
    return int(found[1].replace(",", "")), int(found[2].replace(",", "")), float(found[3])


def cost(requests: Counter[str]) -> float:
    return sum(PRICES[kind] * number for kind, number in requests.items())


def home(name: str) -> Home:
    return Home(account="000000000000", region="us-east-1", name=name)


def test_one_table_with_a_window_each_hour() -> None:
    """A hundred thousand windows, of which the page says how many requests they take."""
    years = Years()
    begin, tail = NOW - 100_000 * HOUR, due_until(NOW)
    old = [begin + n * DAY for n in range((tail - begin) // DAY)]
    young = [tail + n * HOUR for n in range((NOW - tail) // HOUR)]
    years.add(home("orders"), (Window(start=start, stop=start + HOUR) for start in old + young))
    found, requests = years.read()
    assert found == len(old) + len(young)
    lists, gets, price = row("| one table, a window each hour")
    assert requests == {"LIST": lists, "GET": gets}
    assert abs(cost(requests) - price) <= price / 5


def test_many_tables_with_a_snapshot_each_night() -> None:
    """A year of them; 30 tables stand for 300, which need ten times as many requests."""
    years = Years()
    for n in range(30):
        moments = (NOW - night * DAY for night in range(365, 0, -1))
        years.add(home(f"t{n:02}"), (Snapshot(moment=moment) for moment in moments))
    found, requests = years.read()
    assert found == 30 * 365
    lists, gets, price = row("| 300 tables, one snapshot")
    assert requests["GET"] * 10 == gets
    # But for the listing of indexes, and for the one that finds no further table.
    assert requests["LIST"] - 2 == 3 * 30
    indexes = 10 * sum("/index/" in key for key in years.objects)
    assert lists == 3 * 300 + ceil(indexes / 1000) + 1
    assert abs(PRICES["LIST"] * lists + PRICES["GET"] * gets - price) <= price / 5
