"""``AWS::DynamoDB::Table``: PITR, time to live, encryption and table class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cfn_calls import Calls, dropped, truth

Properties = Mapping[str, Any]


def complete(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    """Set what the provisioner ignored; what an update takes away goes back to the default."""
    _recovery(calls, name, old, new)
    _time_to_live(calls, name, old, new)
    _encryption(calls, name, old, new)
    if "TableClass" in new and new["TableClass"] != old.get("TableClass", "STANDARD"):
        calls.dynamodb("UpdateTable", {"TableName": name, "TableClass": new["TableClass"]})


def _recovery(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    wanted = new.get("PointInTimeRecoverySpecification")
    if wanted is None and not dropped("PointInTimeRecoverySpecification", old, new):
        return
    if wanted == old.get("PointInTimeRecoverySpecification"):
        return
    enabled = truth((wanted or {}).get("PointInTimeRecoveryEnabled"))
    specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
    if "RecoveryPeriodInDays" in (wanted or {}):
        specification["RecoveryPeriodInDays"] = int((wanted or {})["RecoveryPeriodInDays"])
    calls.dynamodb(
        "UpdateContinuousBackups",
        {"TableName": name, "PointInTimeRecoverySpecification": specification},
    )


def _time_to_live(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    wanted = new.get("TimeToLiveSpecification")
    before = old.get("TimeToLiveSpecification")
    if wanted == before:
        return
    if wanted is None:
        wanted = {**(before or {}), "Enabled": False}
    enabled = truth(wanted.get("Enabled"))
    if not enabled and not truth((before or {}).get("Enabled")):
        return
    specification = {"AttributeName": wanted.get("AttributeName"), "Enabled": enabled}
    calls.dynamodb(
        "UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": specification}
    )


def _encryption(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    wanted = new.get("SSESpecification")
    if wanted == old.get("SSESpecification"):
        return
    specification: dict[str, Any] = {"Enabled": truth((wanted or {}).get("SSEEnabled"))}
    for field in ("SSEType", "KMSMasterKeyId"):
        if specification["Enabled"] and (wanted or {}).get(field):
            specification[field] = (wanted or {})[field]
    calls.dynamodb("UpdateTable", {"TableName": name, "SSESpecification": specification})
