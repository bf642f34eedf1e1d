"""A table that is gone: who says so, and after how long nothing of it is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coldtable.core.records import Home
from coldtable.core.retention import Gone
from coldtable.errors import TableNotFound
from coldtable.model import Table
from coldtable.model_policy import Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.expire import Ground, expire, plan_expiry
from coldtable.ops.gone import find_gone, reach
from coldtable.ops.shelf import Shelf, shelves
from tests.unit.ticking import DAY, HOUR, Night, policy

QUARTER = timedelta(hours=6)
KEEP = Retention(daily=2, gone=30 * DAY)


@pytest.fixture
def night() -> Night:
    """Chains of two days of a table."""
    night = Night(policy(every=QUARTER, full_every=DAY, rpo=DAY))
    night.run(2 * DAY, QUARTER)
    return night


def shelf(night: Night, table_id: str = "") -> Shelf:
    wanted = table_id or night.table.table_id
    home = Home.of(night.table)
    found = shelves(Catalog(night.aws.bucket), home.account, home.region)
    return next(one for one in found if one.table_id == wanted)


def never(name: str) -> Table:
    raise AssertionError(f"nobody is to be asked for {name}")


def deleted(name: str) -> Table:
    raise TableNotFound(f"no {name}")


def test_nobody_is_asked_before_it_matters(night: Night) -> None:
    """Without days in the rules, or before they are over, it makes no difference."""
    newest = shelf(night).newest
    assert newest
    for keep, later in ((Retention(daily=1), 4000), (KEEP, 30)):
        assert find_gone(shelf(night), keep, newest + later * DAY, never) is None
    assert find_gone(shelf(night), KEEP, None, never) is None


def test_gone_is_what_dynamodb_does_not_know_or_knows_as_another(night: Night) -> None:
    """Deleted, or made anew; a table that is only not exported any more is there, and stays."""
    newest = shelf(night).newest
    assert newest
    until = newest + 31 * DAY
    assert find_gone(shelf(night), KEEP, until, deleted) == Gone(length=31 * DAY)
    assert find_gone(shelf(night), KEEP, until, night.aws.table) is None
    night.aws.drop("orders")
    assert find_gone(shelf(night), KEEP, until, night.aws.table) == Gone(length=31 * DAY)
    night.aws.create("orders")
    assert find_gone(shelf(night), KEEP, until, night.aws.table) == Gone(length=31 * DAY)


def test_the_archives_time_counts(night: Night) -> None:
    """How far any table's exports reach: not what the computer's clock says, and not a record from
    a time that has not come."""
    newest = shelf(night).newest
    assert newest
    assert reach([shelf(night)], newest + 4000 * DAY) == newest
    assert reach([shelf(night)], newest - HOUR) == newest - HOUR
    assert reach([], newest) is None
    ahead = newest + 4000 * DAY
    assert find_gone(shelf(night), KEEP, reach([shelf(night)], ahead), never) is None


def test_the_former_table_goes_when_the_new_one_has_gone_on(night: Night) -> None:
    """One that was made anew under its name is noted, so that nobody is asked. It keeps what the
    rules keep until its days are over, and then nothing; the new one is not touched by that."""
    old = night.table.table_id
    night.aws.drop("orders")
    night.table = night.aws.create("orders")
    night.run(20 * DAY, DAY)
    found = list(shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1"))
    until = reach(found, night.aws.now)
    gone = find_gone(shelf(night, old), KEEP, until, never)
    assert gone
    assert not gone.is_over(KEEP)
    ground = Ground(store=night.aws.bucket, vault=None, now=night.aws.now)
    planned = plan_expiry(shelf(night, old), KEEP, ground, gone=gone)
    assert planned.gone
    assert planned.decisions[-1].reasons[0] == "newest"
    assert not any("the table is gone" in why for d in planned.decisions for why in d.reasons)
    night.run(20 * DAY, DAY)
    ground = Ground(store=night.aws.bucket, vault=None, now=night.aws.now)
    found = list(shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1"))
    gone = find_gone(shelf(night, old), KEEP, reach(found, night.aws.now), never)
    planned = plan_expiry(shelf(night, old), KEEP, ground, gone=gone)
    assert not any(d.keep for d in planned.decisions)
    before, gaps = night.timeline(), night.ledger(old).gaps
    done = expire(planned, ground)
    assert done.refused == ()
    assert {r.why for r in done.removed} == {gone.text if gone else ""}
    assert shelf(night, old).kept == ()
    assert night.timeline() == before
    night.tick()
    assert night.ledger(old).gaps == gaps
