"""DynamoDB's tables: made, changed and looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.errors import Conflict
from coldtable.model_restore import KeyAttribute, KeySchema, TableRequest, TableState

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
# AWS prepares a new table's backups for some seconds [QUIRKS].
_NOT_YET = ("ContinuousBackupsUnavailableException",)
# What AWS says to whoever asks for what is so already (general knowledge, UNVERIFIED): a restore
# that goes on asks again for what it had asked for.
_ALREADY = re.compile("TimeToLive is already enabled|already has an enabled stream")


class DynamoDbTables:
    """Implements ``ports_restore.Tables``."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client

    def state(self, name: str) -> TableState | None:
        """See ``ports_restore.Tables.state``."""
        with translated("dynamodb", f"table {name}"):
            try:
                found = self._client.describe_table(TableName=name)["Table"]
            except self._client.exceptions.ResourceNotFoundException:
                return None
        return _state(found)

    def ask(self, request: TableRequest) -> None:
        """See ``ports_restore.Tables.ask``."""
        call = getattr(self._client, _WORD.sub("_", request.operation).lower())
        with translated("dynamodb", request.what):
            try:
                call(**request.body)
            except ClientError as error:
                if _ALREADY.search(error.response["Error"].get("Message", "")):
                    return
                if error.response["Error"]["Code"] in _NOT_YET:
                    raise Conflict(
                        f"DynamoDB still prepares the backups ({request.what})",
                        hint="It takes some seconds after a table's creation. Try again",
                    ) from None
                raise

    def tags(self, arn: str) -> Mapping[str, str]:
        """See ``ports_restore.Tables.tags``."""
        with translated("dynamodb", arn):
            pages = self._client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def has_items(self, name: str) -> bool:
        """See ``ports_restore.Tables.has_items``."""
        with translated("dynamodb", f"table {name}"):
            # A page may be empty and still not be the last.
            pages = self._client.get_paginator("scan").paginate(
                TableName=name, ConsistentRead=True, PaginationConfig={"PageSize": 1}
            )
            return any(page["Items"] for page in pages)

    def delete_table(self, name: str) -> None:
        """See ``ports_restore.Tables.delete_table``."""
        with translated("dynamodb", f"table {name}"):
            self._client.delete_table(TableName=name)


def _state(found: Mapping[str, Any]) -> TableState:
    kinds = {d["AttributeName"]: d["AttributeType"] for d in found["AttributeDefinitions"]}
    by_role = {k["KeyType"]: k["AttributeName"] for k in found["KeySchema"]}
    key = {role: KeyAttribute(name=name, kind=kinds[name]) for role, name in by_role.items()}
    indexes = found.get("GlobalSecondaryIndexes", [])
    statuses = [found["TableStatus"], *(i.get("IndexStatus", "ACTIVE") for i in indexes)]
    mode = found.get("BillingModeSummary", {}).get("BillingMode")
    return TableState(
        name=found["TableName"],
        arn=found["TableArn"],
        table_id=found["TableId"],
        key=KeySchema(partition=key["HASH"], sort=key.get("RANGE")),
        ready=set(statuses) == {"ACTIVE"},
        on_demand=mode == "PAY_PER_REQUEST",
        write_units=_write_units(found),
    )


def _write_units(found: Mapping[str, Any]) -> int | None:
    """Provisioned units are 0 on demand; a limit of -1 is none [MODEL]."""
    for units in (
        found.get("ProvisionedThroughput", {}).get("WriteCapacityUnits"),
        found.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits"),
        found.get("WarmThroughput", {}).get("WriteUnitsPerSecond"),
    ):
        if units and units > 0:
            return int(units)
    return None
