"""The evidence of any folder of exports: what manifests tell, and what cannot be known by them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.core.evidence import Kind
from coldtable.core.records import Home
from coldtable.core.report import NOTED, TableEvidence, markdown
from coldtable.errors import NotFound
from coldtable.files import FileObjects
from coldtable.model import Table
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import note_evidence
from coldtable.ops.expire import Ground, expire, plan_expiry
from coldtable.ops.hold import add_hold
from coldtable.ops.report_archive import gather_archive
from coldtable.ops.shelf import open_shelf
from coldtable.testing.exports import NOON, TABLE_ID, ExportsWriter
from coldtable.testing.fakes import FakeObjects
from tests.unit.ticking import DAY, Night, policy
from tests.unit.verifying import CHANGES, HOUR, ITEMS, sound

ORDERS = Table(name="orders", arn=ExportsWriter().table_arn, table_id=TABLE_ID)
LONG_AGO = NOON - 365 * DAY


def gathered(
    objects: dict[str, bytes], since_hours: int | None = None, *tables: str, prefix: str = ""
) -> list[TableEvidence]:
    since = LONG_AGO if since_hours is None else NOON + since_hours * HOUR
    return list(gather_archive(FakeObjects(objects), prefix, "there", since, tables).tables)


def spans(lines: Any) -> list[tuple[str, str | None]]:
    return [(line["from"][11:16], line["to"] and line["to"][11:16]) for line in lines]


def test_manifests_alone() -> None:
    """Of several tables: each export with its items and billed bytes, what can be restored; of what
    only a catalog tells, that it is not known and why."""
    writer = sound()
    ExportsWriter(writer.objects, table="users", table_id="u", prefix="u").full(NOON, ITEMS)
    orders, users = gathered(writer.objects)
    assert spans(orders.exports) == [("12:00", "12:00"), ("12:00", "13:00")]
    assert [e["kind"] for e in orders.exports] == ["full", "window"]
    assert [(e["items"], e["billedBytes"], e["bytes"]) for e in orders.exports] == [
        (3, 0, None),
        (1, 0, None),
    ]
    assert (spans(orders.restorable), orders.gaps) == ([("12:00", "13:00")], [])
    assert spans(users.restorable) == [("12:00", "12:00")]
    assert users.body["unknown"]["verifications"] == "no catalog in there"
    assert [orders.body[name] for name in (*NOTED, "retention", "pause", "ended")] == [None] * 8
    assert (users.account, users.region) == ("123456789012", "eu-north-1")
    text = markdown([orders, users], "a", "b")
    assert text.count("Not known: no catalog in there.") == 2 * (len(NOTED) + 1)
    assert "Retention: not known: with --archive the settings are not read." in text
    assert "| 2026-01 | 0 | 0 | 0 | 2 | 0 | 4 |  | 0 |" in text


def test_gaps_of_manifests() -> None:
    """Between what can be restored, and after it, if what follows joins on to nothing."""
    writer = ExportsWriter()
    writer.full(NOON + timedelta(seconds=1.622), ITEMS)
    writer.increment(NOON + timedelta(minutes=1), NOON + HOUR, CHANGES)
    (table,) = gathered(writer.objects)
    assert spans(table.restorable) == [("12:00", "12:00")]
    assert spans(table.gaps) == [("12:00", None)]
    assert table.gaps[0]["reason"].startswith("a gap of 58.378 s")
    writer.full(NOON + 3 * HOUR, ITEMS)
    writer.increment(NOON + 3 * HOUR, NOON + 4 * HOUR)
    (table,) = gathered(writer.objects)
    assert spans(table.restorable) == [("12:00", "12:00"), ("15:00", "16:00")]
    assert spans(table.gaps) == [("12:00", "15:00")]
    assert table.gaps[0]["reason"].startswith("a gap of 58.378 s")
    (table,) = gathered(writer.objects, 4)
    assert (spans(table.exports), table.gaps) == ([("15:00", "16:00")], [])


def test_full_exports_have_no_gaps() -> None:
    """A snapshot each night is moments that can be restored, and nothing was promised between."""
    writer = ExportsWriter()
    for n in range(3):
        writer.full(NOON + n * DAY, ITEMS)
    (table,) = gathered(writer.objects)
    assert (len(table.restorable), table.gaps) == (3, [])


def test_increments_alone() -> None:
    """Nothing can be restored, from the first of them on."""
    writer = ExportsWriter()
    writer.increment(NOON, NOON + HOUR, CHANGES)
    (table,) = gathered(writer.objects)
    assert (table.restorable, spans(table.gaps)) == ([], [("12:00", None)])


def test_a_table_that_was_re_created() -> None:
    """Two tables of one name, each with its own exports; a name that is not there is an error."""
    writer = sound()
    ExportsWriter(writer.objects, table_id="new", prefix="later").full(NOON + 2 * DAY, ITEMS)
    assert [t.table_id for t in gathered(writer.objects, None, "orders")] == [TABLE_ID, "new"]
    assert [t.table_id for t in gathered(writer.objects, prefix="later/")] == ["new"]
    with pytest.raises(NotFound, match="no export of a table users"):
        gathered(writer.objects, None, "users")


def test_only_evidence_was_noted() -> None:
    """A foreign folder that was verified with --record: that is shown, and nothing else known."""
    objects = sound().objects
    fields = {"result": "verified", "summary": "well"}
    note_evidence(
        Catalog(FakeObjects(objects)), ORDERS, Kind.VERIFICATION, NOON, "verified", fields
    )
    (table,) = gathered(objects)
    assert [v["summary"] for v in table.verifications] == ["well"]
    assert (table.body["drills"], table.body["holds"]) == ([], None)
    assert table.unknown["holds"] == "the catalog in there knows no export of it"


def test_with_a_catalog() -> None:
    """What the catalog notes is there: states, why there is a gap, holds, and what failed and left
    no manifest."""
    night = Night(policy(every=6 * HOUR, rpo=13 * HOUR))
    night.aws.failures = ["S3AccessDenied"]
    night.run(DAY, timedelta(minutes=30))
    night.aws.switch_pitr("orders", on=False)
    night.run(HOUR)
    night.aws.switch_pitr("orders", on=True)
    night.run(9 * HOUR)
    store, home = night.aws.bucket, Home.of(night.table)
    catalog = Catalog(store)
    shelf = open_shelf(catalog, home, night.table.table_id, catalog.heads(home))
    hold = Hold(number=0, reason="case 7", at=night.aws.now, by="ann")
    add_hold(catalog, home, hold, shelf.units(night.aws.now).units)
    (table,) = gather_archive(store, "", "there", LONG_AGO).tables
    assert [e["state"] for e in table.exports] == ["failed", *["verified"] * 6]
    assert all(e["bytes"] for e in table.exports if e["state"] == "verified")
    (gap,) = table.gaps
    assert (gap["cause"], gap["to"] is None) == ("pitr", False)
    assert [h["reason"] for h in table.holds] == ["case 7"]
    assert set(table.unknown) == {"retention", "pause"}
    assert not table.ended


def test_what_has_expired_is_no_loss() -> None:
    """A gap where retention has removed exports says so."""
    night = Night(policy(every=6 * HOUR, rpo=13 * HOUR, full_every=DAY))
    night.run(9 * DAY, HOUR)
    store, home = night.aws.bucket, Home.of(night.table)
    catalog = Catalog(store)
    shelf = open_shelf(catalog, home, night.table.table_id, catalog.heads(home))
    ground = Ground(store=store, vault=None, now=night.aws.now)
    assert expire(plan_expiry(shelf, Retention(weekly=2), ground), ground).removed
    (table,) = gather_archive(store, "", "there", LONG_AGO).tables
    assert table.expirations
    assert [g["cause"] for g in table.gaps] == ["expired"]
    for key in [k for k in store.objects if k.startswith("coldtable/")]:
        del store.objects[key]
    (bare,) = gather_archive(store, "", "there", LONG_AGO).tables
    assert bare.restorable == table.restorable


def report(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["report", "--since", "2026-01-01", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a folder: what cannot be read and what has no summary is named beside the tables."""
    writer = sound()
    writer.started(NOON)
    broken = ExportsWriter(writer.objects, table="users", prefix="u").full(NOON, ITEMS)
    writer.objects[broken] += b" "
    store = FileObjects(tmp_path)
    for key, content in writer.objects.items():
        store.put(key, content)
    code, out, err = report("--archive", str(tmp_path), "--output", "json", capsys=capsys)
    body = json.loads(out)
    assert (code, body["schema"]) == (0, "coldtable.report/1")
    assert [t["tableName"] for t in body["tables"]] == ["orders"]
    assert [one["manifest"] for one in body["unreadable"]] == [f"{tmp_path}/{broken}"]
    assert "does not match its MD5" in err
    assert len(body["unfinished"]) == 1
    code, out, _ = report("--archive", str(tmp_path), capsys=capsys)
    assert "## Found, and of no table" in out
    assert f"- {tmp_path}/{broken} cannot be read: " in out
    assert "has no summary; the export began at 2026-01-14T12:05:00Z" in out
    assert report("nothing", "--archive", str(tmp_path), capsys=capsys)[0] == 12
