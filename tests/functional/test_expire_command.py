"""``coldtable expire``, ``hold`` and ``report`` over HTTP: real exports, moved time, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from coldtable.local.process import EmbeddedAws
from coldtable.model import Destination
from coldtable.model_archive import Outcome
from tests.functional.conftest import Answer, Coldtable
from tests.functional.proxy import proxied
from tests.functional.ticking import DAY, Account
from tests.functional.users import allow, operator

QUARTER = timedelta(hours=6)
RIGHTS = ["ssm:GetParametersByPath", "s3:ListBucket", "s3:GetObject", "s3:GetBucketVersioning"]
RIGHTS += ["s3:GetBucketObjectLockConfiguration"]


@pytest.fixture(scope="module")
def moving() -> Iterator[EmbeddedAws]:
    """An emulator whose exports end at once."""
    with EmbeddedAws(["--export-seconds", "0.01"]) as running:
        yield running


class Installed(Account):
    """An account with parameters, and the command line at its time."""

    coldtable: Coldtable

    def run_command(self, *words: str, **who: str) -> Answer:
        """One command, with its clock on this AWS's."""
        with time_machine.travel(self.aws.now()):
            usual = {"key": self.number, "endpoint": self.aws.endpoint}
            return self.coldtable(*words, **{**usual, **who})

    def configure(self, bucket: str, **policy: object) -> None:
        """The parameters that the command reads."""
        ssm = self.client("ssm")
        values = {"BACKUP_BUCKET_NAME": bucket, "TABLE_NAMES": "orders"}
        values["POLICY"] = json.dumps({"mode": "continuous", **policy})
        for name, value in values.items():
            ssm.put_parameter(
                Name=f"/coldtable/prod/{name}", Value=value, Type="String", Overwrite=True
            )

    def data(self, bucket: str) -> set[str]:
        """The keys that are no records."""
        found: list[dict[str, Any]] = []
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found += page.get("Contents", [])
        return {o["Key"] for o in found if not o["Key"].startswith("coldtable/")}


@pytest.fixture
def here(moving: EmbeddedAws, account: str, coldtable: Coldtable) -> Installed:
    """An account whose table ``orders`` has a chain for each of three days."""
    made = Installed(moving, account)
    made.coldtable = coldtable
    made.configure(made.bucket, keep_daily=1)
    made.create("orders", every=QUARTER, full_every=DAY, rpo=DAY)
    made.run(2 * DAY, QUARTER)
    made.finish()
    return made


def test_expire_from_plan_to_nothing_left(here: Installed) -> None:
    """The plan only reads, and says why; --yes does it, with the rights that the help names;
    what stays is what the tick knows, and the tick has nothing to do about it."""
    before = here.data(here.bucket)
    with proxied(here.aws.endpoint) as proxy:
        for words in ((), ("orders",), ("--orphans",)):
            planned = here.run_command("expire", *words, "--output", "json", endpoint=proxy.url)
    assert len(proxy.operations) > 10
    assert proxy.changes == []
    assert planned.code == 0
    assert "Nothing was removed" in planned.err
    assert here.data(here.bucket) == before
    (table,) = planned.json["tables"]
    assert [c["keep"] for c in table["chains"]] == [False] * (len(table["chains"]) - 1) + [True]
    assert table["chains"][-1]["reasons"][0] == "newest"
    assert table["chains"][0]["reasons"] == ["no rule keeps it"]
    assert planned.json["bytes"] == sum(c["bytes"] or 0 for c in table["chains"]) > 0

    held = here.run_command(
        "hold", "add", "orders", "--at", table["chains"][0]["from"], "--reason", "case 7"
    )
    assert held.code == 0, held.err
    assert "hold 1: the state of" in held.out
    assert "case 7" in here.run_command("hold", "list").out
    answer = here.run_command("expire", "orders", "--yes")
    assert answer.code == 0, answer.err
    assert "held: case 7" in answer.out
    assert len(here.timeline("orders").chains) == 2

    assert here.run_command("hold", "remove", "orders", "1", "--reason", "closed").code == 0
    assert here.run_command("hold", "list", "orders", "--output", "json").json["holds"] == []
    user = operator(here.client("iam"), *RIGHTS, "s3:PutObject")
    who = {"key": user.key, "secret": user.secret}
    refused = here.run_command("expire", "--yes", **who)
    assert refused.code == 11
    assert "s3:DeleteObject" in refused.err
    allow(here.client("iam"), *RIGHTS, "s3:PutObject", "s3:DeleteObject")
    assert here.run_command("expire", "--yes", **who).code == 0
    timeline = here.timeline("orders")
    assert len(timeline.chains) == 1
    assert timeline == here.truth("orders")
    assert here.tick().tables[0].count("started", "gap") == 0
    again = here.run_command("expire", "--yes", "--output", "json")
    assert (again.json["removed"], again.json["bytes"]) == (0, 0)
    assert "Nothing is to be removed" in again.err
    assert here.heard() == []
    assert here.run_command("expire", "nothing").code == 12
    report_of(here, len(table["chains"]))
    early = here.run_command("hold", "add", "orders", "--at", "2020-01-01", "--reason", "x")
    assert early.code == 4
    none = here.run_command("hold", "add", "orders", "--export", "x", "--reason", "x")
    assert none.code == 12


def report_of(here: Installed, chains: int) -> None:
    """What an auditor gets of all that."""
    told = here.run_command("report", "orders", "--since", "2020-01-01", "--output", "json")
    assert told.code == 0, told.err
    assert told.json["schema"] == "coldtable.report/1"
    (table,) = told.json["tables"]
    states = {e["state"] for e in table["exports"]}
    assert states == {"verified", "removed"}
    assert sum(e["kind"] == "base" for e in table["exports"]) == chains
    assert {e["exportId"] for e in table["exports"] if e["state"] == "removed"} == {
        e["exportId"] for e in table["expirations"] if e["removedAt"]
    }
    assert [(h["number"], h["releasedWhy"]) for h in table["holds"]] == [(1, "closed")]
    assert (table["gaps"], table["drills"], table["pause"]) == ([], [], None)
    (coverage,) = here.timeline("orders").coverage
    assert table["restorable"] == [
        {"from": coverage.start.isoformat(), "to": coverage.stop.isoformat()}
    ]
    people = here.run_command("report", "--since", "2020-01-01")
    assert people.code == 0
    assert "## orders" in people.out
    assert "Retention: 1 daily, and at least the newest 1." in people.out
    assert "| 1 | the state of" in people.out
    later = here.run_command("report", "--since", "2999-01-01", "--output", "json").json
    assert later["tables"][0]["exports"] == later["tables"][0]["expirations"] == []
    assert here.run_command("report", "--since", "soon").code == 2


def test_what_s3_protects(moving: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """Under a default retention everything is kept until it is over, with its end; in a bucket that
    keeps versions what was removed is there as one, and that is said."""
    here = Installed(moving, account)
    here.coldtable = coldtable
    here.s3.create_bucket(Bucket=f"locked-{account}", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    here.s3.put_object_lock_configuration(Bucket=f"locked-{account}", ObjectLockConfiguration=lock)
    here.configure(f"locked-{account}", keep_daily=1)
    here.bucket = f"locked-{account}"
    here.create(
        "orders", every=QUARTER, full_every=DAY, rpo=DAY, to=Destination(bucket=here.bucket)
    )
    here.run(DAY + 2 * QUARTER, QUARTER)
    here.finish()
    kept = here.run_command("expire", "--yes", "--output", "json")
    assert kept.code == 0, kept.err
    (table,) = kept.json["tables"]
    assert all(c["keep"] for c in table["chains"])
    assert table["chains"][0]["reasons"][0].startswith("S3 Object Lock (COMPLIANCE) until 20")
    here.pass_time(40 * DAY)
    gone = here.run_command("expire", "--yes")
    assert gone.code == 0, gone.err
    assert f"Bucket {here.bucket} keeps versions" in gone.err
    assert len(here.timeline("orders").chains) == 1


def test_a_table_that_was_deleted(moving: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """It keeps its last state for ever; with keep_gone_days until other tables' exports are so far
    ahead, and DynamoDB says that it is gone. One that is only not exported any more stays."""
    here = Installed(moving, account)
    here.coldtable = coldtable
    gone = {"tables": ["orders", "users", "carts"], "every_minutes": 1440, "full_every_days": 1}
    here.configure(here.bucket, keep_daily=1, **gone)
    for name in ("orders", "users", "carts"):
        here.create(name, every=DAY, full_every=DAY, rpo=2 * DAY)
    here.run(2 * DAY, DAY)
    here.finish()
    del here.policies["orders"], here.policies["carts"]
    here.dynamodb.delete_table(TableName="orders")
    here.run(4 * DAY, DAY)
    here.finish()
    kept = here.run_command("expire", "orders", "--yes", "--output", "json").json["tables"][0]
    assert [c["keep"] for c in kept["chains"]][-1:] == [True]
    here.configure(here.bucket, keep_daily=1, keep_gone_days=2, **gone)
    planned = here.run_command("expire")
    assert planned.code == 0, planned.err
    assert "orders (gone)  remove" in planned.out
    assert "the table is gone, and other tables' exports reach" in planned.out
    assert "carts (gone)" not in planned.out
    removed = here.run_command("expire", "--yes", "--output", "json").json["tables"]
    by_name = {t["tableName"]: t for t in removed}
    assert by_name["orders"]["gone"]
    assert not any(c["keep"] for c in by_name["orders"]["chains"])
    assert by_name["carts"]["chains"][-1]["keep"]
    assert by_name["users"]["chains"][-1]["keep"]
    assert not any("/orders/" in key for key in here.data(here.bucket))
    assert any("/carts/" in key for key in here.data(here.bucket))


def test_what_failed_and_what_is_damaged(
    moving: EmbeddedAws, account: str, coldtable: Coldtable
) -> None:
    """What an export that AWS failed has left behind is an orphan, listed and removed with
    --orphans; a damaged one goes without any rule once the tick has made it again."""
    here = Installed(moving, account)
    here.coldtable = coldtable
    here.configure(here.bucket)
    here.create("orders", every=QUARTER, full_every=20 * DAY, rpo=DAY)
    here.run(QUARTER, QUARTER)
    here.aws.fault(fail={"code": "S3NoSuchBucket", "message": "gone", "after_files": 2})
    here.run(2 * QUARTER, QUARTER)
    here.aws.fault(damage={"how": "missing"})
    here.run(3 * QUARTER, QUARTER)
    here.finish()
    here.aws.advance(9 * DAY)
    (table,) = here.run_command("expire", "--output", "json").json["tables"]
    (single,) = table["singles"]
    assert (single["damaged"], single["keep"]) == (True, False)
    assert single["reasons"][0].startswith("damaged, and replaced by export ")
    planned = here.run_command("expire", "--orphans")
    assert "damaged, and replaced by export " in planned.out
    assert "the catalog says failed: S3NoSuchBucket" in planned.out
    before = here.timeline("orders")
    done = here.run_command("expire", "--orphans", "--yes")
    assert done.code == 0, done.err
    assert "Removed: 1 exports, 1 leftovers" in done.out
    assert here.timeline("orders") == before == here.truth("orders")
    left = {part for key in here.data(here.bucket) for part in key.split("/")}
    # Which of them AWS failed and which is damaged is the machine's choice: a base may be it.
    proven = {
        one.export_id
        for base in here.ledger("orders").bases
        for one in base.attempts
        if one.outcome is Outcome.VERIFIED
    }
    assert single["exportId"] not in left
    assert proven
    assert proven <= left
    again = here.run_command("expire", "--orphans", "--yes")
    assert "Nothing is to be removed" in again.err
    told = here.run_command("report", "orders", "--since", "2020-01-01", "--output", "json").json
    (gone,) = told["tables"][0]["expirations"]
    assert gone["exportId"] == single["exportId"]
    assert gone["reason"] == single["reasons"][0]
