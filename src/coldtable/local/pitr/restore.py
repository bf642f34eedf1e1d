"""RestoreTableToPointInTime: a new table with the items of the moment that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ..interface import ApiError, Caller, Inner, Scope
from . import arns, constraints, tables
from .backups import Backups, History
from .constraints import Member
from .exports import authorise
from .settings import PitrSettings
from .tables import TableSeam, TableView
from .times import iso_seconds, micros

_NAME = "[a-zA-Z0-9_.-]+"
_MEMBERS = (
    Member(path="SourceTableArn", low=1, high=1024),
    Member(path="SourceTableName", low=3, high=255, pattern=_NAME),
    Member(path="TargetTableName", required=True, low=3, high=255, pattern=_NAME),
    Member(path="UseLatestRestorableTime", kind="boolean"),
    Member(path="RestoreDateTime", kind="time"),
    Member(path="BillingModeOverride", enum=("PROVISIONED", "PAY_PER_REQUEST")),
    Member(path="GlobalSecondaryIndexOverride", kind="list"),
    Member(path="LocalSecondaryIndexOverride", kind="list"),
    Member(path="ProvisionedThroughputOverride", kind="structure"),
    Member(path="OnDemandThroughputOverride", kind="structure"),
    Member(path="SSESpecificationOverride", kind="structure"),
)
_INDEXES = ("GlobalSecondaryIndex", "LocalSecondaryIndex")

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Restores:
    """Restores of all accounts. ``spawn`` runs the loading behind the answer."""

    def __init__(
        self,
        inner: Inner,
        settings: PitrSettings,
        clock: Callable[[], float],
        backups: Backups,
        seam: TableSeam | None,
        spawn: Spawn,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._backups = backups
        self._seam = seam
        self._spawn = spawn

    async def restore(self, caller: Caller, request: Mapping[str, Any]) -> dict[str, Any]:
        """Shape, then the source, then PITR, then the time, then the target [QUIRKS].

        With a seam the table is CREATING until its items are there; without one the answer waits
        for them, so that nobody sees half a table.
        """
        scope = caller.scope
        constraints.check(request, _MEMBERS)
        _check_shape(request)
        source_name = _source_name(scope, request)
        arn = f"arn:aws:dynamodb:{scope.region}:{scope.account}:table/{source_name}"
        authorise(self._inner, caller, "RestoreTableToPointInTime", arn)
        source = await self._backups.table(scope, source_name)
        history = self._backups.history(source)
        if history is None:
            raise ApiError(
                "PointInTimeRecoveryUnavailableException",
                f"Point in time recovery is not enabled for table '{source.name}'",
            )
        moment = self._moment(request, history)
        target = request["TargetTableName"]
        if await tables.find(self._inner, scope, target) is not None:
            raise ApiError("TableAlreadyExistsException", f"Table already exists: {target}")
        created = await self._inner.dynamodb(scope, "CreateTable", _create(request, source))
        summary = {
            "SourceTableArn": source.arn,
            "RestoreDateTime": moment,
            "RestoreInProgress": True,
        }
        loading = self._load(scope, target, history, moment)
        if self._seam is None:
            await loading
        else:
            self._seam.mark(scope, target, "CREATING", restore=summary)
            self._spawn(loading)
        description = {**created["TableDescription"], "RestoreSummary": summary}
        return {"TableDescription": {**description, "TableStatus": "CREATING"}}

    def _moment(self, request: Mapping[str, Any], history: History) -> float:
        now = self._clock()
        earliest = history.earliest(now)
        latest = history.latest(now, self._settings.restorable_lag)
        if request.get("UseLatestRestorableTime"):
            return latest
        moment = float(int(request["RestoreDateTime"]))
        if not earliest <= moment <= latest:
            raise ApiError(
                "InvalidRestoreTimeException",
                f"RestoreDateTime '{iso_seconds(moment)}' must be within "
                f"EarliestRestorableDateTime '{iso_seconds(earliest)}' and "
                f"LatestRestorableDateTime '{iso_seconds(latest)}'",
            )
        return moment

    async def _load(self, scope: Scope, target: str, history: History, moment: float) -> None:
        items = history.journal.state_at(micros(moment))
        try:
            await tables.load(self._inner, scope, target, items)
        except ApiError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return  # somebody deleted the table meanwhile
        if self._seam is not None:
            self._seam.mark(scope, target, "ACTIVE", restore=None)


def _check_shape(request: Mapping[str, Any]) -> None:
    given = [name for name in ("SourceTableArn", "SourceTableName") if request.get(name)]
    if len(given) > 1:
        raise ApiError(
            "ValidationException",
            "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
        )
    if not given:
        raise ApiError(
            "ValidationException",
            "The parameter 'TableName' is required but was not present in the request",
        )
    latest, moment = request.get("UseLatestRestorableTime"), request.get("RestoreDateTime")
    if latest and moment is not None:
        # UNVERIFIED: the text's last words.
        raise ApiError(
            "ValidationException",
            "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for "
            "point-in-time restore request. Please specify only one of them",
        )
    if not latest and moment is None:
        raise ApiError(
            "ValidationException",
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be "
            "specified, but not both",
        )


def _source_name(scope: Scope, request: Mapping[str, Any]) -> str:
    text = request.get("SourceTableArn")
    if not text:
        return str(request["SourceTableName"])
    arn = arns.parse(text)
    if arn is None or arn.rest:
        raise ApiError(
            "ValidationException",
            "One or more parameter values were invalid: sourceTableArn is not a valid ARN",
        )
    if arn.account != scope.account:
        raise ApiError(
            "ValidationException",
            "This action is only supported by accounts that match the resource owner's account",
        )
    return arn.table


def _create(request: Mapping[str, Any], source: TableView) -> dict[str, Any]:
    """CreateTable for the target: the source's settings under the overrides.

    Streams, TTL, PITR, tags and deletion protection are not carried over [QUIRKS].
    """
    table = source.description
    made: dict[str, Any] = {
        "TableName": request["TargetTableName"],
        "KeySchema": table["KeySchema"],
        **_billing(request, table),
    }
    for kind in _INDEXES:
        wanted = request.get(f"{kind}Override")
        indexes = table.get(f"{kind}es") or [] if wanted is None else wanted
        if indexes:
            _check_indexes(indexes, table.get(f"{kind}es") or [])
            made[f"{kind}es"] = [_index(index, made["BillingMode"]) for index in indexes]
    if request.get("SSESpecificationOverride") is not None:
        made["SSESpecification"] = request["SSESpecificationOverride"]
    elif (table.get("SSEDescription") or {}).get("Status") == "ENABLED":
        made["SSESpecification"] = {"Enabled": True, "SSEType": "KMS"}
        if table["SSEDescription"].get("KMSMasterKeyArn"):
            made["SSESpecification"]["KMSMasterKeyId"] = table["SSEDescription"]["KMSMasterKeyArn"]
    used = {key["AttributeName"] for schema in _schemas(made) for key in schema}
    made["AttributeDefinitions"] = [
        one for one in table["AttributeDefinitions"] if one["AttributeName"] in used
    ]
    return made


def _billing(request: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    current = (table.get("BillingModeSummary") or {}).get("BillingMode") or table.get("BillingMode")
    mode = request.get("BillingModeOverride") or current or "PROVISIONED"
    throughput = request.get("ProvisionedThroughputOverride")
    if mode == "PAY_PER_REQUEST":
        if throughput:
            raise ApiError(
                "ValidationException",
                "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
            )
        demand = request.get("OnDemandThroughputOverride") or table.get("OnDemandThroughput")
        return {"BillingMode": mode, **({"OnDemandThroughput": demand} if demand else {})}
    if not throughput and current == "PAY_PER_REQUEST":
        raise ApiError(
            "ValidationException",
            "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        )
    source = throughput or table.get("ProvisionedThroughput") or {}
    return {"BillingMode": mode, "ProvisionedThroughput": _units(source)}


def _units(source: Mapping[str, Any]) -> dict[str, int]:
    return {name: source[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _index(index: Mapping[str, Any], mode: str) -> dict[str, Any]:
    made = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    if mode == "PROVISIONED" and index.get("ProvisionedThroughput"):
        made["ProvisionedThroughput"] = _units(index["ProvisionedThroughput"])
    return made


def _check_indexes(wanted: list[Mapping[str, Any]], known: list[Mapping[str, Any]]) -> None:
    names = {index["IndexName"] for index in known}
    for index in wanted:
        if index["IndexName"] not in names:
            raise ApiError(
                "ValidationException",
                f"Index {index['IndexName']} does not match a secondary index that existed in "
                "the source table and cannot be created during the restore operation",
            )


def _schemas(made: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    indexes = [index for kind in _INDEXES for index in made.get(f"{kind}es", [])]
    return [made["KeySchema"], *(index["KeySchema"] for index in indexes)]
