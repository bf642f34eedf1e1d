"""An in-memory stand-in for the emulator under ``local/pitr``: a little DynamoDB, a little S3.

It answers ``Inner`` and feeds the journal as the launcher's hooks do. Nothing is signed; ``deny``
and ``deny_put`` play the part of policies.
"""

# ruff: noqa: ARG002 - a protocol's arguments are named whether used or not
from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from coldtable.local.interface import ApiError, Caller, Reply, Scope

Item = Mapping[str, Any]
# table ARN, TableId, what was replaced, what is there now, epoch microseconds
Feed = Callable[[str, str, Item | None, Item | None, int], None]


class FakeClock:
    """Epoch seconds that stand still until told to move."""

    def __init__(self, now: float = 1_768_385_930.622) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds


@dataclass
class FakeTable:
    description: dict[str, Any]
    items: dict[tuple[str, ...], Item] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        schema = sorted(self.description["KeySchema"], key=lambda key: str(key["KeyType"]))
        return [key["AttributeName"] for key in schema]

    def key(self, item: Item) -> tuple[str, ...]:
        return tuple(next(iter(item[name].values())) for name in self.keys)


@dataclass
class FakeObject:
    body: bytes
    etag: str
    headers: dict[str, str]
    parts: list[int] = field(default_factory=list)


class FakeInner:
    """``Inner`` over dictionaries. ``objects`` maps (bucket, key), in the order of writing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.feed: Feed | None = None
        self.tables: dict[tuple[Scope, str], FakeTable] = {}
        self.buckets: set[str] = set()
        self.owners: dict[str, str] = {}
        self.objects: dict[tuple[str, str], FakeObject] = {}
        self.keys: set[str] = set()
        self.logs: list[dict[str, Any]] = []
        self.deny: dict[str, str] = {}
        self.deny_put: str | None = None
        self.scans = 0
        self.page = 100
        self._uploads: dict[str, tuple[str, str, dict[str, str], dict[int, bytes]]] = {}

    # DynamoDB

    async def dynamodb(
        self, scope: Scope, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, f"_{operation}")(scope, request)
        return answer

    def table(self, scope: Scope, name: str) -> FakeTable:
        """The table, or ResourceNotFoundException."""
        found = self.tables.get((scope, name))
        if found is None:
            raise ApiError("ResourceNotFoundException", f"Table: {name} not found")
        return found

    def create(self, scope: Scope, name: str, *keys: str) -> FakeTable:
        """A table with string keys."""
        kinds = ("HASH", "RANGE")
        self._CreateTable(
            scope,
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": key, "AttributeType": "S"} for key in keys
                ],
                "KeySchema": [
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(keys, kinds, strict=False)
                ],
            },
        )
        return self.tables[(scope, name)]

    def drop(self, scope: Scope, name: str) -> None:
        """DeleteTable."""
        del self.tables[(scope, name)]

    def put(self, scope: Scope, name: str, item: Item, when: int | None = None) -> None:
        """PutItem, telling the feed."""
        self._write(scope, name, item, item, when)

    def delete(self, scope: Scope, name: str, key: Item, when: int | None = None) -> None:
        """DeleteItem, telling the feed."""
        self._write(scope, name, key, None, when)

    def _write(
        self, scope: Scope, name: str, key: Item, after: Item | None, when: int | None
    ) -> None:
        table = self.table(scope, name)
        before = table.items.pop(table.key(key), None)
        if after is not None:
            table.items[table.key(after)] = after
        if self.feed is not None:
            stamp = round(self.clock() * 1_000_000) if when is None else when
            arn, table_id = table.description["TableArn"], table.description["TableId"]
            self.feed(arn, table_id, before, after, stamp)

    def _CreateTable(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request["TableName"]
        if (scope, name) in self.tables:
            raise ApiError("ResourceInUseException", f"Table already exists: {name}")
        if "BillingMode" not in request and "ProvisionedThroughput" not in request:
            raise ApiError("ValidationException", "No provisioned throughput specified")
        description = {
            **request,
            "TableArn": f"arn:aws:dynamodb:{scope.region}:{scope.account}:table/{name}",
            "TableId": str(uuid.uuid4()),
            "TableStatus": "ACTIVE",
            "CreationDateTime": int(self.clock()),
        }
        self.tables[(scope, name)] = FakeTable(description)
        return {"TableDescription": description}

    def _DescribeTable(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Table": self.table(scope, request["TableName"]).description}

    def _Scan(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        self.scans += 1
        items = list(self.table(scope, request["TableName"]).items.values())
        start = request.get("ExclusiveStartKey", {}).get("start", 0)
        page: dict[str, Any] = {"Items": items[start : start + self.page]}
        if start + self.page < len(items):
            page["LastEvaluatedKey"] = {"start": start + self.page}
        return page

    def _BatchWriteItem(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        for name, writes in request["RequestItems"].items():
            for write in writes:
                item = write["PutRequest"]["Item"]
                for key in self.table(scope, name).keys:
                    if key not in item:
                        raise ApiError(
                            "ValidationException",
                            "One of the required keys was not given a value",
                        )
                self.put(scope, name, item)
        return {"UnprocessedItems": {}}

    # Everything over HTTP

    async def call(
        self,
        scope: Scope,
        service: str,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        access_key: str | None = None,
    ) -> Reply:
        if service == "logs":
            operation = (headers or {})["x-amz-target"].split(".")[1]
            self.logs.append({"operation": operation, **json.loads(body)})
            return Reply(status=200, body=b"{}")
        bucket, _, key = path[1:].partition("/")
        asked = parse_qs(query, keep_blank_values=True)
        sent = dict(headers or {})
        owner = self.owners.get(bucket, scope.account)
        if sent.get("x-amz-expected-bucket-owner", owner) != owner:
            return _error(403, "AccessDenied", "Access Denied")
        key_id = sent.get("x-amz-server-side-encryption-aws-kms-key-id", "alias/aws/s3")
        if bucket in self.buckets and key_id not in self.keys | {"alias/aws/s3"}:
            return _error(400, "KMS.NotFoundException", f"Key '{key_id}' does not exist")
        return self._s3(method, bucket, unquote(key), asked, sent, body, access_key)

    def deny_reason(self, caller: Caller, action: str, resource: str) -> str | None:
        return self.deny.get(action)

    def _s3(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, list[str]],
        headers: dict[str, str],
        body: bytes,
        access_key: str | None,
    ) -> Reply:
        if bucket not in self.buckets:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        if self.deny_put and access_key is not None and method in ("PUT", "POST"):
            return _error(403, "AccessDenied", self.deny_put)
        if not key:
            return self._list(bucket, query) if method == "GET" else Reply(status=200)
        if method == "POST" or "uploadId" in query:
            return self._multipart(method, bucket, key, query, headers, body)
        if method == "PUT":
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            self.objects[(bucket, key)] = FakeObject(body, etag, headers)
            return Reply(status=200, headers={"ETag": f'"{etag}"'})
        if method == "DELETE":
            self.objects.pop((bucket, key), None)
            return Reply(status=204)
        found = self.objects.get((bucket, key))
        if found is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return Reply(status=200, headers={"ETag": f'"{found.etag}"'}, body=found.body)

    def _list(self, bucket: str, query: dict[str, list[str]]) -> Reply:
        prefix = query.get("prefix", [""])[0]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(found.body)}</Size></Contents>"
            for (home, key), found in sorted(self.objects.items())
            if home == bucket and key.startswith(prefix)
        )
        return Reply(status=200, body=f"<ListBucketResult>{rows}</ListBucketResult>".encode())

    def _multipart(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, list[str]],
        headers: dict[str, str],
        body: bytes,
    ) -> Reply:
        if "uploads" in query:
            upload = str(uuid.uuid4())
            self._uploads[upload] = (bucket, key, headers, {})
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
            return Reply(status=200, body=(text + "</InitiateMultipartUploadResult>").encode())
        upload = query["uploadId"][0]
        if method == "DELETE":
            del self._uploads[upload]
            return Reply(status=204)
        parts = self._uploads[upload][3]
        if method == "PUT":
            parts[int(query["partNumber"][0])] = body
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            return Reply(status=200, headers={"ETag": f'"{etag}"'})
        bodies = [parts[number] for number in sorted(parts)]
        digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in bodies)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(bodies)}"
        self.objects[(bucket, key)] = FakeObject(
            b"".join(bodies), etag, self._uploads.pop(upload)[2], [len(part) for part in bodies]
        )
        text = f'<CompleteMultipartUploadResult><ETag>"{etag}"</ETag>'
        return Reply(status=200, body=(text + "</CompleteMultipartUploadResult>").encode())

    @property
    def open_uploads(self) -> int:
        """Multipart uploads that nobody completed or aborted."""
        return len(self._uploads)

    def keys_in(self, bucket: str) -> Iterable[str]:
        """Keys in the order in which they were written."""
        return [key for home, key in self.objects if home == bucket]


def _error(status: int, code: str, message: str) -> Reply:
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Reply(status=status, body=text.encode())
