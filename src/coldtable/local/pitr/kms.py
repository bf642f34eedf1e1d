"""What S3 would say about a KMS key; the emulator's S3 never asks."""

from __future__ import annotations

import json

from ..interface import Inner, Scope
from .objects import Bucket, S3Refused


async def key_refusal(inner: Inner, scope: Scope, bucket: Bucket, key_id: str) -> S3Refused | None:
    """``KMS.NotFoundException`` when the bucket's region does not know the key [QUIRKS]."""
    if key_id == "alias/aws/s3":
        return None
    parts = key_id.split(":")
    if len(parts) > 4 and parts[0] == "arn" and parts[3] != await _region(bucket, scope):
        return S3Refused("KMS.NotFoundException", f"Invalid arn {parts[3]}", 400)
    reply = await inner.call(
        scope,
        "kms",
        "POST",
        "/",
        headers={
            "x-amz-target": "TrentService.DescribeKey",
            "content-type": "application/x-amz-json-1.1",
        },
        body=json.dumps({"KeyId": key_id}).encode(),
    )
    if reply.status < 300:
        return None
    return S3Refused("KMS.NotFoundException", f"Key '{key_id}' does not exist", 400)


async def _region(bucket: Bucket, scope: Scope) -> str:
    """The bucket's region: GetBucketLocation is empty for us-east-1."""
    body = (await bucket.request("GET", "", query="location=")).body
    text = body.decode()
    start = text.find(">", text.find("<LocationConstraint")) + 1
    inside = text[start : text.find("<", start)].strip() if start else ""
    return inside or "us-east-1" if start else scope.region
