"""The tables of the emulator under us, as the history needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..interface import ApiError, Inner, Scope
from .journal import Item


class Sift(Protocol):
    """A FilterSpecification. Called from a worker thread."""

    def matches(self, item: Item) -> bool:
        """Whether the item is in the export."""
        ...

    def cut(self, item: Item) -> Item:
        """What the projection leaves of it."""
        ...


class TableSeam(Protocol):
    """What the launcher may offer beyond DynamoDB's API. All calls come from the event loop."""

    def items(self, scope: Scope, table_name: str) -> Iterable[Item]:
        """All items at once, one consistent view, by reference (never changed in place)."""
        ...

    def mark(
        self,
        scope: Scope,
        table_name: str,
        status: str,
        *,
        restore: Mapping[str, Any] | None,
        table_id: str | None = None,
    ) -> None:
        """Set TableStatus (``CREATING``, ``ACTIVE``) and RestoreSummary (``None``: there is none).

        ``table_id`` replaces the TableId of a table that an import has just made. A table that
        is gone meanwhile is no error.
        """
        ...

    def sift(self, specification: Mapping[str, Any]) -> Sift:
        """The filter that a sound FilterSpecification means."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table as DescribeTable shows it. ``key_names``: partition key, then sort key."""

    name: str
    arn: str
    table_id: str
    key_names: tuple[str, ...]
    created: float
    description: Mapping[str, Any]


def view(description: Mapping[str, Any]) -> TableView:
    """From a TableDescription."""
    keys = sorted(description["KeySchema"], key=lambda key: str(key["KeyType"]))
    return TableView(
        name=description["TableName"],
        arn=description["TableArn"],
        table_id=description["TableId"],
        key_names=tuple(key["AttributeName"] for key in keys),
        created=float(description["CreationDateTime"]),
        description=description,
    )


async def find(inner: Inner, scope: Scope, name: str) -> TableView | None:
    """The table of this name, or ``None``."""
    try:
        answer = await inner.dynamodb(scope, "DescribeTable", {"TableName": name})
    except ApiError as error:
        if error.code == "ResourceNotFoundException":
            return None
        raise
    return view(answer["Table"])


async def scan(inner: Inner, scope: Scope, name: str) -> list[Item]:
    """All items by paged Scan, when no seam offers them."""
    items: list[Item] = []
    request: dict[str, Any] = {"TableName": name, "ConsistentRead": True}
    while True:
        page = await inner.dynamodb(scope, "Scan", request)
        items.extend(page.get("Items", []))
        if not page.get("LastEvaluatedKey"):
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


async def load(inner: Inner, scope: Scope, name: str, items: Iterable[Item]) -> int:
    """Write items by BatchWriteItem, 25 at a time; how many."""
    count = 0
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == 25:
            count += await write(inner, scope, name, batch)
            batch = []
    return count + await write(inner, scope, name, batch)


async def write(inner: Inner, scope: Scope, name: str, batch: list[Item]) -> int:
    """One BatchWriteItem of at most 25 puts, until nothing is unprocessed."""
    waiting: dict[str, Any] = {name: [{"PutRequest": {"Item": item}} for item in batch]}
    while batch and waiting:
        answer = await inner.dynamodb(scope, "BatchWriteItem", {"RequestItems": waiting})
        waiting = answer.get("UnprocessedItems") or {}
    return len(batch)
