"""Archived objects of one S3 bucket: how they are kept, and how a copy is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.errors import NotFound
from coldtable.model_restore import Copy, Stored
from coldtable.ports import STANDARD

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from coldtable.aws.buckets import Owner

# An object of INTELLIGENT_TIERING moves back and has no copy: AWS refuses days for it [docs: S3,
# restoring an archived object].
_MOVES_BACK = {"ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}
# S3 has begun already, or there is nothing to bring back [MODEL].
_ALREADY = {"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"}
_EXPIRES = re.compile(r'expiry-date="([^"]+)"')


class S3Retriever:
    """Implements ``ports_restore.Retriever``."""

    def __init__(self, client: S3Client, bucket: str, *, owner: str | None = None) -> None:
        """``owner`` is the account that must own the bucket."""
        self._client = client
        self._bucket = bucket
        self._owner: Owner = {"ExpectedBucketOwner": owner} if owner else {}

    def objects(self, prefix: str) -> Iterator[Stored]:
        """See ``ports_restore.Retriever.objects``: a listing may tell it [MODEL: RestoreStatus]."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated("s3", f"bucket {self._bucket}"):
            for page in pages.paginate(
                Bucket=self._bucket,
                Prefix=prefix,
                OptionalObjectAttributes=["RestoreStatus"],
                **self._owner,
            ):
                for found in page.get("Contents", []):
                    yield Stored(
                        found["Key"],
                        found["Size"],
                        found.get("StorageClass", STANDARD),
                        _listed(found.get("RestoreStatus")),
                    )

    def look(self, key: str) -> Stored:
        """See ``ports_restore.Retriever.look``. A HeadObject works on what is archived, too."""
        with translated("s3", f"s3://{self._bucket}/{key}"):
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=key, **self._owner)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                    raise
                raise NotFound(f"There is no object s3://{self._bucket}/{key}") from None
        kept = found.get("ArchiveStatus") or found.get("StorageClass") or STANDARD
        return Stored(key, found["ContentLength"], kept, _told(found.get("Restore")))

    def retrieve(self, found: Stored, tier: str, days: int) -> None:
        """See ``ports_restore.Retriever.retrieve``."""
        request: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier}}
        if found.storage not in _MOVES_BACK:
            request["Days"] = days
        with translated("s3", f"s3://{self._bucket}/{found.key}"):
            try:
                self._client.restore_object(
                    Bucket=self._bucket,
                    Key=found.key,
                    RestoreRequest=request,  # type: ignore[arg-type]
                    **self._owner,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ALREADY:
                    raise


def _listed(status: Any) -> Copy | None:
    """RestoreStatus; S3 leaves it out of what was never asked for."""
    if not status:
        return None
    if status.get("IsRestoreInProgress"):
        return Copy()
    until: datetime | None = status.get("RestoreExpiryDate")
    return Copy(until) if until else None


def _told(header: str | None) -> Copy | None:
    """The header ``x-amz-restore``: ``ongoing-request="false", expiry-date="Fri, …"``."""
    if not header:
        return None
    if 'ongoing-request="true"' in header:
        return Copy()
    found = _EXPIRES.search(header)
    return Copy(parsedate_to_datetime(found[1]).astimezone(UTC)) if found else None
