"""The switch of point-in-time recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.errors import Conflict
from coldtable.model import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import PointInTimeRecoverySpecificationTypeDef


class DynamoDbPitr:
    """Implements ``ports.PitrSwitch``."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client

    def turn_on(self, table: Table, days: int | None) -> None:
        """See ``ports.PitrSwitch.turn_on``."""
        wanted: PointInTimeRecoverySpecificationTypeDef = {"PointInTimeRecoveryEnabled": True}
        if days is not None:
            wanted["RecoveryPeriodInDays"] = days
        with translated("dynamodb", f"table {table.name}"):
            try:
                self._client.update_continuous_backups(
                    TableName=table.name, PointInTimeRecoverySpecification=wanted
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ContinuousBackupsUnavailableException":
                    raise
                raise Conflict(
                    f"DynamoDB still prepares the backups of table {table.name}",
                    hint="It takes some seconds after a table's creation. Try again",
                ) from None
