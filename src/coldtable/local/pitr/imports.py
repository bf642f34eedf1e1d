"""ImportTable, DescribeImport, ListImports: what AWS remembers of imports."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..interface import ApiError, Caller, Inner, Scope
from . import arns, constraints, paging, tables
from .constraints import Member
from .exports import REMEMBERED_SECONDS, authorise
from .import_record import ImportRecord
from .records import IN_PROGRESS
from .settings import PitrSettings
from .times import floor_millis

_SOURCE, _TABLE = "S3BucketSource", "TableCreationParameters"
_IMPORT = (
    Member(path="ClientToken", pattern=r"^[^\$]+$"),
    Member(path=_SOURCE, required=True, kind="structure"),
    Member(
        path=f"{_SOURCE}.S3Bucket",
        required=True,
        high=255,
        pattern=r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$",
    ),
    Member(path=f"{_SOURCE}.S3BucketOwner", pattern="[0-9]{12}"),
    Member(path=f"{_SOURCE}.S3KeyPrefix", high=1024),
    Member(path="InputFormat", required=True, enum=("ION", "DYNAMODB_JSON", "CSV")),
    Member(path="InputFormatOptions", kind="structure"),
    Member(path="InputFormatOptions.Csv", kind="structure"),
    Member(path="InputFormatOptions.Csv.Delimiter", low=1, high=1, pattern="[,;:|\\t ]"),
    Member(path="InputFormatOptions.Csv.HeaderList", kind="list", low=1, high=255),
    # The order in which AWS lists them [QUIRKS].
    Member(path="InputCompressionType", enum=("ZSTD", "NONE", "GZIP")),
    Member(path=_TABLE, required=True, kind="structure"),
    Member(path=f"{_TABLE}.TableName", required=True, low=3, high=255, pattern="[a-zA-Z0-9_.-]+"),
    Member(path=f"{_TABLE}.AttributeDefinitions", required=True, kind="list"),
    Member(path=f"{_TABLE}.KeySchema", required=True, kind="list", low=1, high=2),
    Member(path=f"{_TABLE}.BillingMode", enum=("PROVISIONED", "PAY_PER_REQUEST")),
)
_DESCRIBE = (Member(path="ImportArn", required=True, low=37, high=1024),)
_LIST = (
    Member(path="TableArn", low=1, high=1024),
    Member(path="PageSize", kind="integer", low=1, high=25),
    Member(path="NextToken"),
)


class Imports:
    """The imports of all accounts and regions."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        start: Callable[[ImportRecord], None],
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._start = start
        self._records: dict[str, ImportRecord] = {}

    def __iter__(self) -> Iterator[ImportRecord]:
        return iter(list(self._records.values()))

    def put(self, record: ImportRecord) -> None:
        """A new state of an import, or one read back from a state directory."""
        self._records[record.arn] = record

    def get(self, arn: str) -> ImportRecord | None:
        """The import of this ARN as it is now."""
        return self._records.get(arn)

    def clear(self) -> None:
        """Forget all."""
        self._records.clear()

    async def import_table(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """ImportTable. The table's name is not reserved: of two imports one fails [QUIRKS]."""
        constraints.check(request, _IMPORT)
        _check_parameters(request)
        name = request[_TABLE]["TableName"]
        arn = _table_arn(caller.scope, name)
        authorise(self._inner, caller, "ImportTable", arn)
        table = await tables.find(self._inner, caller.scope, name)
        replayed = self._replayed(caller.scope, request, gone=table is None)
        if replayed is None:
            if table is not None:
                raise ApiError("ResourceInUseException", f"Table already exists: {name}")
            self._check_limit(caller.scope)
            replayed = self._accepted(caller, request, arn)
        return {"ImportTableDescription": replayed.description()}

    def _accepted(self, caller: Caller, request: Mapping[str, Any], arn: str) -> ImportRecord:
        start = floor_millis(self._clock())
        record = ImportRecord(
            arn=f"{arn}/import/{arns.new_id(start)}",
            account=caller.scope.account,
            region=caller.scope.region,
            access_key=caller.access_key,
            table_arn=arn,
            table_id=str(uuid.uuid4()),
            request=dict(request),
            token=request.get("ClientToken") or str(uuid.uuid4()),
            start=start,
        )
        self.put(record)
        self._start(record)
        return record

    def _replayed(
        self, scope: Scope, request: Mapping[str, Any], *, gone: bool
    ) -> ImportRecord | None:
        """The same token: only another table's name is a conflict, and only while it runs or
        when the table is gone is it a replay [QUIRKS].
        """
        token = request.get("ClientToken")
        for record in self:
            if record.token != token or not _same_place(record, scope):
                continue
            if record.table_name != request[_TABLE]["TableName"]:
                raise ApiError(
                    "ImportConflictException",
                    "Import conflict: Duplicate request detected with conflicting parameters",
                )
            if record.status == IN_PROGRESS or gone:
                return record
        return None

    def _check_limit(self, scope: Scope) -> None:
        running = sum(
            record.status == IN_PROGRESS and _same_place(record, scope) for record in self
        )
        limit = self._settings.max_concurrent_imports
        if running >= limit:
            # UNVERIFIED text.
            raise ApiError(
                "LimitExceededException",
                "Subscriber limit exceeded: There is a limit of "
                f"{limit} concurrent import jobs per account",
            )

    async def describe(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeImport."""
        constraints.check(request, _DESCRIBE)
        text = request["ImportArn"]
        arn = arns.parse(text)
        if arn is None or not arn.rest.startswith("/import/"):
            raise ApiError("ValidationException", "Invalid Import ARN")
        if arn.account != caller.scope.account:
            raise ApiError("AccessDeniedException", "Access is denied")
        authorise(self._inner, caller, "DescribeImport", text)
        record = self._records.get(text)
        if record is None or self._forgotten(record) or arn.region != caller.scope.region:
            raise ApiError("ImportNotFoundException", f"Import not found: {text}")
        return {"ImportTableDescription": record.description()}

    async def list_imports(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListImports: newest first; also imports of tables that are gone [QUIRKS]."""
        constraints.check(request, _LIST)
        authorise(self._inner, caller, "ListImports", "*")
        wanted = request.get("TableArn")
        found = [
            record
            for record in self
            if _same_place(record, caller.scope)
            and not self._forgotten(record)
            and wanted in (None, record.table_arn)
        ]
        page, token = paging.page(found, request.get("PageSize"), request.get("NextToken"))
        answer: dict[str, Any] = {"ImportSummaryList": [record.summary() for record in page]}
        return answer if token is None else {**answer, "NextToken": token}

    def _forgotten(self, record: ImportRecord) -> bool:
        return self._clock() - record.start > REMEMBERED_SECONDS


def _check_parameters(request: Mapping[str, Any]) -> None:
    if (request.get("InputFormatOptions") or {}).get("Csv") and request["InputFormat"] != "CSV":
        raise ApiError(
            "ValidationException",
            "Invalid Request: Unsupported InputFormatOptions for the given input format: "
            f"{request['InputFormat']}.",
        )
    table = request[_TABLE]
    if table.get("BillingMode", "PROVISIONED") == "PROVISIONED":
        if table.get("OnDemandThroughput"):
            raise _invalid(
                "MaxWriteRequestUnits for OnDemandThroughput cannot be specified when table "
                "BillingMode is PROVISIONED."
            )
        if not table.get("ProvisionedThroughput"):
            raise _invalid(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                "BillingMode is PROVISIONED"
            )
    defined = [one["AttributeName"] for one in table["AttributeDefinitions"]]
    keys = [key["AttributeName"] for key in table["KeySchema"]]
    if not set(keys) <= set(defined):
        raise _invalid(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(keys)}], AttributeDefinitions: [{', '.join(defined)}]"
        )


def _invalid(text: str) -> ApiError:
    return ApiError("ValidationException", f"One or more parameter values were invalid: {text}")


def _table_arn(scope: Scope, name: str) -> str:
    return f"arn:aws:dynamodb:{scope.region}:{scope.account}:table/{name}"


def _same_place(record: ImportRecord, scope: Scope) -> bool:
    return (record.account, record.region) == (scope.account, scope.region)
