"""The evidence of a table's life: everything that was noted, in JSON and in Markdown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coldtable.core.evidence import Kind, evidence_key
from coldtable.core.records import Home, body
from coldtable.core.report import TableEvidence, markdown
from coldtable.core.retention import retention_text
from coldtable.model_archive import Hold
from coldtable.model_policy import Retention
from coldtable.ops.catalog import Catalog
from coldtable.ops.compact import compact
from coldtable.ops.evidence import note_evidence
from coldtable.ops.hold import add_hold
from coldtable.ops.report import gather_evidence
from coldtable.ops.shelf import open_shelf, shelves
from tests.unit.ticking import DAY, HOUR, NOON, Night, policy


@pytest.fixture(scope="module")
def night() -> Night:
    """A failure, a gap of which people were told, a hold, a drill and a verification."""
    made = Night(policy(every=6 * HOUR, rpo=13 * HOUR))
    made.aws.failures = ["S3AccessDenied"]
    made.run(DAY, timedelta(minutes=30))
    made.aws.switch_pitr("orders", on=False)
    made.run(HOUR)
    made.aws.switch_pitr("orders", on=True)
    made.run(9 * HOUR)
    catalog, home = Catalog(made.aws.bucket), Home.of(made.table)
    hold = Hold(number=0, reason="case | 7\n<b>", at=made.aws.now, by="ann")
    shelf = open_shelf(catalog, home, made.table.table_id, catalog.heads(home))
    add_hold(catalog, home, hold, shelf.units(made.aws.now).units)
    for kind in Kind:
        key = evidence_key(home, made.table.table_id, made.aws.now, kind)
        catalog.note(key, body(kind, made.aws.now, result="good", summary=f"a {kind}"))
    return made


def evidence(night: Night, since_days: int = 0) -> TableEvidence:
    (shelf,) = shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1")
    begin = NOON + since_days * DAY
    return gather_evidence(shelf, "s3://archive", begin, "everything is kept", None)


def test_everything_that_was_noted(night: Night) -> None:
    """Each part has what happened, with times and causes."""
    found = evidence(night)
    states = [e["state"] for e in found.exports]
    assert states.count("failed") == 1
    assert [e["reason"] for e in found.exports if e["state"] == "failed"] == ["S3AccessDenied"]
    assert all(e["notedAt"] for e in found.exports)
    (gap,) = found.gaps
    assert gap["cause"] == "pitr"
    assert gap["to"] is not None
    assert {i["kind"] for i in found.incidents} >= {"loss"}
    assert all(i["toldAt"] and i["overAt"] for i in found.incidents)
    assert [h["reason"] for h in found.holds] == ["case | 7\n<b>"]
    assert [d["summary"] for d in (*found.verifications, *found.drills)] == [
        "a verification",
        "a drill",
    ]
    assert len(found.restorable) == 2


def test_only_since_then(night: Night) -> None:
    """What was over before is left out; what is restorable and a hold in force are not."""
    found = evidence(night, 30)
    assert not [*found.exports, *found.gaps, *found.incidents, *found.drills]
    assert len(found.holds) == 1
    assert len(found.restorable) == 2


def test_an_index_says_the_same(night: Night) -> None:
    """A month that was indexed gives the same report."""
    before = evidence(night)
    (shelf,) = shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1")
    later = night.aws.now + 50 * DAY
    assert compact(shelf.history, later, later)
    (indexed,) = shelves(Catalog(night.aws.bucket), "000000000000", "us-east-1")
    assert indexed.history.indexes
    assert evidence(night) == before


def test_markdown(night: Night) -> None:
    """Every part has its heading; nothing that was noted can break out of its cell."""
    text = markdown([evidence(night)], "a", "b")
    headings = [line[4:] for line in text.splitlines() if line.startswith("### ")]
    assert headings == [
        "Restorable", "Gaps", "Exports", "Known to be bad", "Verifications", "Drills", "Incidents",
        "Holds", "Expirations",
    ]  # fmt: skip
    assert "case \\| 7 &lt;b>" in text
    rows = [line for line in text.splitlines() if line.startswith("| 2026-11")]
    assert len(rows) >= 2
    assert "### Expirations\n\nNone.\n" in text


def test_what_is_known_to_be_bad() -> None:
    """An export that verify found bad says so, and counts as damaged; of the verification that
    found it, only what is not well is shown."""
    night = Night(policy(every=6 * HOUR, rpo=13 * HOUR))
    night.run(DAY)
    ours = [arn.rsplit("/", 1)[1] for arn in night.aws.exports(night.table)]
    lines = [
        {"exportId": one, "folder": "f", "verdict": verdict, "problems": []}
        for one, verdict in zip(ours, ["damaged", *["verified"] * 9], strict=False)
    ]
    fields = {"result": "damaged", "level": "objects", "endedAt": "t", "exports": lines}
    note_evidence(
        Catalog(night.aws.bucket), night.table, Kind.VERIFICATION, night.aws.now, "damaged", fields
    )
    found = evidence(night)
    assert [e["exportId"] for e in found.exports if e["bad"]] == [ours[0]]
    assert [e["exportId"] for e in found.verifications[0]["exports"]] == [ours[0]]
    text = markdown([found], "a", "b")
    row = next(line for line in text.splitlines() if line.startswith("| 2026-11 |"))
    assert row.split(" | ")[1:4] == [str(len(found.exports) - 1), "0", "1"]
    assert f"| {ours[0]} |" in text


def test_retention_in_words() -> None:
    """The rules that are set, and no others."""
    assert retention_text(Retention(minimum=3)) == "everything is kept"
    both = Retention(within=35 * DAY, monthly=12)
    assert retention_text(both) == "within 35 days, 12 monthly, and at least the newest 1"
