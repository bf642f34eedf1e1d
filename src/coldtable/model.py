"""The nouns: what coldtable talks about, and nothing it does.

Every instant is an aware UTC ``datetime``; every window is half-open, ``[from, to)``.
The words are those of ``docs/concepts.md``: one word, one meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A source table. The id tells a re-created table from the one it replaced."""

    name: str
    arn: str
    table_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitr:
    """The point-in-time recovery (PITR) state of a table.

    ``earliest`` and ``latest`` bound what can be exported; both are ``None`` while PITR is off.
    Source: DescribeContinuousBackups [MODEL].
    """

    enabled: bool
    recovery_days: int | None = None
    earliest: datetime | None = None
    latest: datetime | None = None


class ExportStatus(StrEnum):
    """The states of an export job [MODEL]."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What one ExportTableToPointInTime call asks for: a full export as DynamoDB JSON.

    ``moment`` is a whole second. ``token`` is the ClientToken: the same request twice is one
    export [QUIRKS], so it is derived from everything else in here.
    """

    table: Table
    moment: datetime
    bucket: str
    prefix: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One export job, as DescribeExport tells it.

    ``manifest_key`` is the key of ``manifest-summary.json`` as AWS reports it; it, ``items`` and
    ``billed_bytes`` are known once the export is COMPLETED, the failure once it is FAILED [QUIRKS].
    """

    arn: str
    status: ExportStatus
    table_arn: str
    bucket: str
    prefix: str | None
    moment: datetime | None
    started: datetime | None = None
    ended: datetime | None = None
    manifest_key: str | None = None
    items: int | None = None
    billed_bytes: int | None = None
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def export_id(self) -> str:
        """The last part of the ARN: 14 digits of milliseconds, a dash, 8 hex digits."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def location(self) -> str:
        """The ``s3://`` folder that holds this export's manifests."""
        parts = [self.bucket, (self.prefix or "").rstrip("/"), "AWSDynamoDB", self.export_id]
        return "s3://" + "/".join(p for p in parts if p)


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentRule:
    """Which local moments are exported: every day, or one day of each month, at one time.

    ``day`` is ``None`` for every day, else 1 to 31; a day that a month lacks means its last.
    """

    day: int | None
    at: time
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the parameters under the path say, checked and complete."""

    path: str
    bucket: str
    tables: tuple[str, ...]
    rule: MomentRule
    prefix_template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedExport:
    """The report line of a table whose export was started (or had been, by the same request)."""

    table: str
    export: Export


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTable:
    """The report line of a table whose export could not be started."""

    table: str
    error: str
    code: str
    hint: str
    retryable: bool
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What one run did, table by table, in the order of the settings."""

    moment: datetime | None
    started: tuple[StartedExport, ...] = field(default=())
    failed: tuple[FailedTable, ...] = field(default=())
