"""Expiring in a world of ticks: what goes, what stays, and what any tick makes of it."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

import pytest

from coldtable.core.records import Home
from coldtable.core.timeline import known_timeline
from coldtable.errors import Conflict
from coldtable.model_archive import Hold
from coldtable.model_policy import Mode, Retention
from coldtable.ops.archive import find_exports, load_files
from coldtable.ops.catalog import Catalog
from coldtable.ops.compact import compact
from coldtable.ops.expire import Expired, Ground, TableExpiry, expire, plan_expiry
from coldtable.ops.hold import add_hold, all_holds, holds_of, release_hold
from coldtable.ops.orphans import find_orphans, remove_orphan
from coldtable.ops.shelf import Shelf, open_shelf, shelves
from coldtable.ports import Lock
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.world import Crash, Fuse
from tests.unit.ticking import DAY, HOUR, NOON, Night, policy

QUARTER = timedelta(hours=6)
LAST_DAY = Retention(daily=1)


def nights(days: int = 6) -> Night:
    """A table with a new chain every other day and four windows a day."""
    night = Night(policy(every=QUARTER, full_every=2 * DAY, rpo=DAY))
    night.run(days * DAY, QUARTER)
    return night


@pytest.fixture(scope="module")
def six() -> Night:
    """Six such days; whoever changes them takes a copy."""
    return nights()


def twin(night: Night) -> Night:
    """The same world once more; locks cannot be copied, and nobody holds this one."""
    return copy.deepcopy(night, {id(night.aws._lock): RLock()})


def shelf(night: Night, store: FakeObjects | None = None) -> Shelf:
    catalog, home = Catalog(store or night.aws.bucket), Home.of(night.table)
    return open_shelf(catalog, home, night.table.table_id, catalog.heads(home))


def ground(night: Night, store: FakeObjects | None = None, vault: Vault | None = None) -> Ground:
    return Ground(store=store or night.aws.bucket, vault=vault, now=night.aws.now)


def plan(night: Night, retention: Retention = LAST_DAY, vault: Vault | None = None) -> TableExpiry:
    return plan_expiry(shelf(night), retention, ground(night, vault=vault))


def carry_out(night: Night, retention: Retention = LAST_DAY) -> Expired:
    return expire(plan(night, retention), ground(night))


def hold(number: int = 0, moment: datetime | None = None, export_id: str | None = None) -> Hold:
    return Hold(number=number, reason="case 7", at=NOON, moment=moment, export_id=export_id)


class Vault:
    """Object Lock on a few keys."""

    def __init__(self, locks: dict[str, Lock]) -> None:
        self.locks = locks

    def keeps_versions(self) -> bool:
        return True

    def can_lock(self) -> bool:
        return True

    def lock(self, key: str) -> Lock | None:
        return self.locks.get(key)


def whole(store: FakeObjects) -> set[str]:
    """The exports that look whole; each has all that its manifests name."""
    found = find_exports(store)
    for export in found.exports:
        assert all(file.key in store.objects for file in load_files(store, export).files)
    assert not found.unreadable
    return {export.export_id for export in found.exports}


def test_what_goes_and_what_a_tick_makes_of_it(six: Night) -> None:
    """Old chains go whole. Nobody claims them any more, nobody takes them for a gap, asks for them
    again or is told of anything; the catalog's records stay."""
    night = twin(six)
    before, records = night.timeline(), set(night.aws.bucket.keys("coldtable/"))
    told = list(night.subjects)
    planned = plan(night)
    assert [d.keep for d in planned.decisions] == [False] * (len(planned.decisions) - 1) + [True]
    done = expire(planned, ground(night))
    assert done.refused == ()
    kept = {p.attempt.export_id for d in planned.decisions if d.keep for p in d.unit.pieces}
    assert whole(night.aws.bucket) == kept
    assert night.timeline().chains == before.chains[-1:]
    assert night.timeline().gaps == ()
    assert known_timeline(night.ledger()) == before
    assert records < set(night.aws.bucket.keys("coldtable/"))
    started = len(night.aws.started)
    assert night.tick().tables[0].count("started", "gap") == 0
    assert len(night.aws.started) == started
    night.run(3 * DAY, QUARTER)
    assert night.timeline().gaps == ()
    assert night.ledger().gaps == frozenset()
    assert night.subjects == told
    assert night.aws.paid_twice() == []


def test_what_is_noted_of_what_went(six: Night) -> None:
    """Two records each, of what was decided and of what was done: what the export was, by the same
    words as the record that proved it, and why it went."""
    night = twin(six)
    carry_out(night)
    by_export: dict[str, dict[str, dict[str, Any]]] = {}
    kinds = {"verified", "expired", "removed"}
    for key in night.aws.bucket.keys("coldtable/v1/"):
        if kinds & set(key.rpartition("/")[2].split(".")):
            record = json.loads(b"".join(night.aws.bucket.read(key)))
            by_export.setdefault(record["exportArn"], {})[record["kind"]] = record
    gone = {one: told for one, told in by_export.items() if len(told) > 1}
    assert len(gone) > 4
    same = ("table", "slot", "attempt", "exportArn", "items", "files", "bytes")
    for told in gone.values():
        proven, expired, removed = (told[kind] for kind in ("verified", "expired", "removed"))
        for field in same:
            assert proven[field] == expired[field] == removed[field], field
        assert proven["request"]["span"] == expired["span"] == removed["span"]
        assert proven["manifestFilesKey"] == f"{removed['folder']}/manifest-files.json"
        assert expired["reason"] == "no retention rule keeps it"
        assert expired["reason"] == removed["reason"]


def test_a_chain_taken_out_of_the_middle_is_no_gap(six: Night) -> None:
    """What is held stays alone, far from the rest: the time between was not lost."""
    night = twin(six)
    first = night.timeline().chains[0]
    add_hold(shelf(night).history.catalog, Home.of(night.table), hold(moment=first.base),
             shelf(night).units(night.aws.now).units)  # fmt: skip
    carry_out(night)
    chains = night.timeline().chains
    assert [c.base for c in chains] == [first.base, six.timeline().chains[-1].base]
    assert len(night.timeline().coverage) == 2
    assert night.timeline().gaps == ()
    night.run(40 * DAY, DAY)
    assert night.ledger().gaps == frozenset()
    assert "coldtable: orders: history lost" not in night.subjects


def test_again_is_nothing(six: Night) -> None:
    """A second run finds nothing to do."""
    night = twin(six)
    carry_out(night)
    objects = dict(night.aws.bucket.objects)
    again = plan(night)
    assert (again.removals, again.leaving) == ((), ())
    assert expire(again, ground(night)) == Expired()
    assert night.aws.bucket.objects == objects


def test_killed_anywhere_and_run_again(six: Night) -> None:
    """Wherever a run dies, what looks whole is whole, no increment that is claimed has lost its
    full export, and the next run ends where one alone would have."""
    reference = twin(six)
    fuse = Fuse()
    wired(reference, fuse, 10)
    data = {k for k in reference.aws.bucket.objects if not k.startswith("coldtable/")}
    calls = [n for n, name in enumerate(fuse.calls) if name in ("remove_many", "put_new")]
    for number in calls[:: max(len(calls) // 12, 1)]:
        for after in (False, True):
            night = twin(six)
            with pytest.raises(Crash):
                wired(night, Fuse(number, after=after), 10)
            left = whole(night.aws.bucket)
            claimed = {p.attempt.export_id for p in shelf(night).kept}
            assert claimed <= left
            for unit in shelf(night).units(night.aws.now).units:
                assert unit.pieces[0].is_full
            assert shelf(night).units(night.aws.now).loose == ()
            wired(night, Fuse(), 10)
            assert {k for k in night.aws.bucket.objects if not k.startswith("coldtable/")} == data
            assert shelf(night).leaving == ()


def wired(night: Night, fuse: Fuse, now: int) -> None:
    """One run through the fuse; a few hours later than the last one."""
    methods = ("entries", "keys", "read", "put_new", "remove", "remove_many")
    store = fuse.wire(night.aws.bucket, *methods)
    here = Ground(store=store, vault=None, now=night.aws.now + now * HOUR)
    expire(plan_expiry(shelf(night, store), LAST_DAY, here), here)


def test_what_may_not_be_removed_is_told_and_left_for_the_next_run(six: Night) -> None:
    """The export is not restorable any more, and not noted as gone; once the right is there, the
    next run removes the rest of it."""
    night = twin(six)
    planned = plan(night)
    victim = planned.removals[0]
    stuck = next(k for k in night.aws.bucket.objects if k.startswith(f"{victim.folder}/manifest-f"))
    night.aws.bucket.refused.add(stuck)
    done = expire(planned, ground(night))
    ((removal, refused),) = done.refused
    assert (removal, refused.key) == (victim, stuck)
    assert victim.piece.attempt.export_id not in whole(night.aws.bucket)
    again = plan(night)
    assert [r.piece.slot for r in again.leaving] == [victim.piece.slot]
    night.aws.bucket.refused.clear()
    assert expire(again, ground(night)).refused == ()
    assert stuck not in night.aws.bucket.objects


def test_what_s3_has_archived_goes_without_being_read(six: Night) -> None:
    """Lists of files in an archive class cannot be read, and need not: whatever lies beside an
    export's folder is its own. Only where several share that nobody knows, and it is told."""
    night, reference = twin(six), twin(six)
    expire(plan(reference), ground(reference))
    store = night.aws.bucket
    for key in store.objects:
        if key.endswith("manifest-files.json"):
            store.storage[key] = "DEEP_ARCHIVE"
    locked = plan(night, vault=Vault({}))
    assert [r.folder for r in locked.removals] == [r.folder for r in plan(night).removals]
    victim = locked.removals[0]
    root = victim.folder.rpartition("/")[0]
    store.put(f"{root}/00000000000001-0000000a/_started", b"")
    assert victim not in plan(night, vault=Vault({})).removals
    done = expire(plan(night), ground(night))
    ((removal, refused),) = done.refused
    assert (removal, refused.error.code) == (victim, "Archived")
    assert f"{victim.folder}/manifest-summary.json" in store.objects
    store.remove(f"{root}/00000000000001-0000000a/_started")
    assert expire(plan(night), ground(night)).refused == ()
    data = {k for k in reference.aws.bucket.objects if not k.startswith("coldtable/")}
    assert {k for k in store.objects if not k.startswith("coldtable/")} == data


def test_a_hold_that_comes_meanwhile_counts(six: Night) -> None:
    """Between plan and deed somebody held it: nothing is removed, and that is told."""
    night = twin(six)
    planned, objects = plan(night), dict(night.aws.bucket.objects)
    catalog, home = shelf(night).history.catalog, Home.of(night.table)
    units = shelf(night).units(night.aws.now).units
    added = add_hold(catalog, home, hold(), units)
    with pytest.raises(Conflict, match="was added meanwhile"):
        expire(planned, ground(night))
    assert {k: v for k, v in night.aws.bucket.objects.items() if "/hold/" not in k} == objects
    assert release_hold(catalog, home, added.number, NOON, reason="closed", by="me")
    assert not release_hold(catalog, home, added.number, NOON, reason="closed", by="me")
    assert holds_of(catalog, home) == ()
    assert [(h.number, at, why) for h, at, why in all_holds(catalog, home)] == [(1, NOON, "closed")]
    assert expire(plan(night), ground(night)).removed


def test_what_s3_locks_is_kept_whole(six: Night) -> None:
    """One locked data file keeps its chain, with the reason; other chains go."""
    night = twin(six)
    victim = plan(night).removals[0]
    key = next(k for k in night.aws.bucket.objects if k.startswith(f"{victim.folder}/"))
    until = NOON + 99 * DAY
    locked = plan(night, vault=Vault({key: Lock(mode="COMPLIANCE", until=until)}))
    decision = next(d for d in locked.decisions if victim.piece in d.unit.pieces)
    assert decision.keep
    assert decision.reasons == (f"S3 Object Lock (COMPLIANCE) until {until:%Y-%m-%dT%H:%M:%SZ}",)
    assert sum(d.keep for d in locked.decisions) == 2
    over = plan(night, vault=Vault({key: Lock(mode="GOVERNANCE", until=night.aws.now)}))
    assert sum(d.keep for d in over.decisions) == 1
    data = next(k for k in night.aws.bucket.objects if k.endswith(".json.gz"))
    legal = plan(night, vault=Vault({data: Lock(legal_hold=True)}))
    assert ["an S3 legal hold is on it"] in [list(d.reasons) for d in legal.decisions]


def test_the_newest_chain_must_be_there(six: Night) -> None:
    """If a manifest of the newest chain is gone, whoever removed it, the older ones stay."""
    night = twin(six)
    newest = plan(night).decisions[-1].unit.pieces[0].attempt.export_id
    gone = next(k for k in night.aws.bucket.objects if f"{newest}/manifest-summary.json" in k)
    night.aws.bucket.remove(gone)
    doubted = plan(night)
    assert doubted.removals == ()
    assert all(d.keep for d in doubted.decisions)
    assert f"no summary of export {newest}" in doubted.decisions[0].reasons[0]


def test_indexed_months_are_indexed_again(six: Night) -> None:
    """Whoever reads an index in place of the records hears of what has expired, and of no more."""
    night = twin(six)
    later = night.aws.now + 60 * DAY

    def from_index() -> Shelf:
        (found,) = shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1")
        return found

    assert compact(from_index().history, later, later)
    assert {p.slot for p in from_index().kept} == {p.slot for p in shelf(night).kept}
    planned = plan_expiry(from_index(), LAST_DAY, ground(night))
    assert expire(planned, ground(night)).removed == planned.removals
    assert len(from_index().history.indexes) > 1
    assert from_index().attempts == shelf(night).attempts
    assert from_index().leaving == ()
    heads = from_index().history.catalog.heads(Home.of(night.table))
    assert from_index().history.ledger(heads) == night.ledger()


def test_snapshots_expire_one_by_one() -> None:
    """In snapshot mode nothing is asked for again that was there once."""
    night = Night(policy(mode=Mode.SNAPSHOT, rpo=2 * DAY))
    night.run(9 * DAY, QUARTER)
    count = len(night.timeline().chains)
    started = len(night.aws.started)
    carry_out(night, Retention(daily=3))
    assert count > 3 == len(night.timeline().chains)
    assert night.tick().tables[0].plan.actions == ()
    assert len(night.aws.started) == started
    night.run(40 * DAY, DAY)
    assert night.ledger().gaps == frozenset()
    assert night.aws.paid_twice() == []


def test_leftovers_of_failed_exports() -> None:
    """What failed a week ago is an orphan, with the reason that the catalog has; what is younger,
    in flight, or whole is none."""
    night = Night(policy(every=QUARTER, full_every=20 * DAY, rpo=DAY))
    night.aws.failures = ["S3AccessDenied"]
    night.run(9 * DAY, QUARTER)
    store, now = night.aws.bucket, night.aws.now
    failed = next(a for _, a in shelf(night).attempts if a.spoilt)
    root = "2026/11/25/orders/full-x/AWSDynamoDB"
    store.put(f"{root}/{failed.export_id}/_started", b"")
    store.put(f"{root}/data/part.json.gz", b"12345")
    young = f"{int((now - DAY).timestamp() * 1000):014}-00000001"
    store.put(f"{root}2/AWSDynamoDB/{young}/_started", b"")
    attempts = [a for _, a in shelf(night).attempts]
    (orphan,) = find_orphans(store, attempts, now)
    assert orphan.export_id == failed.export_id
    assert orphan.why == "the catalog says failed: S3AccessDenied"
    assert (orphan.objects, orphan.size) == (2, 5)
    assert find_orphans(store, attempts, now, spared={failed.export_id or ""}) == ()
    assert find_orphans(store, [], now, only=True) == ()
    kept = whole(store)
    assert remove_orphan(store, orphan) == {}
    assert find_orphans(store, attempts, now) == ()
    assert whole(store) == kept
    assert f"{root}/data/part.json.gz" not in store.objects


def test_an_orphan_beside_others_leaves_their_data() -> None:
    """Increments below one prefix share their data folder: of one that failed nobody knows its
    files, so they stay."""
    store = FakeObjects({})
    old = f"{int((NOON - 30 * DAY).timestamp() * 1000):014}"
    for name in (f"{old}-00000001/_started", f"{old}-00000002/manifest-summary.json", "data/x.gz"):
        store.put(f"p/AWSDynamoDB/{name}", b"1")
    (orphan,) = find_orphans(store, [], NOON)
    assert (orphan.beside, orphan.objects) == ("", 1)
    remove_orphan(store, orphan)
    assert sorted(store.objects) == [
        f"p/AWSDynamoDB/{old}-00000002/manifest-summary.json",
        "p/AWSDynamoDB/data/x.gz",
    ]
    # One that gets its summary at the last moment stays.
    store.put(f"p/AWSDynamoDB/{old}-00000001/manifest-summary.json", b"1")
    assert remove_orphan(store, orphan) == {}
    assert len(store.objects) == 3
