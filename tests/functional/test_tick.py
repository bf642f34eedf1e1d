"""The tick on the embedded AWS: real exports, real S3, moved time, and everything that goes wrong.

The functions' ports are the real ones; only time is moved, and faults are ordered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial

import pytest

from coldtable.errors import ServiceFailed
from coldtable.local.process import EmbeddedAws
from coldtable.model_policy import Policy
from coldtable.testing.world import Crash, Fuse

from .ticking import DAY, HOUR, Account

QUARTER = timedelta(hours=6)


@pytest.fixture(scope="module")
def moving() -> Iterator[EmbeddedAws]:
    """An emulator with AWS's own limits whose exports end at once."""
    with EmbeddedAws(["--export-seconds", "0.01"]) as running:
        yield running


@pytest.fixture
def here(moving: EmbeddedAws, account: str) -> Account:
    """A fresh account."""
    return Account(moving, account)


def test_forty_days_of_a_continuous_table(here: Account) -> None:
    """Outage, failure, revoked bucket, PITR off and on, another table of the name: the chains are
    whole, the gaps are those that reality forced, every incident is told once, nothing is paid
    twice."""
    here.be_a_user()
    old = here.create("orders", every=QUARTER, rpo=DAY, full_every=timedelta(days=14))
    here.run(5 * DAY, QUARTER)
    assert len(here.timeline("orders").chains) == 1

    here.pass_time(2 * DAY)  # nobody ticks
    here.run(2 * DAY, QUARTER)
    assert here.timeline("orders").gaps == ()
    assert here.heard() == ["coldtable: orders: stale", "coldtable: orders: over"]

    here.aws.fault(fail={"code": "InternalError"})
    here.run(DAY, QUARTER)
    assert here.heard() == []

    here.may_write(yes=False)
    here.run(3 * DAY, QUARTER)
    assert len(here.heard()) == 1
    here.may_write(yes=True)
    here.run(2 * DAY, QUARTER)
    assert here.heard() == ["coldtable: orders: over"]
    assert here.timeline("orders").gaps == ()

    here.run(6 * DAY, QUARTER)
    assert len(here.timeline("orders").chains) == 2  # a period was due
    assert len(here.timeline("orders").coverage) == 1

    here.switch_pitr("orders", on=False)
    here.pass_time(HOUR)
    lost_from = here.timeline("orders").newest
    here.switch_pitr("orders", on=True)
    here.run(4 * DAY, QUARTER)
    (gap,) = here.timeline("orders").gaps
    assert lost_from is not None
    assert lost_from <= gap.start < gap.stop
    assert gap.start in here.ledger("orders").gaps
    assert here.heard() == ["coldtable: orders: history lost", "coldtable: orders: over"]
    here.finish()
    assert here.timeline("orders") == here.truth("orders")

    here.dynamodb.delete_table(TableName="orders")
    here.pass_time(HOUR)
    new = here.create("orders")
    here.run(14 * DAY, QUARTER)
    here.finish()
    assert here.ledger("orders", old).ended
    truths = here.truths()
    assert here.timeline("orders", old) == truths[old]
    assert len(here.timeline("orders", new).coverage) == 1
    assert here.timeline("orders", new) == truths[new]
    assert here.heard() == ["coldtable: orders: history lost", "coldtable: orders: over"]
    assert here.paid_twice() == []
    assert here.tick().tables[0].plan.actions == ()


def test_a_crash_at_every_port_call(here: Account) -> None:
    """A tick that dies before or after any of its calls to the world loses nothing and pays for
    nothing twice; only a message can come again, if the crash was exactly behind it."""
    fuse = Fuse()
    here.create("measure", rpo=DAY)
    here.pass_time(HOUR)
    here.tick()
    here.pass_time(2 * HOUR)
    here.tick(fuse)
    calls = len(fuse.calls)
    assert {"start", "put_new", "read", "describe", "pitr", "table"} <= set(fuse.calls)

    cases = [(n, after) for n in range(calls) for after in (False, True)]
    names = {case: f"crash-{case[0]}-{case[1]:d}" for case in cases}
    for name in names.values():
        here.create(name, rpo=DAY)
    here.pass_time(HOUR)
    here.tick()
    here.pass_time(2 * HOUR)
    for (n, after), name in names.items():
        with contextlib.suppress(Crash):
            here.tick(Fuse(n, after=after), {name: here.policies[name]})
    here.pass_time(HOUR)
    here.finish()
    truths = here.truths()
    for name in names.values():
        found = here.timeline(name)
        assert len(found.chains) == 1, name
        assert found.chains[0].windows >= 1, name
        assert found == truths[here.table_id(name)], name
    assert here.paid_twice() == []
    assert here.heard() == []


def test_a_lost_answer_is_asked_for_again(here: Account) -> None:
    """AWS accepted the export and the caller never heard it: the next tick finds it, by its token,
    and starts no second one."""
    here.create("orders")
    here.pass_time(HOUR)

    def lose() -> None:
        raise ServiceFailed("The answer was lost")

    fuse = Fuse()
    here.tick(fuse, {"orders": here.policies["orders"]})
    start = fuse.calls.index("start")
    here.create("parcels")
    here.pass_time(HOUR)
    report = here.tick(Fuse(start, after=True, then=lose), {"parcels": here.policies["parcels"]})
    assert report.tables[0].error is not None
    here.pass_time(9 * HOUR)  # longer than AWS remembers the token of a completed export
    here.tick()
    here.finish()
    assert here.paid_twice() == []
    assert here.timeline("parcels").chains
    assert here.timeline("parcels") == here.truth("parcels")


def overlap(here: Account, policies: Mapping[str, Policy]) -> None:
    """Another tick, with a later clock, from start to end."""
    here.aws.advance(90)
    here.tick(policies=policies)


def test_two_ticks_at_once_start_one_export(here: Account) -> None:
    """Ticks that overlap at any call agree on what to ask for: one export a slot."""
    fuse = Fuse()
    here.create("measure")
    here.pass_time(HOUR)
    here.tick(fuse)
    names = [f"twice-{n}" for n in range(len(fuse.calls))]
    for name in names:
        here.create(name)
    here.pass_time(HOUR)
    for n, name in enumerate(names):
        only = {name: here.policies[name]}

        here.tick(Fuse(n, then=partial(overlap, here, only)), only)
    here.pass_time(HOUR)
    here.tick()
    assert here.paid_twice() == []
    for name in names:
        assert len(here.timeline(name).chains) == 1, name
