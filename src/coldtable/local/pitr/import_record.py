"""One import as AWS remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..interface import Caller, Scope
from .import_source import Format
from .records import FAILED, IN_PROGRESS

LOG_GROUP = "/aws-dynamodb/imports"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """An accepted import. ``request`` is what the caller sent; times are epoch seconds."""

    arn: str
    account: str
    region: str
    access_key: str
    table_arn: str
    table_id: str
    request: Mapping[str, Any]
    token: str
    start: float
    status: str = IN_PROGRESS
    end: float | None = None
    processed_bytes: int = 0
    processed: int = 0
    imported: int = 0
    errors: int = 0
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def caller(self) -> Caller:
        """Who started it: S3 is read as this one."""
        scope = Scope(account=self.account, region=self.region)
        return Caller(scope=scope, access_key=self.access_key)

    @property
    def creation(self) -> Mapping[str, Any]:
        """TableCreationParameters."""
        found: Mapping[str, Any] = self.request["TableCreationParameters"]
        return found

    @property
    def table_name(self) -> str:
        return str(self.creation["TableName"])

    @property
    def form(self) -> Format:
        """How its objects are to be read."""
        options = (self.request.get("InputFormatOptions") or {}).get("Csv") or {}
        return Format(
            name=self.request["InputFormat"],
            compression=self.request.get("InputCompressionType", "NONE"),
            delimiter=options.get("Delimiter", ","),
            header=options.get("HeaderList", ()),
            types={
                one["AttributeName"]: one["AttributeType"]
                for one in self.creation["AttributeDefinitions"]
            },
        )

    def _log_group_arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{LOG_GROUP}:*"

    def _source(self) -> dict[str, Any]:
        """S3BucketSource, with the owner filled in [QUIRKS]."""
        return {"S3BucketOwner": self.account, **self.request["S3BucketSource"]}

    def description(self) -> dict[str, Any]:
        """``ImportTableDescription`` on the wire [MODEL, QUIRKS]."""
        shown: dict[str, Any] = {
            **self.summary(),
            "TableId": self.table_id,
            "ClientToken": self.token,
            "ErrorCount": self.errors,
            "InputCompressionType": self.request.get("InputCompressionType", "NONE"),
            "TableCreationParameters": self.creation,
            "ProcessedSizeBytes": self.processed_bytes,
            "ProcessedItemCount": self.processed,
            "ImportedItemCount": self.imported,
        }
        if self.request.get("InputFormatOptions"):
            shown["InputFormatOptions"] = self.request["InputFormatOptions"]
        if self.status == FAILED:
            shown["FailureCode"] = self.failure_code
            shown["FailureMessage"] = self.failure_message
        return shown

    def summary(self) -> dict[str, Any]:
        """One row of ListImports."""
        shown: dict[str, Any] = {
            "ImportArn": self.arn,
            "ImportStatus": self.status,
            "TableArn": self.table_arn,
            "S3BucketSource": self._source(),
            "CloudWatchLogGroupArn": self._log_group_arn(),
            "InputFormat": self.request["InputFormat"],
            "StartTime": self.start,
        }
        return shown if self.end is None else {**shown, "EndTime": self.end}

    def stored(self) -> dict[str, Any]:
        """As JSON, for a state directory."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> ImportRecord:
        """Back from ``stored``. What was under way when the emulator stopped has failed."""
        record = cls(**stored)
        if record.status != IN_PROGRESS:
            return record
        return replace(
            record,
            status=FAILED,
            end=record.start,
            failure_code="ServiceInterrupted",
            failure_message="The embedded AWS was stopped while the import ran",
        )
