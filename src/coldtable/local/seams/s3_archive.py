"""S3's archive classes: a retrieval takes its hours, a listing tells it, lifecycle rules move.

ministack refuses to read what is in GLACIER or DEEP_ARCHIVE and makes a copy within two seconds,
whatever the tier; it keeps transitions and carries none out, and leaves RestoreStatus out of
listings. Here the clock is moved, so that everything takes what AWS says it typically takes at
most. [docs: RestoreObject; S3, archive retrieval options; S3, lifecycle transitions; MODEL]

What INTELLIGENT_TIERING archives by itself is not here.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]

_HOUR = 3600.0
_SECONDS = {
    ("GLACIER", "Bulk"): 12 * _HOUR,
    ("GLACIER", "Standard"): 5 * _HOUR,
    ("GLACIER", "Expedited"): 300.0,
    ("DEEP_ARCHIVE", "Bulk"): 48 * _HOUR,
    ("DEEP_ARCHIVE", "Standard"): 12 * _HOUR,
}
_TIER = re.compile(rb"<(?:\w+:)?Tier>\s*(\w+)\s*</")
_OPTIONAL = "x-amz-optional-object-attributes"
_DAY = timedelta(days=1)
# A lifecycle rule moves no object of at most 128 KB, unless it says otherwise [docs: S3, lifecycle
# transitions].
_LEAST = 128 * 1024
# From the warmest to the coldest: a rule moves no object back.
_ORDER = (
    "STANDARD",
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)

_turn = threading.RLock()
# When the rules of a bucket were last carried out: account and name to seconds.
_looked: dict[tuple[str, str], float] = {}


def install() -> None:
    """Put our answers in front of ministack's."""
    s3._restore_object = _retrieving(s3._restore_object)
    s3._dispatch = _dispatching(s3._dispatch)


def _retrieving(
    original: Callable[[str, str, bytes], Answer],
) -> Callable[[str, str, bytes], Answer]:
    def restore_object(bucket_name: str, key: str, body: bytes) -> Answer:
        bucket = s3._buckets.get(bucket_name)
        kept = ((bucket or {}).get("objects", {}).get(key) or {}).get("storage_class")
        found = _TIER.search(body)
        tier = found[1].decode() if found else "Standard"
        if kept not in ("GLACIER", "DEEP_ARCHIVE"):
            return original(bucket_name, key, body)
        seconds = _SECONDS.get((kept, tier))
        if seconds is None:
            # AWS's words are UNVERIFIED.
            text = f"Retrieval option {tier} is not supported by the storage class {kept}"
            refused: Answer = s3._error("InvalidArgument", text, 400, f"/{bucket_name}/{key}")
            return refused
        with _turn:
            before, s3._RESTORE_DELAY_SECONDS = s3._RESTORE_DELAY_SECONDS, seconds
            try:
                return original(bucket_name, key, body)
            finally:
                s3._RESTORE_DELAY_SECONDS = before

    return restore_object


def _dispatching(original: Callable[..., Answer]) -> Callable[..., Answer]:
    def dispatch(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Answer:
        if bucket:
            _move(bucket)
        answer = original(method, bucket, key, headers, body, query_params)
        listed = method == "GET" and not key and "list-type" in query_params
        if listed and answer[0] == 200 and "RestoreStatus" in headers.get(_OPTIONAL, ""):
            return answer[0], answer[1], _with_status(bucket, answer[2])
        return answer

    return dispatch


def _with_status(bucket: str, body: bytes) -> bytes:
    """The listing, with the state of each copy that was asked for."""
    root = ElementTree.fromstring(body)  # noqa: S314  # ministack has just written it
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    encoded = root.findtext(f"{space}EncodingType") == "url"
    objects = s3._buckets[bucket]["objects"]
    for entry in root.findall(f"{space}Contents"):
        key = entry.findtext(f"{space}Key") or ""
        found = objects.get(unquote_plus(key) if encoded else key)
        phase = s3._sync_restore(bucket, key, found)
        if found is None or phase is None:
            continue
        status = ElementTree.SubElement(entry, f"{space}RestoreStatus")
        running = ElementTree.SubElement(status, f"{space}IsRestoreInProgress")
        running.text = "true" if phase == "in_progress" else "false"
        if phase == "restored":
            until = datetime.fromtimestamp(found["restore"]["expires_at"], UTC)
            expiry = ElementTree.SubElement(status, f"{space}RestoreExpiryDate")
            expiry.text = until.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if space:
        ElementTree.register_namespace("", space.strip("{}"))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _move(bucket_name: str) -> None:
    """Carry out the transitions that are due, at most once in an hour of the clock."""
    rules = s3._bucket_lifecycle.get(bucket_name)
    bucket = s3._buckets.get(bucket_name)
    if not isinstance(rules, list) or bucket is None:
        return
    with _turn:
        place, now = (s3.get_account_id(), bucket_name), time.time()
        if abs(now - _looked.get(place, 0.0)) < _HOUR:
            return
        _looked[place] = now
        for rule in rules:
            if rule.get("Status") != "Enabled" or not rule.get("Transitions"):
                continue
            for key, found in list(bucket["objects"].items()):
                if _is_meant(rule, key, found):
                    _transit(rule["Transitions"], found, datetime.fromtimestamp(now, UTC))


def _is_meant(rule: Mapping[str, Any], key: str, found: Mapping[str, Any]) -> bool:
    chosen = rule.get("Filter") or {}
    chosen = chosen.get("And", chosen)
    prefix = chosen.get("Prefix") or rule.get("Prefix") or ""
    return key.startswith(prefix) and found["size"] > chosen.get("ObjectSizeGreaterThan", _LEAST)


def _transit(transitions: list[dict[str, Any]], found: dict[str, Any], now: datetime) -> None:
    made = datetime.fromisoformat(found["last_modified"])
    kept = found.get("storage_class") or "STANDARD"
    for one in transitions:
        days, target = one.get("Days"), one["StorageClass"]
        if days is None or target not in _ORDER or kept not in _ORDER:
            continue
        # At the next midnight [docs: S3, lifecycle rules based on an object's age].
        due = (made + days * _DAY).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        if now >= due and _ORDER.index(target) > _ORDER.index(kept):
            kept = found["storage_class"] = target
