"""Exports as AWS lays them out, written straight into a dict of objects: for tests of readers.

The embedded AWS makes them from a table's history; this makes any, also those that no history
could have: with gaps, of another table id, damaged.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from coldtable.core.manifest import md5_of

ACCOUNT, REGION = "123456789012", "eu-north-1"
TABLE_ID = "cf263806-6bf1-4e51-a242-7067dcdecc72"
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


@dataclass
class ExportsWriter:
    """Writes exports of one table below ``<prefix>/AWSDynamoDB/``."""

    objects: dict[str, bytes] = field(default_factory=dict)
    table: str = "orders"
    table_id: str = TABLE_ID
    prefix: str = ""
    output_format: str = "DYNAMODB_JSON"
    written: int = 0

    @property
    def root(self) -> str:
        """``AWSDynamoDB`` with the prefix before it."""
        return f"{self.prefix}/AWSDynamoDB" if self.prefix else "AWSDynamoDB"

    @property
    def table_arn(self) -> str:
        """The ARN in the manifests."""
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.table}"

    def full(self, moment: datetime = NOON, *files: Sequence[bytes]) -> str:
        """A full export, one data file for each list of lines; the key of its summary."""
        export_id = self._export_id(moment)
        times = {"exportTime": _millis(moment)}
        return self._write(export_id, f"{self.root}/{export_id}/data", times, {}, files)

    def increment(
        self,
        start: datetime,
        stop: datetime,
        *files: Sequence[bytes],
        view: str = "NEW_AND_OLD_IMAGES",
    ) -> str:
        """An incremental export of ``[start, stop)``; the key of its summary."""
        times = {"exportFromTime": _millis(start), "exportToTime": _millis(stop)}
        last = {"outputView": view, "exportType": "INCREMENTAL_EXPORT"}
        return self._write(self._export_id(stop), f"{self.root}/data", times, last, files)

    def started(self, moment: datetime = NOON) -> str:
        """An export of which only ``_started`` is there; its folder."""
        folder = f"{self.root}/{self._export_id(moment)}"
        self.objects[f"{folder}/_started"] = b""
        return folder

    def put_with_md5(self, key: str, body: bytes) -> None:
        """A manifest and its ``.md5``."""
        self.objects[key] = body
        self.objects[key.removesuffix(".json") + ".md5"] = md5_of(body).encode()

    def _export_id(self, moment: datetime) -> str:
        self.written += 1
        return f"{int((moment + timedelta(minutes=5)).timestamp()) * 1000:014}-{self.written:08x}"

    def _write(
        self,
        export_id: str,
        data: str,
        times: dict[str, str],
        last: dict[str, str],
        files: Sequence[Sequence[bytes]],
    ) -> str:
        folder = f"{self.root}/{export_id}"
        ending = ".ion.gz" if self.output_format == "ION" else ".json.gz"
        rows = b""
        for number, lines in enumerate(files):
            key = f"{data}/{export_id[:14]}{export_id[15:]}{number:04}{ending}"
            body = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
            self.objects[key] = body
            row = {
                "itemCount": len(lines),
                "md5Checksum": md5_of(body),
                "etag": f"{0:032x}-1",
                "dataFileS3Key": key,
            }
            rows += _compact(row) + b"\n"
        began = datetime.fromtimestamp(int(export_id[:14]) / 1000, UTC)
        summary = {
            "version": "2023-08-01" if last else "2020-06-30",
            "exportArn": f"{self.table_arn}/export/{export_id}",
            "startTime": _millis(began),
            "endTime": _millis(began + timedelta(minutes=5)),
            "tableArn": self.table_arn,
            "tableId": self.table_id,
            **times,
            "s3Bucket": "archive",
            "s3Prefix": self.prefix or None,
            "s3SseAlgorithm": "AES256",
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{folder}/manifest-files.json",
            "billedSizeBytes": 0,
            "itemCount": sum(map(len, files)),
            "outputFormat": self.output_format,
            **last,
        }
        self.objects[f"{folder}/_started"] = b""
        self.put_with_md5(f"{folder}/manifest-files.json", rows)
        self.put_with_md5(f"{folder}/manifest-summary.json", _compact(summary))
        return f"{folder}/manifest-summary.json"


def item_line(**attributes: Any) -> bytes:
    """One line of a full export."""
    return _compact({"Item": attributes})


def record_line(
    keys: dict[str, Any],
    when: datetime,
    new: dict[str, Any] | None = None,
    old: dict[str, Any] | None = None,
) -> bytes:
    """One line of an incremental export: an item's change, by the images that there are."""
    micros = int(when.timestamp()) * 1_000_000 + when.microsecond
    line: dict[str, Any] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(micros)}},
        "Keys": keys,
    }
    if old is not None:
        line["OldImage"] = old
    if new is not None:
        line["NewImage"] = new
    return _compact(line)


def _compact(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _millis(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
