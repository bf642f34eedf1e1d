"""AWS's two manifests of an export: read, checked against their MD5s and against each other.

The layout is that of real exports [REAL-G], fact sheet sections 2 and 3; readers are tolerant
where the docs and the real bytes differ.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coldtable.errors import DamagedError
from coldtable.model import View, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One line of ``manifest-files.json``. ``md5`` is base64 over the compressed bytes [REAL-G].

    ``etag`` is what S3 had for the object as it was written; copies may have another one.
    """

    key: str
    items: int
    md5: str
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An export as its own manifests tell it.

    A full export has a ``moment`` (with milliseconds if nobody chose it), an incremental one a
    ``window`` and a ``view``. Neither knows of a filter, a ClientToken or the bucket's owner.
    ``made_from`` names the exports that it was made of, if coldtable made it and not DynamoDB, and
    ``seams`` the gaps and overlaps between them: from the end of one to the start of the next.
    """

    export_arn: str
    table_arn: str
    table_id: str
    moment: datetime | None
    window: Window | None = None
    view: View | None = None
    items: int
    output_format: str
    bucket: str | None = None
    prefix: str | None = None
    algorithm: str | None = None
    key: str | None = None
    billed_bytes: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    files_key: str
    files: tuple[DataFile, ...] = ()
    made_from: tuple[str, ...] = ()
    seams: tuple[Window, ...] = ()

    @property
    def export_id(self) -> str:
        """The last part of the ARN."""
        return self.export_arn.rsplit("/", 1)[-1]


def check_md5(name: str, body: bytes, md5_file: bytes) -> None:
    """Raise ``DamagedError`` unless ``md5_file`` is the base64 MD5 of ``body``."""
    stated, found = md5_file.decode("ascii", "replace").strip(), md5_of(body)
    if stated != found:
        raise DamagedError(
            f"{name} does not match its MD5: it is {found}, and should be {stated}",
            hint="The manifest was changed or cut short after DynamoDB wrote it",
        )


def md5_of(body: bytes) -> str:
    """Base64 of the MD5, as manifests write it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def parse_summary(name: str, body: bytes) -> Manifest:
    """The manifest (without its files) that ``manifest-summary.json`` spells."""
    found = _json(name, body)
    try:
        # A real full export has no exportType at all, and AWS's docs show one [REAL-G, DOC-OUT].
        incremental = found.get("exportType") == "INCREMENTAL_EXPORT"
        made = found.get("coldtable", {})
        return Manifest(
            export_arn=found["exportArn"],
            table_arn=found["tableArn"],
            table_id=found["tableId"],
            moment=None if incremental else _time(found["exportTime"]),
            window=_window(found) if incremental else None,
            view=_view(found["outputView"]) if incremental else None,
            items=int(found["itemCount"]),
            output_format=found["outputFormat"],
            bucket=found.get("s3Bucket"),
            prefix=found.get("s3Prefix"),
            algorithm=found.get("s3SseAlgorithm"),
            key=found.get("s3SseKmsKeyId") or None,
            billed_bytes=found.get("billedSizeBytes"),
            started=_time(found["startTime"]) if found.get("startTime") else None,
            ended=_time(found["endTime"]) if found.get("endTime") else None,
            files_key=found["manifestFilesS3Key"],
            made_from=tuple(made.get("madeFrom", ())),
            seams=tuple(
                Window(start=_time(seam["end"]), stop=_time(seam["start"]))
                for seam in made.get("seams", ())
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{name} is not a manifest: {error!r}") from None


def parse_files(name: str, body: bytes) -> tuple[DataFile, ...]:
    """The data files that ``manifest-files.json`` lists, one JSON object a line."""
    files = []
    for number, line in enumerate(body.splitlines(), 1):
        found = _json(f"{name}, line {number}", line)
        try:
            files.append(
                DataFile(
                    key=found["dataFileS3Key"],
                    items=int(found["itemCount"]),
                    md5=found["md5Checksum"],
                    etag=found.get("etag") or "",
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"{name}, line {number}, is not a data file: {error!r}") from None
    return tuple(files)


def check_sum(manifest: Manifest) -> None:
    """Raise unless the files' item counts add up to the summary's."""
    total = sum(file.items for file in manifest.files)
    if total != manifest.items:
        raise DamagedError(
            f"The manifests of {manifest.export_arn} disagree: the summary counts "
            f"{manifest.items} items, its files together {total}"
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _window(found: dict[str, Any]) -> Window:
    return Window(start=_time(found["exportFromTime"]), stop=_time(found["exportToTime"]))


def _view(text: str) -> View:
    # AWS's prose says NEW_IMAGES; the enum NEW_IMAGE [MODEL].
    return View.NEW_IMAGE if text == "NEW_IMAGES" else View(text)


def _json(name: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise DamagedError(f"{name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{name} is not a JSON object")
    return found
