"""The verifying door: which bytes it reads when, what it notes, tells, measures and raises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from coldtable.core.evidence import evidence_folder
from coldtable.core.index import Period, encode, make_line
from coldtable.core.records import Home
from coldtable.core.rotation import hour_of
from coldtable.errors import (
    AccessDenied,
    ParameterInvalid,
    ParameterMissing,
    ServiceFailed,
    Untold,
)
from coldtable.handler_verify import respond
from coldtable.local.emf import points
from coldtable.ops.catalog import Catalog
from coldtable.ops.history import History
from coldtable.ops.pace import Watch
from coldtable.ops.reread import AT_A_TIME
from coldtable.ops.rotate import VerifyWorld
from coldtable.ports import ObjectStore
from coldtable.testing.fakes import ACCOUNT, REGION, FakeParameters
from tests.unit.counting import CountingObjects
from tests.unit.ticking import DAY, HOUR, Night

PATH = "/test/stg/infra"
DAYS = 3


class Noting(CountingObjects):
    """Counts how often each object was read; what is ``closed`` is refused."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.seen: Counter[str] = Counter()
        self.closed: dict[str, Exception] = {}

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        self.seen[key] += 1
        for end, error in self.closed.items():
            if key.endswith(end):
                raise error
        return super().read(key)


class Door:
    """An installation with an archive of a few hours, and what its runs answer."""

    def __init__(self) -> None:
        self.night = Night()
        self.night.run(12 * HOUR)
        self.store = Noting(self.night.aws.bucket)
        self.home = Home.of(self.night.table)
        self.parameters = FakeParameters(
            {
                f"{PATH}/BACKUP_BUCKET_NAME": "archive",
                f"{PATH}/TABLE_NAMES": "orders",
                f"{PATH}/POLICY": '{"mode": "continuous"}',
                f"{PATH}/VERIFY_DAYS": str(DAYS),
            }
        )
        self.now = self.night.aws.now
        self.lines: list[str] = []
        self.patience = 10**6
        self.threads = AT_A_TIME

    @property
    def objects(self) -> dict[str, bytes]:
        return self.night.aws.bucket.objects

    @property
    def files(self) -> list[str]:
        """The data files of the archive."""
        return [key for key in self.objects if "/data/" in key]

    def world(self) -> VerifyWorld:
        """``patience`` is how many looks at the clock there is time for."""
        looks = iter(range(10**9))
        return VerifyWorld(
            objects=lambda _to: self.store,
            notifier=self.night.aws.notifier,
            watch=Watch(
                read=lambda: float(next(looks)), pause=lambda _s: None, deadline=self.patience
            ),
            now=lambda: self.now,
            account=ACCOUNT,
            region=REGION,
            threads=self.threads,
        )

    def run(self, day: int = 0, *, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the run of that day answers, at the table's hour; status and body in one."""
        due = datetime(2026, 12, 1, hour_of(self.home), 7, tzinfo=self.now.tzinfo) + day * DAY
        self.now = max(self.now, due) + timedelta(seconds=1)
        self.lines.clear()
        answer = respond(
            event or {"source": "coldtable.verify", "scheduledTime": f"{due:%Y-%m-%dT%H:%M:%SZ}"},
            path=PATH,
            stack="prod",
            parameters=self.parameters,
            world=self.world,
            measure=self.lines.append,
        )
        return {"status": answer["statusCode"], **json.loads(answer["body"])}

    @property
    def measured(self) -> dict[str, float]:
        return {p.name: p.value for line in self.lines for p in points(line)}

    @property
    def told(self) -> list[str]:
        return self.night.subjects

    def records(self) -> list[dict[str, Any]]:
        """The records of verifications, oldest first."""
        folder = evidence_folder(self.home, self.night.table.table_id)
        return [json.loads(self.objects[k]) for k in sorted(self.objects) if k.startswith(folder)]

    def flip(self, key: str) -> bytes:
        """Damage one object; what it was."""
        whole = self.objects[key]
        self.objects[key] = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        return whole


def test_every_file_is_read_once_in_a_rotation() -> None:
    """Over as many days as the rotation has, each data file is read exactly once; then again."""
    door = Door()
    assert len(door.files) > 8
    for rotation in (1, 2):
        for day in range(DAYS):
            answer = door.run((rotation - 1) * DAYS + day)
            assert (answer["status"], answer["complete"]) == (200, True)
            assert door.measured == {"SliceRead": 1, "BadExports": 0}
        assert {door.store.seen[key] for key in door.files} == {rotation}
    assert [(r["result"], r["level"]) for r in door.records()] == [("verified", "objects")] * 6
    assert [r["subset"] for r in door.records()[:3]] != [r["subset"] for r in door.records()[1:4]]
    assert sum(r["objectsRead"] for r in door.records()[:3]) == len(door.files)
    assert door.told == []


def test_a_repeated_delivery_reads_the_same() -> None:
    """What is due follows from the event's time, so that a second delivery reads no other part."""
    door = Door()
    door.run()
    before = Counter({key: door.store.seen[key] for key in door.files})
    door.now += 5 * DAY
    door.run()
    assert {key: door.store.seen[key] for key in door.files} == {
        k: 2 * n for k, n in before.items()
    }


def test_nothing_is_read_at_another_hour() -> None:
    """Each table has its hour; at the others only listings are asked for."""
    door = Door()
    hour = (hour_of(door.home) + 5) % 24
    answer = door.run(
        event={"source": "coldtable.verify", "scheduledTime": f"2026-12-01T{hour:02}:00:00Z"}
    )
    assert answer["tables"] == []
    assert door.store.requests.keys() == {"LIST"}
    assert door.measured["SliceRead"] == 1


def test_manifests_of_other_slices_are_not_read() -> None:
    """Of increments that another day reads nothing is asked for: a table may have 35,000 a year."""
    door = Door()
    answer = door.run()
    summaries = [key for key in door.objects if key.endswith("manifest-summary.json")]
    looked = [key for key in summaries if door.store.seen[key]]
    (table,) = answer["tables"]
    assert len(looked) == table["exports"] < len(summaries)
    # The catalog's record and four objects of manifests for each, and its files.
    assert door.store.requests["GET"] == 5 * table["exports"] + table["objects"]
    assert door.store.requests["PUT"] == 1


def test_damage_is_found_noted_and_told_once_and_once_more_when_it_is_over() -> None:
    """A flipped bit: one message, whatever runs follow; mended, one more, and never again."""
    door = Door()
    (victim,) = [key for key in door.files if "/AWSDynamoDB/data/" in key][:1]
    whole = door.flip(victim)
    for day in range(2 * DAYS):
        assert door.run(day)["status"] == 200
    assert door.told == ["coldtable: orders: damaged"]
    text = door.night.aws.notifier.messages[0][1]
    assert victim in text
    assert "no moment after 2026-" in text
    assert "coldtable verify orders" in text
    assert [r["result"] for r in door.records()].count("damaged") == 2
    assert door.measured["BadExports"] == 1
    door.objects[victim] = whole
    for day in range(2 * DAYS, 4 * DAYS):
        door.run(day)
    assert door.told == ["coldtable: orders: damaged", "coldtable: orders: over"]
    assert "Restorable" not in door.night.aws.notifier.messages[1][1]
    assert door.measured == {"SliceRead": 1, "BadExports": 0}


def test_further_damage_has_a_message_of_its_own() -> None:
    """While an incident is open, exports that it is not about are told, too, and only those."""
    door = Door()
    first, _, second = [key for key in door.files if "/AWSDynamoDB/data/" in key][:3]
    door.flip(first)
    for day in range(DAYS):
        door.run(day)
    door.flip(second)
    for day in range(DAYS, 2 * DAYS):
        door.run(day)
    assert door.told == ["coldtable: orders: damaged"] * 2
    texts = [text for _, text in door.night.aws.notifier.messages]
    assert [(first in t, second in t) for t in texts] == [(True, False), (False, True)]


def test_damage_that_has_expired_is_over() -> None:
    """What retention has removed is not missed any more."""
    door = Door()
    door.parameters.values[f"{PATH}/VERIFY_DAYS"] = "1"
    victim = next(key for key in door.files if "/AWSDynamoDB/data/" in key)
    door.flip(victim)
    door.run()
    name = door.records()[-1]["exports"][0]["exportId"]
    proven = next(key for key in door.objects if ".verified." in key and name in key)
    gone = proven.replace(".verified.", ".removed.").removesuffix("json")
    door.objects[f"{gone}20261130T000000Z.retention.json"] = door.objects[proven]
    door.run(1)
    assert door.told == ["coldtable: orders: damaged", "coldtable: orders: over"]


def test_months_that_have_an_index_are_read_from_it() -> None:
    """Their records are not read one by one, and every file is read all the same."""
    door = Door()
    door.parameters.values[f"{PATH}/VERIFY_DAYS"] = "1"
    door.run()
    before = door.store.requests["GET"]
    table_id = door.night.table.table_id
    history = History(catalog=Catalog(door.store), home=door.home, table_id=table_id)
    lines = [make_line(line.name, history.details(line)) for line in history.lines()]
    index = encode(door.home, table_id, Period(year=2026, month=11), lines)
    door.objects[f"{door.home.index(table_id)}2026-11.jsonl.gz"] = index
    read = door.store.requests["GET"]
    known = set(door.files)
    door.run(1)
    assert {door.store.seen[key] for key in known} == {2}
    # One more for the index, and one less for each window.
    assert door.store.requests["GET"] - read == before + 1 - (len(known) // 2 - 1)


def test_a_tick_leaves_damage_alone() -> None:
    """The incident is not the tick's to tell, nor to call over."""
    door = Door()
    door.flip(next(key for key in door.files if "/AWSDynamoDB/data/" in key))
    for day in range(DAYS):
        door.run(day)
    door.night.run(3 * HOUR)
    assert door.told == ["coldtable: orders: damaged"]


def test_a_file_of_a_full_export_that_is_gone_is_noticed_in_every_slice() -> None:
    """It is listed each day, so nobody waits for the slice of the file that is missing."""
    door = Door()
    gone = next(key for key in door.files if "/AWSDynamoDB/data/" not in key)
    del door.objects[gone]
    answer = door.run()
    assert answer["tables"][0]["told"] == ["coldtable: orders: damaged"]
    assert door.records()[0]["result"] == "incomplete"


def test_a_run_that_has_no_time_left_says_so() -> None:
    """What was read is noted; what was not is unread, measured, and no reason to raise."""
    door = Door()
    door.run(1)
    read = door.records()[0]["objectsRead"]
    door.patience = 25
    answer = door.run(1)
    assert (answer["status"], answer["complete"]) == (200, False)
    assert answer["tables"][0]["left"] > 0
    assert door.measured["SliceRead"] == 0
    record = door.records()[-1]
    assert record["result"] == "unread"
    assert 0 < record["objectsRead"] < read
    assert "no time left" in json.dumps(record["exports"])
    door.patience = 0
    answer = door.run(1)
    assert (answer["status"], answer["complete"]) == (200, False)
    assert "no time left" in answer["tables"][0]["error"]["message"]


def test_damage_does_not_count_as_mended_for_want_of_time() -> None:
    """The slice of a known damage comes again, and there is no time to read it: not over."""
    door = Door()
    door.flip(next(key for key in door.files if "/AWSDynamoDB/data/" in key))
    for day in range(DAYS):
        door.run(day)
    door.patience = 3
    for day in range(DAYS, 2 * DAYS):
        door.run(day)
    assert door.told == ["coldtable: orders: damaged"]


def test_what_was_left_comes_first_a_rotation_later() -> None:
    """With time for a little more than half, two rotations read everything."""
    door = Door()
    door.parameters.values[f"{PATH}/VERIFY_DAYS"] = "1"
    # Of several threads one may be kept from the clock while the others use all of it up.
    door.patience, door.threads = 48, 1
    answers = [door.run(day) for day in (0, 1)]
    assert not any(answer["complete"] for answer in answers)
    assert all(door.store.seen[key] for key in door.files)


def test_an_export_of_which_a_file_cannot_be_read_is_unread() -> None:
    """S3 answers with an error: neither damaged nor verified, nobody is told, the rest is read."""
    door = Door()
    door.store.closed = {".json.gz": ServiceFailed("s3 is busy")}
    for day in range(DAYS):
        assert door.run(day)["status"] == 200
    assert "unread" in {r["result"] for r in door.records()}
    assert door.told == []


@pytest.mark.parametrize("end", [".json.gz", "manifest-summary.json"])
def test_a_missing_right_is_raised(end: str) -> None:
    """AccessDenied is about everything: the run raises, once it has measured."""
    door = Door()
    door.store.closed = {end: AccessDenied("s3:GetObject is missing", action="s3:GetObject")}
    with pytest.raises(Untold, match="orders: s3:GetObject is missing"):
        door.run(1)
    assert door.measured["SliceRead"] == 0
    assert door.told == []


def test_what_nobody_could_be_told_is_raised_and_told_later() -> None:
    """Without sns:Publish the run raises; the next one that can tells it."""
    door = Door()
    door.flip(next(key for key in door.files if "/AWSDynamoDB/data/" in key))
    door.parameters.values[f"{PATH}/VERIFY_DAYS"] = "1"
    door.night.aws.notifier.broken = True
    with pytest.raises(Untold, match="sns:Publish"):
        door.run()
    door.night.aws.notifier.broken = False
    door.run()
    assert door.told == ["coldtable: orders: damaged"]


def test_settings_that_say_nothing_are_raised() -> None:
    """Without VERIFY_DAYS the schedule's run raises; by hand it is 500."""
    door = Door()
    del door.parameters.values[f"{PATH}/VERIFY_DAYS"]
    with pytest.raises(ParameterMissing, match="VERIFY_DAYS does not exist"):
        door.run()
    answer = door.run(event={"why": "by hand"})
    assert (answer["status"], answer["code"]) == (500, "ParameterMissing")


@pytest.mark.parametrize("text", ["0", "-1", "3651", "soon", ""])
def test_days_are_a_whole_number(text: str) -> None:
    """One to ten years of days."""
    door = Door()
    door.parameters.values[f"{PATH}/VERIFY_DAYS"] = text
    with pytest.raises(ParameterInvalid, match="VERIFY_DAYS"):
        door.run()


def test_a_time_that_is_none_is_refused() -> None:
    """A run by hand with a time of its own must write it well."""
    answer = Door().run(event={"scheduledTime": "noon"})
    assert (answer["status"], answer["code"]) == (500, "ParameterInvalid")


def test_another_stacks_table_is_left_alone() -> None:
    """A bucket may hold the archives of several accounts: each verifies its own."""
    door = Door()
    theirs = replace(door.world(), account="210987654321")
    door.world = lambda: theirs  # type: ignore[method-assign]
    assert door.run()["tables"] == []
