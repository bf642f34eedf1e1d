"""Items read back from DynamoDB in its own JSON, consistently."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import from_client_error
from coldtable.aws.wire import Wire
from coldtable.errors import ServiceFailed, Throttled

_ATTEMPTS, _LONGEST = 12, 10.0


class DynamoDbReader:
    """Implements ``ports_restore.TableReader``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def get_all(
        self, table: str, keys: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], ...]:
        """See ``ports_restore.TableReader.get_all``."""
        found: list[Mapping[str, Any]] = []
        asked: Mapping[str, Any] = {table: {"Keys": list(keys), "ConsistentRead": True}}
        idle = 0
        while asked:
            answer = self._call("BatchGetItem", {"RequestItems": asked}, table)
            got = answer.get("Responses", {}).get(table, [])
            found += got
            # A page ends at 16 MB, or where the table's capacity does.
            asked = answer.get("UnprocessedKeys") or {}
            idle = 0 if got else idle + 1
            if asked and idle:
                _pause(idle)
        return tuple(found)

    def scan(self, table: str, segment: int, segments: int) -> Iterator[Mapping[str, Any]]:
        """See ``ports_restore.TableReader.scan``."""
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "Segment": segment,
            "TotalSegments": segments,
        }
        while True:
            page = self._call("Scan", request, table)
            yield from page.get("Items", ())
            if not page.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _call(self, operation: str, request: Mapping[str, Any], table: str) -> dict[str, Any]:
        body = json.dumps(request).encode()
        for attempt in range(_ATTEMPTS):
            try:
                return self._wire.call(operation, body)
            except ClientError as error:
                found = from_client_error(error, "dynamodb", f"table {table}")
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if not isinstance(found, Throttled) and status < 500:
                    raise found from error
                problem = found
            except ServiceFailed as error:
                problem = error
            _pause(attempt)
        raise problem


def _pause(attempt: int) -> None:
    time.sleep(min(_LONGEST, 0.05 * 2 ** min(attempt, 10)))
