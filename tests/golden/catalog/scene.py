"""One table's life, in which a record of every kind is written: the examples of docs/format.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from coldtable.core.drill import Result, RtoBy, drill_of, evidence_fields
from coldtable.core.evidence import Kind, Run
from coldtable.core.records import Home
from coldtable.core.verification import Level
from coldtable.model import Destination, ExportRequest, Snapshot
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from coldtable.model_restore import Compare, Comparison
from coldtable.ops.archive import find_exports
from coldtable.ops.catalog import Catalog
from coldtable.ops.compact import compact
from coldtable.ops.crew import Crew
from coldtable.ops.evidence import note_evidence, record_verification
from coldtable.ops.expire import Ground, expire, plan_expiry
from coldtable.ops.history import History
from coldtable.ops.hold import add_hold, confirm_holds, release_hold
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.shelf import open_shelf
from coldtable.ops.verify import Wanted, verify_archive
from tests.unit.test_verify_resume import Heard
from tests.unit.ticking import DAY, HOUR, Night, policy


def play() -> dict[str, bytes]:
    """What lies below ``coldtable/`` in the end."""
    night = Night(policy(every=6 * HOUR, rpo=13 * HOUR))
    night.run(7 * HOUR)
    verify(night)
    drill(night)
    night.aws.failures = ["S3AccessDenied"]
    night.run(6 * HOUR)
    night.aws.damages = ["data"]
    night.run(7 * HOUR)
    night.aws.switch_pitr("orders", on=False)
    night.run(HOUR)
    night.aws.switch_pitr("orders", on=True)
    night.run(9 * HOUR)
    by_hand(night)
    index(night)
    hold_and_expire(night)
    night.aws.drop("orders")
    night.aws.pass_time(HOUR)
    night.table = night.aws.create("orders")
    night.run(HOUR)
    return {k: v for k, v in night.aws.bucket.objects.items() if k.startswith("coldtable/")}


def verify(night: Night) -> None:
    """Somebody verifies what is there, and the verdict is noted."""
    store, now = night.aws.bucket, night.aws.now
    with TemporaryDirectory() as state:
        wanted = Wanted(where="here", prefix="", level=Level.OBJECTS, state=Path(state))
        report = verify_archive(lambda: store, wanted, Crew(cores=1), now, Heard())
    run = Run(prefix="", began=report.began, ended=now + timedelta(seconds=4))
    record_verification(Catalog(store), report, run)


def drill(night: Night) -> None:
    """Somebody restores what is there and compares it; that is noted."""
    store, began = night.aws.bucket, night.aws.now + timedelta(minutes=1)
    exports = sorted(find_exports(store).exports, key=lambda export: export.stop)
    arns = [export.manifest.export_arn for export in exports]
    begun = drill_of(exports[0].table, "latest", exports[-1].stop, arns, began=began)
    ended = replace(
        begun,
        filled=began + timedelta(seconds=250),
        rto_seconds=250.311,
        rto_by=RtoBy.RUN,
        seconds={"plan": 0.52, "read": 1.3, "fill": 248.491, "compare": 0.9, "delete": 12.104},
        facts={
            "way": "import",
            "items": 2,
            "storedBytes": 40,
            "jsonBytes": 60,
            "dollars": 0.0,
            "notes": [],
        },
        comparison=Comparison(level=Compare.FULL, wanted=2, found=2, checked=2),
        result=Result.PASSED,
        ended=began + timedelta(seconds=264),
    )
    assert ended.ended
    note_evidence(
        Catalog(store), ended.source, Kind.DRILL, ended.ended, "passed", evidence_fields(ended)
    )


def by_hand(night: Night) -> None:
    """Somebody exports the table, and the catalog hears of it by a rebuild."""
    moment = night.aws.now.replace(microsecond=0) - timedelta(minutes=10)
    night.aws.start(
        ExportRequest(
            table=night.table,
            span=Snapshot(moment=moment),
            to=Destination(bucket="archive"),
            prefix="by-hand",
            token="by-hand",
        )
    )
    night.aws.pass_time(timedelta(minutes=15))
    night.tick()
    store = night.aws.bucket
    rebuild(Source(store=store, prefix="", catalog=Catalog(store)), night.aws.now)


def hold_and_expire(night: Night) -> None:
    """A hold is added and released, and after it the first chain expires."""
    catalog, home = Catalog(night.aws.bucket), Home.of(night.table)
    names = [key.rsplit("/", 1)[1] for key in catalog.store.keys(home.index(night.table.table_id))]
    shelf = open_shelf(catalog, home, night.table.table_id, catalog.heads(home), names)
    confirm_holds(catalog, home, night.aws.now, reason="there was none", by="ann")
    hold = Hold(number=2, reason="case 7", at=night.aws.now, by="ann")
    add_hold(catalog, home, hold, shelf.units(night.aws.now).units)
    release_hold(catalog, home, 2, night.aws.now, reason="it is closed", by="ann")
    ground = Ground(store=night.aws.bucket, vault=None, now=night.aws.now)
    done = expire(plan_expiry(shelf, Retention(within=4 * HOUR), ground), ground)
    assert done.removed


def index(night: Night) -> None:
    """The month's index, as a tick writes it when the time has come."""
    history = History(
        catalog=Catalog(night.aws.bucket), home=Home.of(night.table), table_id=night.table.table_id
    )
    later = night.aws.now + 50 * DAY
    assert compact(history, later, later)
