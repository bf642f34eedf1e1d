"""``AWS::S3::Bucket``: encryption, lifecycle, ownership, object lock, versioning, non-empty delete.

Lifecycle rules carry what archives use: expiration, transitions, non-current versions and the end
of incomplete uploads, with a prefix. A property that is not known here fails the resource: better
than a stack that says it is there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from .cfn_calls import Calls, dropped, truth

Properties = Mapping[str, Any]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# Property -> subresource, and whether it can be deleted when an update takes it away.
_SUBRESOURCES = {
    "BucketEncryption": ("encryption", True),
    "LifecycleConfiguration": ("lifecycle", True),
    "OwnershipControls": ("ownershipControls", True),
    "ObjectLockConfiguration": ("object-lock", False),
}


def complete(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    """Set what the provisioner ignored."""
    wanted = dict(new)
    if truth(wanted.get("ObjectLockEnabled")):
        wanted.setdefault("ObjectLockConfiguration", {})
    for prop, (subresource, deletable) in _SUBRESOURCES.items():
        if prop in wanted and new.get(prop, {}) != old.get(prop):
            _put(calls, name, subresource, _DOCUMENTS[prop](wanted[prop]))
        elif deletable and dropped(prop, old, new):
            calls.http("s3", "DELETE", f"/{name}", query=f"{subresource}=")
    status = (new.get("VersioningConfiguration") or {}).get("Status")
    if status == "Suspended" or (old and dropped("VersioningConfiguration", old, new)):
        _put(calls, name, "versioning", _document("VersioningConfiguration", Status="Suspended"))


def delete(calls: Calls, name: str) -> None:
    """As on AWS, a bucket with anything in it stays: ``ValueError`` ends in DELETE_FAILED."""
    calls.http("s3", "DELETE", f"/{name}", accept=(404,))


def _put(calls: Calls, name: str, subresource: str, document: str) -> None:
    body = document.encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    calls.http(
        "s3",
        "PUT",
        f"/{name}",
        query=f"{subresource}=",
        headers={"content-md5": digest, "content-type": "application/xml"},
        body=body,
    )


def _element(tag: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return f"<{tag}>{''.join(_element(k, v) for k, v in value.items())}</{tag}>"
    if isinstance(value, list):
        return "".join(_element(tag, one) for one in value)
    if isinstance(value, bool):
        return f"<{tag}>{str(value).lower()}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"


def _document(root: str, **content: object) -> str:
    inside = "".join(_element(tag, value) for tag, value in content.items())
    return f'<{root} xmlns="{_NAMESPACE}">{inside}</{root}>'


def _encryption(given: Properties) -> str:
    rules = []
    for rule in given.get("ServerSideEncryptionConfiguration") or []:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": default.get("SSEAlgorithm"),
                    "KMSMasterKeyID": default.get("KMSMasterKeyID"),
                },
                "BucketKeyEnabled": truth(rule.get("BucketKeyEnabled")),
            }
        )
    return _document("ServerSideEncryptionConfiguration", Rule=rules)


def _ownership(given: Properties) -> str:
    rules = [{"ObjectOwnership": rule.get("ObjectOwnership")} for rule in given.get("Rules") or []]
    return _document("OwnershipControls", Rule=rules)


def _object_lock(given: Properties) -> str:
    retention = (given.get("Rule") or {}).get("DefaultRetention")
    rule = {"DefaultRetention": _pick(retention, ("Mode", "Days", "Years"))} if retention else None
    return _document("ObjectLockConfiguration", ObjectLockEnabled="Enabled", Rule=rule)


_RULE_FIELDS = {
    "Id",
    "Status",
    "Prefix",
    "ObjectSizeGreaterThan",
    "ExpirationInDays",
    "ExpirationDate",
    "ExpiredObjectDeleteMarker",
    "Transitions",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionExpirationInDays",
    "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
}


def _lifecycle(given: Properties) -> str:
    return _document("LifecycleConfiguration", Rule=[_rule(r) for r in given.get("Rules") or []])


def _rule(given: Properties) -> dict[str, Any]:
    unknown = set(given) - _RULE_FIELDS
    if unknown:
        raise ValueError(f"the emulator knows no lifecycle property {', '.join(sorted(unknown))}")
    expiration = {
        "Days": given.get("ExpirationInDays"),
        "Date": given.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": _optional_truth(given.get("ExpiredObjectDeleteMarker")),
    }
    old_versions = given.get("NoncurrentVersionExpiration")
    if "NoncurrentVersionExpirationInDays" in given:
        old_versions = {"NoncurrentDays": given["NoncurrentVersionExpirationInDays"]}
    uploads = given.get("AbortIncompleteMultipartUpload")
    return {
        "ID": given.get("Id"),
        "Filter": _filter(given),
        "Status": given.get("Status"),
        "Expiration": expiration if any(v is not None for v in expiration.values()) else None,
        "Transition": [
            {
                "Days": one.get("TransitionInDays"),
                "Date": one.get("TransitionDate"),
                "StorageClass": one.get("StorageClass"),
            }
            for one in given.get("Transitions") or []
        ],
        "NoncurrentVersionExpiration": _pick(
            old_versions, ("NoncurrentDays", "NewerNoncurrentVersions")
        ),
        "NoncurrentVersionTransition": [
            {
                "NoncurrentDays": one.get("TransitionInDays"),
                "NewerNoncurrentVersions": one.get("NewerNoncurrentVersions"),
                "StorageClass": one.get("StorageClass"),
            }
            for one in given.get("NoncurrentVersionTransitions") or []
        ],
        "AbortIncompleteMultipartUpload": _pick(uploads, ("DaysAfterInitiation",)),
    }


def _filter(given: Properties) -> dict[str, Any]:
    found = {"Prefix": given.get("Prefix", "")}
    larger = given.get("ObjectSizeGreaterThan")
    return {"And": {**found, "ObjectSizeGreaterThan": larger}} if larger else found


def _optional_truth(value: object) -> bool | None:
    return None if value is None else truth(value)


def _pick(given: Properties | None, names: Iterable[str]) -> dict[str, Any] | None:
    return {name: given[name] for name in names if name in given} if given else None


_DOCUMENTS = {
    "BucketEncryption": _encryption,
    "LifecycleConfiguration": _lifecycle,
    "OwnershipControls": _ownership,
    "ObjectLockConfiguration": _object_lock,
}
