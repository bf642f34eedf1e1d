"""The running of an accepted import: list, create, read, write, count, log."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Any

from ..interface import ApiError, Inner
from . import arns, tables
from .import_record import LOG_GROUP, ImportRecord
from .import_source import Read, read
from .journal import Item
from .objects import Bucket, S3Refused
from .records import COMPLETED, FAILED
from .settings import PitrSettings
from .tables import TableSeam
from .times import floor_millis

_SLICE = 500
_BATCH = 25
_INVALID = (
    "Some of the items failed validation checks and were not imported. "
    "Please check CloudWatch error logs for more details."
)


class Refused(Exception):
    """The import fails before or while it loads."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Loader:
    """Runs imports. ``passed`` waits as exports do; ``put`` stores each new state."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        seam: TableSeam | None,
        passed: Callable[[], Awaitable[None]],
        put: Callable[[ImportRecord], None],
        latest: Callable[[str], ImportRecord | None],
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._seam = seam
        self._passed = passed
        self._put = put
        self._latest = latest

    async def run(self, record: ImportRecord) -> None:
        """Take one import to COMPLETED or FAILED."""
        try:
            await self._passed()
            record = await self._loaded(record)
        except S3Refused as refused:
            self.fail(record, refused.failure_code, refused.failure_message)
        except Refused as refused:
            self.fail(record, refused.code, refused.message)
        except ApiError as error:
            # The caller's credentials are gone by now.
            self.fail(record, "S3AccessDenied", error.message)
        else:
            if record.errors:
                self._put(record)
                self.fail(record, "ItemValidationError", _INVALID)
            else:
                end = floor_millis(self._clock())
                self._put(dataclasses.replace(record, status=COMPLETED, end=end))

    def fail(self, record: ImportRecord, code: str, message: str) -> None:
        """The import has FAILED now, with what it had counted by then."""
        end = floor_millis(self._clock())
        counted = self._latest(record.arn) or record
        self._put(
            dataclasses.replace(
                counted, status=FAILED, end=end, failure_code=code, failure_message=message
            )
        )

    async def _loaded(self, record: ImportRecord) -> ImportRecord:
        source = record.request["S3BucketSource"]
        # The account's own, unless told otherwise: so DescribeImport shows it [QUIRKS].
        owner = source.get("S3BucketOwner", record.account)
        bucket = Bucket(self._inner, record.caller, source["S3Bucket"], owner=owner)
        objects = await bucket.list(source.get("S3KeyPrefix") or "")
        if len(objects) > self._settings.max_import_objects:
            # UNVERIFIED: code and text, and whether AWS says so at once.
            raise Refused(
                "ItemValidationError",
                "The number of objects under the prefix is greater than "
                f"{self._settings.max_import_objects}",
            )
        record = await self._created(record)
        try:
            for key, size in objects:
                record = await self._object(record, bucket, key, size)
                self._put(record)
        finally:
            # ACTIVE with what it got, also when the import fails half way [QUIRKS].
            if self._seam is not None:
                self._seam.mark(record.caller.scope, record.table_name, "ACTIVE", restore=None)
        return record

    async def _created(self, record: ImportRecord) -> ImportRecord:
        """The table appears only now; its TableId was promised when the import was accepted."""
        scope = record.caller.scope
        try:
            made = await self._inner.dynamodb(scope, "CreateTable", record.creation)
        except ApiError as error:
            taken = error.code == "ResourceInUseException"
            code = "TableAlreadyExists" if taken else error.code
            raise Refused(code, error.message) from None
        if self._seam is None:
            return dataclasses.replace(record, table_id=made["TableDescription"]["TableId"])
        self._seam.mark(
            scope, record.table_name, "CREATING", restore=None, table_id=record.table_id
        )
        return record

    async def _object(
        self, record: ImportRecord, bucket: Bucket, key: str, size: int
    ) -> ImportRecord:
        try:
            body = await bucket.get(key)
        except S3Refused as refused:
            if refused.code != "NoSuchKey":
                raise
            raise Refused("ObjectModifiedInS3DuringImport", f"The object {key} changed") from None
        reads = read(body, record.form)
        while found := await asyncio.to_thread(_taken, reads):
            errors = [one for one in found if one.error is not None]
            items = [one for one in found if one.item is not None]
            errors += await self._write(record, items)
            if errors:
                await self._log(record, bucket.name, key, errors)
            record = dataclasses.replace(
                record,
                processed=record.processed + len(found),
                imported=record.imported + len(found) - len(errors),
                errors=record.errors + len(errors),
            )
        return dataclasses.replace(record, processed_bytes=record.processed_bytes + size)

    async def _write(self, record: ImportRecord, reads: list[Read]) -> list[Read]:
        """Put the items; the ones that DynamoDB refuses, with its words."""
        refused: list[Read] = []
        sound: list[Read] = []
        for one in reads:
            problem = _key_problem(record, one.item or {})
            if problem is None:
                sound.append(one)
            else:
                refused.append(dataclasses.replace(one, error=problem))
        for start in range(0, len(sound), _BATCH):
            refused += await self._batch(record, sound[start : start + _BATCH])
        return refused

    async def _batch(self, record: ImportRecord, batch: list[Read]) -> list[Read]:
        scope, name = record.caller.scope, record.table_name
        # One batch must not name a key twice; the last one wins, uncounted [QUIRKS].
        unique = {_key(record, one.item or {}): one.item or {} for one in batch}
        try:
            await tables.write(self._inner, scope, name, list(unique.values()))
        except ApiError as error:
            if error.code == "ResourceNotFoundException":
                raise Refused("TableNotFound", error.message) from None
            if len(batch) == 1:
                return [dataclasses.replace(batch[0], error=error.message)]
            return [bad for one in batch for bad in await self._batch(record, [one])]
        return []

    async def _log(self, record: ImportRecord, bucket: str, key: str, errors: list[Read]) -> None:
        """The error log: group ``/aws-dynamodb/imports``, stream ``<import-id>/error``."""
        stream = f"{arns.id_of(record.arn)}/error"
        now = int(self._clock() * 1000)
        events = [
            {
                "timestamp": now,
                "message": json.dumps(
                    {
                        "itemS3Pointer": {"bucket": bucket, "key": key, "itemIndex": one.index},
                        "importArn": record.arn,
                        "errorMessages": [one.error],
                    },
                    separators=(",", ":"),
                ),
            }
            for one in errors
        ]
        names = {"logGroupName": LOG_GROUP, "logStreamName": stream}
        await self._logs(record, "CreateLogGroup", {"logGroupName": LOG_GROUP})
        await self._logs(record, "CreateLogStream", names)
        await self._logs(record, "PutLogEvents", {**names, "logEvents": events})

    async def _logs(self, record: ImportRecord, operation: str, body: dict[str, Any]) -> None:
        """One call; that the group is there already is no matter, and neither is a refusal."""
        await self._inner.call(
            record.caller.scope,
            "logs",
            "POST",
            "/",
            headers={
                "x-amz-target": f"Logs_20140328.{operation}",
                "content-type": "application/x-amz-json-1.1",
            },
            body=json.dumps(body).encode(),
            access_key=record.access_key,
        )


def _taken(reads: Iterator[Read]) -> list[Read]:
    return list(islice(reads, _SLICE))


def _key_problem(record: ImportRecord, item: Item) -> str | None:
    for key in record.creation["KeySchema"]:
        name = key["AttributeName"]
        held = item.get(name)
        if held is None:
            return f"One or more parameter values were invalid: Missing the key {name} in the item"
        expected = record.form.types.get(name)
        actual = next(iter(held), None)
        if actual != expected:
            return (
                "One or more parameter values were invalid: Type mismatch for key "
                f"{name} expected: {expected} actual: {actual}"
            )
    return None


def _key(record: ImportRecord, item: Item) -> tuple[Any, ...]:
    names = [key["AttributeName"] for key in record.creation["KeySchema"]]
    return tuple(next(iter(item[name].values())) for name in names)
