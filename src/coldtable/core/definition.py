"""A table's definition: what an export does not carry, and a table like it needs.

The record comes from DescribeTable, DescribeTimeToLive, ListTagsOfResource and
DescribeContinuousBackups [MODEL]. Without one, a key schema is the least that must be given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coldtable.errors import DamagedError, ParameterInvalid, UsageError
from coldtable.model_restore import Definition, KeyAttribute, KeySchema

_KEY = re.compile(r"(?P<name>.+):(?P<kind>[SNB])")
_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")


def parse_definition(name: str, record: Mapping[str, Any]) -> Definition:
    """The definition that a record holds; ``DamagedError`` naming it if it is none."""
    try:
        table = record["table"]
        ttl = record.get("ttl") or {}
        pitr = record.get("pitr") or {}
        return Definition(
            key=_key_schema(table),
            table=table,
            ttl=ttl.get("AttributeName")
            if ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
            else None,
            tags=tuple((t["Key"], t["Value"]) for t in record.get("tags") or ()),
            pitr_days=(pitr.get("recovery_days") or 0) if pitr.get("enabled") else None,
        )
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DamagedError(
            f"{name} is not a table's definition: {error!r}",
            hint="To restore without it, give the key: --key pk:S --key sk:N",
        ) from None


def parse_key(words: Sequence[str]) -> KeySchema:
    """``pk:S`` and ``sk:N``: the partition key, then the sort key if there is one."""
    found = [_KEY.fullmatch(word) for word in words]
    if not 1 <= len(words) <= 2 or not all(found):
        raise UsageError(
            f"{' '.join(words)!r} is no key schema",
            hint="Name the partition key and then the sort key, each with its type S, N or B: "
            "--key pk:S --key sk:N",
        )
    attributes = [KeyAttribute(name=m["name"], kind=m["kind"]) for m in found if m]
    if len({a.name for a in attributes}) != len(attributes):
        raise UsageError("The partition key and the sort key are the same attribute")
    return KeySchema(partition=attributes[0], sort=attributes[1] if attributes[1:] else None)


def definition_of_key(key: KeySchema) -> Definition:
    """The least definition: a table of that key, on demand, with nothing else."""
    return Definition(
        key=key, known=False, table={"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}}
    )


def check_table_name(name: str) -> str:
    """The name itself, if AWS takes it [MODEL]; else ``ParameterInvalid``."""
    if not _TABLE_NAME.fullmatch(name):
        raise ParameterInvalid(
            f"{name!r} is no table name",
            hint="3 to 255 letters, digits, dots, dashes and underscores",
        )
    return name


def _key_schema(table: Mapping[str, Any]) -> KeySchema:
    kinds = {d["AttributeName"]: d["AttributeType"] for d in table["AttributeDefinitions"]}
    by_role = {k["KeyType"]: k["AttributeName"] for k in table["KeySchema"]}
    sort = by_role.get("RANGE")
    return KeySchema(
        partition=KeyAttribute(name=by_role["HASH"], kind=kinds[by_role["HASH"]]),
        sort=KeyAttribute(name=sort, kind=kinds[sort]) if sort else None,
    )
