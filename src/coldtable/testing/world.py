"""A whole AWS of tables, exports and one bucket in memory, in which time passes: for the tick.

It keeps DynamoDB's rules as far as a tick can meet them: PITR windows that slide, tokens that are
remembered for eight hours after their export has completed, exports that take a while, fail, or
lose their bucket, and manifests written as AWS writes them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from coldtable.errors import (
    AccessDenied,
    Conflict,
    MomentNotRestorable,
    NotFound,
    PitrDisabled,
    TableNotFound,
)
from coldtable.model import (
    Destination,
    Export,
    ExportRequest,
    ExportStatus,
    Pitr,
    Snapshot,
    Table,
    Window,
)
from coldtable.testing.fakes import ACCOUNT, REGION, FakeObjects

_LAG = timedelta(minutes=5)
_TOKEN_LIFE = timedelta(hours=8)


@dataclass
class _Live:
    """A table and its PITR: ``since`` is when it was enabled, ``None`` while it is off."""

    table: Table
    days: int = 35
    since: datetime | None = None


@dataclass
class FakeNotifier:
    """Keeps the messages; ``broken`` refuses them."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False

    def tell(self, subject: str, text: str) -> None:
        """See ``ports.Notifier.tell``."""
        if self.broken:
            raise AccessDenied("Access denied: sns:Publish", action="sns:Publish")
        self.messages.append((subject, text))


class FakeAws:
    """Tables, exports and a bucket. Implements ``ports.Exporter`` and ``ports.TableDirectory``."""

    def __init__(self, now: datetime, *, takes: timedelta = timedelta(minutes=8)) -> None:
        self.now = now
        self.takes = takes
        self.bucket = FakeObjects({}, piece=1 << 16)
        self.notifier = FakeNotifier()
        self.bucket_open = True
        # The failure codes of the next exports that are started.
        self.failures: list[str] = []
        self.damages: list[str] = []
        # The lines of every full export from now on, and the table's definition beyond its names.
        self.lines: list[bytes] = []
        self.defined: dict[str, Any] = {}
        self.started: list[ExportRequest] = []
        self.tags: dict[str, str] = {}
        self._tables: dict[str, _Live] = {}
        self._made = 0
        self._exports: dict[str, tuple[ExportRequest, Export, str | None, str | None]] = {}
        self._lock = RLock()

    # What happens to it

    def create(self, name: str, *, pitr: bool = True, days: int = 35) -> Table:
        """A new table of that name."""
        self._made += 1
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        table = Table(name=name, arn=arn, table_id=f"00000000-0000-4000-8000-{self._made:012}")
        self._tables[name] = _Live(table, days, self._second() if pitr else None)
        return table

    def drop(self, name: str) -> None:
        """Delete a table."""
        del self._tables[name]

    def switch_pitr(self, name: str, *, on: bool) -> None:
        """Turn PITR off, or on again: then its history begins now."""
        live = self._tables[name]
        if not on:
            live.since = None
        elif live.since is None:
            live.since = self._second()

    def pass_time(self, length: timedelta) -> None:
        """Let time pass; exports whose time has come end, in order."""
        self.now += length
        with self._lock:
            for arn in list(self._exports):
                self._end(arn)

    # What a tick asks

    def table(self, name: str) -> Table:
        """See ``ports.Exporter.table``."""
        if name not in self._tables:
            raise TableNotFound(f"The table does not exist (table {name})")
        return self._tables[name].table

    def pitr(self, table: Table) -> Pitr:
        """See ``ports.Exporter.pitr``."""
        live = self._live(table)
        if live.since is None:
            return Pitr(enabled=False)
        earliest = max(live.since, self._second() - timedelta(days=live.days))
        return Pitr(
            enabled=True,
            recovery_days=live.days,
            earliest=earliest,
            latest=max(live.since, self._second() - _LAG),
        )

    def start(self, request: ExportRequest) -> Export:
        """See ``ports.Exporter.start``."""
        with self._lock:
            for known, export, _, _ in self._exports.values():
                alive = export.ended is None or self.now - export.ended < _TOKEN_LIFE
                if known.token == request.token and alive:
                    if known != request:
                        raise Conflict("Export conflict: Duplicate request detected")
                    return export
            self._check(request)
            return self._begin(request)

    def describe(self, export_arn: str) -> Export:
        """See ``ports.Exporter.describe``."""
        if export_arn not in self._exports:
            raise NotFound(f"Export not found: {export_arn}")
        return self._exports[export_arn][1]

    def exports(self, table: Table) -> Iterator[str]:
        """See ``ports.Exporter.exports``."""
        found = [e.arn for _, e, _, _ in self._exports.values() if e.table_arn == table.arn]
        return iter(sorted(found, reverse=True))

    def names(self) -> Iterator[str]:
        """See ``ports.TableDirectory.names``."""
        return iter(sorted(self._tables))

    def tagged(self, tag: str) -> Mapping[str, str]:
        """See ``ports.TableDirectory.tagged``."""
        return dict(self.tags) if tag else {}

    def definition(self, table: Table) -> Mapping[str, Any]:
        """See ``ports.TableDirectory.definition``."""
        return {"table": {"TableName": table.name, "TableId": table.table_id, **self.defined}}

    def objects(self, to: Destination) -> FakeObjects:
        """The bucket, whatever its name."""
        assert to.bucket  # noqa: S101
        return self.bucket

    # What really is so

    def completed(self, table_id: str) -> list[ExportRequest]:
        """The requests whose exports have completed undamaged."""
        return [
            request
            for request, export, _, damage in self._exports.values()
            if request.table.table_id == table_id
            and export.status is ExportStatus.COMPLETED
            and damage is None
        ]

    def paid_twice(self) -> list[object]:
        """The spans of a table that were exported whole more than once."""
        seen: set[object] = set()
        twice: list[object] = []
        for request, export, _, damage in self._exports.values():
            what = (request.table.table_id, request.span)
            if export.status is not ExportStatus.FAILED and damage is None:
                if what in seen:
                    twice.append(what)
                seen.add(what)
        return twice

    def _second(self) -> datetime:
        return self.now.replace(microsecond=0)

    def _live(self, table: Table) -> _Live:
        live = self._tables.get(table.name)
        if live is None or live.table.table_id != table.table_id:
            raise TableNotFound(f"The table does not exist (table {table.name})")
        return live

    def _check(self, request: ExportRequest) -> None:
        window = self.pitr(request.table)
        if window.earliest is None:
            raise PitrDisabled("Point in time recovery is not enabled")
        match request.span:
            case Snapshot(moment=moment):
                good = window.earliest <= moment <= self.now
            case Window(start=start, stop=stop):
                length = stop - start
                legal = timedelta(minutes=15) <= length <= timedelta(hours=24)
                good = legal and window.earliest <= start and stop <= self.now
        if not good:
            raise MomentNotRestorable(f"DynamoDB refuses the moment: {request.span}")

    def _begin(self, request: ExportRequest) -> Export:
        self.started.append(request)
        millis = int(self.now.timestamp() * 1000)
        export_id = f"{millis:014d}-{len(self._exports):08x}"
        export = Export(
            arn=f"{request.table.arn}/export/{export_id}",
            status=ExportStatus.IN_PROGRESS,
            table_arn=request.table.arn,
            table_id=request.table.table_id,
            bucket=request.to.bucket,
            prefix=request.prefix,
            moment=request.span.moment if isinstance(request.span, Snapshot) else None,
            window=request.span if isinstance(request.span, Window) else None,
            view=request.view,
            token=request.token,
            owner=request.to.owner,
            algorithm="KMS" if request.to.key else "AES256",
            key=request.to.key,
            output_format="DYNAMODB_JSON",
            started=self.now,
        )
        failure = self.failures.pop(0) if self.failures else None
        damage = self.damages.pop(0) if self.damages else None
        self._exports[export.arn] = (request, export, failure, damage)
        return export

    def _end(self, arn: str) -> None:
        request, export, failure, damage = self._exports[arn]
        due = (export.started or self.now) + self.takes
        if export.status is not ExportStatus.IN_PROGRESS or due > self.now:
            return
        if failure is None and not self.bucket_open:
            failure = "S3AccessDenied"
        if failure:
            ended = replace(
                export,
                status=ExportStatus.FAILED,
                ended=due,
                failure_code=failure,
                failure_message=f"because {failure}",
            )
        else:
            ended = self._write(request, replace(export, ended=due), damage)
        self._exports[arn] = (request, ended, failure, damage)

    def _write(self, request: ExportRequest, export: Export, damage: str | None) -> Export:
        """The objects of a completed export; ``damage`` leaves out ``data`` or ``md5``."""
        root = f"{request.prefix}/AWSDynamoDB"
        full = isinstance(request.span, Snapshot)
        data = f"{root}/{export.export_id}/data" if full else f"{root}/data"
        held: tuple[list[bytes], ...] = (self.lines if full else [], [])
        files = b""
        for n, lines in enumerate(held):
            body = _packed(lines)
            key = f"{data}/{hashlib.sha256(f'{export.arn}{n}'.encode()).hexdigest()[:26]}.json.gz"
            if not (damage == "data" and n == 1):
                self.bucket.put(key, body)
            row = {
                "itemCount": len(lines),
                "md5Checksum": _md5(body),
                "etag": "x-1",
                "dataFileS3Key": key,
            }
            files += json.dumps(row).encode() + b"\n"
        items = sum(map(len, held))
        summary = self._summary(request, export, f"{root}/{export.export_id}", items)
        for name, content in (("manifest-files", files), ("manifest-summary", summary)):
            self.bucket.put(f"{root}/{export.export_id}/{name}.json", content)
            stated = _md5(content if damage != "md5" else b"else").encode()
            self.bucket.put(f"{root}/{export.export_id}/{name}.md5", stated)
        return replace(
            export,
            status=ExportStatus.COMPLETED,
            manifest_key=f"{root}/{export.export_id}/manifest-summary.json",
            items=items,
            billed_bytes=0,
        )

    def _summary(self, request: ExportRequest, export: Export, folder: str, items: int) -> bytes:
        span: dict[str, str] = {}
        match request.span:
            case Snapshot(moment=moment):
                span = {"exportTime": _z(moment)}
            case Window(start=start, stop=stop):
                span = {
                    "exportFromTime": _z(start),
                    "exportToTime": _z(stop),
                    "outputView": str(request.view),
                    "exportType": "INCREMENTAL_EXPORT",
                }
        return json.dumps(
            {
                "exportArn": export.arn,
                "tableArn": request.table.arn,
                "tableId": request.table.table_id,
                **span,
                "s3Bucket": request.to.bucket,
                "s3Prefix": request.prefix,
                "s3SseAlgorithm": export.algorithm,
                "s3SseKmsKeyId": request.to.key,
                "manifestFilesS3Key": f"{folder}/manifest-files.json",
                "billedSizeBytes": 0,
                "itemCount": items,
                "outputFormat": "DYNAMODB_JSON",
            }
        ).encode()


class Crash(BaseException):
    """What a process that is killed at a port call looks like from inside."""


class Fuse:
    """Counts port calls, and at the one that it is told does something before or after it.

    Without ``then`` the process dies there; ``then`` can run something else meanwhile, or raise
    an error that the caller sees.
    """

    def __init__(
        self, at: int | None = None, *, after: bool = False, then: Callable[[], None] | None = None
    ) -> None:
        self.calls: list[str] = []
        self._at = at
        self._after = after
        self._then = then
        self._lock = RLock()

    def wire(self, port: Any, *methods: str) -> Any:
        """``port`` with these methods going through the fuse, and all others as they are."""
        return _Wired(self, port, methods)

    def call(self, name: str, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """One port call."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(name)
        if number == self._at and not self._after:
            self._blow(name)
        answer = method(*args, **named)
        if number == self._at and self._after:
            self._blow(name)
        return answer

    def _blow(self, name: str) -> None:
        if self._then is None:
            raise Crash(name)
        self._then()


class _Wired:
    def __init__(self, fuse: Fuse, port: Any, methods: tuple[str, ...]) -> None:
        self._fuse, self._port, self._methods = fuse, port, methods

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._methods:
            return method
        return lambda *args, **named: self._fuse.call(name, method, *args, **named)


def _packed(lines: Sequence[bytes]) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as into:
        into.write(b"".join(line + b"\n" for line in lines))
    return packed.getvalue()


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _z(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
