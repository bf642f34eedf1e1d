"""The bytes of the two manifests and of their ``.md5`` siblings [REAL-G].

``manifest-files.json`` is one compact line per data file, each ended by a newline;
``manifest-summary.json`` is one compact object without one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .records import ExportRecord
from .times import iso_millis


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One data file as it lies in the bucket. ``etag`` without quotes."""

    items: int
    md5: bytes
    etag: str
    key: str


def md5_text(body: bytes) -> bytes:
    """The content of a ``.md5`` object: 24 characters of base64, no newline."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest())


def files_json(lines: Iterable[FileLine]) -> bytes:
    """``manifest-files.json``."""
    return b"".join(
        _compact(
            {
                "itemCount": line.items,
                "md5Checksum": base64.b64encode(line.md5).decode(),
                "etag": line.etag,
                "dataFileS3Key": line.key,
            }
        )
        + b"\n"
        for line in lines
    )


def summary_json(export: ExportRecord) -> bytes:
    """``manifest-summary.json`` of a completed export. A full one has no ``exportType``."""
    window = export.window
    fields: dict[str, Any] = {
        "version": "2020-06-30" if window is None else "2023-08-01",
        "exportArn": export.arn,
        "startTime": iso_millis(export.start),
        "endTime": iso_millis(export.end or 0.0),
        "tableArn": export.table_arn,
        "tableId": export.table_id,
    }
    if window is None:
        fields["exportTime"] = iso_millis(export.moment or 0.0)
    else:
        fields["exportFromTime"] = iso_millis(window.start)
        fields["exportToTime"] = iso_millis(window.stop)
    fields |= {
        "s3Bucket": export.request["S3Bucket"],
        "s3Prefix": export.request.get("S3Prefix"),
        "s3SseAlgorithm": export.sse_algorithm,
        "s3SseKmsKeyId": export.request.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": export.folder + "manifest-files.json",
        "billedSizeBytes": export.billed_bytes,
        "itemCount": export.items,
        "outputFormat": export.export_format,
    }
    if window is not None:
        fields["outputView"] = window.view
        fields["exportType"] = "INCREMENTAL_EXPORT"
    return _compact(fields)


def _compact(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
