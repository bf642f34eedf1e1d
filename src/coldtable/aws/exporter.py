"""DynamoDB's exports and point-in-time recovery."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from coldtable.aws.errors import translated
from coldtable.model import Export, ExportRequest, ExportStatus, Pitr, Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import ExportDescriptionTypeDef


class DynamoDbExporter:
    """Implements ``ports.Exporter``."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client

    def table(self, name: str) -> Table:
        """See ``ports.Exporter.table``."""
        with translated("dynamodb", f"table {name}"):
            found = self._client.describe_table(TableName=name)["Table"]
        return Table(name=found["TableName"], arn=found["TableArn"], table_id=found["TableId"])

    def pitr(self, table: Table) -> Pitr:
        """See ``ports.Exporter.pitr``.

        ``ContinuousBackupsStatus`` is ENABLED for practically every table; the flag is
        ``PointInTimeRecoveryStatus`` [QUIRKS].
        """
        with translated("dynamodb", f"table {table.name}"):
            answer = self._client.describe_continuous_backups(TableName=table.name)
        found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return Pitr(
            enabled=found.get("PointInTimeRecoveryStatus") == "ENABLED",
            recovery_days=found.get("RecoveryPeriodInDays"),
            earliest=_utc(found.get("EarliestRestorableDateTime")),
            latest=_utc(found.get("LatestRestorableDateTime")),
        )

    def start(self, request: ExportRequest) -> Export:
        """See ``ports.Exporter.start``."""
        with translated("dynamodb", f"table {request.table.name}"):
            answer = self._client.export_table_to_point_in_time(
                TableArn=request.table.arn,
                ExportTime=request.moment,
                ClientToken=request.token,
                S3Bucket=request.bucket,
                S3Prefix=request.prefix,
                ExportFormat="DYNAMODB_JSON",
                ExportType="FULL_EXPORT",
            )
        return _export(answer["ExportDescription"])

    def describe(self, export_arn: str) -> Export:
        """See ``ports.Exporter.describe``."""
        with translated("dynamodb", export_arn):
            answer = self._client.describe_export(ExportArn=export_arn)
        return _export(answer["ExportDescription"])


def _export(found: ExportDescriptionTypeDef) -> Export:
    return Export(
        arn=found["ExportArn"],
        status=ExportStatus(found["ExportStatus"]),
        table_arn=found["TableArn"],
        bucket=found["S3Bucket"],
        prefix=found.get("S3Prefix"),
        moment=_utc(found.get("ExportTime")),
        started=_utc(found.get("StartTime")),
        ended=_utc(found.get("EndTime")),
        manifest_key=found.get("ExportManifest"),
        items=found.get("ItemCount"),
        billed_bytes=found.get("BilledSizeBytes"),
        failure_code=found.get("FailureCode"),
        failure_message=found.get("FailureMessage"),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
