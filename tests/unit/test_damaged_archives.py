"""Damaged archives: what verify says of each, and that nobody makes anything of it.

Each is a full export of two files and the increment after it, with one thing wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coldtable.cli.app import main
from coldtable.errors import ColdtableError, DamagedError
from coldtable.files import FileObjects
from coldtable.model_restore import Way
from coldtable.testing.exports import NOON, ExportsWriter
from tests.unit.restoring import Ground, changed, line
from tests.unit.verifying import count_wrong, first, flip, remove, swap

HOUR = timedelta(hours=1)
LINES = [line(n) for n in range(3)]
CHANGES = [changed({"pk": {"S": "p3"}})]


def plain() -> ExportsWriter:
    """A full export of three items in two files, and what changed in the next hour."""
    writer = ExportsWriter(prefix="orders")
    writer.full(NOON, LINES[:2], LINES[2:])
    writer.increment(NOON, NOON + HOUR, CHANGES)
    return writer


def change(part: str, how: Callable[[bytes], bytes]) -> Callable[[ExportsWriter], object]:
    """Changes the first object whose key ends with ``part``."""

    def done(writer: ExportsWriter) -> None:
        key = first(writer, part)
        writer.objects[key] = how(writer.objects[key])

    return done


def of_the_increment(how: Callable[[bytes], bytes]) -> Callable[[ExportsWriter], object]:
    def done(writer: ExportsWriter) -> None:
        (key,) = (key for key in writer.objects if "/AWSDynamoDB/data/" in key)
        writer.objects[key] = how(writer.objects[key])

    return done


def gap() -> ExportsWriter:
    writer = ExportsWriter(prefix="orders")
    writer.full(NOON + timedelta(seconds=1.622), LINES[:2], LINES[2:])
    writer.increment(NOON + timedelta(minutes=1), NOON + HOUR, CHANGES)
    return writer


def re_created() -> ExportsWriter:
    writer = plain()
    newer = ExportsWriter(writer.objects, table_id="new", prefix="later")
    newer.increment(NOON + HOUR, NOON + 2 * HOUR, CHANGES)
    return writer


def started() -> ExportsWriter:
    writer = ExportsWriter(prefix="orders")
    writer.started(datetime.now(UTC) - timedelta(days=3))
    return writer


@dataclass(frozen=True)
class Case:
    """One thing that is wrong: verify's verdicts, its reason and exit code, and what a restore
    and a materialize end with."""

    name: str
    make: Callable[[], ExportsWriter] = plain
    spoil: Callable[[ExportsWriter], object] = lambda _: None
    verdicts: tuple[str, ...] = ("damaged", "verified")
    reason: str = ""
    code: int = 5
    refused: int = 5


CASES = [
    Case(
        "missing file",
        spoil=remove("0001.json.gz"),
        verdicts=("incomplete", "verified"),
        reason="it is not there",
    ),
    Case(
        "missing list of files",
        spoil=remove("manifest-files.json"),
        verdicts=("incomplete", "verified"),
        reason="manifest-files.json",
    ),
    Case(
        "missing summary",
        spoil=remove("manifest-summary.json"),
        verdicts=("unknown", "verified"),
        reason="join on to nothing",
        code=4,
        refused=4,
    ),
    Case(
        "truncated gzip", spoil=change("0001.json.gz", lambda b: b[:-9]), reason="it is cut short"
    ),
    Case("flipped bit", spoil=change("0001.json.gz", flip), reason="its MD5 is"),
    Case(
        "flipped bit in an increment",
        spoil=of_the_increment(flip),
        verdicts=("verified", "damaged"),
        reason="its MD5 is",
    ),
    Case("changed summary", spoil=change("summary.json", lambda b: b + b" "), reason="its MD5"),
    Case("wrong count", spoil=count_wrong, reason="it holds 2 items, and its manifest says 4"),
    Case("swapped files", spoil=swap, reason="it is the content of orders/AWSDynamoDB/"),
    Case(
        "gap",
        make=gap,
        verdicts=("verified", "verified"),
        reason="a gap of 58.378 s",
        code=4,
        refused=4,
    ),
    Case(
        "re-created table",
        make=re_created,
        verdicts=("verified", "verified", "verified"),
        reason="a table that was replaced",
        code=4,
        refused=4,
    ),
    Case(
        "only started",
        make=started,
        verdicts=("unknown",),
        reason="has no summary",
        code=0,
        refused=12,
    ),
]


def objects_of(case: Case) -> dict[str, bytes]:
    writer = case.make()
    case.spoil(writer)
    return dict(writer.objects)


def damaged_ground(case: Case) -> Ground:
    """The archive in a bucket, with nothing in DynamoDB."""
    ground = Ground()
    ground.objects.clear()
    ground.objects |= objects_of(case)
    return ground


def on_disk(case: Case, folder: Path) -> FileObjects:
    store = FileObjects(folder)
    for key, body in objects_of(case).items():
        store.put(key, body)
    return store


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--output", "json"])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_verify_says_what_is_wrong(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each export has its verdict, the reason is in the answer, and the exit code tells it."""
    on_disk(case, tmp_path / "archive")
    where = ["--archive", str(tmp_path / "archive"), "--state", str(tmp_path / "state")]
    code, out, err = run(capsys, "verify", *where)
    assert code == case.code, err
    answer = json.loads(out)
    assert sorted(e["verdict"] for e in answer["exports"]) == sorted(case.verdicts)
    assert case.reason in out + err


@pytest.mark.parametrize("way", list(Way))
def test_restore_refuses(case: Case, way: Way) -> None:
    """No table is made, no import is asked for, and nothing is left beside the archive."""
    ground = damaged_ground(case)
    before = dict(ground.objects)
    with pytest.raises(ColdtableError) as refused:
        ground.restore(way=way)
    assert refused.value.exit_code == case.refused, refused.value
    assert ground.tables.state("copy") is None
    assert ground.importer.made == []
    assert ground.objects == before
    assert ground.notes == {}


def test_materialize_refuses(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No export is made, and nothing of one is left."""
    store = on_disk(case, tmp_path / "archive")
    before = list(store.entries(""))
    words = ["orders", "--at", "latest", "--archive", str(tmp_path / "archive")]
    code, out, err = run(capsys, "materialize", *words, "--to", str(tmp_path / "made"))
    assert (code, out) == (case.refused, ""), err
    assert list(store.entries("")) == before
    assert list(FileObjects(tmp_path / "made").entries("")) == []


def test_what_is_whole_is_restored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same archive with nothing wrong: verified, restored and materialized."""
    sound = Case("sound")
    on_disk(sound, tmp_path / "archive")
    where = ["--archive", str(tmp_path / "archive")]
    assert run(capsys, "verify", *where, "--state", str(tmp_path / "state"))[0] == 0
    words = ["orders", "--at", "latest", *where, "--to", str(tmp_path / "made")]
    assert run(capsys, "materialize", *words)[0] == 0
    for way in Way:
        ground = damaged_ground(sound)
        ground.restore(way=way)
        assert len(list(ground.tables.items("copy"))) == 4


def newest_unreadable() -> ExportsWriter:
    writer = plain()
    last = writer.increment(NOON + HOUR, NOON + 2 * HOUR, CHANGES)
    writer.objects[last] += b" "
    return writer


def test_the_newest_is_not_an_older_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants the latest state does not get an older one because the manifest of something
    newer is damaged; an instant that can be rebuilt can be named."""
    case = Case("newest unreadable", make=newest_unreadable)
    store = on_disk(case, tmp_path / "archive")
    (bad,) = [e.key for e in store.entries("") if e.key.endswith("summary.json")][-1:]
    words = ["materialize", "orders", "--archive", str(tmp_path / "archive")]
    code, _, err = run(capsys, *words, "--at", "latest", "--to", str(tmp_path / "made"))
    assert code == 5
    assert f"anything newer than 2026-01-14T13:00:00+00:00 is not known: {bad}" in err
    assert "name an instant with --at" in err
    named = (NOON + HOUR).isoformat()
    assert run(capsys, *words, "--at", named, "--to", str(tmp_path / "made"))[0] == 0
    ground = damaged_ground(case)
    with pytest.raises(DamagedError, match="is not known"):
        ground.plan()
    ground.restore(at=NOON + HOUR)
    assert len(list(ground.tables.items("copy"))) == 4


def test_an_old_manifest_does_not_matter() -> None:
    """What is damaged and older than the newest restore point keeps nobody from it."""
    writer = plain()
    early = ExportsWriter(writer.objects, prefix="early", written=7)
    writer.objects[early.full(NOON - 5 * HOUR, LINES)] += b" "
    ground = damaged_ground(Case("old", make=lambda: writer))
    ground.restore()
    assert len(list(ground.tables.items("copy"))) == 4


def test_single_items_of_a_missing_file() -> None:
    """--keys reads the files as they are: one that is missing is damage, not a missing table."""
    ground = damaged_ground(Case("missing", spoil=remove("0001.json.gz")))
    with pytest.raises(DamagedError, match="the export's manifest names it"):
        ground.restore(keys=("p2",))
    assert ground.tables.state("copy") is None
