"""An interrupted run goes on where it stopped; processes and their errors; keys on the disk."""

from __future__ import annotations

import gzip
import inspect
import os
import pickle
import signal
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from coldtable import errors
from coldtable.core.manifest import DataFile, md5_of
from coldtable.core.verification import Checked, Level, Report, Verdict
from coldtable.errors import AccessDenied, ColdtableError, NotFound, ServiceFailed
from coldtable.files import FileObjects
from coldtable.ops.crew import Crew
from coldtable.ops.inventory import Inventory
from coldtable.ops.rows import LineRules
from coldtable.ops.scan import Reading, read_object
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.testing.exports import NOON, ExportsWriter, item_line, record_line
from coldtable.testing.fakes import FakeObjects

NOW = NOON + timedelta(days=1)
HERE = Crew(cores=1)


@dataclass
class Heard:
    """A watch that remembers."""

    resumed: int = 0
    objects: int = 0
    size: int = 0
    promised: tuple[int, int, int] = (0, 0, 0)
    verdicts: list[Verdict] = field(default_factory=list)

    def begin(self, exports: int, objects: int, size: int, resumed: int) -> None:
        self.resumed = resumed
        self.promised = (exports, objects, size)

    def advance(self, objects: int, size: int) -> None:
        self.objects += objects
        self.size += size

    def judged(self, checked: Checked) -> None:
        self.verdicts.append(checked.verdict)


class Failing(FakeObjects):
    """Fails when the ``after``-th data file is read; counts how often each one was."""

    def __init__(self, objects: dict[str, bytes], error: BaseException, after: int) -> None:
        super().__init__(objects, piece=100_000)
        self.reads: list[str] = []
        self._error, self._after = error, after

    def read(self, key: str) -> Iterator[bytes]:
        if key.endswith(".gz"):
            if len(self.reads) == self._after:
                raise self._error
            self.reads.append(key)
        return super().read(key)


def archive(files: int = 150) -> dict[str, bytes]:
    """A full export in which one key is in two files, far from each other; and an increment."""
    writer = ExportsWriter()
    lines = [[item_line(pk={"S": str(n if n != files - 1 else 0)})] for n in range(files)]
    writer.full(NOON, *lines)
    change = record_line({"pk": {"S": "1"}}, NOON, {"pk": {"S": "1"}})
    writer.increment(NOON, NOON + timedelta(hours=1), [change])
    return writer.objects


def run(
    store: FakeObjects, state: Path, level: Level = Level.ITEMS, now: timedelta = timedelta()
) -> tuple[Report, Heard]:
    heard = Heard()
    wanted = Wanted(where="here", prefix="", level=level, state=state)
    return verify_archive(lambda: store, wanted, HERE, NOW + now, heard), heard


def count(objects: dict[str, bytes]) -> int:
    return sum(key.endswith(".gz") for key in objects)


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    """Interrupted after 140 files, the next run reads the others; a key that is once in the one
    part and once in the other is found all the same, and then nothing is left on the disk."""
    objects = archive()
    broken = Failing(objects, KeyboardInterrupt(), after=140)
    with pytest.raises(KeyboardInterrupt):
        run(broken, tmp_path)
    whole = Failing(objects, KeyboardInterrupt(), after=1000)
    report, heard = run(whole, tmp_path)
    assert heard.resumed == 128
    size = sum(len(body) for key, body in objects.items() if key.endswith(".gz"))
    assert heard.promised == (2, count(objects), size)
    assert (heard.objects, heard.size) == (count(objects), size)
    # One more: the increment's first line tells the key schema.
    assert len(whole.reads) == count(objects) - 128 + 1
    (bad,) = [one for one in report.checked if one.verdict is not Verdict.VERIFIED]
    assert "the item's key is that of line 1 of" in bad.problems[0].reason
    assert bad.read == 150
    assert list(tmp_path.iterdir()) == []


def test_a_key_twice_in_an_only_file_is_remembered(tmp_path: Path) -> None:
    """Its export was judged before the interruption, and is damaged in the run that ends, too,
    which does not read it again; then nothing is left on the disk."""
    writer = ExportsWriter()
    bad = writer.full(NOON - timedelta(hours=1), [item_line(pk={"S": "1"})] * 2)
    objects = writer.objects | archive()
    with pytest.raises(KeyboardInterrupt):
        run(Failing(objects, KeyboardInterrupt(), after=140), tmp_path)
    whole = Failing(objects, KeyboardInterrupt(), after=1000)
    report, _ = run(whole, tmp_path)
    (found,) = [one for one in report.checked if one.key == bad]
    assert "the item's key is that of line 1" in found.problems[0].reason
    assert not any(key.startswith(bad.rpartition("/")[0]) for key in whole.reads)
    assert list(tmp_path.iterdir()) == []


def test_problems_are_remembered_too(tmp_path: Path) -> None:
    """What was found wrong before the interruption is in the report of the run that ends."""
    objects = archive()
    victim = min(key for key in objects if key.endswith(".gz"))
    objects[victim] = objects[victim][:-3]
    with pytest.raises(KeyboardInterrupt):
        run(Failing(objects, KeyboardInterrupt(), after=140), tmp_path, Level.OBJECTS)
    report, heard = run(FakeObjects(objects), tmp_path, Level.OBJECTS)
    assert heard.resumed == 128
    (bad,) = [one for one in report.checked if one.is_bad]
    assert {p.key for p in bad.problems} == {victim}


def test_a_checkpoint_is_for_one_question_and_some_days(tmp_path: Path) -> None:
    """Another level begins anew, and so does a run a week later; a torn last line is cut off."""
    objects = archive()

    def interrupt() -> None:
        with pytest.raises(KeyboardInterrupt):
            run(Failing(objects, KeyboardInterrupt(), after=140), tmp_path, Level.OBJECTS)

    interrupt()
    assert run(FakeObjects(objects), tmp_path, Level.ITEMS)[1].resumed == 0
    late = run(FakeObjects(objects), tmp_path, Level.OBJECTS, timedelta(days=8))
    assert late[1].resumed == 0
    interrupt()
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"key":"x')
    with pytest.raises(KeyboardInterrupt):
        run(Failing(objects, KeyboardInterrupt(), after=5), tmp_path, Level.OBJECTS)
    assert run(FakeObjects(objects), tmp_path, Level.OBJECTS)[1].resumed == 128


def test_an_object_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    """A failing store makes an export unknown, not damaged, and is asked again the next time."""
    objects = archive(3)

    class Down(Failing):
        def read(self, key: str) -> Iterator[bytes]:
            try:
                return super().read(key)
            finally:
                self._after = 2 if len(self.reads) < 3 else 1000

    store = Down(objects, ServiceFailed("S3 does not answer"), after=2)
    report, _ = run(store, tmp_path, Level.OBJECTS)
    assert sorted(one.verdict for one in report.checked) == ["unknown", "unknown"]
    report, heard = run(FakeObjects(objects), tmp_path, Level.OBJECTS)
    assert heard.resumed == 2
    assert {one.verdict for one in report.checked} == {Verdict.VERIFIED}


def test_without_the_rights_the_run_ends(tmp_path: Path) -> None:
    """Access that is denied is no verdict on the bytes: the error comes out."""
    store = Failing(archive(), AccessDenied("no", action="s3:GetObject"), after=70)
    with pytest.raises(AccessDenied):
        run(store, tmp_path)


@pytest.mark.parametrize(
    ("level", "crew"),
    [(Level.ITEMS, Crew(cores=2, threads=2)), (Level.OBJECTS, Crew(cores=2, within=True))],
    ids=["processes", "threads"],
)
def test_all_cores_find_what_one_does(tmp_path: Path, level: Level, crew: Crew) -> None:
    """On two processes, or in two threads where lines are only counted: the same report."""
    objects = archive(80)
    damaged = next(key for key in objects if key.endswith(".gz"))
    objects[damaged] = objects[damaged][:-1] + b"x"
    folder = FileObjects(tmp_path / "archive")
    for key, body in objects.items():
        folder.put(key, body)
    wanted = Wanted(where="here", prefix="", level=level, state=tmp_path / "state")
    opened = partial(FileObjects, tmp_path / "archive")
    two = verify_archive(opened, wanted, crew, NOW, Heard())
    assert two == verify_archive(opened, wanted, HERE, NOW, Heard())
    assert [one.verdict for one in two.checked] == [Verdict.DAMAGED, Verdict.VERIFIED]


class Deadly(FileObjects):
    """A store in which reading data kills the process, or is denied."""

    def __init__(self, root: Path, *, how: str) -> None:
        super().__init__(root)
        self._how = how

    def read(self, key: str) -> Iterator[bytes]:
        if key.endswith(".gz"):
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise AccessDenied("Access denied", action="s3:GetObject", hint="Ask somebody")
        return super().read(key)


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [("kill", ServiceFailed, "was ended from outside"), ("deny", AccessDenied, "Access denied")],
)
def test_errors_cross_processes(
    tmp_path: Path, how: str, error: type[ColdtableError], said: str
) -> None:
    """A worker's error is the run's, whole; that a worker was killed is told, not waited for."""
    folder = FileObjects(tmp_path / "archive")
    for key, body in archive(3).items():
        folder.put(key, body)
    # Lines are checked in processes, and with a key nothing is read before.
    wanted = Wanted(
        where="here", prefix="", level=Level.ITEMS, state=tmp_path / "state", keys={"pk": "S"}
    )
    opened = partial(Deadly, tmp_path / "archive", how=how)
    with pytest.raises(error, match=said) as caught:
        verify_archive(opened, wanted, Crew(cores=2), NOW, Heard())
    if isinstance(caught.value, AccessDenied):
        assert (caught.value.action, caught.value.hint) == ("s3:GetObject", "Ask somebody")


def test_every_error_survives_pickling() -> None:
    """Whatever an error's class wants to be made of, it comes back with all that it says."""
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    for kind in (kind for kind in classes if issubclass(kind, ColdtableError)):
        names = list(inspect.signature(kind).parameters)
        more = {"action": "x:Y"} if "action" in names else {}
        error = kind("what", **more)
        back = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
        assert type(back) is kind
        assert (str(back), vars(back)) == (str(error), vars(error))


def test_an_inventory_knows_names_and_sizes() -> None:
    """Named and there, named and not there, there and not named."""
    inventory = Inventory()
    for key in ("a", "b", "ü"):
        inventory.name(key)
    inventory.freeze()
    assert [inventory.see(key, size) for key, size in (("a", 5), ("ü", 0), ("c", 9))] == [
        True,
        True,
        False,
    ]
    assert [inventory.size(key) for key in ("a", "b", "c", "ü")] == [5, None, None, 0]
    assert (inventory.objects, inventory.bytes) == (2, 5)


def test_an_empty_archive(tmp_path: Path) -> None:
    """Nothing there is nothing wrong, and no table of any name."""
    assert run(FakeObjects({}), tmp_path)[0].checked == ()
    wanted = Wanted(where="", prefix="", level=Level.OBJECTS, state=tmp_path, table="orders")
    with pytest.raises(NotFound, match="no export of a table orders"):
        verify_archive(lambda: FakeObjects({}), wanted, HERE, NOW, Heard())


@pytest.mark.parametrize("rules", [None, LineRules(ion=False, window=None, view=None, types=None)])
def test_memory_does_not_grow_with_an_object(rules: LineRules | None) -> None:
    """Ten times as many lines take no more memory, counted or checked, also when they come in
    one small piece that all of them are zipped to."""

    def peak(lines: int) -> int:
        body = gzip.compress((item_line(pk={"S": "1"}, pad={"S": "x" * 200}) + b"\n") * lines)
        file = DataFile(key="x.gz", items=lines, md5=md5_of(body))
        store = FakeObjects({"x.gz": body}, piece=len(body))
        tracemalloc.start()
        read = read_object(store, Reading(export=0, place=0, file=file, rules=rules))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read.problems == ()
        return most

    peak(6_000)  # Makes what is kept between objects.
    assert peak(60_000) < 1.2 * peak(6_000) + 100_000
