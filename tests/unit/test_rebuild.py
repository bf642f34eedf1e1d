"""Rebuild: a catalog comes back from manifests alone, and the tick goes on as if nothing was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from coldtable.core.manifest import md5_of
from coldtable.core.records import Home
from coldtable.errors import AccessDenied, ColdtableError
from coldtable.model import Destination, Export, ExportRequest, Snapshot, Span, Window
from coldtable.ops.catalog import Catalog
from coldtable.ops.history import History
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.rebuild_report import RebuildReport
from tests.unit.ticking import DAY, HOUR, Night, policy


def catalog_keys(night: Night) -> list[str]:
    return [key for key in night.aws.bucket.objects if key.startswith("coldtable/")]


def lose_catalog(night: Night) -> dict[str, bytes]:
    """Every record is deleted; returns what there was."""
    return {key: night.aws.bucket.objects.pop(key) for key in catalog_keys(night)}


def rebuilt(night: Night, *, ask: bool = True, **more: Any) -> RebuildReport:
    source = Source(
        store=night.aws.bucket,
        prefix="",
        catalog=Catalog(night.aws.bucket),
        exporter=night.aws if ask else None,
        policies={"orders": night.policy} if ask else {},
    )
    return rebuild(source, night.aws.now, **more)


def foreign(night: Night, span: Span, prefix: str = "by-hand") -> Export:
    """An export that somebody else starts."""
    view = None if isinstance(span, Snapshot) else night.policy.view
    request = ExportRequest(
        table=night.table, span=span, view=view, to=Destination(bucket="archive"), prefix=prefix,
        token=f"foreign-{prefix}-{span}",
    )  # fmt: skip
    return night.aws.start(request)


def test_a_complete_catalog_lacks_nothing() -> None:
    """Idempotent: with failures, damage and exports in flight, rebuild adds no record."""
    night = Night()
    night.run(3 * HOUR)
    night.aws.failures = ["S3AccessDenied"]
    night.run(3 * HOUR)
    night.aws.damages = ["data"]
    night.run(3 * HOUR)
    night.aws.pass_time(HOUR)
    night.tick()
    before = catalog_keys(night)
    report = rebuilt(night)
    assert report.added == 0
    assert report.lost == ()
    assert report.indexes == ()
    assert catalog_keys(night) == before
    assert report.tables[0].found > report.tables[0].known > 5


def test_the_tick_goes_on_after_a_rebuild() -> None:
    """The catalog is deleted while exports run; after it no gap, nothing exported twice."""
    night = Night(policy(full_every=2 * DAY))
    night.aws.failures = ["S3AccessDenied"]
    night.run(3 * DAY, every=timedelta(minutes=30))
    before = night.timeline()
    assert len(before.chains) == 2
    started = len(night.aws.started)
    lose_catalog(night)
    report = rebuilt(night)
    assert night.timeline() == before
    assert rebuilt(night).added == 0
    night.run(5 * HOUR)
    assert night.aws.paid_twice() == []
    assert night.timeline() == night.truth()
    assert night.timeline().gaps == ()
    assert len(night.aws.started) <= started + 6
    assert any("definition" in text for text in report.lost)
    assert any("failed" in text for text in report.lost)


def test_what_is_under_way_is_followed_and_not_started_again() -> None:
    """A first full export in flight, and nothing else in the world: the rebuild notes it."""
    night = Night()
    night.tick()
    assert len(night.aws.started) == 1
    lose_catalog(night)
    night.aws.pass_time(timedelta(minutes=5))
    report = rebuilt(night)
    assert [slot.name for slot, _ in report.tables[0].under_way] == ["000001"]
    night.run(3 * HOUR)
    assert len([r for r in night.aws.started if isinstance(r.span, Snapshot)]) == 1
    assert night.timeline().chains[0].windows >= 1


def test_after_aws_has_forgotten() -> None:
    """Without asking AWS the same chain comes back, from the bucket alone."""
    night = Night()
    night.run(10 * HOUR)
    night.aws.pass_time(HOUR)
    night.tick()
    night.aws.pass_time(HOUR)
    before = lose_catalog(night)
    assert before
    report = rebuilt(night, ask=False)
    assert night.timeline() == night.truth()
    assert report.tables[0].added[0].source.filtered is False


def test_a_retry_keeps_its_number() -> None:
    """The attempt is told by the prefix, so that its token is never asked for again."""
    night = Night()
    night.run(2 * HOUR)
    night.aws.failures = ["S3AccessDenied"]
    night.run(3 * HOUR)
    lose_catalog(night)
    report = rebuilt(night)
    assert {r.attempt.number for r in report.tables[0].added} == {1, 2}


def test_what_is_not_whole_is_told_and_not_recorded() -> None:
    """A missing object, a wrong MD5: each is named with its reason; the others are recorded."""
    night = Night()
    night.run(8 * HOUR)
    lose_catalog(night)
    data = [key for key in night.aws.bucket.objects if key.endswith(".json.gz")]
    del night.aws.bucket.objects[data[-1]]
    night.aws.bucket.objects[data[0]] = b"short"
    sums = [key for key in night.aws.bucket.objects if key.endswith("manifest-files.md5")]
    night.aws.bucket.objects[sums[1]] = b"else"
    summaries = [key for key in night.aws.bucket.objects if key.endswith("summary.md5")]
    night.aws.bucket.objects[summaries[2]] = b"else"
    report = rebuilt(night, ask=False)
    assert len(report.damaged) == 4
    told = " ".join(one.why for one in report.damaged)
    assert "is not there" in told
    assert "has only 5 bytes" in told
    assert told.count("does not match its MD5") == 2
    assert len(report.tables[0].added) == report.tables[0].found - 3


def test_damage_that_a_retry_has_mended_is_no_news() -> None:
    """An export whose slot another attempt has filled is left, and is not called damage."""
    night = Night()
    night.run(2 * HOUR)
    night.aws.damages = ["data"]
    night.run(4 * HOUR)
    lose_catalog(night)
    report = rebuilt(night)
    assert len(report.tables[0].left) == 1
    assert report.damaged == ()


def test_a_filtered_export_never_counts() -> None:
    """DescribeExport tells; once AWS has forgotten, it counts, and the report says so."""
    night = Night()
    night.run(2 * HOUR)
    moment = night.aws.now - timedelta(minutes=20)
    done = foreign(night, Snapshot(moment=moment.replace(second=0)))
    night.aws.pass_time(HOUR)
    night.tick()
    answer = night.aws.describe(done.arn)

    class Filtering:
        def describe(self, arn: str) -> Export:
            return replace(answer, filtered=True) if arn == done.arn else night.aws.describe(arn)

        def __getattr__(self, name: str) -> Any:
            return getattr(night.aws, name)

    source = Source(
        store=night.aws.bucket,
        prefix="",
        catalog=Catalog(night.aws.bucket),
        exporter=Filtering(),
        policies={"orders": night.policy},
    )
    report = rebuild(source, night.aws.now)
    assert [(one.export_id, one.why) for one in report.tables[0].left] == [
        (done.export_id, "it was filtered, so it is no copy of the table")
    ]
    assert report.added == 0
    report = rebuilt(night, ask=False)
    assert [r.attempt.export_id for r in report.tables[0].added] == [done.export_id]
    assert any("FilterSpecification" in text for text in report.lost)


def test_exports_of_others_fill_places_that_are_free() -> None:
    """A full one is a snapshot; a window that begins with one of ours is left."""
    night = Night()
    night.run(6 * HOUR)
    base = night.timeline().chains[0].base
    full = foreign(night, Snapshot(moment=base + HOUR))
    twin = foreign(night, Window(start=base, stop=base + timedelta(minutes=30)), "twin")
    own = foreign(night, Window(start=base + timedelta(minutes=30), stop=base + HOUR), "own")
    night.aws.pass_time(timedelta(minutes=15))
    night.tick()
    report = rebuilt(night)
    line = report.tables[0]
    assert [r.attempt.export_id for r in line.added] == [own.export_id, full.export_id]
    assert [left.export_id for left in line.left] == [twin.export_id]
    assert all(r.source.filtered is False for r in line.added)
    night.run(3 * HOUR)
    assert night.timeline().gaps == ()
    assert night.aws.paid_twice() == []
    # From nothing the place of the twin goes to ours, too: the chain goes on from its end.
    lose_catalog(night)
    assert twin.export_id in {left.export_id for left in rebuilt(night).tables[0].left}
    assert night.timeline().gaps == ()


def test_a_moment_between_two_seconds_carries_no_chain() -> None:
    """A full export of nobody's choice of time is a restore point, and no chain begins on it."""
    night = Night()
    moment = (night.aws.now - timedelta(minutes=8)).replace(microsecond=622000)
    done = foreign(night, Snapshot(moment=moment))
    night.aws.pass_time(timedelta(minutes=10))
    # AWS writes the milliseconds into the manifest, as the fake does not.
    summary = next(k for k in night.aws.bucket.objects if k.endswith("summary.json"))
    exact = moment.strftime("%Y-%m-%dT%H:%M:%S.622Z")
    body = {**json.loads(night.aws.bucket.objects[summary]), "exportTime": exact}
    night.aws.bucket.objects[summary] = json.dumps(body).encode()
    md5 = md5_of(night.aws.bucket.objects[summary]).encode()
    night.aws.bucket.objects[summary.replace(".json", ".md5")] = md5
    report = rebuilt(night, ask=False)
    assert [r.attempt.export_id for r in report.tables[0].added] == [done.export_id]
    assert any("lies between two seconds" in text for text in report.lost)
    assert [c.base for c in night.timeline().chains] == [moment]
    night.run(3 * HOUR)
    assert len(night.timeline().chains) == 2
    assert night.timeline().chains[0].windows == 0
    assert all(
        r.span.moment.microsecond == 0
        for r in night.aws.started[1:]
        if isinstance(r.span, Snapshot)
    )


def test_a_table_that_was_replaced_is_noted_as_gone_again() -> None:
    """Otherwise people would hear of its end once more."""
    night = Night()
    night.run(4 * HOUR)
    old = night.table.table_id
    night.aws.drop("orders")
    night.aws.pass_time(HOUR)
    night.table = night.aws.create("orders")
    night.run(4 * HOUR)
    subjects = night.subjects
    lose_catalog(night)
    report = rebuilt(night)
    assert [line.ended for line in report.tables] == [True, False]
    assert night.ledger(old).ended
    night.run(2 * HOUR)
    assert night.subjects == subjects


def test_a_rebuilt_catalog_is_indexed() -> None:
    """What is old enough gets its indexes at once, and late finds a new revision."""
    night = Night(policy(every=12 * HOUR, rpo=DAY))
    night.run(20 * DAY, every=6 * HOUR)
    moment = night.aws.now.replace(hour=1, minute=0) - DAY
    done = foreign(night, Snapshot(moment=moment))
    night.run(60 * DAY, every=6 * HOUR)
    kept = lose_catalog(night)
    by_hand = {
        k: night.aws.bucket.objects.pop(k)
        for k in list(night.aws.bucket.objects)
        if k.startswith("by-hand")
    }
    report = rebuilt(night)
    assert [key.rsplit("/", 1)[1] for key in report.indexes] == [
        "2026-11.jsonl.gz",
        "2026-12.jsonl.gz",
        "2026.jsonl.gz",
    ]
    assert {k for k in kept if "/index/" in k} <= set(report.indexes)
    night.aws.bucket.objects.update(by_hand)
    report = rebuilt(night)
    assert [r.attempt.export_id for r in report.tables[0].added] == [done.export_id]
    assert [key.rsplit("/", 1)[1] for key in report.indexes] == ["2026.r2.jsonl.gz"]
    catalog, home = Catalog(night.aws.bucket), Home.of(night.table)
    names = [k.rsplit("/", 1)[1] for k in night.aws.bucket.keys(home.index(night.table.table_id))]
    history = History(
        catalog=catalog, home=home, table_id=night.table.table_id, indexes=tuple(names)
    )
    assert history.ledger(catalog.heads(home)).snapshots == night.ledger().snapshots != ()
    assert rebuilt(night).added == 0


def test_a_dry_run_writes_nothing() -> None:
    """The same report, and not one object."""
    night = Night()
    night.run(4 * HOUR)
    lose_catalog(night)
    dry = rebuilt(night, dry_run=True)
    assert catalog_keys(night) == []
    wet = rebuilt(night)
    assert dry.added == wet.added > 3
    assert dry.tables[0].timeline == wet.tables[0].timeline == night.timeline()


@pytest.mark.parametrize("error", [AccessDenied("no", action="dynamodb:DescribeExport")])
def test_who_may_not_ask_is_told_that_filters_are_unknown(error: ColdtableError) -> None:
    """A refused DescribeExport is no reason to give up: the export counts, and that is said."""
    night = Night()
    night.run(2 * HOUR)
    foreign(night, Snapshot(moment=(night.aws.now - timedelta(minutes=30)).replace(second=0)))
    night.run(HOUR)

    class Refusing:
        asked = 0

        def describe(self, arn: str) -> Export:  # noqa: ARG002
            Refusing.asked += 1
            raise error

        def __getattr__(self, name: str) -> Any:
            return getattr(night.aws, name)

    source = Source(
        store=night.aws.bucket,
        prefix="",
        catalog=Catalog(night.aws.bucket),
        exporter=Refusing(),
        policies={"orders": night.policy},
    )
    report = rebuild(source, night.aws.now)
    assert len(report.tables[0].added) == 1
    assert any("FilterSpecification" in text for text in report.lost)
    assert Refusing.asked == 1


def test_a_window_that_was_lost_is_made_again_and_no_more() -> None:
    """A failed window before one that is whole: only its own time is exported after a rebuild."""
    night = Night()
    night.run(3 * HOUR)
    night.aws.failures = ["S3AccessDenied", "S3AccessDenied"]
    night.run(HOUR)
    while len(night.aws.started) < 6:
        night.run(timedelta(minutes=15))
    night.aws.pass_time(timedelta(minutes=20))
    lose_catalog(night)
    rebuilt(night)
    night.run(5 * HOUR)
    windows = sorted(
        r.span for r in night.aws.completed(night.table.table_id) if isinstance(r.span, Window)
    )
    assert all(a.stop <= b.start for a, b in pairwise(windows)), windows
    assert night.timeline().gaps == ()
    assert night.timeline() == night.truth()


@pytest.mark.parametrize("name", ["manifest-files.json", "manifest-summary.json"])
def test_what_s3_has_archived_is_not_damaged(name: str) -> None:
    """A list of files or a summary that S3 must bring back first keeps its export out of the
    catalog, with the reason; nobody has seen a wrong byte."""
    night = Night()
    night.run(3 * HOUR)
    lose_catalog(night)
    keys = [key for key in night.aws.bucket.objects if key.endswith(name)]
    night.aws.bucket.storage[keys[0]] = "DEEP_ARCHIVE"
    report = rebuilt(night)
    (left,) = (*report.unreadable, *report.tables[0].left)
    assert left.why == "it is archived in DEEP_ARCHIVE: not read"
    assert not left.damaged
    assert all(not one.damaged for one in report.tables[0].left)
