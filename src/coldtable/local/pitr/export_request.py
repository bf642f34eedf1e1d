"""ExportTableToPointInTime's checks, in AWS's order and with its texts [MODEL, QUIRKS]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..interface import ApiError, Inner, Scope
from .backups import History
from .constraints import Member
from .records import ExportWindow
from .settings import PitrSettings
from .times import floor_millis, iso_seconds, micros

VIEWS = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
_KEY = r"[a-zA-Z0-9:/_-]+"
_SPEC = "IncrementalExportSpecification"

MEMBERS = (
    Member(path="TableArn", required=True, low=1, high=1024),
    Member(path="ExportTime", kind="time"),
    Member(path="ClientToken", pattern=r"^[^\$]+$"),
    Member(
        path="S3Bucket",
        required=True,
        high=255,
        pattern=r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$",
    ),
    Member(path="S3BucketOwner", pattern="[0-9]{12}"),
    Member(path="S3Prefix", high=1024),
    Member(path="S3SseAlgorithm", enum=("AES256", "KMS")),
    Member(path="S3SseKmsKeyId", low=1, high=2048),
    Member(path="ExportFormat", enum=("DYNAMODB_JSON", "ION")),
    Member(path="ExportType", enum=("FULL_EXPORT", "INCREMENTAL_EXPORT")),
    Member(path=_SPEC, kind="structure"),
    Member(path=f"{_SPEC}.ExportFromTime", kind="time"),
    Member(path=f"{_SPEC}.ExportToTime", kind="time"),
    Member(path=f"{_SPEC}.ExportViewType", enum=VIEWS),
    Member(path="FilterSpecification", kind="structure"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What an export covers: a moment (with the journal's cut in microseconds) or a window."""

    start_time: float
    moment: float | None = None
    bound: int = 0
    window: ExportWindow | None = None


def couplings(request: Mapping[str, Any]) -> None:
    """Members that only go, or never go, together."""
    kind, spec = request.get("ExportType"), request.get(_SPEC)
    if spec is not None and kind is None:
        raise _invalid(
            "Export Type expected to be Incremental Export when incremental export specification "
            "is provided"
        )
    if spec is not None and kind == "FULL_EXPORT":
        raise _invalid(
            "When Export Type is Full Export , Incremental Export Specification should not be "
            "provided"
        )
    if kind == "INCREMENTAL_EXPORT":
        if spec is None:
            raise _invalid(
                "Incremental Export Specification expected when export type is set as "
                "Incremental Export"
            )
        if spec.get("ExportFromTime") is None:
            raise _invalid("ExportFromTime must be provided in IncrementalExportSpecification")
    if request.get("S3SseKmsKeyId") is not None and request.get("S3SseAlgorithm") != "KMS":
        raise _invalid("KMS Key Id is not supported for this encryption type")
    key_id = request.get("S3SseKmsKeyId")
    if key_id is not None and not re.fullmatch(_KEY, key_id):
        # UNVERIFIED: the pattern at the end of the text; the rest is known [QUIRKS].
        raise _invalid(
            f"1 validation error detected: Value '{key_id}' at 's3SseKmsKeyId' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {_KEY}"
        )
    specification = request.get("FilterSpecification")
    if specification is not None and not specification:
        raise _invalid("Invalid FilterSpecification: The specification can not be empty")


async def check_filter(
    inner: Inner, scope: Scope, table: str, specification: Mapping[str, Any], *, supported: bool
) -> None:
    """Let DynamoDB itself read the expressions, as Query or Scan would [DOC-FILT].

    UNVERIFIED: when AWS looks at them, and its words (here: the engine's behind a known beginning).
    """
    if not supported:
        raise _invalid("FilterSpecification is not supported by coldtable's embedded AWS")
    operation = "Query" if specification.get("KeyConditionExpression") else "Scan"
    try:
        await inner.dynamodb(scope, operation, {**specification, "TableName": table, "Limit": 1})
    except ApiError as error:
        raise _invalid(f"Invalid FilterSpecification: {error.message}") from None


def after_creation(request: Mapping[str, Any], created: float) -> None:
    """Checked before anything about PITR [QUIRKS]. The text repeats the time that was asked for."""
    spec = request.get(_SPEC)
    if spec is not None and int(spec["ExportFromTime"]) < int(created):
        raise _time(
            "Incremental export period from time cannot be less than the table creation time : "
            + iso_seconds(spec["ExportFromTime"])
        )


def span(request: Mapping[str, Any], history: History, settings: PitrSettings, now: float) -> Span:
    """The moment or window that the request means, or InvalidExportTimeException."""
    if request.get(_SPEC) is not None:
        return _window(request[_SPEC], history, settings, now)
    start = floor_millis(now)
    asked = request.get("ExportTime")
    if asked is None:
        # The default is now, and now includes what was just written.
        return Span(start_time=start, moment=start, bound=micros(now) + 1)
    moment = float(int(asked))
    if moment > now or moment < history.earliest(now):
        raise _time("Export Time is invalid")
    if moment > history.latest(now, settings.restorable_lag):
        raise _time("Point in Time Recovery is not available for specified export time")
    return Span(start_time=start, moment=moment, bound=micros(moment))


def _window(spec: Mapping[str, Any], history: History, settings: PitrSettings, now: float) -> Span:
    """Incremental exports start on a whole second [REAL-G], and reach up to now [QUIRKS]."""
    start = float(int(spec["ExportFromTime"]))
    asked = spec.get("ExportToTime")
    stop = float(int(now if asked is None else asked))
    if stop - start < settings.min_window:
        raise _time(
            "Difference between export period from time and export period to time is less than "
            f"{settings.min_window / 60:g} minutes"
        )
    if stop - start > settings.max_window:
        # UNVERIFIED text.
        raise _time(
            "Difference between export period from time and export period to time is greater "
            f"than {settings.max_window / 3600:g} hours"
        )
    if stop > now:
        raise _time(
            "Incremental export period to time cannot be greater than the current time : "
            + iso_seconds(stop)
        )
    if start < history.earliest(now):
        # UNVERIFIED text: a window that begins before PITR reaches, after the table's creation.
        raise _time("Point in Time Recovery is not available for specified export time")
    view = str(spec.get("ExportViewType", "NEW_AND_OLD_IMAGES"))
    return Span(start_time=float(int(now)), window=ExportWindow(start=start, stop=stop, view=view))


def _invalid(text: str) -> ApiError:
    return ApiError("ValidationException", f"Invalid Request: {text}")


def _time(text: str) -> ApiError:
    return ApiError("InvalidExportTimeException", text)
