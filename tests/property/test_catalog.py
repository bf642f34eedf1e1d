"""Whatever a catalog has been through: it can be remade, and indexes say no less than records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from coldtable.core.index import Period
from coldtable.core.records import parse_base_name, parse_log_name
from coldtable.model import Snapshot, Span, Window
from coldtable.model_archive import Attempt, Outcome
from coldtable.ops.catalog import Catalog, Heads
from coldtable.ops.compact import revise
from coldtable.ops.rebuild import Source, rebuild
from tests.unit.test_history import DAY, Log
from tests.unit.ticking import HOUR, Night, policy

QUARTER = timedelta(minutes=15)
START = datetime(2025, 1, 1, tzinfo=UTC)


def quiet(night: Night) -> None:
    night.run(5 * QUARTER)


def outage(night: Night) -> None:
    night.aws.pass_time(7 * HOUR)


def long_outage(night: Night) -> None:
    night.aws.pass_time(60 * HOUR)


def failure(night: Night) -> None:
    night.aws.failures = ["S3AccessDenied"]
    night.run(3 * QUARTER)


def damage(night: Night) -> None:
    night.aws.damages = ["data"]
    night.run(5 * QUARTER)


def reset(night: Night) -> None:
    night.aws.switch_pitr("orders", on=False)
    night.tick()
    night.aws.switch_pitr("orders", on=True)


def replace_table(night: Night) -> None:
    night.aws.drop("orders")
    night.table = night.aws.create("orders", days=2)


def tick(night: Night) -> None:
    night.tick()


EVENTS = [quiet, outage, long_outage, failure, damage, reset, replace_table, tick]


def verified(night: Night) -> set[tuple[str, str, Span | None, str | None]]:
    """Every proven export that the catalog knows, but for the numbers of bases and attempts."""
    found: list[tuple[str, Attempt]] = []
    for key in night.aws.bucket.objects:
        *_, table_id, name = key.split("/")
        fact = parse_base_name(name) if "/base/" in key else parse_log_name(name)
        if key.startswith("coldtable/") and fact and fact.attempt:
            found.append((f"{table_id} {fact.slot.kind}", fact.attempt))
    return {
        (what, a.export_id or "", a.span, a.outcome)
        for what, a in found
        if a.outcome is Outcome.VERIFIED
    }


@settings(max_examples=25, deadline=None)
@example([quiet, quiet, quiet, failure, failure])
@example([outage, failure, failure, failure])
@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_a_rebuilt_catalog_is_the_verified_part_of_the_lost_one(
    events: list[Callable[[Night], None]],
) -> None:
    """Of any history: rebuilding the whole catalog adds nothing; rebuilding a lost one brings back
    all that was verified, and then nothing; and the ticks after it go on with what is there and
    pay for nothing twice."""
    night = Night(policy(full_every=DAY))
    replace_table(night)
    for event in events:
        event(night)
    night.aws.failures, night.aws.damages = [], []
    source = Source(
        store=night.aws.bucket,
        prefix="",
        catalog=Catalog(night.aws.bucket),
        exporter=night.aws,
        policies={"orders": night.policy},
    )
    # Let what has completed be proven, so that the catalog is complete.
    night.tick()
    report = rebuild(source, night.aws.now)
    # Of a table that is gone no tick proves what was in flight; all else it does.
    assert report.added == 0 or replace_table in events
    assert rebuild(source, night.aws.now).added == 0
    before = verified(night)
    for key in [key for key in night.aws.bucket.objects if key.startswith("coldtable/")]:
        del night.aws.bucket.objects[key]
    rebuild(source, night.aws.now)
    assert verified(night) == before
    assert rebuild(source, night.aws.now).added == 0
    night.run(4 * HOUR)
    assert night.aws.paid_twice() == []
    assert night.timeline().coverage == night.truth().coverage


SPANS = st.builds(
    lambda day, hours, full: (
        Snapshot(moment=START + day * DAY)
        if full
        else Window(start=START + day * DAY, stop=START + day * DAY + hours * HOUR)
    ),
    st.integers(0, 480),
    st.sampled_from([1, 24, 24, 24]),
    st.integers(0, 9).map(lambda n: n == 0),
)
EXPORTS = st.tuples(
    SPANS,
    st.sampled_from([Outcome.VERIFIED, Outcome.VERIFIED, Outcome.FAILED, Outcome.DAMAGED, None]),
    st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(EXPORTS, max_size=60),
    st.integers(60, 700),
    st.lists(EXPORTS, max_size=5),
    st.integers(0, 480),
)
def test_indexes_and_a_tail_say_what_all_records_say(
    exports: list[tuple[Span, Outcome | None, int]],
    days: int,
    late: list[tuple[Span, Outcome | None, int]],
    since: int,
) -> None:
    """Of any records, at any time, after any late ones: the ledger, and each slice of it."""
    log = Log()
    for span, outcome, number in exports:
        log.export(span, outcome, number)
    log.compact(START + days * DAY)
    assert log.history().ledger(Heads()) == log.listed().ledger(Heads())
    for span, outcome, number in late:
        log.export(span, outcome, number)
    starts = [s.moment if isinstance(s, Snapshot) else s.start for s, _, _ in late]
    revise(log.history(), {Period.holding(start) for start in starts})
    history = log.history()
    assert history.ledger(Heads()) == log.listed().ledger(Heads())
    begin = START + since * DAY
    assert history.ledger(Heads(), begin) == log.listed().ledger(Heads(), begin)
    loose = {line.name: log.listed().details(line) for line in log.listed().lines()}
    assert all(history.details(line) == loose[line.name] for line in history.lines())
