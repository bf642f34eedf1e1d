"""Expiring where exports are damaged: what the tick or verify found bad goes once replaced."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from pathlib import Path
from threading import RLock

import pytest

from coldtable.core.evidence import Run
from coldtable.core.manifest import md5_of
from coldtable.core.records import Home
from coldtable.core.verification import Level
from coldtable.model import Destination, ExportRequest, Snapshot
from coldtable.model_archive import Hold, Outcome
from coldtable.model_policy import Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.compact import compact
from coldtable.ops.evidence import record_verification
from coldtable.ops.expire import Expired, Ground, TableExpiry, expire, plan_expiry
from coldtable.ops.hold import add_hold, confirm_holds
from coldtable.ops.orphans import find_orphans
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.remove import data_keys
from coldtable.ops.shelf import Shelf, open_shelf, shelves
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.ports import Lock
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.world import Crash, Fuse
from tests.unit.test_expire import Vault, whole
from tests.unit.test_verify_resume import HERE, Heard
from tests.unit.ticking import DAY, HOUR, NOON, Night, policy

QUARTER = timedelta(hours=6)
NONE, LAST_DAY = Retention(), Retention(daily=1)


def shelf(night: Night, store: FakeObjects | None = None) -> Shelf:
    catalog, home = Catalog(store or night.aws.bucket), Home.of(night.table)
    return open_shelf(catalog, home, night.table.table_id, catalog.heads(home))


def plan(
    night: Night,
    keep: Retention = NONE,
    store: FakeObjects | None = None,
    vault: Vault | None = None,
) -> TableExpiry:
    return plan_expiry(shelf(night, store), keep, ground(night, store, vault))


def ground(night: Night, store: FakeObjects | None = None, vault: Vault | None = None) -> Ground:
    return Ground(store=store or night.aws.bucket, vault=vault, now=night.aws.now)


def carry_out(night: Night, keep: Retention = NONE) -> Expired:
    return expire(plan(night, keep), ground(night))


def twin(night: Night) -> Night:
    return copy.deepcopy(night, {id(night.aws._lock): RLock()})


def data(night: Night) -> set[str]:
    return {k for k in night.aws.bucket.objects if not k.startswith("coldtable/")}


@pytest.fixture(scope="module")
def retried() -> Night:
    """A window was damaged, and made again; whoever changes it takes a copy."""
    night = Night(policy(every=QUARTER, full_every=20 * DAY, rpo=DAY))
    night.run(QUARTER, QUARTER)
    night.run(QUARTER, QUARTER)
    night.aws.damages = ["data"]
    night.run(2 * DAY, HOUR)
    assert night.timeline() == night.truth()
    return night


def spoil(night: Night, export_id: str, tmp: Path) -> None:
    """A data file of the export is cut, and verify finds it."""
    folder = next(
        k.rpartition("/")[0]
        for k in night.aws.bucket.objects
        if k.endswith(f"{export_id}/manifest-summary.json")
    )
    key = data_keys(night.aws.bucket, folder, export_id)[0]
    night.aws.bucket.objects[key] = night.aws.bucket.objects[key][:-3]
    look(night, tmp)


def look(night: Night, tmp: Path) -> None:
    """Verify all, and note what it finds."""
    wanted = Wanted(where="here", prefix="", level=Level.OBJECTS, state=tmp)
    report = verify_archive(lambda: night.aws.bucket, wanted, HERE, night.aws.now, Heard())
    run = Run(prefix="", began=report.began, ended=night.aws.now)
    record_verification(Catalog(night.aws.bucket), report, run)


def test_what_was_made_again_goes_and_nothing_else(retried: Night) -> None:
    """Without any rule the damaged attempt goes, with all of its objects; what is whole, what is
    restorable and what the tick does stay the same. It is noted, and a second run finds nothing."""
    night = twin(retried)
    (bad,) = (a for _, a in shelf(night).attempts if a.outcome is Outcome.DAMAGED)
    good = next(a for _, a in shelf(night).attempts if a.span == bad.span and a != bad)
    before, kept = night.timeline(), whole_but(night, bad.export_id or "")
    planned = plan(night)
    assert all(d.keep for d in planned.decisions)
    (spare,) = planned.spares
    assert (spare.keep, spare.reasons) == (
        False,
        (f"damaged, and replaced by export {good.export_id}",),
    )
    (removal,) = planned.removals
    mine = {k for k in data(night) if k.startswith(f"{removal.folder.rpartition('/')[0]}/")}
    assert removal.size == sum(len(night.aws.bucket.objects[k]) for k in mine) > 0
    assert expire(planned, ground(night)).refused == ()
    assert data(twin(retried)) - data(night) == mine
    assert whole(night.aws.bucket) == kept
    assert night.timeline() == before
    (cleared,) = (a for _, a in shelf(night).attempts if a.export_id == bad.export_id)
    assert (cleared.outcome, cleared.reason) == (Outcome.CLEARED, "Damaged")
    again = plan(night)
    assert (again.spares, again.removals, again.leaving) == ((), (), ())
    started = len(night.aws.started)
    night.tick()
    assert len(night.aws.started) == started


def whole_but(night: Night, export_id: str) -> set[str]:
    """The exports that look whole, without checking that one."""
    store = FakeObjects({k: v for k, v in night.aws.bucket.objects.items() if export_id not in k})
    return whole(store)


def test_killed_anywhere_and_run_again(retried: Night) -> None:
    """Wherever a run dies, the replacement is whole, and the next run ends where one would have."""
    reference = twin(retried)
    fuse = Fuse()
    wired(reference, fuse)
    for number in [n for n, name in enumerate(fuse.calls) if name in ("remove_many", "put_new")]:
        for after in (False, True):
            night = twin(retried)
            with pytest.raises(Crash):
                wired(night, Fuse(number, after=after))
            assert night.timeline() == retried.timeline()
            wired(night, Fuse())
            assert data(night) == data(reference)
            assert plan(night).spares == ()


def wired(night: Night, fuse: Fuse) -> None:
    methods = ("entries", "keys", "read", "put_new", "remove", "remove_many")
    store = fuse.wire(night.aws.bucket, *methods)
    expire(plan(night, NONE, store), ground(night, store))


def test_what_nothing_replaces_is_kept_and_told() -> None:
    """A damaged window that could not be made again in time: the only copy there is. Where it has
    lost its summary it is no leftover of a failed export, either."""
    night = Night(policy(every=QUARTER, full_every=20 * DAY, rpo=DAY))
    night.run(2 * QUARTER, QUARTER)
    night.aws.damages = ["data"]
    night.run(QUARTER, QUARTER)
    night.aws.pass_time(QUARTER)
    night.aws.switch_pitr("orders", on=False)
    night.run(QUARTER, QUARTER)
    night.aws.switch_pitr("orders", on=True)
    night.run(9 * DAY, QUARTER)
    for keep in (NONE, Retention(within=30 * DAY)):
        (spare,) = plan(night, keep).spares
        assert spare.keep
        assert spare.reasons[0].startswith("damaged: the only copy of 2026-11-2")
        assert spare.reasons[0].endswith("; nothing covers it")
    summary = f"{spare.piece.attempt.export_id}/manifest-summary.json"
    night.aws.bucket.remove(next(k for k in data(night) if k.endswith(summary)))
    assert (
        find_orphans(night.aws.bucket, [a for _, a in shelf(night).attempts], night.aws.now) == ()
    )
    # Once nothing as old is kept it goes, too.
    night.run(40 * DAY, DAY)
    (spare,) = plan(night, LAST_DAY).spares
    assert spare.reasons == ("damaged, and nothing that is as old is kept",)
    assert expire(plan(night, LAST_DAY), ground(night)).refused == ()
    assert f"{spare.piece.attempt.export_id}" not in "".join(data(night))
    assert night.timeline().gaps == ()


def test_a_lock_and_a_hold_keep_it(retried: Night) -> None:
    """Damaged or not: what S3 locks or a person holds stays, with that reason."""
    night = twin(retried)
    (removal,) = plan(night).removals
    inside = next(k for k in data(night) if k.startswith(removal.folder.rpartition("/")[0]))
    locked = plan(night, vault=Vault({inside: Lock(legal_hold=True)}))
    assert [(s.keep, s.reasons) for s in locked.spares] == [(True, ("an S3 legal hold is on it",))]
    planned = plan(night)
    hold = Hold(number=0, reason="case 7", at=NOON)
    catalog, home = Catalog(night.aws.bucket), Home.of(night.table)
    add_hold(catalog, home, hold, shelf(night).units(night.aws.now).units)
    with pytest.raises(Exception, match="was added meanwhile"):
        expire(planned, ground(night))
    assert [s.reasons for s in plan(night).spares] == [("held: case 7",)]


def test_it_stays_while_its_replacement_is_not_there(retried: Night) -> None:
    """Somebody removed the summary of the export that stands in for it."""
    night = twin(retried)
    (spare,) = plan(night).spares
    assert spare.instead
    instead = spare.instead.attempt.export_id
    night.aws.bucket.remove(next(k for k in data(night) if f"{instead}/manifest-summary.json" in k))
    (spare,) = plan(night).spares
    assert spare.keep
    assert f"of export {instead} beside it there is no summary" in spare.reasons[0]


def test_whose_intent_is_lost_stays(retried: Night) -> None:
    """Only the intent tells where a damaged export lies: without it nothing is removed."""
    night = twin(retried)
    (spare,) = plan(night).spares
    for key in list(night.aws.bucket.keys("coldtable/")):
        if f"{spare.piece.slot.name}.window.a1.intent" in key:
            night.aws.bucket.remove(key)
    (spare,) = plan(night).spares
    assert spare.keep
    assert "the catalog does not say where it lies" in spare.reasons[0]


def test_a_damaged_manifest_is_not_believed() -> None:
    """What a damaged manifest lists may be another export's: only what lies beside it alone is its
    own, and beside several nobody's."""
    store = FakeObjects({})
    for name in ("00000000000001-0000000a/manifest-files.json", "data/a.gz", "data/b.gz"):
        store.put(f"p/AWSDynamoDB/{name}", b"{")
    folder = "p/AWSDynamoDB/00000000000001-0000000a"
    mine = ["p/AWSDynamoDB/data/a.gz", "p/AWSDynamoDB/data/b.gz"]
    assert data_keys(store, folder, "00000000000001-0000000a", trusted=False) == mine
    assert data_keys(store, folder, "00000000000001-0000000a") == mine
    store.put("p/AWSDynamoDB/00000000000002-0000000b/_started", b"")
    assert data_keys(store, folder, "00000000000001-0000000a", trusted=False) == []
    assert data_keys(store, folder, "00000000000001-0000000a") == []
    # One that was copied over from the neighbour matches its own MD5.
    row = {"itemCount": 0, "md5Checksum": "x", "etag": "x", "dataFileS3Key": mine[1]}
    listing = json.dumps(row).encode() + b"\n"
    store.put(f"{folder}/manifest-files.json", listing)
    store.put(f"{folder}/manifest-files.md5", md5_of(listing).encode())
    assert data_keys(store, folder, "00000000000001-0000000a", trusted=False) == []
    assert data_keys(store, folder, "00000000000001-0000000a") == mine[1:]


def test_indexed_months_tell_of_it(retried: Night) -> None:
    """Whoever reads an index in place of the records hears that it is cleared."""
    night = twin(retried)
    night.run(5 * DAY, QUARTER)
    later = night.aws.now + 60 * DAY

    def from_index() -> Shelf:
        (found,) = shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1")
        return found

    assert compact(from_index().history, later, later)
    expire(plan_expiry(from_index(), NONE, ground(night)), ground(night))
    assert from_index().attempts == shelf(night).attempts
    assert Outcome.CLEARED in {a.outcome for _, a in from_index().attempts}


def chains(night: Night) -> list[tuple[str, bool]]:
    found = plan(night, LAST_DAY).decisions
    return [(f"{d.unit.start:%d} to {d.unit.end:%d}", d.keep) for d in found]


def daily() -> Night:
    """A new chain each day, for four days."""
    night = Night(policy(every=QUARTER, full_every=DAY, rpo=DAY))
    night.run(4 * DAY, QUARTER)
    return night


def test_a_chain_that_verify_found_bad_lets_no_older_one_go(tmp_path: Path) -> None:
    """Bad is the newest full export: the chain before it is the newest that counts, and stays with
    all that leads on from it. Nothing is gone when it is whole again."""
    night = daily()
    before = chains(night)
    assert [keep for _, keep in before] == [False] * (len(before) - 1) + [True]
    newest = plan(night, LAST_DAY).decisions[-1].unit.pieces[0].attempt.export_id or ""
    original = dict(night.aws.bucket.objects)
    spoil(night, newest, tmp_path / "one")
    found = plan(night, LAST_DAY)
    assert [d.keep for d in found.decisions] == [False] * (len(before) - 2) + [True]
    # The windows of the bad chain go on from the chain before: they end at its moment.
    assert found.decisions[-1].unit.end == shelf(night).newest
    (spare,) = found.spares
    assert spare.piece.attempt.export_id == newest
    assert spare.reasons[0].startswith("damaged, and replaced by export")
    done = carry_out(night, LAST_DAY)
    assert done.refused == ()
    assert newest not in whole(night.aws.bucket)
    assert night.timeline().chains[-1].end == shelf(night).newest
    assert night.timeline().gaps == ()
    night.tick()
    assert night.ledger().gaps == frozenset()
    assert plan(night, LAST_DAY).removals == ()
    mended = daily()
    spoil(mended, newest, tmp_path / "two")
    mended.aws.bucket.objects.update(original)
    mended.aws.pass_time(HOUR)
    look(mended, tmp_path / "three")
    assert chains(mended) == before


def test_an_export_by_hand_replaces_a_bad_one(tmp_path: Path) -> None:
    """A chain of which the only full export is bad is not restorable; whoever exports the table at
    that moment again, and has it recorded, has mended it, and the bad one goes."""
    night = Night(policy(every=QUARTER, full_every=20 * DAY, rpo=DAY))
    night.run(DAY, QUARTER)
    (unit,) = (d.unit for d in plan(night).decisions)
    bad = unit.pieces[0].attempt.export_id or ""
    spoil(night, bad, tmp_path)
    found = plan(night, LAST_DAY)
    assert found.decisions == ()
    assert found.removals == ()
    assert {s.damaged for s in found.spares} == {True, False}
    (spare,) = (s for s in found.spares if s.damaged)
    assert spare.reasons[0].startswith("damaged: the only copy of ")
    assert len(found.loose) == unit.windows
    night.aws.start(
        ExportRequest(
            table=night.table,
            span=Snapshot(moment=unit.start),
            to=Destination(bucket="archive"),
            prefix="by-hand",
            token="by-hand",
        )
    )
    night.aws.pass_time(HOUR)
    store = night.aws.bucket
    rebuild(Source(store=store, prefix="", catalog=Catalog(store)), night.aws.now)
    held = plan(night, LAST_DAY)
    assert held.removals == ()
    confirm_holds(Catalog(store), Home.of(night.table), night.aws.now, reason="none", by="ann")
    found = plan(night, LAST_DAY)
    assert [d.unit.windows for d in found.decisions] == [unit.windows]
    assert [r.export_id for r in found.removals] == [bad]
    assert carry_out(night, LAST_DAY).refused == ()
    assert bad not in whole(store)
    assert night.timeline().chains[-1].windows == unit.windows
