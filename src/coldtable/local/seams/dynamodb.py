"""DynamoDB: our operations in front of ministack's, and the journal's feed behind its writes."""

from __future__ import annotations

import contextvars
import json
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from ministack.core import responses
from ministack.core.router import extract_access_key_id
from ministack.services import dynamodb

from ..interface import ApiError, Caller, Scope

Item = Mapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]

# True while a call must reach ministack itself and not the operations in front of it.
passing: contextvars.ContextVar[bool] = contextvars.ContextVar("coldtable_passing", default=False)
# One instant for all writes of a request: an export must not cut through a transaction.
_stamp: contextvars.ContextVar[int] = contextvars.ContextVar("coldtable_stamp", default=0)

_CORAL = {
    "ValidationException": "com.amazon.coral.validate#",
    "AccessDeniedException": "com.amazon.coral.service#",
    "ThrottlingException": "com.amazon.coral.availability#",
}


class Past(Protocol):
    """What ``pitr.service.PitrService`` offers to this seam."""

    OPERATIONS: frozenset[str]

    async def handle(
        self, caller: Caller, operation: str, request: dict[str, Any]
    ) -> dict[str, Any]: ...

    def record(
        self, table_arn: str, table_id: str, before: Item | None, after: Item | None, when: int
    ) -> None: ...

    def replaced(self, table_arn: str, table_id: str, items: Iterable[Item], when: int) -> None: ...

    def table_deleted(self, table_arn: str) -> None: ...

    def now(self) -> int: ...


def install(past: Past) -> None:
    """Answer ``past.OPERATIONS``, for HTTP and in-process callers, and feed every write to it."""
    dynamodb.handle_request = _handling(dynamodb.handle_request, past)
    dynamodb._set_item = _setting(dynamodb._set_item, past)
    dynamodb._remove_item = _removing(dynamodb._remove_item, past)
    dynamodb._items_replaced = _replacing(dynamodb._items_replaced, past)
    dynamodb.drop_stream_records = _dropping(dynamodb.drop_stream_records, past)


def _handling(
    original: Callable[..., Awaitable[Answer]], past: Past
) -> Callable[..., Awaitable[Answer]]:
    async def handle_request(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Answer:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        if operation in past.OPERATIONS and not passing.get():
            return await _answer(past, operation, headers, body, query_params)
        token = _stamp.set(past.now())
        try:
            return await original(method, path, headers, body, query_params)
        finally:
            _stamp.reset(token)

    return handle_request


async def _answer(
    past: Past,
    operation: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Mapping[str, Any],
) -> Answer:
    scope = Scope(account=responses.get_account_id(), region=responses.get_region())
    # A caller inside the emulator brings no key: it acts for the account.
    key = extract_access_key_id(headers, query_params) or scope.account
    try:
        request = json.loads(body or b"{}")
        if not isinstance(request, dict):
            raise ValueError("no object")
    except ValueError:
        return _response(400, {"__type": "com.amazon.coral.service#SerializationException"})
    try:
        answer = await past.handle(Caller(scope=scope, access_key=key), operation, request)
    except ApiError as error:
        prefix = _CORAL.get(error.code, "com.amazonaws.dynamodb.v20120810#")
        name = "Message" if error.code == "AccessDeniedException" else "message"
        return _response(error.status, {"__type": prefix + error.code, name: error.message})
    return _response(200, answer)


def _response(status: int, answer: Mapping[str, Any]) -> Answer:
    body = json.dumps(answer).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amz-crc32": str(zlib.crc32(body)),
        "x-amzn-requestid": secrets.token_hex(26).upper(),
    }
    return status, headers, body


def _setting(original: Callable[..., Item | None], past: Past) -> Callable[..., Item | None]:
    def set_item(table: dict[str, Any], pk_val: str, sk_val: str, item: Item) -> Item | None:
        before = original(table, pk_val, sk_val, item)
        past.record(table["TableArn"], table["TableId"], before, item, _stamp.get() or past.now())
        return before

    return set_item


def _removing(original: Callable[..., Item | None], past: Past) -> Callable[..., Item | None]:
    def remove_item(table: dict[str, Any], pk_val: str, sk_val: str) -> Item | None:
        before = original(table, pk_val, sk_val)
        if before is not None:
            when = _stamp.get() or past.now()
            past.record(table["TableArn"], table["TableId"], before, None, when)
        return before

    return remove_item


def _replacing(original: Callable[..., None], past: Past) -> Callable[..., None]:
    def items_replaced(table: dict[str, Any]) -> None:
        original(table)
        when = _stamp.get() or past.now()
        past.replaced(table["TableArn"], table["TableId"], _items(table), when)

    return items_replaced


def _dropping(original: Callable[..., None], past: Past) -> Callable[..., None]:
    def drop_stream_records(table_name: str, table: dict[str, Any] | None) -> None:
        # Every way to delete a table ends here, CloudFormation's too.
        original(table_name, table)
        if table is not None:
            past.table_deleted(table["TableArn"])

    return drop_stream_records


def _items(table: Mapping[str, Any]) -> Iterator[Item]:
    for partition in table["items"].values():
        yield from partition.values()


class Tables:
    """``pitr.tables.TableSeam``: what DynamoDB's own API cannot give at once."""

    def items(self, scope: Scope, table_name: str) -> list[Item]:
        """All items by reference; empty when there is no such table."""
        table = dynamodb._tables.get_scoped(scope.account, scope.region, table_name)
        return list(_items(table)) if table else []

    def sift(self, specification: Mapping[str, Any]) -> Filter:
        """The filter that a sound FilterSpecification means."""
        return Filter(specification)

    def mark(
        self,
        scope: Scope,
        table_name: str,
        status: str,
        *,
        restore: Mapping[str, Any] | None,
        table_id: str | None = None,
    ) -> None:
        """Set TableStatus and RestoreSummary, and the id of a table that an import has made."""
        table = dynamodb._tables.get_scoped(scope.account, scope.region, table_name)
        if table is None:
            return
        table["TableStatus"] = status
        if table_id is not None:
            table["TableId"] = table_id
        if restore is None:
            table.pop("RestoreSummary", None)
        else:
            table["RestoreSummary"] = dict(restore)


class Filter:
    """``pitr.tables.Sift`` on ministack's own reader of expressions."""

    def __init__(self, specification: Mapping[str, Any]) -> None:
        self._wanted = {
            slot: specification[slot]
            for slot in ("KeyConditionExpression", "FilterExpression")
            if specification.get(slot)
        }
        self._projection = specification.get("ProjectionExpression") or ""
        self._names = specification.get("ExpressionAttributeNames") or {}
        self._values = specification.get("ExpressionAttributeValues") or {}

    def matches(self, item: Item) -> bool:
        return all(
            dynamodb._evaluate_condition(text, item, self._values, self._names, slot=slot)
            for slot, text in self._wanted.items()
        )

    def cut(self, item: Item) -> Item:
        cut: Item = dynamodb._project_item(item, self._projection, self._names)
        return cut


def expire() -> int:
    """Delete what time to live has overtaken; how many items. ministack looks once a minute."""
    gone = 0
    for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
        table = dynamodb._tables.get_scoped(account, region, name)
        if setting.get("TimeToLiveStatus") != "ENABLED" or table is None:
            continue
        with dynamodb._lock:
            for pk, partition in list(table["items"].items()):
                for sk, item in list(partition.items()):
                    if _overtaken(item.get(setting.get("AttributeName", ""))):
                        dynamodb._remove_item(table, pk, sk)
                        gone += 1
    return gone


def _overtaken(value: Mapping[str, str] | None) -> bool:
    try:
        return value is not None and float(value["N"]) <= time.time()
    except (KeyError, ValueError):
        return False
