"""Continuous backups: which tables keep history, and how far back it reaches."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..interface import ApiError, Inner, Scope
from . import constraints, tables
from .constraints import Member
from .journal import Item, Journal
from .settings import PitrSettings
from .tables import TableSeam, TableView
from .times import micros

DEFAULT_PERIOD_DAYS = 35
_DAY = 86_400
_BASE_SLICE = 2_000

_UPDATE = (
    Member(path="TableName", required=True, low=1, high=1024),
    Member(path="PointInTimeRecoverySpecification", required=True, kind="structure"),
    Member(
        path="PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
        required=True,
        kind="boolean",
    ),
    Member(
        path="PointInTimeRecoverySpecification.RecoveryPeriodInDays",
        kind="integer",
        low=1,
        high=35,
    ),
)
_DESCRIBE = (Member(path="TableName", required=True, low=1, high=1024),)


@dataclass(slots=True, kw_only=True)
class History:
    """One table's PITR. ``since`` only moves forward: what a shorter period dropped stays gone."""

    journal: Journal
    since: float
    period_days: int
    ready: bool = False

    def earliest(self, now: float) -> float:
        """EarliestRestorableDateTime, whole epoch seconds."""
        return max(self.since, float(int(now - self.period_days * _DAY)))

    def latest(self, now: float, lag: float) -> float:
        """LatestRestorableDateTime, whole epoch seconds; never before the earliest [QUIRKS]."""
        return max(self.earliest(now), float(int(now - lag)))


class Backups:
    """The histories of all tables, by table ARN."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        seam: TableSeam | None,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._seam = seam
        self._histories: dict[str, History] = {}
        self._changing = asyncio.Lock()

    def journal(self, table_arn: str, table_id: str) -> Journal | None:
        """Where this table's mutations go; ``None`` when it keeps no history."""
        history = self.by_id(table_arn, table_id)
        return history.journal if history else None

    def record(
        self, table_arn: str, table_id: str, before: Item | None, after: Item | None, when: int
    ) -> None:
        """One mutation, if the table keeps history. The hot path: nothing is called twice."""
        history = self._histories.get(table_arn)
        if history is not None and history.journal.table_id == table_id:
            history.journal.record(before, after, when)

    def history(self, table: TableView) -> History | None:
        """The table's history if PITR is on."""
        history = self.by_id(table.arn, table.table_id)
        return history if history and history.ready else None

    def by_id(self, table_arn: str, table_id: str) -> History | None:
        """The history of one incarnation of a table, whether PITR is ready or not."""
        history = self._histories.get(table_arn)
        return history if history and history.journal.table_id == table_id else None

    def forget(self, table_arn: str) -> None:
        """PITR is off, or the table is gone."""
        self._histories.pop(table_arn, None)

    def clear(self) -> None:
        """Forget all tables."""
        self._histories.clear()

    def all(self) -> Iterator[History]:
        """Every history, for saving."""
        yield from list(self._histories.values())

    def adopt(self, history: History) -> None:
        """A history that was read back from a state directory."""
        self._histories[history.journal.table_arn] = history

    async def table(self, scope: Scope, name: str) -> TableView:
        """The table of a name or ARN; TableNotFoundException."""
        bare = name.rsplit("table/", 1)[-1].split("/", 1)[0]
        found = await tables.find(self._inner, scope, bare)
        if found is None:
            raise ApiError("TableNotFoundException", f"Table not found: {bare}")
        return found

    async def describe(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeContinuousBackups."""
        constraints.check(request, _DESCRIBE)
        return self._shown(await self.table(scope, request["TableName"]))

    async def update(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateContinuousBackups."""
        constraints.check(request, _UPDATE)
        wanted = request["PointInTimeRecoverySpecification"]
        enabled, days = wanted["PointInTimeRecoveryEnabled"], wanted.get("RecoveryPeriodInDays")
        if not enabled and days is not None:
            raise ApiError(
                "ValidationException",
                "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling "
                "point-in-time recovery.",
            )
        async with self._changing:
            table = await self.table(scope, request["TableName"])
            if not enabled:
                self.forget(table.arn)
            elif (history := self.history(table)) is not None:
                self._resize(history, days)
            else:
                await self._enable(scope, table, days or DEFAULT_PERIOD_DAYS)
        return self._shown(table)

    def _resize(self, history: History, days: int | None) -> None:
        """A shorter period drops older history at once [QUIRKS].

        UNVERIFIED: an update without a period on a table that is enabled (here: no change).
        """
        if days is None:
            return
        history.period_days = days
        history.since = history.earliest(self._clock())
        history.journal.compact(micros(history.since))

    async def _enable(self, scope: Scope, table: TableView, days: int) -> None:
        journal = Journal(table_arn=table.arn, table_id=table.table_id, key_names=table.key_names)
        history = History(journal=journal, since=float(int(self._clock())), period_days=days)
        # In place before the base is read: writes that come meanwhile tell what they replaced.
        self._histories[table.arn] = history
        items: Iterator[Item]
        if self._seam is not None:
            items = iter(self._seam.items(scope, table.name))
        else:
            items = iter(await tables.scan(self._inner, scope, table.name))
        with _collector_paused():
            while slice_ := list(islice(items, _BASE_SLICE)):
                journal.rebase(slice_, last=False)
                await asyncio.sleep(0)
        journal.rebase((), last=True)
        history.ready = True

    def _shown(self, table: TableView) -> dict[str, Any]:
        """ContinuousBackupsStatus says ENABLED with PITR off too [QUIRKS]; times only when on."""
        history, now = self.history(table), self._clock()
        pitr: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if history is not None:
            pitr = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": history.period_days,
                "EarliestRestorableDateTime": history.earliest(now),
                "LatestRestorableDateTime": history.latest(now, self._settings.restorable_lag),
            }
        return {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": pitr,
            }
        }


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """No cyclic garbage collection meanwhile, and none of what is there now ever after.

    A million new lists would set off full collections that stop every other call for most of a
    second; reference counts still free all of them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
