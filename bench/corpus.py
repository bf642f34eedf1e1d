"""An archive to measure with: a full export and three increments, as AWS lays them out.

A single-table design: ten kinds of items, 43 attributes, about 340 bytes an item, attributes in
the order of a hash as in real full exports. Every tenth item is changed, and a few are new or gone.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from isal import igzip

from coldtable.core.manifest import DataFile, Manifest
from coldtable.core.manifest_text import files_text, summary_text

MOMENT = datetime(2026, 1, 14, 12, tzinfo=UTC)
ARN = "arn:aws:dynamodb:eu-north-1:123456789012:table/bench"
TABLE_ID = "cf263806-6bf1-4e51-a242-7067dcdecc72"
FILES = 4
_WORDS = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
    "incididunt",
    "ut",
    "labore",
    "et",
    "dolore",
    "magna",
    "aliqua",
    "enim",
    "ad",
    "minim",
    "veniam",
    "quis",
    "nostrud",
]
_PLAIN = (
    "email",
    "status",
    "city",
    "street",
    "phone",
    "note",
    "label",
    "locale",
    "source",
    "state",
)
_NUMBERS = ("total", "count", "weight", "ttl", "rank", "price", "version", "stock", "score", "tax")
_OTHER = (
    '"address":{"M":{"street":{"S":"%(n)d Main Street"},"zip":{"N":"%(n)d"}}}',
    '"lines":{"L":[{"M":{"sku":{"S":"SKU-%(n)d"},"quantity":{"N":"3"}}}]}',
    '"tags":{"SS":["%(w)s","other"]}',
    '"active":{"BOOL":true}',
    '"digest":{"B":"%(b)s"}',
    '"parent":{"S":"CUSTOMER#%(n)09d"}',
)


class Kind:
    """One kind of item: which attributes it has, and in which order they are written."""

    def __init__(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        parts = [f'"{name}{number % 2}":{{"S":"%(t)s"}}' for name in chance.sample(_PLAIN, 4)]
        parts += [f'"{name}":{{"N":"%(d)s"}}' for name in chance.sample(_NUMBERS, 3)]
        parts += chance.sample(_OTHER, 2)
        parts += ['"pk":{"S":"%(pk)s"}', '"sk":{"S":"%(sk)s"}']
        self.sorted = "{" + ",".join(sorted(parts)) + "}"
        chance.shuffle(parts)
        self.shuffled = "{" + ",".join(parts) + "}"


_KINDS = [Kind(number) for number in range(10)]


def values(number: int, version: int) -> dict[str, object]:
    """What an item is made of, the same for the same number and version."""
    n = (number * 8 + version) * 0x9E3779B97F4A7C15 % 2**64 >> 24
    return {
        "pk": f"CUSTOMER#{number // 7:09d}",
        "sk": f"KIND{number % 10}#{number:010d}",
        "n": n % 1_000_000,
        "d": f"{n % 100_000}.{1 + n % 9}",
        "w": _WORDS[n % 25],
        "t": f"{_WORDS[n % 23]} {n:x} {_WORDS[n % 19]}",
        "b": base64.b64encode(n.to_bytes(6, "big")).decode(),
    }


def base_lines(first: int, stop: int) -> Iterator[str]:
    """Lines of the full export."""
    for number in range(first, stop):
        made = _KINDS[number % 10].shuffled % values(number, 0)
        yield f'{{"Item":{made}}}\n'


def change_lines(window: int, count: int, first: int, stop: int) -> Iterator[str]:
    """Lines of one increment: a third of every tenth item, some of them new, some deleted."""
    micros = int((MOMENT + timedelta(hours=window)).timestamp()) * 1_000_000
    for number in range(first + window, stop, 30):
        held = values(number, window + 1)
        number_of_key = number + count if number % 97 == 0 else number
        held |= {k: values(number_of_key, 0)[k] for k in ("pk", "sk")}
        keys = f'{{"pk":{{"S":"{held["pk"]}"}},"sk":{{"S":"{held["sk"]}"}}}}'
        kind = _KINDS[number % 10].sorted
        line = f'{{"Metadata":{{"WriteTimestampMicros":{{"N":"{micros + number}"}}}},"Keys":{keys}'
        if number_of_key == number:
            line += f',"OldImage":{kind % values(number, 0)}'
        if number % 89:
            line += f',"NewImage":{kind % held}'
        yield line + "}\n"


def write_archive(root: Path, count: int) -> int:
    """Write the archive of ``count`` items below ``root``; the bytes of the base's lines."""
    folder = root / "AWSDynamoDB"
    size = 0
    steps = [round(count * n / FILES) for n in range(FILES + 1)]
    spans = list(pairwise(steps))
    files = []
    for number, span in enumerate(spans):
        made, written = _data_file(
            root,
            f"AWSDynamoDB/01768391700000-00000000/data/base{number}.json.gz",
            base_lines(*span),
        )
        files.append(made)
        size += written
    _manifests(folder / "01768391700000-00000000", files, None)
    for window in range(3):
        export_id = f"{1768395600000 + 3600000 * window:014}-0000000{window + 1}"
        files = [
            _data_file(
                root,
                f"AWSDynamoDB/data/change{window}{number}.json.gz",
                change_lines(window, count, *span),
            )[0]
            for number, span in enumerate(spans)
        ]
        _manifests(folder / export_id, files, window)
    return size


def _data_file(root: Path, key: str, lines: Iterator[str]) -> tuple[DataFile, int]:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    items = size = 0
    # Level 3 of isal is the nearest to what DynamoDB's own files come to.
    open_gzip: Any = igzip.open
    with open_gzip(path, "wb", compresslevel=3) as file:
        batch: list[str] = []
        for line in lines:
            batch.append(line)
            items += 1
            if len(batch) == 2000:
                size += file.write("".join(batch).encode())
                batch = []
        size += file.write("".join(batch).encode())
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
    return DataFile(key=key, items=items, md5=base64.b64encode(digest).decode()), size


def _manifests(folder: Path, files: list[DataFile], window: int | None) -> None:
    """The manifests of one export. An incremental summary is a full one with other times."""
    manifest = Manifest(
        export_arn=f"{ARN}/export/{folder.name}",
        table_arn=ARN,
        table_id=TABLE_ID,
        moment=MOMENT,
        items=sum(file.items for file in files),
        output_format="DYNAMODB_JSON",
        files_key=f"AWSDynamoDB/{folder.name}/manifest-files.json",
    )
    summary = summary_text(manifest, "bench")
    if window is not None:
        times = [(MOMENT + timedelta(hours=window + n)).isoformat() for n in (0, 1)]
        summary = (
            summary.removesuffix(b"}")
            + (
                f',"exportFromTime":"{times[0]}","exportToTime":"{times[1]}",'
                '"outputView":"NEW_AND_OLD_IMAGES","exportType":"INCREMENTAL_EXPORT"}'
            ).encode()
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in (("manifest-files", files_text(files)), ("manifest-summary", summary)):
        (folder / f"{name}.json").write_bytes(body)
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        (folder / f"{name}.md5").write_text(base64.b64encode(digest).decode())
