"""Items written to DynamoDB as the bytes that an export holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import from_client_error
from coldtable.aws.wire import Wire
from coldtable.errors import ParameterInvalid, ServiceFailed
from coldtable.model_restore import Condition, Written

_CONDITION = "ConditionalCheckFailedException"
# INDEXES tells the table's own units apart from those of its indexes.
_TAIL = b'}}]},"ReturnConsumedCapacity":"INDEXES"}'
_BETWEEN = b'}},{"PutRequest":{"Item":'


class DynamoDbWriter:
    """Implements ``ports_restore.TableWriter``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def put_all(self, table: str, items: Sequence[bytes]) -> Written:
        """See ``ports_restore.TableWriter.put_all``."""
        head = b'{"RequestItems":{%b:[{"PutRequest":{"Item":' % json.dumps(table).encode()
        with _refusals(table):
            answer = self._wire.call("BatchWriteItem", head + _BETWEEN.join(items) + _TAIL)
        left = answer.get("UnprocessedItems") or {}
        units = answer.get("ConsumedCapacity") or ()
        return Written(
            # As AWS gives them back: they are the items that it was sent.
            left=tuple(_json(one["PutRequest"]["Item"]) for one in left.get(table, ())),
            units=sum(_own_units(u) for u in units) if units else None,
            all_units=sum(float(u.get("CapacityUnits", 0)) for u in units) if units else None,
        )

    def put(self, table: str, item: bytes, condition: Condition) -> bool:
        """See ``ports_restore.TableWriter.put``."""
        return self._conditional("PutItem", table, b'"Item":' + item, condition)

    def delete(self, table: str, key: bytes, condition: Condition) -> bool:
        """See ``ports_restore.TableWriter.delete``."""
        return self._conditional("DeleteItem", table, b'"Key":' + key, condition)

    def _conditional(self, operation: str, table: str, what: bytes, condition: Condition) -> bool:
        """If an answer was lost, the repetition finds its own work and says ``False``."""
        rest: dict[str, Any] = {"ConditionExpression": condition.expression}
        if condition.names:
            rest["ExpressionAttributeNames"] = dict(condition.names)
        if condition.values:
            rest["ExpressionAttributeValues"] = dict(condition.values)
        head = b'{"TableName":%b,' % json.dumps(table).encode()
        body = head + what + b"," + _json(rest)[1:]
        with _refusals(table):
            try:
                self._wire.call(operation, body)
            except ClientError as error:
                if error.response["Error"]["Code"] == _CONDITION:
                    return False
                raise
        return True


def _own_units(found: Mapping[str, Any]) -> float:
    return float((found.get("Table") or found).get("CapacityUnits", 0))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@contextmanager
def _refusals(table: str) -> Iterator[None]:
    """AWS's refusals as ours. One of a request (4xx) that has no better word is the items'."""
    try:
        yield
    except ClientError as error:
        found = from_client_error(error, "dynamodb", f"table {table}")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if isinstance(found, ServiceFailed) and status < 500:
            raise ParameterInvalid(found.message, hint=found.hint) from error
        raise found from error
