"""Indexes and what is read from them: the same as a listing of every record, at less cost."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from coldtable.core.index import (
    Index,
    Period,
    chosen,
    decode,
    details_of,
    due_day,
    due_until,
    encode,
    make_line,
    parse_index_name,
    settled,
)
from coldtable.core.records import (
    Home,
    body,
    definition_key,
    gap_key,
    record_key,
    request_fields,
    slot_of,
)
from coldtable.errors import AccessDenied, DamagedError
from coldtable.model import Destination, ExportRequest, Snapshot, Span, Table, View, Window
from coldtable.model_archive import Attempt, Outcome, SlotKind
from coldtable.ops.catalog import Catalog, Heads
from coldtable.ops.compact import Candidate, Compaction, compact, compact_due, revise
from coldtable.ops.history import History, histories, index_names
from coldtable.ops.pace import Watch
from coldtable.testing.fakes import FakeObjects
from tests.unit.counting import CountingObjects

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
YEAR = datetime(2025, 1, 1, tzinfo=UTC)
HOME = Home(account="000000000000", region="us-east-1", name="orders")
TABLE = Table(
    name="orders", arn="arn:aws:dynamodb:us-east-1:000000000000:table/orders", table_id="x"
)


class Log:
    """A table's log in a bucket, written as the tick writes it."""

    def __init__(self) -> None:
        self.objects = FakeObjects({}, piece=1 << 16)
        self.store = CountingObjects(self.objects)
        self.catalog = Catalog(self.store)
        self.written = 0

    def export(
        self, span: Span, outcome: Outcome | None = Outcome.VERIFIED, number: int = 1
    ) -> str:
        """The records of one attempt, up to ``outcome``; the last one's name."""
        self.written += 1
        if isinstance(span, Snapshot):
            slot = slot_of(SlotKind.SNAPSHOT, span.moment)
        else:
            slot = slot_of(SlotKind.WINDOW, span.start)
        known = Attempt(number=number, span=span, export_id=f"{self.written:014}-00000000")
        ended = Attempt(
            number=number,
            span=span,
            export_id=known.export_id,
            outcome=outcome,
            ended=YEAR if outcome in (Outcome.FAILED, Outcome.DAMAGED) else None,
            reason="S3AccessDenied",
        )
        request = ExportRequest(
            table=TABLE,
            span=span,
            view=View.NEW_AND_OLD_IMAGES,
            to=Destination(bucket="archive"),
            prefix=f"p/{self.written}",
            token="t",
        )
        fields = {**request_fields(slot, number, request), "items": self.written}
        for attempt in (Attempt(number=number), known, ended):
            key = record_key(HOME, "x", slot, attempt)
            self.objects.put_new(key, body("x", YEAR, **fields))
        return key.rsplit("/", 1)[1]

    def windows(self, start: datetime, stop: datetime, every: timedelta = DAY) -> None:
        while start < stop:
            self.export(Window(start=start, stop=start + every))
            start += every

    def history(self) -> History:
        names = index_names(self.catalog, HOME.account, HOME.region).get((HOME, "x"), [])
        return History(catalog=self.catalog, home=HOME, table_id="x", indexes=tuple(names))

    def compact(self, now: datetime, head: datetime | None = None) -> list[str]:
        """Every index that is due by then."""
        done = []
        while key := compact(self.history(), head or now, now):
            done.append(key.rsplit("/", 1)[1])
        return done

    def listed(self) -> History:
        """The same log without any index."""
        return History(catalog=self.catalog, home=HOME, table_id="x")


def month(number: int) -> Period:
    return Period(year=2025, month=number)


def test_an_index_stands_for_its_month() -> None:
    """Ledger and details are the same from indexes and a tail as from a listing of everything."""
    log = Log()
    log.windows(YEAR, YEAR + 100 * DAY)
    log.export(Snapshot(moment=YEAR + 3 * DAY))
    log.objects.put(definition_key(HOME, "x", slot_of(SlotKind.SNAPSHOT, YEAR + 3 * DAY)), b"")
    log.export(Window(start=YEAR + HOUR, stop=YEAR + 2 * HOUR), Outcome.FAILED)
    log.objects.put(gap_key(HOME, "x", YEAR + HOUR), body("gap", YEAR, cause="pitr"))
    everything = log.listed().ledger(Heads())
    assert log.compact(YEAR + 130 * DAY) == [
        "2025-01.jsonl.gz",
        "2025-02.jsonl.gz",
        "2025-03.jsonl.gz",
    ]
    history = log.history()
    assert history.ledger(Heads()) == everything
    assert history.ledger(Heads()).gaps == {YEAR + HOUR}
    assert history.ledger(Heads()).defined == {"20250104T000000Z"}
    loose = {line.name: log.listed().details(line) for line in log.listed().lines()}
    indexed = {line.name: history.details(line) for line in history.lines()}
    assert indexed == {name: loose[name] for name in indexed}
    assert {d["prefix"] for d in indexed.values() if "prefix" in d} == {
        f"p/{n}" for n in range(1, 102)
    }


def test_a_slice_reads_only_the_indexes_that_it_needs() -> None:
    """From the middle of March to the middle of April: one index and one listing."""
    log = Log()
    log.windows(YEAR, YEAR + 120 * DAY)
    log.compact(YEAR + 132 * DAY)
    history, since, until = log.history(), YEAR + 73 * DAY, YEAR + 104 * DAY
    log.store.requests.clear()
    names = list(history.names(since, until))
    assert (names[0][:8], names[-1][:8], len([n for n in names if ".verified." in n])) == (
        "20250315",
        "20250414",
        31,
    )
    assert log.store.requests == {"GET": 1, "LIST": 1}


def test_a_year_takes_the_place_of_its_months() -> None:
    """Once December is indexed the year is, and a reader takes it alone."""
    log = Log()
    log.windows(YEAR, YEAR + 400 * DAY)
    everything = log.listed().ledger(Heads())
    done = log.compact(YEAR + 365 * DAY + 41 * DAY)
    assert done == [*(f"2025-{n:02}.jsonl.gz" for n in range(1, 13)), "2025.jsonl.gz"]
    log.store.requests.clear()
    assert log.history().ledger(Heads()) == everything
    # The listing of indexes, what there may be before the year, the year, and what is after it.
    assert log.store.requests == {"LIST": 3, "GET": 1}


def test_a_month_waits_until_nothing_can_come_into_it() -> None:
    """Not before 40 days, not while an export is in flight, not while the chain's end is in it."""
    log = Log()
    log.windows(YEAR, YEAR + 60 * DAY)
    due = month(1).stop + 40 * DAY
    assert log.compact(due - HOUR) == []
    assert log.compact(due, head=YEAR + 20 * DAY) == []
    log.export(Window(start=YEAR + HOUR, stop=YEAR + 2 * HOUR), None)
    assert log.compact(due) == []
    assert log.compact(month(1).stop + 129 * DAY)[:1] == []
    # AWS has forgotten the export by now: nobody can ever tell how it ended.
    assert log.compact(month(1).stop + 131 * DAY)[:1] == ["2025-01.jsonl.gz"]


def test_a_failure_is_settled_once_its_gap_is_noted() -> None:
    """A lost window keeps the month open until the gap stands there, which the tick notes."""
    log = Log()
    log.windows(YEAR, YEAR + 3 * DAY)
    name = log.export(Window(start=YEAR + 3 * DAY, stop=YEAR + 4 * DAY), Outcome.FAILED)
    now = month(1).stop + 40 * DAY
    assert not settled([name], month(1), now, now)
    gap = gap_key(HOME, "x", YEAR + 3 * DAY).rsplit("/", 1)[1]
    assert settled([name, gap], month(1), now, now)
    begun = log.export(Window(start=YEAR + 5 * DAY, stop=YEAR + 6 * DAY), None)
    assert not settled([name, gap, begun], month(1), now, now)


def test_an_index_that_cannot_be_written_is_no_error_of_the_tick() -> None:
    """It is in the report, and the next tick tries again; nothing begins when the time is short."""

    class Refusing(FakeObjects):
        def put_new(self, key: str, body: bytes) -> bool:  # noqa: ARG002
            raise AccessDenied("Access denied: s3:PutObject", action="s3:PutObject")

    log, now = Log(), YEAR + 40 * DAY + 31 * DAY
    log.windows(YEAR, YEAR + 60 * DAY)
    refusing = Catalog(Refusing(log.objects.objects))

    def tick(catalog: Catalog, left: float) -> Compaction:
        one = Candidate(catalog=catalog, home=HOME, table_id="x", head=now)
        watch = Watch(read=lambda: 0.0, pause=lambda _s: None, deadline=left)
        return compact_due([one], watch, now)

    assert isinstance(tick(refusing, 300).error, AccessDenied)
    assert tick(log.catalog, 30) == Compaction()
    assert [key[-16:] for key in tick(log.catalog, 300).written] == ["2025-01.jsonl.gz"]
    assert tick(log.catalog, 300) == Compaction()


def test_a_moment_within_a_months_first_second() -> None:
    """With its milliseconds it sorts before the second itself, and is in the same month."""
    log = Log()
    log.windows(YEAR, YEAR + 60 * DAY)
    log.export(Snapshot(moment=month(2).start + timedelta(milliseconds=622)))
    assert log.compact(YEAR + 75 * DAY) == ["2025-01.jsonl.gz"]
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())
    assert log.compact(YEAR + 105 * DAY) == ["2025-02.jsonl.gz"]
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())


def test_months_without_records_and_without_index_are_listed() -> None:
    """What appears in a month that no index stands for is seen, before or between indexes."""
    log = Log()
    log.windows(YEAR, YEAR + 20 * DAY)
    log.windows(YEAR + 70 * DAY, YEAR + 80 * DAY)
    assert log.compact(YEAR + 200 * DAY) == ["2025-01.jsonl.gz", "2025-03.jsonl.gz"]
    log.export(Window(start=YEAR + 40 * DAY, stop=YEAR + 41 * DAY))
    log.export(Window(start=YEAR - 40 * DAY, stop=YEAR - 39 * DAY))
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())


def test_what_comes_late_into_an_index_makes_a_new_revision() -> None:
    """Nothing is overwritten: a second index of the month, or of the year, counts instead."""
    log = Log()
    log.windows(YEAR, YEAR + 370 * DAY)
    log.compact(YEAR + 130 * DAY)
    log.export(Window(start=YEAR + HOUR, stop=YEAR + 2 * HOUR))
    assert log.history().ledger(Heads()) != log.listed().ledger(Heads())
    revised = revise(log.history(), [month(1)])
    assert [key.rsplit("/", 1)[1] for key in revised] == ["2025-01.r2.jsonl.gz"]
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())
    assert log.compact(YEAR + 420 * DAY)[-1] == "2025.jsonl.gz"
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())
    log.export(Window(start=YEAR + 2 * HOUR, stop=YEAR + 3 * HOUR))
    revised = revise(log.history(), [month(1), month(2)])
    assert [key.rsplit("/", 1)[1] for key in revised] == ["2025.r2.jsonl.gz"]
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())


def test_lost_loose_records_are_kept_by_a_new_revision() -> None:
    """If somebody removed what an index stands for, a revision of it still has all of it."""
    log = Log()
    log.windows(YEAR, YEAR + 60 * DAY)
    everything = log.listed().ledger(Heads())
    log.compact(YEAR + 101 * DAY)
    for key in [key for key in log.objects.objects if "/log/" in key and "20250110" in key]:
        del log.objects.objects[key]
    revise(log.history(), [month(1)])
    assert log.history().ledger(Heads()) == everything


def test_names_tell_indexes() -> None:
    """The newest revision counts, by number; names that are not ours are passed over."""
    names = ["2025-01.jsonl.gz", "2025-01.r10.jsonl.gz", "2025-01.r9.jsonl.gz", "2025-13.jsonl.gz"]
    assert [index.name for index in chosen([*names, "notes.txt"])] == ["2025-01.r10.jsonl.gz"]
    for name in ("2025.jsonl.gz", "2025-12.jsonl.gz", "2025.r2.jsonl.gz"):
        index = parse_index_name(name)
        assert index is not None
        assert index.name == name
    assert Index(period=month(12)).period.stop == datetime(2026, 1, 1, tzinfo=UTC)


def test_one_day_of_a_month_is_due() -> None:
    """40 days after a month's end; on every other day a tick does not even look."""
    days = [d for d in range(365) if due_day(YEAR + d * DAY)]
    assert len(days) == 12
    assert YEAR + days[0] * DAY == datetime(2025, 1, 10, tzinfo=UTC)
    assert due_until(datetime(2025, 1, 10, tzinfo=UTC)) == datetime(2024, 12, 1, tzinfo=UTC)
    assert due_until(datetime(2025, 1, 9, 23, tzinfo=UTC)) == datetime(2024, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("spoil", ["cut", "schema", "short", "text", "empty"])
def test_a_spoilt_index_is_told_as_such(spoil: str) -> None:
    """Never half of it: it is damaged, and the hint says that its records are still there."""
    lines = [make_line(f"20250101T{n:02}0000Z.window.gap.json", {}) for n in range(24)]
    packed = encode(HOME, "x", month(1), lines)
    text = gzip.decompress(packed)
    spoilt = {
        "cut": packed[:-9],
        "schema": gzip.compress(text.replace(b"index/1", b"index/2")),
        "short": gzip.compress(text.replace(lines[-1].raw + b"\n", b"")),
        "text": b"not a gzip",
        "empty": gzip.compress(b""),
    }
    assert [line.name for line in decode("k", packed)] == [line.name for line in lines]
    with pytest.raises(DamagedError, match="index k cannot be read") as caught:
        list(decode("k", spoilt[spoil]))
    assert "still there" in caught.value.hint


def test_the_same_records_are_the_same_bytes() -> None:
    """Two ticks that index the same month write the same object."""
    line = make_line("n", details_of({"items": 1, "request": {"bucket": "b", "key": None}}))
    assert line.details == {"bucket": "b", "items": 1}
    assert encode(HOME, "x", month(1), [line]) == encode(HOME, "x", month(1), [line])


def test_every_table_is_found_with_one_request_each() -> None:
    """Tables and TableIds are found by jumping over their records."""
    log = Log()
    for name in ("a", "b-1", "b.2", "b"):
        for table_id in ("x", "y"):
            home = Home(account=HOME.account, region=HOME.region, name=name)
            for n in range(30):
                log.objects.put(gap_key(home, table_id, YEAR + n * DAY), b"")
    found = [(h.home.name, h.table_id) for h in histories(log.catalog, HOME.account, HOME.region)]
    assert sorted(found) == [(n, i) for n in ("a", "b", "b-1", "b.2") for i in ("x", "y")]
    # One listing of indexes, one for each log, and one that finds no more.
    assert log.store.requests == {"LIST": 10}
