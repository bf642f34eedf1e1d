"""DynamoDB's imports from S3, and their error log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.model_restore import Import, ImportProblem

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_logs import CloudWatchLogsClient

# Where AWS writes what it could not import [DOC-IMP].
LOG_GROUP = "/aws-dynamodb/imports"


class DynamoDbImports:
    """Implements ``ports_restore.Importer``."""

    def __init__(self, client: DynamoDBClient, logs: CloudWatchLogsClient) -> None:
        self._client = client
        self._logs = logs

    def start(self, request: Mapping[str, Any]) -> Import:
        """See ``ports_restore.Importer.start``."""
        name = request["TableCreationParameters"]["TableName"]
        with translated("dynamodb", f"table {name}"):
            return _import(self._client.import_table(**request)["ImportTableDescription"])

    def find(self, table: str, token: str) -> Import | None:
        """See ``ports_restore.Importer.find``. A summary has no token [MODEL]: each is asked."""
        page: Any = {}
        while True:
            with translated("dynamodb", f"table {table}"):
                answer = self._client.list_imports(PageSize=25, **page)
                for summary in answer.get("ImportSummaryList", []):
                    if not summary.get("TableArn", "").endswith(f":table/{table}"):
                        continue
                    described = self._client.describe_import(ImportArn=summary["ImportArn"])
                    found = described["ImportTableDescription"]
                    if found.get("ClientToken") == token:
                        return _import(found)
            if not answer.get("NextToken"):
                return None
            page = {"NextToken": answer["NextToken"]}

    def describe(self, import_arn: str) -> Import:
        """See ``ports_restore.Importer.describe``."""
        with translated("dynamodb", import_arn):
            answer = self._client.describe_import(ImportArn=import_arn)
        return _import(answer["ImportTableDescription"])

    def problems(self, found: Import, limit: int) -> tuple[ImportProblem, ...]:
        """See ``ports_restore.Importer.problems``."""
        with translated("logs", LOG_GROUP):
            try:
                answer = self._logs.get_log_events(
                    logGroupName=LOG_GROUP,
                    logStreamName=f"{found.import_id}/error",
                    startFromHead=True,
                    limit=limit,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                return ()
        return tuple(_problem(str(event.get("message", ""))) for event in answer["events"])


def _import(found: Mapping[str, Any]) -> Import:
    return Import(
        arn=found["ImportArn"],
        status=found["ImportStatus"],
        table_arn=found["TableArn"],
        table_id=found.get("TableId"),
        processed_items=found.get("ProcessedItemCount"),
        imported_items=found.get("ImportedItemCount"),
        processed_bytes=found.get("ProcessedSizeBytes"),
        errors=found.get("ErrorCount"),
        failure_code=found.get("FailureCode"),
        failure_message=found.get("FailureMessage"),
        started=found.get("StartTime"),
        ended=found.get("EndTime"),
    )


def _problem(text: str) -> ImportProblem:
    """A line of the log [DOC-IMP, QUIRKS]; one of another form is its own message."""
    try:
        found: Any = json.loads(text)
        where = found["itemS3Pointer"]
        return ImportProblem(
            key=where["key"],
            index=int(where["itemIndex"]),
            messages=tuple(map(str, found["errorMessages"])),
        )
    except (ValueError, KeyError, TypeError):
        return ImportProblem(key="", index=-1, messages=(text,))
