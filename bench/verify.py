"""How close verify comes to what must be done anyhow: gunzip and MD5 of the same files.

Generated exports in a temporary folder. The limit is the same library (isal, hashlib) on the same
bytes and nothing else, once by the interface that stands in for zlib's and once by the one that
verify uses, which is faster; a third way counts the lines, too, which no gunzip does and verify
must. Verify is the whole command's work, manifests and listing and the start of its threads or
processes included. All take turns, and what counts is the best of each one's rounds. CPU time, that
of all processes together, is what other programs disturb least; how much less time on the clock
more cores take shows only on a quiet machine. MB are of uncompressed JSON. Read the ratios.

    python bench/verify.py [megabytes of JSON] [rounds]
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

from isal import igzip_lib, isal_zlib

from coldtable.core.line_check import full_row
from coldtable.core.lines import count_lines, parse_json
from coldtable.core.verification import Checked, Level, Verdict
from coldtable.files import FileObjects
from coldtable.ops.crew import Crew, OpenStore, cores_here
from coldtable.ops.verify import Wanted, verify_archive
from coldtable.testing.exports import NOON, ExportsWriter, record_line

FILES = 16
# The same files under so many prefixes, so that starting processes is not all there is to see.
COPIES = 3
SMALL, SMALL_OVER_HTTP = 1000, 100
# As verify has it, the fastest that was found: larger ones fall out of the caches, or are mapped
# and cleared anew each time.
STEP, TEXT = 32 * 1024, 120 * 1024
KEY = {"pk": "S", "sk": "S"}


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


def small(exports: int) -> dict[str, bytes]:
    """What continuous mode leaves: increments of 60 changes, about 10 KB of JSON."""
    writer = ExportsWriter()
    for number in range(exports):
        start = NOON + timedelta(minutes=15 * number)
        noise = random.Random(number)  # noqa: S311
        keys = [{"pk": {"S": f"{number}#{place}"}} for place in range(60)]
        changes = [
            record_line(key, start, key | {"trace": {"S": f"{noise.getrandbits(128):032x}"}})
            for key in keys
        ]
        writer.increment(start, start + timedelta(minutes=15), changes)
    return writer.objects


def limit_of_zlib(path: Path) -> int:
    """Gunzip and MD5 of one file, and nothing else: as one would write it for zlib."""
    digest, unzip, size = hashlib.md5(usedforsecurity=False), isal_zlib.decompressobj(31), 0
    with path.open("rb") as file:
        while piece := file.read(STEP):
            digest.update(piece)
            size += len(unzip.decompress(piece))
    digest.digest()
    return size


def texts(path: Path) -> Iterator[bytes]:
    """Gunzip and MD5 of one file: the fastest that was found."""
    digest = hashlib.md5(usedforsecurity=False)
    unzip = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP, igzip_lib.MAX_HIST_BITS)
    with path.open("rb") as file:
        while piece := file.read(STEP):
            digest.update(piece)
            while text := unzip.decompress(piece, TEXT):
                yield text
                if unzip.needs_input or unzip.eof:
                    break
                piece = b""
    digest.digest()


def limit(path: Path) -> int:
    """Gunzip and MD5 of one file, and nothing else."""
    return sum(map(len, texts(path)))


def counted(path: Path) -> int:
    """The same, and the counting of lines."""
    return sum(map(count_lines, texts(path)))


class Silent:
    """A watch that only minds that all is well."""

    def begin(self, *_: int) -> None:
        """Nothing to show."""

    def advance(self, *_: int) -> None:
        """Nothing to show."""

    def judged(self, checked: Checked) -> None:
        """Verify is only fast if it is right."""
        assert checked.verdict is Verdict.VERIFIED, checked.problems
        assert checked.read in (0, checked.objects)


def verify(
    store: OpenStore,
    level: Level,
    cores: int = 1,
    *,
    threads: int = 1,
    keys: dict[str, str] | None = None,
) -> None:
    """The whole of verify. Increments tell their key themselves."""
    with tempfile.TemporaryDirectory() as state:
        wanted = Wanted(where="bench", prefix="", level=level, state=Path(state), keys=keys)
        crew = Crew(cores=cores, threads=threads)
        verify_archive(store, wanted, crew, NOON + timedelta(days=365), Silent())


def alone(way: Callable[[Path], int], paths: list[Path], cores: int = 1) -> None:
    """The limit over all files."""
    if cores == 1:
        for path in paths:
            way(path)
        return
    with ProcessPoolExecutor(cores) as pool:
        for _ in pool.map(way, paths):
            pass


@dataclass(frozen=True)
class Times:
    """What each round of one way took: seconds of CPU in all processes, and on the clock."""

    cpu: list[float]
    clock: list[float]


def measure(rounds: int, *ways: Callable[[], object]) -> list[Times]:
    """All of them in turns."""
    times = [Times([], []) for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, times, strict=True):
            cpu, clock = spent(), time.perf_counter()
            way()
            taken.cpu.append(spent() - cpu)
            taken.clock.append(time.perf_counter() - clock)
    return times


def spent() -> float:
    """CPU seconds of this process and of those that it began and that have ended."""
    both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def ratio(of: list[float], to: list[float]) -> float:
    return min(of) / min(to)


def generated(folder: Path, megabytes: int, distinct: int) -> list[Path]:
    """Built by another process, so that this one's peak of memory is verify's."""
    words = [sys.executable, __file__, "build", str(folder), str(megabytes), str(distinct)]
    subprocess.run(words, check=True)
    return sorted(folder.rglob("*.gz"))


def peak(folder: Path, level: Level) -> float:
    """MB that one process holds at the most while it verifies the folder."""
    words = [sys.executable, __file__, "peak", str(folder), level]
    return int(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout) / 1000


def show(label: str, *numbers: float) -> None:
    shown = "".join(f"{n:>12.2f}" if n < 10 else f"{n:>12,.0f}" for n in numbers)
    print(f"{label:46}{shown}", flush=True)


def show_objects(folder: Path, rounds: int, cores: int) -> None:
    """The level ``objects`` against its limits, in one process and in all."""
    paths = sorted(folder.rglob("*.gz"))
    megabytes = sum(map(limit, paths)) / 1e6
    store = partial(FileObjects, folder)
    zlib, best, lines, one, best_all, every = measure(
        rounds,
        lambda: alone(limit_of_zlib, paths),
        lambda: alone(limit, paths),
        lambda: alone(counted, paths),
        lambda: verify(store, Level.OBJECTS),
        lambda: alone(limit, paths, cores),
        lambda: verify(store, Level.OBJECTS, cores),
    )
    print(f"{megabytes:,.0f} MB of JSON in {len(paths)} files: MB in a second of CPU")
    show("gunzip and MD5 alone, isal for zlib", megabytes / min(zlib.cpu))
    show("gunzip and MD5 alone, isal as verify uses it", megabytes / min(best.cpu))
    show("the same, and the lines counted", megabytes / min(lines.cpu))
    show("verify --level objects", megabytes / min(one.cpu))
    show("objects / alone, for zlib", ratio(zlib.cpu, one.cpu))
    show("objects / alone, as verify uses it", ratio(best.cpu, one.cpu))
    show("objects / the same, and the lines counted", ratio(lines.cpu, one.cpu))
    print(f"\n{'':46}{'1 core':>12}{f'{cores} cores':>12}{'times':>12}")
    for label, single, many in (("alone", best, best_all), ("objects", one, every)):
        rates = [megabytes / min(found.clock) for found in (single, many)]
        show(f"{label}, MB in a second on the clock", *rates, ratio(single.clock, many.clock))
        rates = [megabytes / min(found.cpu) for found in (single, many)]
        show(f"{label}, MB in a second of CPU", *rates, ratio(single.cpu, many.cpu))


def show_items(folder: Path, rounds: int, cores: int) -> None:
    """The level ``items`` against Python's JSON, and against the exact check of every line."""
    texts = [gzip.decompress(path.read_bytes()) for path in folder.rglob("*.gz")]
    megabytes = sum(map(len, texts)) / 1e6
    every_line = [line for text in texts for line in text.splitlines()]
    exact = full_row(KEY)
    store = partial(FileObjects, folder)
    loads, checks, one, every = measure(
        rounds,
        lambda: deque(map(json.loads, every_line), maxlen=0),
        lambda: deque(map(exact, map(parse_json, every_line)), maxlen=0),
        lambda: verify(store, Level.ITEMS, keys=KEY),
        lambda: verify(store, Level.ITEMS, cores, keys=KEY),
    )
    print(f"\n{megabytes:.0f} MB of JSON in lines: MB in a second of CPU")
    show("json.loads of each line, and nothing else", megabytes / min(loads.cpu))
    show("the exact check of each line", megabytes / min(checks.cpu))
    show("verify --level items", megabytes / min(one.cpu))
    show("items / json.loads", ratio(loads.cpu, one.cpu))
    show("items / the exact check", ratio(checks.cpu, one.cpu))
    show(f"{cores} processes on the clock: times one", ratio(one.clock, every.clock))


def show_small(rounds: int) -> None:
    """Many small increments: exports in a second, of which each is one object and its manifests."""
    with tempfile.TemporaryDirectory() as folder:
        local = FileObjects(Path(folder))
        for key, body in small(SMALL).items():
            local.put(key, body)
        store = partial(FileObjects, Path(folder))
        ways = [partial(verify, store, level) for level in list(Level)[:3]]
        found = measure(rounds, *ways)
    print(f"\n{SMALL} increments of 10 KB in a folder: exports in a second of CPU")
    for level, times in zip(Level, found, strict=False):
        show(f"verify --level {level}", SMALL / min(times.cpu))


def show_http(rounds: int) -> None:
    """The same over HTTP: what our side costs. The embedded AWS is another process."""
    import boto3  # Not above: each process that verify starts imports this module.
    from botocore.config import Config

    from coldtable.aws.objects import S3Objects
    from coldtable.local.process import EmbeddedAws

    with EmbeddedAws([]) as aws:
        client = partial(
            boto3.client,
            "s3",
            endpoint_url=aws.endpoint,
            region_name=aws.region,
            aws_access_key_id=aws.account,
            aws_secret_access_key="x",
            config=Config(max_pool_connections=32, s3={"addressing_style": "path"}),
        )
        client().create_bucket(
            Bucket="bench", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
        )
        remote = S3Objects(client(), "bench")
        objects = small(SMALL_OVER_HTTP)
        for key, body in objects.items():
            remote.put(key, body)
        keys = list(objects)
        get, *found = measure(
            rounds,
            lambda: [b"".join(remote.read(key)) for key in keys],
            *(partial(verify, lambda: remote, level, threads=8) for level in list(Level)[:3]),
        )
    print(f"\n{SMALL_OVER_HTTP} of them over HTTP: exports in a second of CPU, and on the clock")
    rates = [SMALL_OVER_HTTP / min(taken) for taken in (get.cpu, get.clock)]
    show(f"GET of the {len(keys)} objects, one by one", *rates)
    for level, times in zip(Level, found, strict=False):
        rates = [SMALL_OVER_HTTP / min(taken) for taken in (times.cpu, times.clock)]
        show(f"verify --level {level}, 8 at a time", *rates)


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    cores = cores_here()
    with tempfile.TemporaryDirectory() as large, tempfile.TemporaryDirectory() as some:
        # Equal files cost as much as different ones; but for the level items keys must differ.
        generated(Path(large), megabytes, 4)
        for copy in range(1, COPIES):
            there = Path(large) / f"copy{copy}/AWSDynamoDB"
            copytree(Path(large) / "AWSDynamoDB", there, copy_function=os.link)
        show_objects(Path(large), rounds, cores)
        few, fewer = Path(some) / "few", Path(some) / "fewer"
        generated(few, megabytes // 10, FILES)
        generated(fewer, megabytes // 100, FILES)
        show_items(few, min(rounds, 2), cores)
        print("\npeak memory of one process, and for an archive ten times as large, MB")
        show("verify --level items", peak(fewer, Level.ITEMS), peak(few, Level.ITEMS))
        show("verify --level objects", peak(few, Level.OBJECTS), peak(Path(large), Level.OBJECTS))
    show_small(min(rounds, 2))
    show_http(min(rounds, 2))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build", folder, megabytes, distinct]:
            build(Path(folder), int(megabytes), int(distinct))
        case ["peak", folder, level]:
            verify(partial(FileObjects, Path(folder)), Level(level), keys=KEY)
            # Not getrusage's, which begins with what the process had that started this one.
            status = Path("/proc/self/status").read_text().splitlines()
            (line,) = [one for one in status if one.startswith("VmHWM")]
            print(line.split()[1])
        case _:
            main()
