"""Which tables there are, and their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from coldtable.aws.errors import translated
from coldtable.model import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDbDirectory:
    """Implements ``ports.TableDirectory``."""

    def __init__(self, client: DynamoDBClient, tagging: Callable[[], Any]) -> None:
        """``tagging`` makes a client of the Resource Groups Tagging API, if tags are asked for."""
        self._client = client
        self._tagging = tagging

    def names(self) -> Iterator[str]:
        """See ``ports.TableDirectory.names``."""
        with translated("dynamodb"):
            for page in self._client.get_paginator("list_tables").paginate():
                yield from page["TableNames"]

    def tagged(self, tag: str) -> Mapping[str, str]:
        """See ``ports.TableDirectory.tagged``. One call for a hundred tables [MODEL]."""
        pages = (
            self._tagging()
            .get_paginator("get_resources")
            .paginate(TagFilters=[{"Key": tag}], ResourceTypeFilters=["dynamodb:table"])
        )
        found: dict[str, str] = {}
        with translated("tag"):
            for page in pages:
                for resource in page["ResourceTagMappingList"]:
                    name = resource["ResourceARN"].rsplit("/", 1)[-1]
                    values = {t["Key"]: t["Value"] for t in resource["Tags"]}
                    if tag in values:
                        found[name] = values[tag]
        return found

    def definition(self, table: Table) -> Mapping[str, Any]:
        """See ``ports.TableDirectory.definition``. Four reads, once for each full export."""
        name = table.name
        with translated("dynamodb", f"table {name}"):
            described = self._client.describe_table(TableName=name)["Table"]
            ttl = self._client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            backups = self._client.describe_continuous_backups(TableName=name)
            tags = [
                {"Key": tag["Key"], "Value": tag["Value"]}
                for page in self._client.get_paginator("list_tags_of_resource").paginate(
                    ResourceArn=table.arn
                )
                for tag in page["Tags"]
            ]
        pitr = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return {
            "table": _plain(described),
            "ttl": _plain(ttl),
            "tags": tags,
            "pitr": {
                "enabled": pitr.get("PointInTimeRecoveryStatus") == "ENABLED",
                "recovery_days": pitr.get("RecoveryPeriodInDays"),
            },
        }


def _plain(value: Any) -> Any:
    """Fit for JSON: times as ISO 8601."""
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
    return value
