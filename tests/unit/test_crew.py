"""Which processes and threads read an archive, and how threads end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Barrier

import pytest

from coldtable.core.manifest import DataFile
from coldtable.errors import AccessDenied
from coldtable.ops.crew import Crew
from coldtable.ops.scan import Reading
from coldtable.testing.fakes import FakeObjects

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("crew", "size", "objects", "checked", "cores", "within"),
    [
        # Counting leaves the lock to others: threads, whatever the size.
        (Crew(cores=2, alone=48 * MB), MB, 8, False, 2, True),
        (Crew(cores=4), 999 * MB, 9, False, 4, True),
        (Crew(cores=2, threads=8, alone=48 * MB), 999 * MB, 99, False, 2, True),
        (Crew(cores=1, threads=8), 9 * MB, 2, False, 1, True),
        # Too many for one lock, many small objects, checks of lines: processes.
        (Crew(cores=5, alone=48 * MB), 51 * MB, 9, False, 5, False),
        (Crew(cores=2, threads=8, alone=48 * MB), 51 * MB, 99, False, 2, False),
        (Crew(cores=2, alone=48 * MB), 51 * MB, 999, False, 2, False),
        (Crew(cores=2, alone=48 * MB), 13 * MB, 9, True, 2, False),
        # Read sooner than a process begins.
        (Crew(cores=5, alone=48 * MB), 48 * MB, 9, False, 1, False),
        (Crew(cores=2, threads=8, alone=48 * MB), 48 * MB, 99, False, 1, False),
        (Crew(cores=2, alone=48 * MB), 12 * MB, 9, True, 1, False),
        (Crew(cores=2, alone=48 * MB), MB, 9, False, 1, False),
        (Crew(cores=1), 999 * MB, 9, False, 1, False),
    ],
)
def test_a_crew_for_the_work(
    crew: Crew, size: int, objects: int, checked: bool, cores: int, within: bool
) -> None:
    """Threads where they scale, processes where only those do, one where others begin too late."""
    found = crew.for_size(size, objects, checked=checked)
    assert (found.cores, found.within) == (cores, within)
    assert found.threads == crew.threads


class Endless(FakeObjects):
    """One file is denied and one is empty; every other one would go on for ten seconds."""

    def __init__(self) -> None:
        super().__init__({})
        self.ended = 0

    def read(self, key: str) -> Iterator[bytes]:
        if key == "denied":
            raise AccessDenied("no", action="s3:GetObject")
        for _ in range(0 if key == "empty" else 10_000):
            yield b""
            time.sleep(0.001)
        self.ended += key != "empty"


def readings(*keys: str) -> list[list[Reading]]:
    """A batch for each."""
    files = [DataFile(key=key, items=1, md5="") for key in keys]
    return [[Reading(export=0, place=place, file=file)] for place, file in enumerate(files)]


def test_an_error_ends_what_other_threads_read() -> None:
    """The error of one is the run's, and nobody reads the others' files to their end for it."""
    store = Endless()
    crew = Crew(cores=2, within=True)
    with pytest.raises(AccessDenied):
        list(crew.read(lambda: store, readings("long", "denied", "later", "latest")))
    assert store.ended == 0


def test_whoever_asks_no_more_ends_the_threads() -> None:
    """What is left of a run that was given up is not read on."""
    store = Endless()
    reads = Crew(cores=2, within=True).read(lambda: store, readings("empty", "long", "later"))
    assert [read.key for read in next(reads)] == ["empty"]
    reads.close()  # type: ignore[attr-defined]  # it is a generator
    assert store.ended == 0


def test_a_bucket_is_read_in_as_many_streams_as_it_has_threads() -> None:
    """One core, and a store that keeps one waiting: eight large objects are on their way."""
    meet = Barrier(8, timeout=30)

    class Slow(FakeObjects):
        def read(self, key: str) -> Iterator[bytes]:
            meet.wait()
            return super().read(key)

    crew = Crew(cores=1, threads=8).for_size(8 * MB, 8)
    names = [f"{number}" for number in range(8)]
    read = crew.read(lambda: Slow({}), readings(*names))
    assert sorted(one.key for reads in read for one in reads) == names
