"""What verify notes in the catalog: where, what, when, and what follows from many such records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.core.evidence import (
    MOST_EXPORTS,
    Kind,
    Noted,
    Run,
    bad_exports,
    evidence_folder,
    evidence_key,
    parse_evidence,
)
from coldtable.core.records import Home, body, record_key, slot_of
from coldtable.core.verification import Level, Subset, parse_subset
from coldtable.files import FileObjects
from coldtable.model import Table, Window
from coldtable.model_archive import Attempt, Outcome, SlotKind
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import (
    has_catalog,
    known_bad,
    note_evidence,
    record_verification,
)
from coldtable.ops.orphans import find_orphans
from coldtable.ops.rebuild import Source, rebuild
from coldtable.ops.shelf import shelves
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.testing.exports import NOON, TABLE_ID, ExportsWriter
from coldtable.testing.fakes import FakeObjects
from tests.unit.counting import CountingObjects
from tests.unit.test_verify_resume import HERE, Failing, Heard
from tests.unit.ticking import Night
from tests.unit.verifying import CHANGES, HOUR, ITEMS, first, flip, sound

NOW = datetime(2026, 1, 20, 3, 0, 0, tzinfo=UTC)
ORDERS = Table(name="orders", arn=ExportsWriter().table_arn, table_id=TABLE_ID)
FOLDER = evidence_folder(Home.of(ORDERS), TABLE_ID)


def look(
    store: FakeObjects,
    state: Path,
    at: datetime = NOW,
    *,
    level: Level = Level.OBJECTS,
    subset: str | None = None,
    prefix: str = "",
) -> list[dict[str, Any]]:
    """Verify and note it; the new records."""
    part = parse_subset(subset, at.date()) if subset else None
    wanted = Wanted(where="here", prefix=prefix, level=level, state=state, subset=part)
    report = verify_archive(lambda: store, wanted, HERE, at, Heard())
    run = Run(prefix=prefix, began=report.began, ended=at + HOUR, subset=part)
    catalog = Catalog(store)
    return [catalog.read(key) for key in record_verification(catalog, report, run).keys]


def bad(store: FakeObjects, table: Table = ORDERS) -> dict[str, str]:
    return known_bad(Catalog(store), Home.of(table), table.table_id)


def test_a_record_for_each_table(tmp_path: Path) -> None:
    """One record of a run for each table: how it was made, what it came to, and each export."""
    writer = sound()
    ExportsWriter(writer.objects, table="users", table_id="u", prefix="u").full(NOON, ITEMS)
    writer.objects[first(writer)] = flip(writer.objects[first(writer)])
    store = FakeObjects(writer.objects)
    orders, users = look(store, tmp_path)
    assert {k: v for k, v in orders.items() if k not in ("exports", "summary")} == {
        "schema": "coldtable.record/1",
        "kind": "verification",
        "at": "2026-01-20T04:00:00Z",
        "table": {"name": "orders", "arn": ORDERS.arn, "id": TABLE_ID},
        "result": "damaged",
        "level": "objects",
        "subset": None,
        "since": None,
        "prefix": "",
        "beganAt": "2026-01-20T03:00:00Z",
        "endedAt": "2026-01-20T04:00:00Z",
        "counts": {"damaged": 1, "verified": 1},
        "objects": 5,
        "objectsRead": 5,
        "bytes": sum(len(b) for k, b in store.objects.items() if "/data/" in k and k < "u"),
        "bytesRead": orders["bytes"],
        "moreExports": 0,
        "unjoined": [],
        "moreUnjoined": 0,
        "unattributed": [],
    }
    assert orders["summary"].startswith("objects: 1 of 2 exports verified, 1 damaged. orders/AWS")
    worse, better = orders["exports"]
    assert (worse["verdict"], worse["objects"], worse["objectsRead"]) == ("damaged", 3, 3)
    assert worse["problems"][0]["object"] == first(writer)
    assert "its MD5 is" in worse["problems"][1]["reason"]
    assert (better["verdict"], better["from"]) == ("verified", "2026-01-14T12:00:00Z")
    assert (users["table"]["id"], users["result"]) == ("u", "verified")
    keys = [key for key in store.objects if key.startswith("coldtable/")]
    assert keys == [
        f"{FOLDER}20260120T040000Z.verification.damaged.json",
        "coldtable/v1/evidence/123456789012/eu-north-1/users/u/"
        "20260120T040000Z.verification.verified.json",
    ]


def test_names_of_records() -> None:
    """A key tells when, of what kind and with what result; other names are not ours."""
    home = Home.of(ORDERS)
    cases = [
        ("20260120T030000Z.verification.damaged.json", Kind.VERIFICATION, "damaged", 1),
        ("20260120T030000Z.verification.verified.2.json", Kind.VERIFICATION, "verified", 2),
        ("20260120T030000Z.drill.json", Kind.DRILL, "", 1),
        ("20260120T030000Z.drill.3.json", Kind.DRILL, "", 3),
    ]
    for name, kind, result, number in cases:
        assert evidence_key(home, TABLE_ID, NOW, kind, result, number) == FOLDER + name
        assert parse_evidence(name) == Noted(at=NOW, kind=kind, result=result, number=number)
    for name in ("20260120T030000Z.hold.json", "x.drill.json", "20260120T030000Z.drill"):
        assert parse_evidence(name) is None


def test_two_runs_in_a_second() -> None:
    """The second gets a number; a write that is repeated after a lost answer finds itself."""
    catalog = Catalog(FakeObjects({}))

    def note(**fields: Any) -> str:
        key = note_evidence(catalog, ORDERS, Kind.DRILL, NOW, "same", fields)
        return key.removeprefix(FOLDER)

    assert note(a=1) == "20260120T030000Z.drill.same.json"
    assert note(a=2) == "20260120T030000Z.drill.same.2.json"
    assert note(a=1) == "20260120T030000Z.drill.same.json"
    assert note(a=3) == "20260120T030000Z.drill.same.3.json"


def test_of_a_part_only_what_was_read_is_listed(tmp_path: Path) -> None:
    """With a subset: the exports of which something was read, and all that are bad."""
    writer = ExportsWriter()
    for n in range(9):
        writer.increment(NOON + n * HOUR, NOON + (n + 1) * HOUR, CHANGES)
    gone = max(key for key in writer.objects if key.endswith(".gz"))
    part = next(n for n in range(1, 6) if not Subset(number=n, of=5).holds(gone, "", full=True))
    del writer.objects[gone]
    (record,) = look(FakeObjects(writer.objects), tmp_path, subset=f"{part}/5")
    assert (record["subset"], record["result"]) == (f"{part}/5", "incomplete")
    read = [e for e in record["exports"] if e["objectsRead"]]
    assert 0 < len(read) == record["objectsRead"] < 9
    assert len(record["exports"]) == len(read) + 1
    assert record["exports"][0]["problems"][0]["reason"] == "it is not there"
    assert record["counts"] == {"verified": 8, "incomplete": 1}


def test_a_large_archive_is_listed_in_part(tmp_path: Path) -> None:
    """No record grows without bound: what is bad comes first, and the rest is counted."""
    writer = ExportsWriter()
    for n in range(MOST_EXPORTS + 5):
        writer.increment(NOON + n * HOUR, NOON + (n + 1) * HOUR)
    oldest = min(key for key in writer.objects if key.endswith("manifest-files.json"))
    del writer.objects[oldest]
    store = FakeObjects(writer.objects, piece=10_000)
    (record,) = look(store, tmp_path, level=Level.MANIFEST)
    assert (len(record["exports"]), record["moreExports"]) == (MOST_EXPORTS, 5)
    assert record["exports"][0]["verdict"] == "incomplete"
    assert record["unjoined"][0]["reason"].startswith("there is no export")
    assert record["exports"][1]["to"] > record["exports"][2]["to"]


def test_an_export_whose_manifest_cannot_be_read(tmp_path: Path) -> None:
    """It counts to the table that the catalog noted it for; one that nobody knows is named in
    every record of the run."""
    writer = sound()
    strange = ExportsWriter(writer.objects, table="x", prefix="x").full(NOON + HOUR, ITEMS)
    broken = first(writer, "manifest-summary.json")
    for key in (broken, strange):
        writer.objects[key] += b" "
    ours, others = broken.split("/")[-2], strange.split("/")[-2]
    # Noted for another of the name: its records lie elsewhere than those of what could be read.
    other = Table(name="orders", arn=ORDERS.arn, table_id="before")
    span = Window(start=NOON, stop=NOON + HOUR)
    proven = Attempt(number=1, span=span, export_id=ours, outcome=Outcome.VERIFIED)
    key = record_key(Home.of(other), "before", slot_of(SlotKind.WINDOW, NOON), proven)
    told = {"name": "orders", "arn": ORDERS.arn, "id": "before"}
    writer.objects[key] = body("verified", NOON, table=told)
    store = FakeObjects(writer.objects)
    orders, before = look(store, tmp_path)
    assert (orders["table"]["id"], orders["result"]) == (TABLE_ID, "verified")
    assert (before["table"], before["result"]) == (told, "damaged")
    assert [e["exportId"] for e in before["exports"]] == [ours]
    assert [[e["exportId"] for e in r["unattributed"]] for r in (orders, before)] == [[others]] * 2
    assert list(bad(store, other)) == [ours]
    assert bad(store) == {}


def test_an_interrupted_run_is_one_run(tmp_path: Path) -> None:
    """Only what comes to its end is noted, with the time when it first began."""
    writer = ExportsWriter()
    writer.full(NOON, *[[ITEMS[0]]] * 150)
    broken = Failing(writer.objects, KeyboardInterrupt(), after=140)
    with pytest.raises(KeyboardInterrupt):
        look(broken, tmp_path)
    assert not has_catalog(broken)
    store = FakeObjects(writer.objects)
    (record,) = look(store, tmp_path, NOW + HOUR)
    assert (record["beganAt"], record["endedAt"]) == (
        "2026-01-20T03:00:00Z",
        "2026-01-20T05:00:00Z",
    )
    assert (record["objectsRead"], record["bytesRead"]) == (150, record["bytes"])


def test_what_is_known_to_be_bad(tmp_path: Path) -> None:
    """Damage is known until a run that looks as closely finds none; less than that says nothing.
    As long as nothing was found, no record is read."""
    writer = sound()
    victim = first(writer)
    whole, export_id = writer.objects[victim], victim.split("/")[-3]
    store = FakeObjects(writer.objects)
    look(store, tmp_path, NOW)
    counting = CountingObjects(store)
    assert known_bad(Catalog(counting), Home.of(ORDERS), TABLE_ID) == {}
    assert counting.requests == {"LIST": 1}
    store.objects[victim] = flip(whole)
    look(store, tmp_path, NOW + HOUR)
    assert list(bad(store)) == [export_id]
    assert f"damaged: {victim}: it is not sound gzip" in bad(store)[export_id]
    assert "verified 2026-01-20T05:00:00Z, level objects" in bad(store)[export_id]
    look(store, tmp_path, NOW + 2 * HOUR, level=Level.MANIFEST)
    assert list(bad(store)) == [export_id]
    store.objects[victim] = whole
    look(store, tmp_path, NOW + 3 * HOUR, prefix="elsewhere/")
    look(store, tmp_path, NOW + 3 * HOUR, subset="1/2")
    assert list(bad(store)) == [export_id]
    look(store, tmp_path, NOW + 4 * HOUR, level=Level.ITEMS)
    assert bad(store) == {}


def test_a_part_clears_what_the_same_part_found(tmp_path: Path) -> None:
    """A schedule that reads a part each day clears an export when it has come round to it again,
    also one of which no file is in that part."""
    writer = sound()
    victim = first(writer)
    part = next(
        n for n in range(1, 100) if not Subset(number=n, of=100).holds(victim, "", full=True)
    )
    body, export_id = writer.objects.pop(victim), victim.split("/")[-3]
    store = FakeObjects(writer.objects)
    look(store, tmp_path, NOW, subset=f"{part}/100")
    assert list(bad(store)) == [export_id]
    store.objects[victim] = body
    look(store, tmp_path, NOW + HOUR, subset=f"{part % 100 + 1}/100")
    assert list(bad(store)) == [export_id]
    look(store, tmp_path, NOW + 2 * HOUR, subset=f"{part}/100")
    assert bad(store) == {}


def test_a_copy_does_not_speak_for_the_original(tmp_path: Path) -> None:
    """That a copy below another prefix is whole says nothing of the export that it is one of; once
    the bad one is gone, a run over all of it does."""
    writer = sound()
    victim = first(writer)
    store = FakeObjects(writer.objects)
    store.objects |= {f"copy/{key}": value for key, value in store.objects.items()}
    store.objects[victim] = flip(store.objects[victim])
    look(store, tmp_path, NOW)
    look(store, tmp_path, NOW + HOUR, prefix="copy/")
    assert list(bad(store)) == [victim.split("/")[-3]]
    look(store, tmp_path, NOW + 2 * HOUR)
    assert bad(store) != {}
    for key in [key for key in store.objects if key.startswith("orders/")]:
        del store.objects[key]
    look(store, tmp_path, NOW + 3 * HOUR)
    assert bad(store) == {}


def test_records_of_others_are_passed_over() -> None:
    """Drills, levels that are not known yet and empty records say nothing of an export."""
    line = {"exportId": "e", "folder": "f", "verdict": "damaged", "problems": []}
    record = {"kind": "verification", "level": "objects", "endedAt": "a", "exports": [line]}
    assert bad_exports([record]) == {"e": "damaged (verified a, level objects)"}
    others: list[dict[str, object]] = [{"kind": "drill"}, {"level": "deeper"}, {"exports": []}]
    assert [bad_exports([record | changed]) for changed in others] == [{}] * 3


def test_of_two_runs_of_one_second_the_one_that_found_something_counts() -> None:
    """Which of them came last nobody can tell: damage is not cleared by a run of its own second."""
    line = {"exportId": "e", "folder": "f", "problems": []}
    record = {"kind": "verification", "level": "objects", "endedAt": "2026-01-20T05:00:00Z"}
    found, clear = (
        {**record, "result": result, "exports": [{**line, "verdict": result}]}
        for result in ("damaged", "verified")
    )
    assert set(bad_exports([found, clear])) == set(bad_exports([clear, found])) == {"e"}
    assert bad_exports([found, {**clear, "endedAt": "2026-01-20T05:00:01Z"}]) == {}


def test_nobody_else_minds_these_records() -> None:
    """The catalog is read, planned with, rebuilt and expired from as if they were not there."""
    night = Night()
    night.run(30 * HOUR)
    store, now = night.aws.bucket, night.aws.now

    def seen() -> tuple[object, ...]:
        catalog = Catalog(store)
        found = list(shelves(catalog, "000000000000", "us-east-1"))
        source = Source(store=store, prefix="", catalog=catalog)
        rebuilt = rebuild(source, now, dry_run=True)
        return (
            night.ledger(),
            [(shelf.kept, shelf.units(now)) for shelf in found],
            (rebuilt.added, rebuilt.damaged, rebuilt.unfinished, rebuilt.lost),
            find_orphans(store, [a for shelf in found for _, a in shelf.attempts], now),
        )

    before = seen()
    for result in ("verified", "damaged"):
        note_evidence(Catalog(store), night.table, Kind.VERIFICATION, now, result, {})
    note_evidence(Catalog(store), night.table, Kind.DRILL, now, "same", {})
    assert seen() == before
    count = len(store.objects)
    night.tick()
    assert len(store.objects) == count


class Command:
    """``coldtable verify --archive`` on a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = FileObjects(folder / "archive")
        self.folder = folder
        self.capsys = capsys

    def put(self, objects: dict[str, bytes]) -> None:
        for key, content in objects.items():
            self.store.put(key, content)

    def __call__(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON on stdout, stderr."""
        where = ["--archive", str(self.folder / "archive"), "--state", str(self.folder / "state")]
        with pytest.raises(SystemExit) as ended:
            main(["verify", *where, "--output", "json", *words])
        out, err = self.capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out else {}, err

    def records(self) -> list[str]:
        return list(self.store.keys("coldtable/v1/evidence/"))


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def test_a_foreign_folder_stays_as_it_is(verify: Command) -> None:
    """Without a catalog nothing is written, unless --record says so; then there is one."""
    verify.put(sound().objects)
    assert verify()[0] == 0
    assert not has_catalog(verify.store)
    code, _, err = verify("--record")
    assert code == 0
    (key,) = verify.records()
    assert f"Noted in {verify.folder}/archive/{key}" in err
    assert verify("--level", "manifest")[0] == 0
    assert len(verify.records()) == 2
    assert verify("--no-record")[0] == 0
    assert len(verify.records()) == 2


def damaged(writer: ExportsWriter) -> None:
    writer.objects[first(writer)] = flip(writer.objects[first(writer)])


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [(lambda _: None, 3, "error: The verdict is above, and could not be noted"), (damaged, 5, "")],
)
def test_a_verdict_that_cannot_be_noted(
    verify: Command, damage: Callable[[ExportsWriter], None], code: int, said: str
) -> None:
    """The answer is printed all the same; the exit code tells what is worse: damage, or that the
    verdict was not noted."""
    writer = sound()
    damage(writer)
    # Nothing can be written below a file.
    verify.put(writer.objects | {"coldtable/v1/log/x": b"", "coldtable/v1/evidence": b""})
    found, answer, err = verify()
    assert (found, len(answer["exports"])) == (code, 2)
    assert "could not be noted in the catalog" in err
    assert said in err
    assert ("hint: With --no-record nothing is noted" in err) == (code == 3)
