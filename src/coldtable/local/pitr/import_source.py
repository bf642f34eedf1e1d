"""What an import reads: objects of S3, decompressed, taken apart into items.

A line that cannot be parsed ends its object, an item that breaks a rule does not [QUIRKS].
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, cast

import zstandard
from amazon.ion import simpleion
from amazon.ion.core import IonType
from amazon.ion.exceptions import IonException

from .ion import EXACT
from .journal import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One thing that was read: an item, or why it is none."""

    index: int
    item: Item | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How the objects are written; ``types`` are the declared attribute types (for CSV)."""

    name: str
    compression: str
    delimiter: str = ","
    header: Sequence[str] = ()
    types: Mapping[str, str]


_BROKEN = (
    EOFError,
    OSError,
    ValueError,
    csv.Error,
    zlib.error,
    zstandard.ZstdError,
    IonException,
)


def read(body: bytes, form: Format) -> Iterator[Read]:
    """Everything in one object, in order; after what cannot be parsed there is nothing."""
    index = 0
    readers = {"DYNAMODB_JSON": _json_items, "ION": _ion_items, "CSV": _csv_items}
    try:
        for item in readers[form.name](_opened(body, form.compression), form):
            yield (
                Read(index=index, item=item)
                if isinstance(item, Mapping)
                else Read(index=index, error=item)
            )
            index += 1
    except _BROKEN:
        yield Read(index=index, error="Invalid input: the item could not be parsed")


def _opened(body: bytes, compression: str) -> IO[bytes]:
    if compression == "GZIP":
        return cast(IO[bytes], gzip.GzipFile(fileobj=io.BytesIO(body)))
    if compression == "ZSTD":
        reader = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(body), read_across_frames=True
        )
        return io.BufferedReader(reader)
    return io.BytesIO(body)


def _json_items(stream: IO[bytes], form: Format) -> Iterator[Item | str]:  # noqa: ARG001
    for line in stream:
        if not line.strip():
            continue
        row = json.loads(line)
        item = row.get("Item") if isinstance(row, dict) else None
        yield item if isinstance(item, dict) else "Invalid input: the Item attribute is missing"


def _ion_items(stream: IO[bytes], form: Format) -> Iterator[Item | str]:  # noqa: ARG001
    for row in simpleion.load(stream, single_value=False, parse_eagerly=False):
        item = row.get("Item") if isinstance(row, Mapping) else None
        if isinstance(item, Mapping):
            yield {str(name): typed(value) for name, value in item.items()}
        else:
            yield "Invalid input: the Item attribute is missing"


def _csv_items(stream: IO[bytes], form: Format) -> Iterator[Item | str]:
    rows = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""), delimiter=form.delimiter)
    header = list(form.header) or next(rows, [])
    for row in rows:
        if len(row) > len(header):
            yield "Invalid input: the row has more columns than the header"
            continue
        yield {
            name: {form.types.get(name, "S"): text}
            for name, text in zip(header, row, strict=False)
            if text
        }


def typed(value: Any) -> dict[str, Any]:
    """An Ion value as a DynamoDB attribute value."""
    kind = value.ion_type if hasattr(value, "ion_type") else None
    annotations = [note.text for note in getattr(value, "ion_annotations", ())]
    if value is None or kind is IonType.NULL:
        return {"NULL": True}
    if kind is IonType.BOOL:
        return {"BOOL": bool(value)}
    if kind in (IonType.STRING, IonType.SYMBOL):
        return {"S": str(value)}
    if kind in (IonType.INT, IonType.DECIMAL, IonType.FLOAT):
        return {"N": _number(value)}
    if kind in (IonType.BLOB, IonType.CLOB):
        return {"B": base64.b64encode(bytes(value)).decode()}
    if kind is IonType.STRUCT:
        return {"M": {str(name): typed(member) for name, member in value.items()}}
    members = [typed(member) for member in value]
    for note in annotations:
        if note and note.startswith("$dynamodb_"):
            return {note[-2:]: [next(iter(member.values())) for member in members]}
    return {"L": members}


def _number(value: Any) -> str:
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    return format(number.normalize(EXACT), "f") if number else "0"
