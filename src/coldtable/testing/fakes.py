"""Fakes: small, honest, and held to the same contract suites as the real implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from coldtable.errors import (
    AccessDenied,
    ColdtableError,
    Conflict,
    MomentNotRestorable,
    NotFound,
    PitrDisabled,
    TableNotFound,
    archived,
)
from coldtable.model import Export, ExportRequest, ExportStatus, Pitr, Snapshot, Table, Window
from coldtable.ports import STANDARD, Entry

ACCOUNT, REGION = "000000000000", "us-east-1"
# What cannot be read before a copy was retrieved [MODEL].
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")


@dataclass
class FakeParameters:
    """A parameter store in a dict of full names; a path in ``denied`` refuses to be read."""

    values: dict[str, str]
    denied: set[str] = field(default_factory=set)

    def read(self, path: str) -> Mapping[str, str]:
        """See ``ports.ParameterStore.read``."""
        if path in self.denied:
            raise AccessDenied(f"Access denied: {path}", action="ssm:GetParametersByPath")
        return {
            name.removeprefix(f"{path}/"): value
            for name, value in self.values.items()
            if name.startswith(f"{path}/")
        }

    def put(self, name: str, value: str) -> None:
        """See ``ports.ParameterWriter.put``."""
        self.values[name] = value


@dataclass
class FakeObjects:
    """A bucket in a dict; ``piece`` is how many bytes a read yields at a time.

    ``storage`` are the classes of objects that are not in STANDARD; ``copies`` the copies of those
    that are archived, ``True`` for one that is there.
    """

    objects: dict[str, bytes]
    piece: int = 7
    refused: set[str] = field(default_factory=set)
    storage: dict[str, str] = field(default_factory=dict)
    copies: dict[str, bool] = field(default_factory=dict)

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``ports.ObjectStore.keys``."""
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """See ``ports.ObjectStore.entries``."""
        found = sorted(key for key in list(self.objects) if key.startswith(prefix) and key > after)
        return (Entry(k, len(self.objects[k]), self.storage.get(k, STANDARD)) for k in found)

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        if key not in self.objects:
            raise NotFound(f"There is no object {key}")
        kept = self.storage.get(key, STANDARD)
        if kept in ARCHIVE_CLASSES and not self.copies.get(key):
            raise archived(key, kept)
        body = self.objects[key]
        for start in range(0, len(body), self.piece):
            yield body[start : start + self.piece]

    def put(self, key: str, body: bytes) -> None:
        """See ``ports.ObjectStore.put``."""
        self.objects[key] = body
        self.storage.pop(key, None)

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``."""
        return self.objects.setdefault(key, body) is body

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        """See ``ports.ObjectStore.put_stream``."""
        self.objects[key] = b"".join(pieces)
        return ""

    def remove(self, key: str) -> None:
        """See ``ports.ObjectStore.remove``."""
        self.objects.pop(key, None)

    def remove_many(self, keys: Iterable[str]) -> Mapping[str, ColdtableError]:
        """See ``ports.ObjectStore.remove_many``; a key in ``refused`` stays."""
        told: dict[str, ColdtableError] = {}
        for key in keys:
            if key in self.refused:
                told[key] = AccessDenied(f"Access denied: {key}", action="s3:DeleteObject")
            else:
                self.remove(key)
        return told


class FakeExporter:
    """DynamoDB with tables, PITR windows and the ClientToken rules of the fact sheet, 1.5."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.calls: list[str] = []
        self.refusals: dict[str, ColdtableError] = {}
        self._lock = Lock()
        self._tables: dict[str, tuple[Table, Pitr]] = {}
        self._exports: dict[str, Export] = {}
        self._by_token: dict[str, tuple[ExportRequest, str]] = {}

    def add_table(self, name: str, *, pitr: bool = True, days: int = 35) -> Table:
        """A new table of that name; its PITR reaches back ``days``, and lags 5 minutes."""
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        table = Table(name=name, arn=arn, table_id=f"id-{len(self._tables)}-{name}")
        window = Pitr(
            enabled=pitr,
            recovery_days=days if pitr else None,
            earliest=self.now - timedelta(days=days) if pitr else None,
            latest=self.now - timedelta(minutes=5) if pitr else None,
        )
        self._tables[name] = (table, window)
        return table

    def refuse(self, name: str, error: ColdtableError) -> None:
        """Every start of an export of this table raises ``error`` from now on."""
        self.refusals[name] = error

    def finish(self, arn: str, status: ExportStatus, failure: str | None = None) -> None:
        """End an export."""
        ended = replace(
            self._exports[arn],
            status=status,
            ended=self.now,
            failure_code=failure,
            failure_message=failure and f"because {failure}",
        )
        self._exports[arn] = ended

    @property
    def made(self) -> list[Export]:
        """Every export there is, oldest first."""
        return list(self._exports.values())

    def table(self, name: str) -> Table:
        """See ``ports.Exporter.table``."""
        with self._lock:
            self.calls.append(f"table {name}")
        if name not in self._tables:
            raise TableNotFound(f"The table does not exist (table {name})")
        return self._tables[name][0]

    def pitr(self, table: Table) -> Pitr:
        """See ``ports.Exporter.pitr``."""
        with self._lock:
            self.calls.append(f"pitr {table.name}")
        return self._tables[table.name][1]

    def start(self, request: ExportRequest) -> Export:
        """See ``ports.Exporter.start``."""
        with self._lock:
            self.calls.append(f"start {request.table.name}")
            name = request.table.name
            if name in self.refusals:
                raise self.refusals[name]
            if request.token in self._by_token:
                known, arn = self._by_token[request.token]
                if known != request:
                    raise Conflict("Export conflict: Duplicate request detected")
                return self._exports[arn]
            self._check_window(request)
            export = self._new_export(request)
            self._exports[export.arn] = export
            self._by_token[request.token] = (request, export.arn)
            return export

    def describe(self, export_arn: str) -> Export:
        """See ``ports.Exporter.describe``."""
        if export_arn not in self._exports:
            raise NotFound(f"Export not found: {export_arn}")
        return self._exports[export_arn]

    def exports(self, table: Table) -> Iterator[str]:
        """See ``ports.Exporter.exports``."""
        found = [e.arn for e in self._exports.values() if e.table_arn == table.arn]
        return reversed(found)

    def _check_window(self, request: ExportRequest) -> None:
        window = self._tables[request.table.name][1]
        if not window.enabled or window.earliest is None or window.latest is None:
            raise PitrDisabled("Point in time recovery is not enabled")
        match request.span:
            case Snapshot(moment=moment):
                good = window.earliest <= moment <= self.now
            case Window(start=start, stop=stop):
                good = window.earliest <= start < stop <= self.now
        if not good:
            raise MomentNotRestorable("Export Time is invalid")

    def _new_export(self, request: ExportRequest) -> Export:
        millis = int(self.now.timestamp() * 1000)
        export_id = f"{millis:014d}-{len(self._exports):08x}"
        return Export(
            arn=f"{request.table.arn}/export/{export_id}",
            status=ExportStatus.IN_PROGRESS,
            table_arn=request.table.arn,
            bucket=request.to.bucket,
            prefix=request.prefix,
            moment=request.span.moment if isinstance(request.span, Snapshot) else None,
            window=request.span if isinstance(request.span, Window) else None,
            view=request.view,
            table_id=request.table.table_id,
            token=request.token,
            owner=request.to.owner,
            algorithm="KMS" if request.to.key else "AES256",
            key=request.to.key,
            output_format="DYNAMODB_JSON",
            started=self.now,
        )
