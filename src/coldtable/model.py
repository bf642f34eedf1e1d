"""The nouns: what coldtable talks about, and nothing it does.

Every instant is an aware UTC ``datetime``; every window is half-open, ``[from, to)``.
The words are those of ``docs/concepts.md``: one word, one meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class View(StrEnum):
    """What an incremental export holds of each item that changed [MODEL]."""

    NEW_IMAGE = "NEW_IMAGE"
    NEW_AND_OLD_IMAGES = "NEW_AND_OLD_IMAGES"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Snapshot:
    """The state of a table at one instant: what a full export holds."""

    moment: datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Window:
    """The half-open interval ``[start, stop)`` that an incremental export covers."""

    start: datetime
    stop: datetime


Span = Snapshot | Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an export goes, but for its prefix.

    ``owner`` is the bucket's account, needed when that is another one [DOC-REQ]; ``key`` the KMS
    key that encrypts the objects, ``None`` for the bucket's own encryption.
    """

    bucket: str
    owner: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What one ExportTableToPointInTime call asks for, as DynamoDB JSON.

    ``span`` is a snapshot for a full export and a window for an incremental one, in whole seconds;
    ``view`` is ``None`` for a full one. ``token`` is the ClientToken: the same request twice is
    one export [QUIRKS], so it is derived from everything else in here.
    """

    table: Table
    span: Span
    view: View | None = None
    to: Destination
    prefix: str
    token: str

    @property
    def bucket(self) -> str:
        """The name of the bucket that it goes to."""
        return self.to.bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One export job, as DescribeExport tells it.

    ``moment`` is that of a full export, ``window`` that of an incremental one. ``filtered`` tells
    that a FilterSpecification left items out: such an export is no copy of the table.
    ``manifest_key`` is the key of ``manifest-summary.json`` as AWS reports it; it, ``items`` and
    ``billed_bytes`` are known once the export is COMPLETED, the failure once it is FAILED [QUIRKS].
    """

    arn: str
    status: ExportStatus
    table_arn: str
    bucket: str
    prefix: str | None
    moment: datetime | None
    window: Window | None = None
    view: View | None = None
    table_id: str | None = None
    token: str | None = None
    owner: str | None = None
    algorithm: str | None = None
    key: str | None = None
    output_format: str | None = None
    filtered: bool = False
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
    """What a run of snapshots goes by, checked and complete.

    ``apart`` holds the destinations and prefix templates of the tables that have their own.
    """

    path: str
    bucket: str
    tables: tuple[str, ...]
    rule: MomentRule
    prefix_template: str
    apart: Mapping[str, tuple[Destination, str]] = field(default_factory=dict)

    def place_of(self, table: str) -> tuple[Destination, str]:
        """Where the table's exports go, and the template of their prefixes."""
        return self.apart.get(table) or (Destination(bucket=self.bucket), self.prefix_template)


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
