"""How close verify comes to what must be done anyhow: gunzip and MD5 of the same files.

One generated export in a temporary folder. The limit is the same library (isal, hashlib) on the
same bytes and nothing else, in one process and in as many as there are cores; verify is the whole
command's work, manifests and listing and starting its processes included. Both take turns, and the
best of each counts: CPU time for one core, which other programs disturb least, and time on the
clock for all of them. MB/s are of uncompressed JSON. Read the ratios.

    python bench/verify.py [megabytes of JSON] [rounds]
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from isal import isal_zlib

from coldtable.core.verification import Checked, Level, Verdict
from coldtable.files import FileObjects
from coldtable.ops.crew import Crew, cores_here
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.testing.exports import NOON, ExportsWriter

FILES = 16
# Larger steps fall out of the caches and fault pages in: this is the fastest that was found.
STEP = 16 * 1024


def lines(number: int, size: int) -> Iterator[bytes]:
    """``size`` bytes of a single-table design: several kinds of items, 300 to 400 bytes each."""
    noise = random.Random(number)  # noqa: S311  # not for secrets
    count = 0
    while size > 0:
        item: dict[str, Any] = {
            "pk": {"S": f"USER#{noise.randrange(10**9):09}"},
            "sk": {"S": f"ORDER#{number:02}{count:08}"},
            "status": {"S": noise.choice(["open", "paid", "sent", "returned"])},
            "total": {"N": f"{noise.randrange(10**6)}.{noise.randrange(1, 99):02}"},
            "createdAt": {"N": str(1_768_385_930 + count)},
            "address": {
                "M": {"city": {"S": noise.choice(CITIES)}, "zip": {"S": f"{count % 99_999:05}"}}
            },
            "lines": {"L": [{"S": f"SKU-{noise.randrange(50_000)}"} for _ in range(count % 4)]},
            "paid": {"BOOL": count % 3 == 0},
            "trace": {"S": f"{noise.getrandbits(64):016x}"},
        }
        line = json.dumps({"Item": item}, separators=(",", ":")).encode()
        yield line
        size -= len(line) + 1
        count += 1


CITIES = ["Tokyo", "Berlin", "Lagos", "Lima", "Oslo", "Pune", "Quito", "Seoul"]


def build(folder: Path, megabytes: int, distinct: int) -> None:
    """One full export of FILES files, of which so many are different."""
    writer = ExportsWriter()
    size = megabytes * 1_000_000 // FILES
    bodies = [list(lines(number, size)) for number in range(distinct)]
    writer.full(NOON, *(bodies[number % distinct] for number in range(FILES)))
    store = FileObjects(folder)
    for key, body in writer.objects.items():
        store.put(key, body)


def limit(path: Path) -> int:
    """Gunzip and MD5 of one file, and nothing else."""
    digest, unzip, size = hashlib.md5(usedforsecurity=False), isal_zlib.decompressobj(31), 0
    with path.open("rb") as file:
        while piece := file.read(STEP):
            digest.update(piece)
            size += len(unzip.decompress(piece))
    digest.digest()
    return size


class Silent:
    """A watch that only minds that all is well."""

    def begin(self, *_: int) -> None:
        """Nothing to show."""

    def advance(self, *_: int) -> None:
        """Nothing to show."""

    def judged(self, checked: Checked) -> None:
        """Verify is only fast if it is right."""
        assert checked.verdict is Verdict.VERIFIED
        assert checked.read in (0, checked.objects)


def verify(folder: Path, level: Level, cores: int) -> None:
    """The whole of verify."""
    with tempfile.TemporaryDirectory() as state:
        wanted = Wanted(
            where=str(folder),
            prefix="",
            level=level,
            state=Path(state),
            keys={"pk": "S", "sk": "S"},
        )
        crew = Crew(cores=cores)
        verify_archive(partial(FileObjects, folder), wanted, crew, NOON, Silent())


def alone(paths: list[Path], pool: ProcessPoolExecutor | None) -> None:
    """The limit over all files."""
    for _ in pool.map(limit, paths) if pool else map(limit, paths):
        pass


def best(rounds: int, clock: Callable[[], float], *ways: Callable[[], None]) -> list[float]:
    """The shortest time of each, in turns."""
    times = [float("inf")] * len(ways)
    for _ in range(rounds):
        for number, way in enumerate(ways):
            began = clock()
            way()
            times[number] = min(times[number], clock() - began)
    return times


def generated(folder: Path, megabytes: int, distinct: int) -> list[Path]:
    """Built by another process, so that this one's peak of memory is verify's."""
    words = [sys.executable, __file__, "build", str(folder), str(megabytes), str(distinct)]
    subprocess.run(words, check=True)
    return sorted(folder.rglob("*.gz"))


def show(label: str, one: float, more: float) -> None:
    print(
        f"{label:38}{one:>10.2f}{more:>10.2f}"
        if one < 10
        else f"{label:38}{one:>10.0f}{more:>10.0f}"
    )


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    cores = cores_here()
    with tempfile.TemporaryDirectory() as large, tempfile.TemporaryDirectory() as small:
        folder, few = Path(large), Path(small)
        # Equal files cost as much as different ones; but for the level items keys must differ.
        paths, some = generated(folder, megabytes, 4), generated(few, megabytes // 16, FILES)
        raw, raw_few = sum(map(limit, paths)), sum(map(limit, some))
        packed = sum(path.stat().st_size for path in paths)
        print(
            f"{raw / 1e6:.0f} MB of JSON in {FILES} files of {packed / 1e6:.0f} MB, {cores} cores"
        )
        with ProcessPoolExecutor(cores) as pool:
            list(pool.map(limit, paths[:cores]))
            ours, theirs = best(
                rounds,
                time.process_time,
                lambda: verify(folder, Level.OBJECTS, 1),
                lambda: alone(paths, None),
            )
            many, all_cores = best(
                rounds,
                time.perf_counter,
                lambda: verify(folder, Level.OBJECTS, cores),
                lambda: alone(paths, pool),
            )
        (items,) = best(1, time.process_time, lambda: verify(few, Level.ITEMS, 1))
        (all_items,) = best(1, time.perf_counter, lambda: verify(few, Level.ITEMS, cores))
    print(f"{'':38}{'1 core':>10}{f'{cores} cores':>10}")
    show("gunzip and MD5 alone, MB/s", raw / theirs / 1e6, raw / all_cores / 1e6)
    show("verify --level objects, MB/s", raw / ours / 1e6, raw / many / 1e6)
    show("verify --level items, MB/s", raw_few / items / 1e6, raw_few / all_items / 1e6)
    show("objects / alone", theirs / ours, all_cores / many)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"peak memory of this process, which read all of it: {own:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["build"]:
        build(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
