"""The two manifests of a full export that coldtable made itself, spelled as AWS spells them.

Key names, key order, nulls and newlines are those of real exports [REAL-G]. One key more, the last
one, says that it was made here and from which exports.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from coldtable.core.manifest import DataFile, Manifest
from coldtable.core.request import exact_iso
from coldtable.core.restore_point import RestorePlan
from coldtable.errors import DamagedError

# A part of every id: another layout of the same content must not get the same place.
_LAYOUT = 1


def made_id(plan: RestorePlan) -> str:
    """The id of the export that ``plan`` comes to: always the same, so that it can be made again.

    It has AWS's form, ``01768385930622-efd1a093``; its time is the restore point.
    """
    names = [export.manifest.export_arn for export in (plan.base, *plan.increments)]
    text = "\n".join([str(_LAYOUT), plan.moment.isoformat(), *names])
    millis = round(plan.moment.timestamp() * 1000)
    return f"{millis:014}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def data_name(export_id: str, part: int, number: int) -> str:
    """The name of a data file, in AWS's form, and always the same for the same place."""
    digest = hashlib.sha256(f"{export_id} {part} {number}".encode()).digest()[:16]
    return base64.b32encode(digest).decode().lower().rstrip("=") + ".json.gz"


def one_part_etag(md5: str) -> str:
    """The ETag that S3 gives to an object that was uploaded in one part [REAL-G]."""
    inner = binascii.a2b_base64(md5)
    return hashlib.md5(inner, usedforsecurity=False).hexdigest() + "-1"


def files_text(files: Iterable[DataFile]) -> bytes:
    """``manifest-files.json``."""
    return b"".join(
        _compact(
            {
                "itemCount": file.items,
                "md5Checksum": file.md5,
                "etag": file.etag or one_part_etag(file.md5),
                "dataFileS3Key": file.key,
            }
        )
        + b"\n"
        for file in files
    )


def summary_text(manifest: Manifest, version: str) -> bytes:
    """``manifest-summary.json`` of a full export that this version of coldtable made."""
    if manifest.moment is None:
        raise DamagedError("only full exports are made here")
    return _compact(
        {
            "version": "2020-06-30",
            "exportArn": manifest.export_arn,
            "startTime": _millis(manifest.started or manifest.moment),
            "endTime": _millis(manifest.ended or manifest.moment),
            "tableArn": manifest.table_arn,
            "tableId": manifest.table_id,
            "exportTime": _millis(manifest.moment),
            "s3Bucket": manifest.bucket,
            "s3Prefix": manifest.prefix,
            "s3SseAlgorithm": manifest.algorithm,
            "s3SseKmsKeyId": manifest.key,
            "manifestFilesS3Key": manifest.files_key,
            "billedSizeBytes": manifest.billed_bytes or 0,
            "itemCount": manifest.items,
            "outputFormat": manifest.output_format,
            "coldtable": {
                "version": version,
                "madeFrom": list(manifest.made_from),
                "seams": [
                    {"end": exact_iso(seam.start), "start": exact_iso(seam.stop)}
                    for seam in manifest.seams
                ],
            },
        }
    )


def _compact(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _millis(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
