"""From a table's definition to the requests that make a table like it.

CreateTable or ImportTable, then UpdateTable, UpdateTimeToLive, TagResource and
UpdateContinuousBackups. Shapes: [MODEL].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from coldtable.model_restore import Definition, KeySchema, Parts, TableRequest

Body = dict[str, Any]

_DEMAND, _STANDARD = "PAY_PER_REQUEST", "STANDARD"
_GLOBAL, _LOCAL, _VECTOR = "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "VectorIndexes"


def creation(definition: Definition, name: str, parts: Parts) -> Body:
    """The CreateTable request of a table like the defined one.

    Time to live, tags, stream, deletion protection and PITR are not in it: they come when the
    items are there (``afterwards``), so that nothing expires early, no consumer of the stream
    sees a million inserts, and a restore that fails leaves a table that can be deleted.
    """
    made = _common(definition, name, parts)
    if parts.indexes and (local := _local_indexes(definition)):
        made["LocalSecondaryIndexes"] = local
    if (table_class := _table_class(definition)) != _STANDARD:
        made["TableClass"] = table_class
    return made


def import_parameters(definition: Definition, name: str, parts: Parts) -> Body:
    """ImportTable's TableCreationParameters; a local index cannot be among them [MODEL]."""
    return _common(definition, name, parts)


def afterwards(
    definition: Definition, name: str, arn: str, parts: Parts, *, imported: bool = False
) -> tuple[TableRequest, ...]:
    """What is left to be asked for once the items are there, in order.

    ``imported`` tells that the table came from ImportTable, which takes no table class.
    """
    found = []
    if imported and (table_class := _table_class(definition)) != _STANDARD:
        found.append(_update(name, "the table class", TableClass=table_class))
    if parts.tags and (tags := own_tags(definition)):
        body: Body = {"ResourceArn": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags]}
        found.append(TableRequest(operation="TagResource", body=body, what=f"{len(tags)} tags"))
    if parts.ttl and definition.ttl:
        setting = {"Enabled": True, "AttributeName": definition.ttl}
        body = {"TableName": name, "TimeToLiveSpecification": setting}
        what = f"time to live by {definition.ttl}"
        found.append(TableRequest(operation="UpdateTimeToLive", body=body, what=what))
    stream = definition.table.get("StreamSpecification") or {}
    if parts.streams and stream.get("StreamEnabled"):
        wanted = _only(stream, "StreamEnabled", "StreamViewType")
        found.append(_update(name, "the stream", StreamSpecification=wanted))
    if parts.pitr and definition.pitr_days is not None:
        found.append(_pitr(name, definition.pitr_days))
    if parts.protection and definition.table.get("DeletionProtectionEnabled"):
        found.append(_update(name, "deletion protection", DeletionProtectionEnabled=True))
    return tuple(found)


def own_tags(definition: Definition) -> tuple[tuple[str, str], ...]:
    """The tags that a person may set: names that begin with ``aws:`` are AWS's own."""
    return tuple((k, v) for k, v in definition.tags if not k.lower().startswith("aws:"))


def local_indexes(definition: Definition) -> tuple[str, ...]:
    """The names of its local secondary indexes, which ImportTable cannot make."""
    return tuple(i["IndexName"] for i in definition.table.get("LocalSecondaryIndexes") or ())


def global_indexes(definition: Definition) -> tuple[str, ...]:
    """The names of its global secondary indexes and its vector indexes."""
    return tuple(i["IndexName"] for i in (*_lasting(definition, _GLOBAL), *_vectors(definition)))


def without_indexes(definition: Definition) -> Definition:
    """The same table without any index."""
    kinds = (_GLOBAL, _LOCAL, _VECTOR)
    return replace(definition, table={k: v for k, v in definition.table.items() if k not in kinds})


def losses(definition: Definition) -> tuple[str, ...]:
    """What the definition knows of and no restore brings back, in words."""
    if not definition.known:
        return (
            "The archive has no definition of the table: the new one has its key, is on demand, "
            "and has no indexes, time to live, tags, stream or PITR",
        )
    found = []
    if replicas := [r.get("RegionName", "?") for r in definition.table.get("Replicas") or ()]:
        found.append(f"It was a global table, with replicas in {', '.join(sorted(replicas))}")
    if definition.table.get("GlobalTableWitnesses"):
        found.append("It had a witness region")
    return tuple(found)


def _common(definition: Definition, name: str, parts: Parts) -> Body:
    table = definition.table
    made: Body = {"TableName": name, "KeySchema": _key(definition.key)}
    made |= _billing(table, on_demand := is_on_demand(definition))
    indexes = []
    if parts.indexes:
        indexes = [_index(i, on_demand=on_demand) for i in _lasting(definition, _GLOBAL)]
        if indexes:
            made[_GLOBAL] = indexes
        if vectors := _vectors(definition):
            made[_VECTOR] = vectors
            indexes = [*indexes, *vectors]
        indexes = [*indexes, *_local_indexes(definition)]
    if encryption := _encryption(table):
        made["SSESpecification"] = encryption
    made["AttributeDefinitions"] = _attributes(definition, indexes)
    return made


def _billing(table: Mapping[str, Any], on_demand: bool) -> Body:
    if not on_demand:
        throughput = _throughput(table.get("ProvisionedThroughput"))
        return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput}
    limits = _limits(table.get("OnDemandThroughput"))
    return {"BillingMode": _DEMAND, **({"OnDemandThroughput": limits} if limits else {})}


def is_on_demand(definition: Definition) -> bool:
    """Whether the table was billed by request, rather than by provisioned capacity."""
    table = definition.table
    mode = (table.get("BillingModeSummary") or {}).get("BillingMode")
    if mode:
        return bool(mode == _DEMAND)
    # A table that was always provisioned has no summary [MODEL].
    return not (table.get("ProvisionedThroughput") or {}).get("WriteCapacityUnits")


def _index(found: Mapping[str, Any], *, on_demand: bool) -> Body:
    made = _plain_index(found)
    if not on_demand:
        made["ProvisionedThroughput"] = _throughput(found.get("ProvisionedThroughput"))
    elif limits := _limits(found.get("OnDemandThroughput")):
        made["OnDemandThroughput"] = limits
    return made


def _plain_index(found: Mapping[str, Any]) -> Body:
    made = _only(found, "IndexName", "KeySchema")
    projection = _only(found.get("Projection") or {}, "ProjectionType", "NonKeyAttributes")
    # DescribeTable may give an empty list where CreateTable wants none [MODEL].
    if not projection.get("NonKeyAttributes", True):
        del projection["NonKeyAttributes"]
    return {**made, "Projection": projection}


def _local_indexes(definition: Definition) -> list[Body]:
    return [_plain_index(i) for i in definition.table.get(_LOCAL) or ()]


def _vectors(definition: Definition) -> list[Body]:
    kept = ("VectorAttribute", "SearchSchema", "Dimensions", "DistanceFunction")
    return [
        {**_only(i, "IndexName", *kept), "Projection": _plain_index(i)["Projection"]}
        for i in _lasting(definition, _VECTOR)
    ]


def _lasting(definition: Definition, kind: str) -> list[Mapping[str, Any]]:
    """The indexes of that kind, without any that was being deleted."""
    found = definition.table.get(kind) or ()
    return [i for i in found if i.get("IndexStatus") != "DELETING"]


def _attributes(definition: Definition, indexes: Iterable[Mapping[str, Any]]) -> list[Body]:
    """Those that a key uses: AWS refuses any other."""
    used = list(definition.key.names)
    for index in indexes:
        schema = [*index.get("KeySchema", ()), *(index.get("SearchSchema") or ())]
        used += [key["AttributeName"] for key in schema]
    kinds = {a.name: a.kind for a in definition.key.attributes}
    for one in definition.table.get("AttributeDefinitions") or ():
        kinds.setdefault(one["AttributeName"], one["AttributeType"])
    names = [name for name in dict.fromkeys(used) if name in kinds]
    return [{"AttributeName": name, "AttributeType": kinds[name]} for name in names]


def _encryption(table: Mapping[str, Any]) -> Body | None:
    """A table's own key. Without SSEDescription AWS owns the key, which is the default.

    Whether the ARN of the AWS managed key is taken back as it is told is UNVERIFIED.
    """
    found = table.get("SSEDescription") or {}
    if found.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
        return None
    made: Body = {"Enabled": True, "SSEType": found.get("SSEType", "KMS")}
    if found.get("KMSMasterKeyArn"):
        made["KMSMasterKeyId"] = found["KMSMasterKeyArn"]
    return made


def _limits(found: Mapping[str, Any] | None) -> Body:
    """Limits of an on-demand table; -1 stands for none [MODEL]."""
    names = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
    return {n: v for n in names if (v := (found or {}).get(n)) is not None and v > 0}


def _throughput(found: Mapping[str, Any] | None) -> Body:
    names = ("ReadCapacityUnits", "WriteCapacityUnits")
    return {n: max(1, int((found or {}).get(n) or 1)) for n in names}


def _table_class(definition: Definition) -> str:
    found = definition.table.get("TableClassSummary") or {}
    return str(found.get("TableClass", _STANDARD))


def _pitr(name: str, days: int) -> TableRequest:
    wanted: Body = {"PointInTimeRecoveryEnabled": True}
    if days:
        wanted["RecoveryPeriodInDays"] = days
    return TableRequest(
        operation="UpdateContinuousBackups",
        body={"TableName": name, "PointInTimeRecoverySpecification": wanted},
        what="point-in-time recovery",
    )


def _update(name: str, what: str, **changes: Any) -> TableRequest:
    return TableRequest(operation="UpdateTable", body={"TableName": name, **changes}, what=what)


def _key(schema: KeySchema) -> list[Body]:
    roles = zip(schema.attributes, ("HASH", "RANGE"), strict=False)
    return [{"AttributeName": a.name, "KeyType": role} for a, role in roles]


def _only(found: Mapping[str, Any], *names: str) -> Body:
    return {name: found[name] for name in names if name in found}
