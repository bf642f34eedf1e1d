"""The tick over an AWS in memory: chains that grow, heal, break and begin anew."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from coldtable.model import Snapshot, Window
from coldtable.testing.world import Fuse
from tests.unit.ticking import DAY, HOUR, Night, policy


def test_a_chain_begins_and_grows() -> None:
    """First a full export at a whole second, then windows that start exactly where it is."""
    night = Night()
    night.run(6 * HOUR)
    (chain,) = night.timeline().chains
    assert chain.windows >= 4
    spans = [request.span for request in night.aws.started]
    assert isinstance(spans[0], Snapshot)
    cursor = spans[0].moment
    for span in spans[1:]:
        assert isinstance(span, Window)
        assert span.start == cursor
        cursor = span.stop
    assert night.timeline() == night.truth()
    assert night.subjects == []


def test_an_outage_is_caught_up_in_few_windows() -> None:
    """After two days without a tick the missing windows are as few as the limits allow."""
    night = Night()
    night.run(3 * HOUR)
    before = len(night.aws.started)
    night.aws.pass_time(2 * DAY + 3 * HOUR + timedelta(minutes=20))
    night.tick()
    windows = [r.span for r in night.aws.started[before:]]
    lengths = [w.stop - w.start for w in windows if isinstance(w, Window)]
    assert len(lengths) == 3
    assert lengths[:2] == [DAY, DAY]
    night.run(HOUR)
    assert night.timeline().gaps == ()
    assert night.timeline() == night.truth()
    assert night.subjects == ["coldtable: orders: stale", "coldtable: orders: over"]


def test_a_failed_export_is_repeated_with_a_new_token() -> None:
    """The same window again, other token and prefix; nobody is told of one failure."""
    night = Night()
    night.run(2 * HOUR)
    night.aws.failures = ["S3AccessDenied"]
    night.run(3 * HOUR)
    spans = [r.span for r in night.aws.started]
    twice = [s for s in spans if spans.count(s) == 2]
    assert len(twice) == 2
    first, second = (r for r in night.aws.started if r.span == twice[0])
    assert first.token != second.token
    assert second.prefix == first.prefix + "-a2"
    assert night.timeline() == night.truth()
    assert night.subjects == []


def test_a_lasting_failure_is_told_once_and_once_when_it_is_over() -> None:
    """A revoked bucket fails exports: one message, however long; one more when it is mended."""
    night = Night()
    night.run(2 * HOUR)
    night.aws.bucket_open = False
    night.run(20 * HOUR)
    assert night.subjects == ["coldtable: orders: stale"] or night.subjects == [
        "coldtable: orders: failing"
    ]
    night.aws.bucket_open = True
    night.run(8 * HOUR)
    assert night.subjects[1:] == ["coldtable: orders: over"]
    assert night.timeline().gaps == ()
    assert night.aws.paid_twice() == []


def test_pitr_off_and_on_leaves_a_gap_and_begins_a_new_chain() -> None:
    """What was written meanwhile is lost: a gap is noted, told, and a new full export follows."""
    night = Night()
    night.run(4 * HOUR)
    end = night.timeline().newest
    night.aws.switch_pitr("orders", on=False)
    night.aws.switch_pitr("orders", on=True)
    night.run(4 * HOUR)
    found = night.timeline()
    assert len(found.chains) == 2
    assert [gap.start for gap in found.gaps] == [max(end or night.aws.now, found.gaps[0].start)]
    assert night.subjects == ["coldtable: orders: history lost", "coldtable: orders: over"]
    assert found == night.truth()


def test_a_recreated_table_ends_its_chain_and_begins_another() -> None:
    """The name is the same, the TableId is not: the old chain ends, people hear of it."""
    night = Night()
    night.run(4 * HOUR)
    old = night.table.table_id
    night.aws.drop("orders")
    night.aws.pass_time(HOUR)
    night.table = night.aws.create("orders")
    night.run(4 * HOUR)
    assert night.ledger(old).ended
    assert len(night.timeline(old).chains) == 1
    assert len(night.timeline().chains) == 1
    assert night.subjects == ["coldtable: orders: history lost", "coldtable: orders: over"]


def test_a_period_that_is_due_begins_a_chain_where_the_old_one_ends() -> None:
    """After 30 days a new full export stands at a window's end: no gap, two chains."""
    night = Night(policy(every=timedelta(hours=12), rpo=DAY))
    night.run(31 * DAY, every=timedelta(hours=4))
    found = night.timeline()
    assert len(found.chains) == 2
    assert found.gaps == ()
    assert len(found.coverage) == 1
    assert found == night.truth()


def test_nothing_to_do_is_an_empty_plan() -> None:
    """Right after everything is verified a tick plans nothing and starts nothing."""
    night = Night()
    night.run(5 * HOUR)
    night.aws.pass_time(timedelta(minutes=1))
    started = len(night.aws.started)
    report = night.tick()
    assert report.tables[0].plan.actions == ()
    assert len(night.aws.started) == started


def test_a_chain_that_is_older_than_the_horizon_goes_on() -> None:
    """A tick lists 40 days; a base that is older still carries its chain, with no gap."""
    night = Night(policy(every=timedelta(hours=12), rpo=DAY, full_every=90 * DAY))
    night.run(50 * DAY, every=timedelta(hours=4))
    assert len(night.timeline().chains) == 1
    assert night.ledger().gaps == frozenset()


def test_an_outage_that_makes_a_base_old_breaks_no_chain() -> None:
    """A base of 45 days ago, windows until 16 days ago, PITR of 35 days: all is caught up."""
    night = Night(policy(every=timedelta(hours=12), rpo=DAY))
    night.run(29 * DAY, every=timedelta(hours=4))
    night.aws.pass_time(16 * DAY)
    night.run(DAY, every=timedelta(hours=4))
    assert night.timeline().gaps == ()
    assert night.timeline() == night.truth()


def test_an_older_chain_is_no_gap_once_its_beginning_is_not_listed() -> None:
    """44 days in, with two chains that join: the first begins before what a tick lists."""
    night = Night(policy(every=12 * HOUR, rpo=DAY))
    night.run(44 * DAY, every=6 * HOUR)
    assert len(night.timeline().chains) == 2
    assert night.ledger().gaps == frozenset()


def test_a_tick_indexes_what_has_settled() -> None:
    """A month is indexed 40 days after its end. A tick with nothing to do makes one call more on
    that day, whatever the number of tables, and none on any other."""
    night = Night(policy(every=12 * HOUR, rpo=DAY))
    night.run(44 * DAY, every=6 * HOUR)
    quiet = {}
    for _ in range(12):
        night.aws.pass_time(4 * HOUR)
        fuse = Fuse()
        if not night.tick(fuse).tables[0].steps:
            quiet[night.aws.now.day] = Counter(fuse.calls)
    assert quiet[9] == {"table": 1, "pitr": 1, "keys": 1, "entries": 1}
    assert quiet[10] - quiet[9] == {"keys": 1}
    home = f"coldtable/v1/index/000000000000/us-east-1/orders/{night.table.table_id}/"
    written = [(r.at, key) for r in night.reports for key in r.compaction.written]
    assert written == [(datetime(2027, 1, 10, 0, 30, tzinfo=UTC), f"{home}2026-11.jsonl.gz")]
    assert written[0][1] in night.aws.bucket.objects
