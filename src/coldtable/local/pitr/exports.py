"""ExportTableToPointInTime, DescribeExport, ListExports: what AWS remembers of exports."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..interface import ApiError, Caller, Inner, Scope
from . import arns, constraints, export_request, paging, tables
from .backups import Backups, History
from .constraints import Member
from .records import IN_PROGRESS, ExportRecord
from .settings import PitrSettings
from .tables import TableSeam, TableView
from .tokens import Conflict, Tokens, fingerprint

REMEMBERED_SECONDS = 90 * 86_400

_DESCRIBE = (Member(path="ExportArn", required=True, low=37, high=1024),)
_LIST = (
    Member(path="TableArn", low=1, high=1024),
    Member(path="MaxResults", kind="integer", low=1, high=25),
    Member(path="NextToken"),
)

# Starts the run of an accepted export.
Start = Callable[[ExportRecord, History], None]


class Exports:
    """The exports of all accounts and regions."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        backups: Backups,
        seam: TableSeam | None,
        start: Start,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._backups = backups
        self._seam = seam
        self._start = start
        self._records: dict[str, ExportRecord] = {}
        self._tokens = Tokens()

    def __iter__(self) -> Iterator[ExportRecord]:
        return iter(list(self._records.values()))

    def put(self, record: ExportRecord) -> None:
        """A new state of an export, or one read back from a state directory."""
        self._records[record.arn] = record
        self._tokens.keep(
            (record.account, record.region), record.token, record.fingerprint, record.arn
        )

    def get(self, arn: str) -> ExportRecord | None:
        """The export of this ARN; ``None`` once it is forgotten."""
        return self._records.get(arn)

    def clear(self) -> None:
        """Forget all."""
        self._records.clear()
        self._tokens.clear()

    async def export(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """ExportTableToPointInTime. A request that is rejected here reserves nothing."""
        constraints.check(request, export_request.MEMBERS)
        arn = self._table_arn(caller.scope, request["TableArn"])
        authorise(self._inner, caller, "ExportTableToPointInTime", request["TableArn"])
        export_request.couplings(request)
        table = await tables.find(self._inner, caller.scope, arn.table)
        if table is None:  # the ARN's own region counts for nothing [QUIRKS]
            raise ApiError("TableNotFoundException", f"Table not found: {request['TableArn']}")
        replayed = self._replayed(caller.scope, request)
        if replayed is not None:
            return {"ExportDescription": replayed.description()}
        export_request.after_creation(request, table.created)
        history = self._backups.history(table)
        if history is None:
            raise ApiError(
                "PointInTimeRecoveryUnavailableException",
                f"Point in time recovery is not enabled for table '{table.name}'",
            )
        if request.get("FilterSpecification"):
            await export_request.check_filter(
                self._inner,
                caller.scope,
                table.name,
                request["FilterSpecification"],
                supported=self._seam is not None,
            )
        span = export_request.span(request, history, self._settings, self._clock())
        self._check_limit(caller.scope)
        record = self._record(caller, request, table, span)
        self.put(record)
        self._start(record, history)
        return {"ExportDescription": record.description()}

    def _table_arn(self, scope: Scope, text: str) -> arns.TableArn:
        arn = arns.parse(text)
        if arn is None:
            raise ApiError(
                "ValidationException",
                "One or more parameter values were invalid: tableArn is not a valid ARN",
            )
        if arn.rest:
            raise ApiError("ValidationException", "Invalid Request: Table ARN is invalid.")
        if arn.account != scope.account:
            raise ApiError("AccessDeniedException", "Access is denied")
        return arn

    def _replayed(self, scope: Scope, request: Mapping[str, Any]) -> ExportRecord | None:
        def ended(arn: str) -> float | None:
            record = self._records.get(arn)
            return record.end if record else 0.0

        try:
            found = self._tokens.find(
                (scope.account, scope.region),
                request.get("ClientToken"),
                fingerprint(request),
                ended,
                self._clock(),
            )
        except Conflict:
            raise ApiError(
                "ExportConflictException",
                "Export conflict: Duplicate request detected with conflicting parameters",
            ) from None
        return self._records[found] if found else None

    def _check_limit(self, scope: Scope) -> None:
        running = sum(
            record.status == IN_PROGRESS
            and (record.account, record.region) == (scope.account, scope.region)
            for record in self._records.values()
        )
        limit = self._settings.max_concurrent_exports
        if running >= limit:
            # UNVERIFIED text; modelled on the one for imports.
            raise ApiError(
                "LimitExceededException",
                "Subscriber limit exceeded: There is a limit of "
                f"{limit} concurrent export jobs per account",
            )

    def _record(
        self,
        caller: Caller,
        request: Mapping[str, Any],
        table: TableView,
        span: export_request.Span,
    ) -> ExportRecord:
        return ExportRecord(
            arn=f"{table.arn}/export/{arns.new_id(span.start_time)}",
            account=caller.scope.account,
            region=caller.scope.region,
            access_key=caller.access_key,
            table_arn=table.arn,
            table_id=table.table_id,
            request=dict(request),
            token=request.get("ClientToken") or str(uuid.uuid4()),
            fingerprint=fingerprint(request),
            start=span.start_time,
            moment=span.moment,
            bound=span.bound,
            window=span.window,
        )

    async def describe(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeExport: also for a table that is gone, for ninety days."""
        constraints.check(request, _DESCRIBE)
        text = request["ExportArn"]
        arn = arns.parse(text)
        if arn is None or not arn.rest.startswith("/export/"):
            raise ApiError("ValidationException", "Invalid Export ARN")
        if arn.account != caller.scope.account:
            raise ApiError("AccessDeniedException", "Access is denied")
        if _region_differs(arn.region, caller.scope):
            raise ApiError("ExportNotFoundException", "Export not found: Invalid export arn")
        authorise(self._inner, caller, "DescribeExport", text)
        record = self._records.get(text)
        if record is None or self._forgotten(record):
            raise ApiError("ExportNotFoundException", f"Export not found: Export not found: {text}")
        return {"ExportDescription": record.description()}

    async def list_exports(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListExports: newest first, ninety days; nothing for a table that is gone [QUIRKS]."""
        constraints.check(request, _LIST)
        authorise(self._inner, caller, "ListExports", "*")
        found = [record for record in self if self._seen_by(caller.scope, record)]
        if request.get("TableArn") is not None:
            arn = self._table_arn(caller.scope, request["TableArn"])
            table = await tables.find(self._inner, caller.scope, arn.table)
            wanted = table.table_id if table else None
            found = [record for record in found if record.table_id == wanted]
        page, token = paging.page(found, request.get("MaxResults"), request.get("NextToken"))
        answer: dict[str, Any] = {"ExportSummaries": [record.summary() for record in page]}
        return answer if token is None else {**answer, "NextToken": token}

    def _seen_by(self, scope: Scope, record: ExportRecord) -> bool:
        same = (record.account, record.region) == (scope.account, scope.region)
        return same and not self._forgotten(record)

    def _forgotten(self, record: ExportRecord) -> bool:
        return self._clock() - record.start > REMEMBERED_SECONDS


def authorise(inner: Inner, caller: Caller, operation: str, resource: str) -> None:
    """AccessDeniedException when the caller's policies do not allow it."""
    reason = inner.deny_reason(caller, f"dynamodb:{operation}", resource)
    if reason is not None:
        raise ApiError("AccessDeniedException", reason)


def _region_differs(region: str, scope: Scope) -> bool:
    return region != scope.region
