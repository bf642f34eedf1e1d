"""After a catalog was lost nothing that was held expires, and what is gone for good is said."""

from __future__ import annotations

import copy
from threading import RLock

import pytest

from coldtable.core.holds import hold_key
from coldtable.core.records import Home
from coldtable.model import Window
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.expire import Ground, TableExpiry, expire, plan_expiry
from coldtable.ops.hold import add_hold, all_holds, confirm_holds, holds_of, release_hold
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.rebuild_report import RebuildReport
from coldtable.ops.shelf import Shelf, open_shelf
from coldtable.testing.world import Crash, Fuse
from tests.unit.ticking import DAY, HOUR, Night, policy

KEEP = Retention(daily=1)


@pytest.fixture(scope="module")
def lived() -> Night:
    """Three chains, the first of which is held; whoever changes them takes a copy."""
    night = Night(policy(every=6 * HOUR, full_every=DAY, rpo=DAY))
    night.run(3 * DAY, 6 * HOUR)
    hold(night)
    return night


def twin(night: Night) -> Night:
    return copy.deepcopy(night, {id(night.aws._lock): RLock()})


def catalog(night: Night) -> Catalog:
    return Catalog(night.aws.bucket)


def shelf(night: Night) -> Shelf:
    home = Home.of(night.table)
    return open_shelf(catalog(night), home, night.table.table_id, catalog(night).heads(home))


def hold(night: Night) -> Hold:
    units = shelf(night).units(night.aws.now).units
    wanted = Hold(number=0, reason="case 7", at=night.aws.now, moment=units[0].start)
    return add_hold(catalog(night), Home.of(night.table), wanted, units)


def plan(night: Night) -> TableExpiry:
    return plan_expiry(shelf(night), KEEP, ground(night))


def ground(night: Night) -> Ground:
    return Ground(store=night.aws.bucket, vault=None, now=night.aws.now)


def lose(night: Night, part: str = "") -> None:
    for key in list(night.aws.bucket.keys("coldtable/")):
        if part in key:
            night.aws.bucket.remove(key)


def rebuilt(night: Night, fuse: Fuse | None = None, **more: bool) -> RebuildReport:
    store = (fuse or Fuse()).wire(night.aws.bucket, "put_new")
    source = Source(store=store, prefix="", catalog=Catalog(store))
    return rebuild(source, night.aws.now, **more)


def open_holds(night: Night) -> list[tuple[int, bool]]:
    return [(h.number, h.rebuilt) for h in holds_of(catalog(night), Home.of(night.table))]


def test_nothing_expires_until_somebody_has_confirmed(lived: Night) -> None:
    """All of the catalog is lost, the hold with it: everything is held, and that is said. Placed
    again and confirmed, the rules count as before, and what was held is still there."""
    night = twin(lived)
    before = plan(night)
    assert [d.keep for d in before.decisions].count(False) > 0
    lose(night)
    report = rebuilt(night)
    (said,) = (text for text in report.lost if text.startswith("Holds"))
    assert "still there: none" in said
    assert "of orders" in said
    assert "coldtable hold confirm" in said
    after = plan(night)
    assert (after.removals, after.leaving) == ((), ())
    assert all("the catalog was rebuilt" in d.reasons[-1] for d in after.decisions)
    home = Home.of(night.table)
    hold(night)
    assert open_holds(night) == [(1, True), (2, False)]
    assert confirm_holds(catalog(night), home, night.aws.now, reason="seen", by="ann") == (1,)
    assert confirm_holds(catalog(night), home, night.aws.now, reason="seen", by="ann") == ()
    assert [r.piece.attempt.export_id for r in plan(night).removals] == [
        r.piece.attempt.export_id for r in before.removals
    ]
    assert plan(night).decisions[0].reasons == ("held: case 7",)


def test_one_such_hold_is_enough_and_a_complete_catalog_gets_none(lived: Night) -> None:
    """A second loss before anybody has confirmed places no second one; without a loss none is
    placed; after a confirmation another loss places another."""
    night = twin(lived)
    assert rebuilt(night).held == {}
    assert open_holds(night) == [(1, False)]
    for _ in range(2):
        lose(night, "/log/")
        assert rebuilt(night).held == {Home.of(night.table): (1,)}
        assert open_holds(night) == [(1, False), (2, True)]
    confirm_holds(catalog(night), Home.of(night.table), night.aws.now, reason="ok", by="ann")
    assert rebuilt(night).held == {}
    lose(night, "/log/")
    assert "still there: orders 1" in rebuilt(night).lost[-1]
    assert open_holds(night) == [(1, False), (3, True)]


def test_a_dry_run_places_none(lived: Night) -> None:
    """It says that everything would be held, and writes nothing."""
    night = twin(lived)
    lose(night)
    assert Home.of(night.table) in rebuilt(night, dry_run=True).held
    assert list(night.aws.bucket.keys("coldtable/")) == []


def test_killed_anywhere_nothing_expires(lived: Night) -> None:
    """Wherever a rebuild dies, what it has recorded by then is held."""
    counter = Fuse()
    night = twin(lived)
    lose(night)
    rebuilt(night, counter)
    for number in range(len(counter.calls)):
        for after in (False, True):
            night = twin(lived)
            lose(night)
            with pytest.raises(Crash):
                rebuilt(night, Fuse(number, after=after))
            assert plan(night).removals == ()


def test_a_hold_whose_record_is_lost_holds_everything(lived: Night) -> None:
    """Its number is passed over: nobody knows what it held. It can be released like any other, and
    the report still tells of it."""
    night = twin(lived)
    home = Home.of(night.table)
    hold(night)
    night.aws.bucket.remove(hold_key(home, 1))
    assert all(
        any("the record of hold 1 is lost" in why for why in d.reasons)
        for d in plan(night).decisions
    )
    assert release_hold(catalog(night), home, 1, night.aws.now, reason="was case 6", by="ann")
    assert plan(night).removals
    assert [(h.number, why) for h, _, why in all_holds(catalog(night), home)] == [
        (1, "was case 6"),
        (2, ""),
    ]


def test_what_has_expired_is_not_missed(lived: Night) -> None:
    """A rebuild of a catalog that lost other records neither records expired exports again nor
    takes their time for a gap."""
    night = twin(lived)
    expire(plan(night), ground(night))
    before = night.timeline()
    newest = before.chains[-1].base.strftime("%Y%m%dT%H%M%SZ")
    lost = [k for k in night.aws.bucket.keys("coldtable/v1/log/") if f"/{newest}" in k]
    assert lost
    for key in lost:
        night.aws.bucket.remove(key)
    assert night.timeline() != before
    report = rebuilt(night)
    assert [one.attempt.span for one in report.tables[0].added] != []
    assert report.tables[0].left == ()
    assert night.timeline() == before
    assert night.timeline().gaps == ()


def test_what_has_expired_of_late_is_not_asked_for_again(lived: Night) -> None:
    """All of the catalog is lost, and AWS still tells of exports that have expired: they are not
    under way, nobody exports them again, and nobody is told that they are damaged."""
    night = twin(lived)
    expire(plan(night), ground(night))
    before, told = night.timeline().chains, list(night.subjects)
    lose(night)
    source = Source(
        store=night.aws.bucket,
        prefix="",
        catalog=catalog(night),
        exporter=night.aws,
        policies={"orders": night.policy},
    )
    (line,) = rebuild(source, night.aws.now).tables
    flying = {e.arn for _, e, _, _ in night.aws._exports.values() if e.ended is None}
    assert {f"{night.table.arn}/export/{name}" for _, name in line.under_way} == flying
    assert night.timeline().chains == before
    started = len(night.aws.started)
    night.run(DAY, 6 * HOUR)
    spans = [r.span for r in night.aws.started[started:]]
    assert all(before[-1].end <= (s.start if isinstance(s, Window) else s.moment) for s in spans)
    assert night.subjects == told
