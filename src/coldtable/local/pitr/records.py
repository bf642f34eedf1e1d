"""One export as AWS remembers it, and how it shows itself to DescribeExport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..interface import Caller, Scope
from . import arns

IN_PROGRESS = "IN_PROGRESS"
COMPLETED = "COMPLETED"
FAILED = "FAILED"

# Members that show themselves when they were sent, and only then [SCYLLA, QUIRKS].
_ECHOED = ("S3Prefix", "S3BucketOwner", "S3SseKmsKeyId", "ExportType", "FilterSpecification")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWindow:
    """The window ``[start, stop)`` of an incremental export, whole epoch seconds."""

    start: float
    stop: float
    view: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """An accepted export. ``request`` is what the caller sent; times are epoch seconds.

    ``moment`` is ExportTime as shown; ``bound`` is where the journal is cut, in microseconds
    (a default ExportTime includes the writes of its own millisecond).
    """

    arn: str
    account: str
    region: str
    access_key: str
    table_arn: str
    table_id: str
    request: Mapping[str, Any]
    token: str
    fingerprint: str
    start: float
    moment: float | None = None
    bound: int = 0
    window: ExportWindow | None = None
    status: str = IN_PROGRESS
    end: float | None = None
    items: int = 0
    billed_bytes: int = 0
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def caller(self) -> Caller:
        """Who started it: its S3 writes are signed as this one."""
        scope = Scope(account=self.account, region=self.region)
        return Caller(scope=scope, access_key=self.access_key)

    @property
    def export_format(self) -> str:
        return str(self.request.get("ExportFormat", "DYNAMODB_JSON"))

    @property
    def sse_algorithm(self) -> str:
        return str(self.request.get("S3SseAlgorithm", "AES256"))

    @property
    def root(self) -> str:
        """``<prefix>/AWSDynamoDB/``: a prefix is joined with one slash [QUIRKS].

        UNVERIFIED: the key that a prefix with a leading slash makes (here: kept as sent).
        """
        prefix = str(self.request.get("S3Prefix") or "")
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        return prefix + "AWSDynamoDB/"

    @property
    def folder(self) -> str:
        """Where ``_started`` and the manifests lie."""
        return f"{self.root}{arns.id_of(self.arn)}/"

    @property
    def data_folder(self) -> str:
        """Data files: below the export, or shared by all incremental ones [REAL-G]."""
        return f"{self.folder if self.window is None else self.root}data/"

    @property
    def manifest_key(self) -> str:
        """UNVERIFIED: whether ExportManifest carries the prefix (here: the full key)."""
        return self.folder + "manifest-summary.json"

    def description(self) -> dict[str, Any]:
        """``ExportDescription`` on the wire; which members are there depends on the state."""
        shown: dict[str, Any] = {
            "ExportArn": self.arn,
            "ExportStatus": self.status,
            "StartTime": self.start,
            "TableArn": self.table_arn,
            "TableId": self.table_id,
            "ClientToken": self.token,
            "S3Bucket": self.request["S3Bucket"],
            "S3SseAlgorithm": self.sse_algorithm,
            "ExportFormat": self.export_format,
            "DestinationType": "S3",
        }
        for name in _ECHOED:
            if self.request.get(name) is not None:
                shown[name] = self.request[name]
        if self.window is None:
            shown["ExportTime"] = self.moment
        else:
            shown["IncrementalExportSpecification"] = {
                "ExportFromTime": self.window.start,
                "ExportToTime": self.window.stop,
                "ExportViewType": self.window.view,
            }
        return shown | self._outcome()

    def _outcome(self) -> dict[str, Any]:
        if self.status == COMPLETED:
            return {
                "EndTime": self.end,
                "ExportManifest": self.manifest_key,
                "BilledSizeBytes": self.billed_bytes,
                "ItemCount": self.items,
            }
        if self.status == FAILED:
            return {
                "EndTime": self.end,
                "FailureCode": self.failure_code,
                "FailureMessage": self.failure_message,
            }
        return {}

    def summary(self) -> dict[str, Any]:
        """One row of ListExports, which always shows a type [QUIRKS]."""
        kind = "FULL_EXPORT" if self.window is None else "INCREMENTAL_EXPORT"
        return {"ExportArn": self.arn, "ExportStatus": self.status, "ExportType": kind}

    def stored(self) -> dict[str, Any]:
        """As JSON, for a state directory."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> ExportRecord:
        """Back from ``stored``."""
        window = stored.get("window")
        return cls(**{**stored, "window": ExportWindow(**window) if window else None})
