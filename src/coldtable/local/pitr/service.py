"""The door: DynamoDB's PITR operations, the journal's feed, and the control endpoint's parts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..interface import ApiError, Caller, Inner, Scope
from . import arns, storage
from .backups import Backups, History
from .exports import Exports, authorise
from .faults import Faults, damaged
from .import_record import ImportRecord
from .imports import Imports
from .journal import Item
from .loader import Loader
from .objects import Bucket, S3Refused
from .records import IN_PROGRESS, ExportRecord
from .restore import Restores
from .runner import Runner, damage_request, overwrite
from .settings import PitrSettings
from .tables import TableSeam
from .throttle import Throttle
from .times import micros

__all__ = ["PitrService", "PitrSettings"]

_LOG = logging.getLogger("coldtable.local")
_LOOSE = 100_000  # superseded images that wait to be packed

_Handler = Callable[[Caller, dict[str, Any]], Awaitable[dict[str, Any]]]


class PitrService:
    """Everything that DynamoDB knows about the past, for all accounts and regions."""

    OPERATIONS: frozenset[str] = frozenset(
        {
            "ExportTableToPointInTime",
            "DescribeExport",
            "ListExports",
            "DescribeContinuousBackups",
            "UpdateContinuousBackups",
            "RestoreTableToPointInTime",
            "ImportTable",
            "DescribeImport",
            "ListImports",
        }
    )

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings | None = None,
        clock: Callable[[], float] = time.time,
        *,
        tables: TableSeam | None = None,
    ) -> None:
        """``clock`` gives epoch seconds on the emulator's clock, which may jump forward."""
        self._inner = inner
        self._settings = settings or PitrSettings()
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[ExportRecord] = []
        self._faults = Faults()
        self._throttle = Throttle(clock)
        self._backups = Backups(inner, self._settings, clock, tables)
        self._exports = Exports(
            inner, self._settings, clock, self._backups, tables, self._start_export
        )
        self._runner = Runner(inner, self._settings, clock, self._faults, tables, self._exports.put)
        self._imports = Imports(inner, self._settings, clock, self._start_import)
        self._loader = Loader(
            inner,
            self._settings,
            clock,
            tables,
            self._runner.gate.passed,
            self._imports.put,
            self._imports.get,
        )
        self._restores = Restores(inner, self._settings, clock, self._backups, tables, self._spawn)
        self._handlers: dict[str, _Handler] = {
            "ExportTableToPointInTime": self._exports.export,
            "DescribeExport": self._exports.describe,
            "ListExports": self._exports.list_exports,
            "DescribeContinuousBackups": self._describe_backups,
            "UpdateContinuousBackups": self._update_backups,
            "RestoreTableToPointInTime": self._restores.restore,
            "ImportTable": self._imports.import_table,
            "DescribeImport": self._imports.describe,
            "ListImports": self._imports.list_imports,
        }

    async def handle(
        self, caller: Caller, operation: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Answer one of ``OPERATIONS``. Raises ``ApiError``."""
        self._resume()
        self._tidy()
        scope = caller.scope
        limited = self._settings.throttle and self._throttle.refuses(
            scope.account, scope.region, operation
        )
        if self._faults.throttled(operation) or limited:
            raise ApiError("ThrottlingException", "Rate exceeded")
        answer = await self._handlers[operation](caller, request)
        await self._faults.drop(operation)
        return answer

    # The journal's feed.

    def record(
        self,
        table_arn: str,
        table_id: str,
        before: Item | None,
        after: Item | None,
        when: int,
    ) -> None:
        """One item mutation, at once and from any thread; cheap when the table keeps no history.

        ``before`` is what it replaced (``None``: nothing), ``after`` the item now (``None``:
        deleted); neither may be changed in place afterwards. ``when`` is epoch microseconds, the
        same for all mutations of one request or transaction.
        """
        self._backups.record(table_arn, table_id, before, after, when)

    def replaced(self, table_arn: str, table_id: str, items: Iterable[Item], when: int) -> None:
        """The table's whole content became ``items``: a rollback, a load in one piece."""
        journal = self._backups.journal(table_arn, table_id)
        if journal is not None:
            journal.replace(items, when)

    def table_deleted(self, table_arn: str) -> None:
        """The table is gone, and its history with it; its exports stay known."""
        self._backups.forget(table_arn)

    def current(self, table_arn: str) -> list[Item] | None:
        """The items as the journal sees them now, to compare with a Scan; ``None``: no history."""
        for history in self._backups.all():
            if history.journal.table_arn == table_arn:
                return list(history.journal.state_at(micros(self._clock()) + 1))
        return None

    def now(self) -> int:
        """Epoch microseconds on the emulator's clock, for ``record``."""
        return micros(self._clock())

    # Operations that need no file of their own.

    async def _describe_backups(self, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        authorise(self._inner, caller, "DescribeContinuousBackups", _table_arn(caller, request))
        return await self._backups.describe(caller.scope, request)

    async def _update_backups(self, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        authorise(self._inner, caller, "UpdateContinuousBackups", _table_arn(caller, request))
        return await self._backups.update(caller.scope, request)

    def _start_export(self, record: ExportRecord, history: History) -> None:
        self._run_export(record, history)

    def _run_export(self, record: ExportRecord, history: History | None) -> None:
        def broken(error: BaseException) -> None:
            self._runner.fail(record, "InternalServerError", repr(error))

        self._spawn(self._runner.run(record, history), broken)

    def _start_import(self, record: ImportRecord) -> None:
        def broken(error: BaseException) -> None:
            self._loader.fail(record, "InternalServerError", repr(error))

        self._spawn(self._loader.run(record), broken)

    def _spawn(
        self,
        work: Coroutine[Any, Any, None],
        broken: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Run beside the answers. What ends with an error of ours is told, not lost."""

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _LOG.error("the past went wrong", exc_info=error)
                if broken is not None:
                    broken(error)

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    @property
    def running(self) -> int:
        """How many exports, restores and imports are under way."""
        return len(self._tasks)

    # The control endpoint.

    async def control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """``exports``: ``{"hold": true}``, ``{"release": true}``, ``{"seconds": S}``;
        ``faults``: see ``Faults.arm``, and ``{"object": {"bucket", "key", "how"}}`` spoils an
        object that lies there already. Raises ``ApiError``.
        """
        if path == "exports":
            return self._control_exports(body)
        if path == "faults":
            return await self._control_faults(body)
        raise ApiError("ResourceNotFoundException", f"no control {path!r}", status=404)

    def _control_exports(self, body: dict[str, Any]) -> dict[str, Any]:
        gate = self._runner.gate
        if "seconds" in body:
            gate.seconds = float(body["seconds"])
        if body.get("hold"):
            gate.hold()
        if body.get("release"):
            gate.release()
        return {"held": gate.held, "seconds": gate.seconds, "running": self.running}

    async def _control_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        spoil = body.get("object")
        self._faults.arm({name: value for name, value in body.items() if name != "object"})
        if spoil is not None:
            await self._spoil(spoil)
        return self._faults.armed()

    async def _spoil(self, spoil: dict[str, Any]) -> None:
        name, key, how = damage_request(spoil)
        scope = Scope(
            account=str(spoil.get("account", "000000000000")),
            region=str(spoil.get("region", "us-east-1")),
        )
        caller = Caller(scope=scope, access_key="")
        bucket = Bucket(self._inner, caller, name, as_root=True)
        try:
            body = None if how == "missing" else damaged(await bucket.get(key), how)
            await overwrite(bucket, key, body)
        except S3Refused as refused:
            raise ApiError("ValidationException", f"{refused} ({name}/{key})") from None

    # Life.

    def reset(self) -> None:
        """As if just started: no history, no exports, no faults."""
        for task in list(self._tasks):
            task.cancel()
        self._waiting.clear()
        self._exports.clear()
        self._imports.clear()
        self._backups.clear()
        self._faults.clear()
        self._throttle.clear()
        self._runner.gate.release()

    def save(self, folder: Path) -> None:
        """Write histories and records below ``folder`` (made when missing)."""
        records = {
            "exports": [record.stored() for record in self._exports],
            "imports": [record.stored() for record in self._imports],
        }
        storage.save(folder, self._backups.all(), records)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote; a folder without it is an empty past.

        What was under way starts again with the next call, when there is a loop to run it.
        """
        histories, records = storage.load(folder)
        for history in histories:
            self._backups.adopt(history)
        for stored in records.get("exports", []):
            record = ExportRecord.read(stored)
            self._exports.put(record)
            if record.status == IN_PROGRESS:
                self._waiting.append(record)

        for stored in records.get("imports", []):
            self._imports.put(ImportRecord.read(stored))

    def _tidy(self) -> None:
        """Pack superseded images in a thread once they are many."""
        for history in self._backups.all():
            if history.journal.loose > _LOOSE:
                history.journal.loose = 0
                self._spawn(self._runner.compact(history))

    def _resume(self) -> None:
        while self._waiting:
            record = self._waiting.pop()
            history = self._backups.by_id(record.table_arn, record.table_id)
            self._run_export(record, history)

    async def aclose(self) -> None:
        """Stop what runs; held answers are let go."""
        self._faults.closing.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _table_arn(caller: Caller, request: Mapping[str, Any]) -> str:
    """The ARN that a policy must allow, from a table's name or ARN."""
    name = str(request.get("TableName") or request.get("SourceTableName") or "*")
    if arns.parse(name) is not None:
        return name
    return f"arn:aws:dynamodb:{caller.scope.region}:{caller.scope.account}:table/{name}"
