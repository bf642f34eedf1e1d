"""Who knows whether an export was filtered, whom he is asked about, and what follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.core.evidence import Run, bad_exports
from coldtable.core.records import Home, body, record_key, slot_of
from coldtable.core.verification import Level, Report, Verdict
from coldtable.errors import AccessDenied, ColdtableError, DamagedError, NotFound
from coldtable.model import Export, ExportStatus, Table, Window
from coldtable.model_archive import Attempt, Outcome, SlotKind
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import record_verification
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.ops.witness import Describe, Witness
from coldtable.testing.exports import NOON, TABLE_ID
from coldtable.testing.fakes import FakeObjects
from tests.unit.test_damaged_archives import Case, damaged_ground, plain
from tests.unit.test_verify_resume import HERE, Heard
from tests.unit.verifying import HOUR

SOON = NOON + timedelta(days=1)
FULL, WINDOW = "01768392300000-00000001", "01768395900000-00000002"


class Dynamo:
    """DescribeExport: these were filtered; about any other it answers with ``error``, if it has
    one. ``asked`` are the ids of those that anybody wanted to know about."""

    def __init__(self, *filtered: str, error: ColdtableError | None = None) -> None:
        self.filtered = filtered
        self.error = error
        self.asked: list[str] = []

    def describe(self, arn: str) -> Export:
        export_id = arn.rsplit("/", 1)[1]
        self.asked.append(export_id)
        if self.error and export_id not in self.filtered:
            raise self.error
        return Export(
            arn=arn,
            status=ExportStatus.COMPLETED,
            table_arn="",
            bucket="",
            prefix=None,
            moment=None,
            filtered=export_id in self.filtered,
        )

    def witness(self, now: datetime = SOON) -> Witness:
        return Witness(connect=lambda: self.describe, now=lambda: now)


def verified(
    store: FakeObjects, state: Path, witness: Witness | None, level: Level = Level.OBJECTS
) -> Report:
    wanted = Wanted(where="here", prefix="", level=level, state=state)
    return verify_archive(lambda: store, wanted, HERE, SOON, Heard(), witness)


@pytest.mark.parametrize("level", [Level.MANIFEST, Level.OBJECTS])
def test_a_filtered_export_is_damaged(tmp_path: Path, level: Level) -> None:
    """Its verdict is damaged, with the reason, at every level; the others are what they are."""
    store = FakeObjects(plain().objects)
    full, window = verified(store, tmp_path, Dynamo(WINDOW).witness(), level).checked
    assert (full.verdict, window.verdict) == (Verdict.VERIFIED, Verdict.DAMAGED)
    assert [p.reason for p in window.problems] == [
        "it was exported with a FilterSpecification: it is no copy of its table"
    ]


def test_it_is_bad_for_good(tmp_path: Path) -> None:
    """A later run, when nobody can be asked any more, finds its bytes whole and clears nothing."""
    store, records = FakeObjects(plain().objects), list[dict[str, Any]]()
    for number, witness in enumerate([Dynamo(FULL).witness(), None]):
        report = verified(store, tmp_path, witness)
        run = Run(prefix="", began=report.began, ended=SOON + number * HOUR)
        keys = record_verification(Catalog(store), report, run).keys
        records += map(Catalog(store).read, keys)
    assert [record["result"] for record in records] == ["damaged", "verified"]
    assert list(bad_exports(records)) == [FULL]


def test_who_is_not_asked_about(tmp_path: Path) -> None:
    """Those that the catalog has noted as proven, and those that DynamoDB has forgotten."""
    writer = plain()
    table = Table(name="orders", arn=writer.table_arn, table_id=TABLE_ID)
    span = Window(start=NOON, stop=NOON + HOUR)
    proven = Attempt(number=1, span=span, export_id=WINDOW, outcome=Outcome.VERIFIED)
    key = record_key(Home.of(table), TABLE_ID, slot_of(SlotKind.WINDOW, NOON), proven)
    writer.objects[key] = body("verified", NOON)
    dynamo = Dynamo()
    verified(FakeObjects(writer.objects), tmp_path, dynamo.witness())
    assert dynamo.asked == [FULL]
    late = Dynamo()
    verified(FakeObjects(writer.objects), tmp_path, late.witness(NOON + timedelta(days=91)))
    assert late.asked == []


def unreachable() -> Describe:
    raise AccessDenied("There are no credentials", action="x")


@pytest.mark.parametrize(
    ("witness", "notes"),
    [
        (Dynamo(error=NotFound("forgotten")).witness(), []),
        (
            Dynamo(error=AccessDenied("dynamodb:DescribeExport is missing", action="x")).witness(),
            ["Whether exports were filtered is not known: dynamodb:DescribeExport is missing"],
        ),
        (
            Witness(connect=unreachable, now=lambda: SOON),
            ["Whether exports were filtered is not known: There are no credentials"],
        ),
    ],
)
def test_a_silent_witness_is_no_verdict(tmp_path: Path, witness: Witness, notes: list[str]) -> None:
    """Who must not be asked, or does not know, damages nothing; that it is not known is said."""
    report = verified(FakeObjects(plain().objects), tmp_path, witness)
    assert {one.verdict for one in report.checked} == {Verdict.VERIFIED}
    assert list(report.notes) == notes


@pytest.mark.parametrize("filtered", [FULL, WINDOW])
def test_restore_refuses(filtered: str) -> None:
    """Neither a base nor an increment may be filtered; nothing is made. What the plan does not need
    keeps nobody."""
    ground = damaged_ground(Case("sound"))
    ground.witness = Dynamo(filtered).witness()
    with pytest.raises(DamagedError, match=f"{filtered}.*FilterSpecification") as refused:
        ground.plan()
    assert refused.value.exit_code == 5
    assert ground.tables.state("copy") is None
    if filtered == WINDOW:
        assert ground.plan(at=NOON).source.increments == ()


def test_restore_says_what_is_not_known() -> None:
    """Without the right to ask it is restored, and said."""
    ground = damaged_ground(Case("sound"))
    ground.witness = Dynamo(error=AccessDenied("no right", action="x")).witness()
    ground.restore()
    assert "Whether exports were filtered is not known: no right" in ground.said
