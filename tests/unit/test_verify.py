"""What ``coldtable verify`` reads, chooses, joins and prints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coldtable.cli.app import main
from coldtable.testing.exports import NOON, ExportsWriter
from tests.unit.verifying import CHANGES, HOUR, ITEMS, Verify, first, remove, sound, told


@pytest.mark.parametrize("level", ["manifest", "objects", "items"])
def test_a_sound_archive(verify: Verify, level: str) -> None:
    """Every export is verified at every level, with what was read; nothing is left behind."""
    verify.put(sound())
    code, answer, err = verify("--level", level)
    assert (code, err) == (0, "")
    assert answer["schema"] == "coldtable.verify/1"
    assert told(answer) == ["verified", "verified"]
    read = [0, 0] if level == "manifest" else [3, 2]
    assert [e["objectsRead"] for e in answer["exports"]] == read
    assert [(e["objects"], e["items"], e["tableName"]) for e in answer["exports"]] == [
        (3, 3, "orders"),
        (2, 1, "orders"),
    ]
    assert (answer["orphans"], answer["unjoined"]) == ([], [])
    assert not verify.state.exists() or list(verify.state.iterdir()) == []


def test_a_gap(verify: Verify) -> None:
    """An increment that joins on to nothing: exit code 4 with the gap; --allow-gap accepts it.
    What joins on to it is not told again."""
    writer = ExportsWriter()
    writer.full(NOON + timedelta(seconds=1.622), ITEMS)
    writer.increment(NOON + timedelta(minutes=1), NOON + HOUR, CHANGES)
    writer.increment(NOON + HOUR, NOON + 2 * HOUR)
    verify.put(writer)
    code, answer, err = verify()
    assert code == 4
    assert "a gap of 58.378 s from 2026-01-14T12:00:01.622+00:00 to 2026-01-14T12:01" in err
    assert told(answer) == ["verified"] * 3
    assert [(u["gapSeconds"], u["overlap"]) for u in answer["unjoined"]] == [(58.378, False)]
    assert verify("--allow-gap")[0] == 0


def test_a_table_that_was_re_created(verify: Verify) -> None:
    """Increments of the new table do not continue the old one's chain, though the times fit."""
    writer = sound()
    ExportsWriter(writer.objects, table_id="new", prefix="later").increment(
        NOON + HOUR, NOON + 2 * HOUR, CHANGES
    )
    verify.put(writer)
    code, answer, err = verify()
    assert code == 4
    assert "a table that was replaced (id cf263806-6bf1-4e51-a242-7067dcdecc72)" in err
    assert [u["tableId"] for u in answer["unjoined"]] == ["new"]


@pytest.mark.parametrize(
    ("age", "verdict"), [(timedelta(hours=1), "in progress"), (timedelta(days=2), "unknown")]
)
def test_an_export_that_only_started(verify: Verify, age: timedelta, verdict: str) -> None:
    """`_started` alone is in progress for a day, then nobody knows; both are no damage."""
    writer = sound()
    folder = writer.started(datetime.now(UTC) - age)
    data = f"{folder}/data/x.json.gz"
    writer.objects[data] = b"x"
    verify.put(writer)
    code, answer, _ = verify()
    assert code == 0
    assert told(answer) == ["verified", "verified", verdict]
    assert "has no summary" in answer["exports"][2]["notes"][0]
    assert answer["orphans"] == []


def test_objects_that_no_manifest_names(verify: Verify) -> None:
    """Files beside those of an export are orphans, told and no damage; the catalog is none."""
    writer = sound()
    own = first(writer).rpartition("/")[0]
    strange = sorted([f"{own}/a.json.gz", "orders/AWSDynamoDB/data/b.json.gz"])
    for key in [*strange, "coldtable/v1/x.json", "orders/readme.txt"]:
        writer.objects[key] = b"x"
    verify.put(writer)
    code, answer, _ = verify()
    assert code == 0
    assert answer["orphanCount"] == 2
    assert [key.removeprefix(f"{verify.folder}/") for key in answer["orphans"]] == strange


def test_data_of_an_increment_in_progress_is_no_orphan(verify: Verify) -> None:
    """Increments share a folder: what an unfinished one writes there is not called an orphan."""
    writer = sound()
    writer.objects["orders/AWSDynamoDB/data/new.json.gz"] = b"x"
    writer.started(datetime.now(UTC) - HOUR)
    verify.put(writer)
    assert verify()[1]["orphanCount"] == 0


def test_one_table_and_a_time(verify: Verify) -> None:
    """TABLE and --since choose exports; an unknown table is exit code 12 with what there is."""
    writer = sound()
    ExportsWriter(writer.objects, table="users", prefix="u").full(NOON, ITEMS)
    verify.put(writer)
    assert [e["tableName"] for e in verify("users")[1]["exports"]] == ["users"]
    assert [e["items"] for e in verify("orders", "--since", "2026-01-14T12:30Z")[1]["exports"]] == [
        1
    ]
    assert len(verify("--since", "2026-01-14")[1]["exports"]) == 3
    assert verify("--since", "1d")[1]["exports"] == []
    code, _, err = verify("nothing")
    assert code == 12
    assert "hint: It holds: orders, users" in err


def test_all_slices_together_read_everything(verify: Verify) -> None:
    """--subset reads each file in exactly one of its slices, and says how many it read."""
    verify.put(sound())
    answers = [verify("--subset", f"{n}/3")[1] for n in (1, 2, 3)]
    assert [sum(a["exports"][e]["objectsRead"] for a in answers) for e in (0, 1)] == [3, 2]
    assert max(sum(e["objectsRead"] for e in a["exports"]) for a in answers) < 5
    assert verify("--subset", "100%")[1]["exports"][0]["objectsRead"] == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--level", "drill"], 2, "drills one table"),
        (["--level", "deep"], 2, "deep"),
        (["--subset", "0%"], 2, "is no part of an archive"),
        (["--subset", "4/3"], 2, "is no part of an archive"),
        (["--since", "yesterday"], 2, "is no time"),
        (["--since", "2026-01-14T12:30"], 2, "has no offset"),
        (["--key", "pk"], 2, "is no key schema"),
        (["--cores", "0"], 2, "--cores must be"),
        (["--archive", "/no/such/folder"], 12, "There is no folder"),
    ],
)
def test_words_that_make_no_sense(verify: Verify, words: list[str], code: int, said: str) -> None:
    """One clear error before anything is read."""
    found, answer, err = verify(*words)
    assert (found, answer) == (code, {})
    assert said in err


def test_people_read_a_table(verify: Verify, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --output json: a row for each export, a line for each problem, and the sum."""
    writer = sound()
    remove("0001.json.gz")(writer)
    verify.put(writer)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--archive", str(verify.folder), "--state", str(verify.state)])
    out, err = capsys.readouterr()
    assert ended.value.code == 5
    lines = out.splitlines()
    assert lines[0].split() == ["TABLE", "EXPORT", "COVERS", "VERDICT", "OBJECTS", "ITEMS"]
    assert lines[1].split()[-3:] == ["incomplete", "2/3", "3"]
    assert lines[3].endswith("0001.json.gz: it is not there")
    assert lines[4] == "2 exports: 1 verified, 1 incomplete"
    assert "orders 01768392300000-00000001: incomplete" in err
