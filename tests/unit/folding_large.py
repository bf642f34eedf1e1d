"""Archives of any size for tests, made as fast as they are gzipped; and a fold that is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from isal import igzip

from coldtable.core.manifest import md5_of
from coldtable.testing.exports import NOON, ExportsWriter

# A process that folds, and then says how much memory it ever had (its own, not its parent's).
MEASURED = """
import sys
from pathlib import Path
from coldtable.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
status = Path("/proc/self/status").read_text()
sys.stderr.write("\\nPEAK " + status.split("VmHWM:")[1].split()[0])
sys.exit(code)
"""


def key(number: int) -> str:
    """The key of an item, as JSON."""
    return f'"pk":{{"S":"customer#{number * 7919 % 10**9:09}"}},"sk":{{"N":"{number}"}}'


def base_lines(start: int, stop: int, size: int) -> Iterator[str]:
    """Items of about ``size`` bytes."""
    text = ("lorem ipsum dolor sit amet " * (size // 27 + 1))[:size]
    for number in range(start, stop):
        yield f'{{"Item":{{{key(number)},"text":{{"S":"{text}"}},"n":{{"N":"{number}"}}}}}}\n'


def change_lines(start: int, stop: int, step: int) -> Iterator[str]:
    """Changes of every ``step``th item: a third of them deletes."""
    micros = int(NOON.timestamp()) * 1_000_000
    for number in range(start, stop, step):
        line = f'{{"Metadata":{{"WriteTimestampMicros":{{"N":"{micros + number}"}}}},'
        line += f'"Keys":{{{key(number)}}}'
        if number // step % 3:
            line += f',"NewImage":{{"new":{{"BOOL":true}},{key(number)}}}'
        yield line + "}\n"


def write_large(root: Path, *, items: int, size: int, step: int) -> int:
    """An archive of ``items`` of ``size`` bytes, every ``step``th of them changed; how many are
    left when it is folded."""
    writer = ExportsWriter()
    writer.full(NOON, [], [], [], [])
    writer.increment(NOON, NOON + timedelta(hours=1), [], [], [], [])
    cuts = [items // step * n // 4 * step for n in range(4)]
    counts = {}
    for number, (start, stop) in enumerate(pairwise([*cuts, items])):
        for name in [key for key in writer.objects if key.endswith(f"{number:04}.json.gz")]:
            changed = name.startswith("AWSDynamoDB/data/")
            lines = change_lines(start, stop, step) if changed else base_lines(start, stop, size)
            counts[name] = _gzip(root / name, lines)
    for name in [k for k in writer.objects if k.endswith("manifest-files.json")]:
        rows = [json.loads(row) for row in writer.objects[name].splitlines()]
        for row in rows:
            row["itemCount"] = counts[row["dataFileS3Key"]]
            row["md5Checksum"] = md5_of((root / row["dataFileS3Key"]).read_bytes())
        writer.put_with_md5(name, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        summary = name.replace("manifest-files", "manifest-summary")
        told: dict[str, Any] = json.loads(writer.objects[summary])
        told["itemCount"] = sum(row["itemCount"] for row in rows)
        writer.put_with_md5(summary, json.dumps(told).encode())
    for name, body in writer.objects.items():
        if "manifest" in name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(body)
    return items - len(range(0, items, 3 * step))


def fold_measured(root: Path, to: Path, megabytes: int) -> tuple[dict[str, Any], float]:
    """Fold in a process of its own: its answer, and the megabytes that it had at the most."""
    words = ["materialize", "orders", "--at", "latest", "--archive", str(root), "--to", str(to)]
    words += ["--memory", str(megabytes), "--output", "json", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, int(done.stderr.rsplit("PEAK ", 1)[1]) / 1024


def _gzip(path: Path, lines: Iterator[str]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    open_gzip: Any = igzip.open
    with open_gzip(path, "wb", compresslevel=1) as file:
        batch: list[str] = []
        for line in lines:
            batch.append(line)
            if len(batch) == 2000:
                file.write("".join(batch).encode())
                count, batch = count + len(batch), []
        file.write("".join(batch).encode())
    return count + len(batch)
