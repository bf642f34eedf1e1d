"""How fast a full export and its increments become one full export, gzip to gzip.

The base has every tenth item changed by three increments. In one run, each in a process of its own:

- the limit: gunzip and gzip (same library, same level) of the base alone, a process for each core;
- coldtable: `materialize`, on one core and on all, everything checked on the way;
- a plain dict of parsed items (msgspec, isal), which is what one would write first;
- Spark local[*] with a join by key, where Java and pyspark are (`pip install --group bench`).

Ours take turns with the others, and the best of each counts. MB/s are of the base's uncompressed
JSON; peak is the most memory that the process had, in MB. Read the ratios.

    PYTHONPATH=. python bench/restore_fold.py [items] [rounds]
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isal import igzip, igzip_lib, isal_zlib

from bench.corpus import write_archive

_PIECE = 256 * 1024
_LEVEL = 2
_CAP = 768


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        size = write_archive(root, items) / 1e6
        print(f"{items:,} items, {size:.0f} MB of JSON, {len(os.sched_getaffinity(0))} cores")
        print(f"{'':22}{'seconds':>9}{'MB/s':>8}{'peak MB':>9}{'items':>12}")
        ways = ["limit", "coldtable", "coldtable on one core", "dict"]
        if why := _no_spark():
            print(f"Spark is left out: {why}")
        else:
            ways.append("spark")
        best: dict[str, dict[str, Any]] = {}
        for turn in range(rounds):
            for way in ways:
                if way == "spark" and turn:
                    continue
                found = _run(way, root, Path(folder) / "out")
                if way not in best or found["seconds"] < best[way]["seconds"]:
                    best[way] = found
        for way, found in best.items():
            speed, peak = size / found["seconds"], found.get("peak", 0)
            count = f"{found['items']:,}"
            print(f"{way:22}{found['seconds']:>9.2f}{speed:>8.0f}{peak:>9.0f}{count:>12}")
    _compare(best)


def _compare(best: dict[str, dict[str, Any]]) -> None:
    def ratio(way: str, ours: str = "coldtable") -> float:
        return float(best[way]["seconds"] / best[ours]["seconds"])

    counts = {found["items"] for way, found in best.items() if way != "limit"}
    assert len(counts) == 1, f"they do not agree: {counts}"
    print(f"coldtable / limit: {ratio('limit'):.2f} of its speed")
    print(f"coldtable / dict: {ratio('dict'):.1f} times its speed (target: 2), on one core "
          f"{ratio('dict', 'coldtable on one core'):.1f} times")  # fmt: skip
    if "spark" in best:
        print(f"coldtable / Spark: {ratio('spark'):.1f} times its speed (target: 10)")
    peak = best["coldtable"]["peak"]
    print(f"coldtable keeps within {_CAP} MB: {'yes' if peak < _CAP else 'NO'} ({peak:.0f}); "
          f"the dict needs {best['dict']['peak']:.0f}")  # fmt: skip


def _no_spark() -> str:
    """Why Spark cannot take part; empty if it can."""
    if not importlib.util.find_spec("pyspark"):
        return "pyspark is not installed (pip install --group bench)"
    return "" if shutil.which("java") else "there is no Java"


def _run(way: str, root: Path, out: Path) -> dict[str, Any]:
    """One way in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "--way", way, str(root), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way} failed: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _base(root: Path) -> list[str]:
    return sorted(glob.glob(f"{root}/AWSDynamoDB/0*/data/*.gz"))


def _changes(root: Path) -> list[str]:
    return sorted(glob.glob(f"{root}/AWSDynamoDB/data/*.gz"))


def limit(root: Path, out: Path) -> int:
    """Nothing but gunzip and gzip."""
    out.mkdir()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_again, _base(root), [out] * len(_base(root))))
    return 0


def _again(name: str, out: Path) -> None:
    zip_ = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, 31)
    unzip = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    with Path(name).open("rb") as source, (out / Path(name).name).open("wb") as made:
        while piece := source.read(64 * 1024):
            while not unzip.eof:
                made.write(zip_.compress(unzip.decompress(piece, _PIECE)))
                piece = b""
                if unzip.needs_input:
                    break
        made.write(zip_.flush())


def ours(root: Path, out: Path) -> int:
    """What the command does."""
    from coldtable.core.restore_point import plan_restore
    from coldtable.files import FileObjects
    from coldtable.ops.archive import find_exports
    from coldtable.ops.fold_limits import limits
    from coldtable.ops.materialize import Destination, materialize

    store = FileObjects(root)
    plan = plan_restore(find_exports(store).exports, None)
    to = Destination(store=FileObjects(out))
    report = materialize(plan, store, to, now=lambda: datetime.now(UTC), bounds=limits(_CAP))
    return report.manifest.items


def one_core(root: Path, out: Path) -> int:
    """The same on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return ours(root, out)


def in_a_dict(root: Path, out: Path) -> int:
    """All items, parsed, by their keys. To its credit without the garbage collector, which would
    look at all of them again and again."""
    import gc

    import msgspec

    gc.disable()
    parse, spell = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    items = {}
    for name in _base(root):
        for line in _lines(name):
            item = parse(line)["Item"]
            items[item["pk"]["S"], item["sk"]["S"]] = item
    changes: dict[tuple[str, str], tuple[int, Any]] = {}
    for name in _changes(root):
        for line in _lines(name):
            row = parse(line)
            key = row["Keys"]["pk"]["S"], row["Keys"]["sk"]["S"]
            when = int(row["Metadata"]["WriteTimestampMicros"]["N"])
            if key not in changes or changes[key][0] <= when:
                changes[key] = when, row.get("NewImage")
    for key, (_, image) in changes.items():
        if image is None:
            items.pop(key, None)
        else:
            items[key] = image
    out.mkdir()
    open_gzip: Any = igzip.open
    with open_gzip(out / "all.json.gz", "wb", compresslevel=_LEVEL) as file:
        batch = []
        for item in items.values():
            batch.append(b'{"Item":' + spell(item) + b"}\n")
            if len(batch) == 2000:
                file.write(b"".join(batch))
                batch = []
        file.write(b"".join(batch))
    return len(items)


def _lines(name: str) -> Iterator[bytes]:
    open_gzip: Any = igzip.open
    with open_gzip(name, "rb") as file:
        yield from file


def spark(root: Path, out: Path) -> int:
    """Keys by get_json_object, the newest change by max_by, an anti-join; lines out as they are."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    builder: Any = SparkSession.builder
    settings = {
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.log.level": "ERROR",
    }
    session = builder.master("local[*]").config(map=settings).getOrCreate()
    session.range(1000).count()
    _begin()

    def keys(within: str) -> list[Any]:
        return [f.get_json_object("value", f"$.{within}.{k}.S").alias(k) for k in ("pk", "sk")]

    base = session.read.text(_base(root)).select(*keys("Item"), "value")
    when = f.get_json_object("value", "$.Metadata.WriteTimestampMicros.N").cast("long")
    image = f.get_json_object("value", "$.NewImage")
    changes = session.read.text(_changes(root)).select(
        *keys("Keys"), when.alias("at"), image.alias("image")
    )
    newest = changes.groupBy("pk", "sk").agg(f.max_by("image", "at").alias("image"))
    kept = base.join(newest.select("pk", "sk"), ["pk", "sk"], "left_anti").select("value")
    new = newest.where("image is not null").select(
        f.concat(f.lit('{"Item":'), "image", f.lit("}")).alias("value")
    )
    kept.unionAll(new).write.option("compression", "gzip").text(str(out))
    _end()
    return sum(1 for name in glob.glob(f"{out}/*.gz") for _ in _lines(name))


_times: list[float] = []


def _begin() -> None:
    _times[:] = [time.perf_counter()]


def _end() -> None:
    _times.append(time.perf_counter())


_WAYS: dict[str, Callable[[Path, Path], int]] = {
    "limit": limit,
    "coldtable": ours,
    "coldtable on one core": one_core,
    "dict": in_a_dict,
    "spark": spark,
}


def child(way: str, root: Path, out: Path) -> None:
    """Run one way and print what it took. Imports and Spark's start do not count."""
    if way.startswith("coldtable"):
        import coldtable.ops.materialize  # noqa: F401
    _begin()
    items = _WAYS[way](root, out)
    if len(_times) < 2:
        _end()
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    found: dict[str, Any] = {"seconds": _times[1] - _times[0], "items": items}
    # Spark's memory is that of its Java process, and of the limit there are several processes.
    if way not in ("limit", "spark"):
        found["peak"] = peak
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
