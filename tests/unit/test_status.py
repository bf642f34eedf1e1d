"""Status: what people are told of their tables, from the catalog alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coldtable.cli.status import problem_of, show, status_body
from coldtable.core.bar import draw
from coldtable.core.evidence import Kind
from coldtable.core.records import Home, iso_z
from coldtable.core.standing import Standing, first_listed
from coldtable.errors import AccessDenied, TableNotFound
from coldtable.model import Window
from coldtable.model_archive import IncidentKind
from coldtable.model_policy import Mode, Pause, Policy, Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import note_evidence
from coldtable.ops.expire import Ground, expire, plan_expiry
from coldtable.ops.shelf import open_shelf
from coldtable.ops.status import StatusReport, TableStatus, Verified, status
from coldtable.testing.fakes import FakeObjects
from tests.unit.counting import CountingObjects
from tests.unit.ticking import DAY, HOUR, NOON, Night, policy


def look(night: Night, store: CountingObjects | None = None, **changed: object) -> TableStatus:
    report = status(
        {"orders": policy(**changed) if changed else night.policy},
        night.aws,
        lambda _to: store or night.aws.bucket,
        night.aws.now,
    )
    return report.tables[0]


def found(line: TableStatus) -> Standing:
    assert line.standing is not None, line.error
    return line.standing


def test_a_healthy_table() -> None:
    """Newest restore point, lag, chain, what is under way; nothing amiss."""
    night = Night()
    night.run(30 * HOUR)
    line, chain = look(night), night.timeline().chains[0]
    seen = found(line)
    assert (seen.timeline.newest, seen.chain) == (chain.end, chain)
    assert seen.lag == night.aws.now - chain.end
    assert (seen.stale, seen.failure, seen.gaps, line.incidents) == (False, None, (), ())
    assert draw(seen.days).endswith("·██")
    assert draw(seen.months) == "·" * 11 + "█"
    night.aws.pass_time(HOUR)
    night.tick()
    (flying,) = found(look(night)).flying
    assert isinstance(flying.attempt.span, Window)
    assert flying.attempt.span.start == chain.end


def test_it_is_the_same_after_a_year_and_from_indexes() -> None:
    """The bar of twelve months is read from indexes: few requests, and the same as from all."""
    night = Night(policy(every=24 * HOUR, rpo=3 * DAY))
    night.run(200 * DAY, every=12 * HOUR)
    store = CountingObjects(night.aws.bucket)
    seen = found(look(night, store))
    indexes = [key.rsplit("/", 1)[1] for key in night.aws.bucket.keys("coldtable/v1/index/")]
    assert indexes == [
        "2026-11.jsonl.gz",
        "2026-12.jsonl.gz",
        "2026.jsonl.gz",
        *(f"2027-0{n}.jsonl.gz" for n in range(1, 5)),
    ]
    assert draw(seen.months) == "····████████"
    assert draw(seen.days) == "█" * 35
    assert store.requests["GET"] <= 6
    assert store.requests["LIST"] <= 4
    assert seen.timeline.coverage == night.timeline().coverage


def test_a_stale_table_says_why() -> None:
    """A bucket that is closed: stale, the last failure with DynamoDB's words, the incident."""
    night = Night()
    night.run(3 * HOUR)
    night.aws.bucket_open = False
    night.run(12 * HOUR)
    line = look(night)
    seen = found(line)
    assert seen.stale
    assert seen.failure is not None
    assert seen.failure.attempt.reason == "S3AccessDenied"
    assert not seen.failure.mended
    assert line.failure_text == "because S3AccessDenied"
    (incident,) = line.incidents
    assert incident.kind is IncidentKind.TROUBLE
    assert "orders" in incident.what
    night.aws.bucket_open = True
    night.run(8 * HOUR)
    line = look(night)
    assert line.incidents == ()
    assert not line.stale
    assert found(line).failure is not None
    assert found(line).failure.mended  # type: ignore[union-attr]


def test_a_gap_says_from_when_to_when_and_why() -> None:
    """PITR off and on: the gap ends at the next full export; its reason is in its record."""
    night = Night()
    night.run(30 * HOUR)
    night.aws.switch_pitr("orders", on=False)
    night.aws.pass_time(5 * HOUR)
    night.aws.switch_pitr("orders", on=True)
    night.run(4 * HOUR)
    line = look(night)
    (gap,) = found(line).gaps
    (real,) = night.timeline().gaps
    assert (gap.start, gap.stop, gap.noted) == (real.start, real.stop, True)
    assert "the history begins at" in line.reasons[gap.start]
    assert draw(found(line).days).endswith("·█▆█")


def test_a_gap_without_a_record_is_told_too() -> None:
    """After a rebuild nobody knows why; from when to when is known from what there is."""
    night = Night()
    night.run(6 * HOUR)
    night.aws.switch_pitr("orders", on=False)
    night.aws.pass_time(HOUR)
    night.aws.switch_pitr("orders", on=True)
    night.run(4 * HOUR)
    (real,) = night.timeline().gaps
    for key in [key for key in night.aws.bucket.objects if key.endswith(".gap.json")]:
        del night.aws.bucket.objects[key]
    line = look(night)
    (gap,) = found(line).gaps
    assert (gap.start, gap.stop, gap.noted) == (real.start, real.stop, False)
    assert line.reasons == {}


def test_a_chain_is_read_from_its_base_on() -> None:
    """Twelve months of coverage may stand on a full export that is older."""
    names = [
        f"00000{n}.a1.verified.{moment}T000000Z.01795610700000-0000000{n}.json"
        for n, moment in enumerate(("20250101", "20250601", "20260601"), 1)
    ]
    since = first_listed(NOON, policy(), [*names, "000001.definition.json"])
    assert since == datetime(2025, 6, 1, tzinfo=UTC)
    first = datetime(2025, 12, 1, tzinfo=UTC)
    assert first_listed(NOON, policy(), names[2:]) == first
    assert first_listed(NOON, policy(mode=Mode.SNAPSHOT), names) == first


def test_the_first_failure_of_a_new_table() -> None:
    """Without any restore point: beginning, and stale only when its first export is late."""
    night = Night()
    assert found(look(night)).stale
    night.tick()
    assert not found(look(night)).stale
    assert found(look(night)).timeline.newest is None
    night.aws.pass_time(4 * HOUR)
    assert found(look(night)).stale


def test_a_paused_table_is_never_stale() -> None:
    """Its pause is shown with its reason."""
    night = Night()
    night.run(3 * HOUR)
    night.aws.pass_time(DAY)
    assert found(look(night)).stale
    assert not found(look(night, pause=Pause(since=NOON, reason="it moves"))).stale


def test_snapshots_have_a_bar_of_their_own() -> None:
    """One a day: the days without one show, and what lies between two is no gap."""
    night = Night(policy(mode=Mode.SNAPSHOT, rpo=DAY + 5 * HOUR))
    night.run(4 * DAY, every=HOUR)
    night.aws.switch_pitr("orders", on=False)
    night.run(2 * DAY, every=HOUR)
    night.aws.switch_pitr("orders", on=True)
    night.run(2 * DAY, every=HOUR)
    seen = found(look(night))
    assert draw(seen.days)[-9:] == "·████xx██"
    assert seen.chain is None
    assert seen.gaps == ()


def test_what_cannot_be_looked_at_keeps_nobody_from_the_others() -> None:
    """A table that is gone and a bucket that refuses are lines with their errors."""
    night = Night()
    night.run(2 * HOUR)

    class Refusing(FakeObjects):
        def keys(self, prefix: str) -> object:  # type: ignore[override]  # noqa: ARG002
            raise AccessDenied("Access denied: s3:ListBucket", action="s3:ListBucket")

    def objects(to: object) -> FakeObjects:
        return Refusing({}) if getattr(to, "bucket", "") == "closed" else night.aws.bucket

    night.aws.create("users")
    other = policy().to.__class__(bucket="closed")
    policies: dict[str, Policy] = {
        "orders": night.policy,
        "gone": night.policy,
        "users": policy(to=other),
    }
    report: StatusReport = status(policies, night.aws, objects, night.aws.now, uncovered=["x"])
    assert [line.name for line in report.tables] == ["orders", "gone", "users"]
    assert report.tables[0].standing is not None
    assert isinstance(report.tables[1].error, TableNotFound)
    assert isinstance(report.tables[2].error, AccessDenied)
    assert (report.stale, report.uncovered) == ((), ("x",))


def test_it_costs_few_requests() -> None:
    """For many tables: two listings for all together, and a handful for each."""
    night = Night()
    night.run(2 * HOUR)
    policies = {"orders": night.policy}
    for n in range(20):
        night.aws.create(f"t{n}")
        policies[f"t{n}"] = night.policy
    store = CountingObjects(night.aws.bucket)
    status(policies, night.aws, lambda _to: store, night.aws.now)
    assert store.requests == {"LIST": 2 + 2 * 21}


def note(night: Night, verdict: str, export_id: str, **more: object) -> None:
    """What verify notes an hour later of the night's table and one export of it."""
    night.aws.pass_time(HOUR)
    line = {"exportId": export_id, "folder": "f", "verdict": verdict, "problems": []}
    ended = iso_z(night.aws.now)
    fields = {"level": "objects", "subset": None, "endedAt": ended, "exports": [line], **more}
    kind, catalog = Kind.VERIFICATION, Catalog(night.aws.bucket)
    note_evidence(catalog, night.table, kind, night.aws.now, verdict, {"result": verdict, **fields})


def test_when_it_was_verified_and_what_is_bad() -> None:
    """The newest verification; an export that is known to be bad, as long as it counts as there.
    One request more for it, and no record read but the newest, unless there was damage."""
    night = Night()
    night.run(5 * HOUR)
    assert look(night).verified is None
    exports = [request.rsplit("/", 1)[1] for request in night.aws.exports(night.table)]
    note(night, "verified", exports[0])
    note(night, "verified", exports[0], subset="3/20")
    store = CountingObjects(night.aws.bucket)
    seen = look(night, store)
    assert seen.verified == Verified(
        at=iso_z(night.aws.now), level="objects", subset="3/20", result="verified"
    )
    assert (seen.bad, store.requests["GET"]) == ({}, 1)
    note(night, "damaged", exports[-1])
    note(night, "damaged", "a-stranger")
    assert list(look(night).bad) == [exports[-1]]
    objects = night.aws.bucket.objects
    (proven,) = [key for key in objects if f".{exports[-1]}.json" in key and "verified" in key]
    expired = proven.replace(".verified.", ".expired.")
    objects[expired.removesuffix(".json") + ".20261126T000000Z.Retention.json"] = b""
    assert look(night).bad == {}


def test_damage_weighs_most(capsys: pytest.CaptureFixture[str]) -> None:
    """For people the export and why; the exit code is 5, also if the table is stale."""
    night = Night()
    night.run(5 * HOUR)
    (base, *_) = [
        key.rsplit(".", 2)[1]
        for key in night.aws.bucket.objects
        if "/base/" in key and "verified" in key
    ]
    note(night, "damaged", base)
    night.aws.pass_time(DAY)
    report = status(
        {"orders": night.policy}, night.aws, lambda _to: night.aws.bucket, night.aws.now
    )
    assert report.tables[0].stale
    assert (report.damaged, status_body(report)["damaged"]) == (("orders",), ["orders"])
    problem = problem_of(report)
    assert problem is not None
    assert problem.exit_code == 5
    assert "orders" in problem.message
    show(report)
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[-3:] == [
        f"{night.aws.now - DAY:%Y-%m-%d}",
        "objects",
        "damaged",
    ]
    assert f"orders: export {base} is damaged (verified" in out


def test_a_failure_that_a_retry_has_mended() -> None:
    """It is told, and that it has come since."""
    night = Night()
    night.run(2 * HOUR)
    night.aws.failures = ["UnknownError"]
    night.run(timedelta(hours=5))
    failure = found(look(night)).failure
    assert failure is not None
    assert (failure.mended, failure.attempt.reason) == (True, "UnknownError")


def test_what_has_expired_is_no_gap() -> None:
    """A chain that retention let go of is neither missing from the bar nor told as a gap."""
    night = Night(policy(full_every=DAY))
    night.run(3 * DAY, every=timedelta(minutes=30))
    home, catalog = Home.of(night.table), Catalog(night.aws.bucket)
    shelf = open_shelf(catalog, home, night.table.table_id, catalog.heads(home))
    ground = Ground(store=night.aws.bucket, vault=None, now=night.aws.now)
    done = expire(plan_expiry(shelf, Retention(within=DAY), ground), ground)
    assert done.removed
    seen = found(look(night))
    assert seen.gaps == ()
    assert "x" not in draw(seen.days)
    assert draw(seen.days).endswith("·███")
