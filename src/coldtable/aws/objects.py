"""One S3 bucket: listed, read in a stream, written with conditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.errors import Conflict, NotFound
from coldtable.ports import Entry

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from coldtable.aws.buckets import Owner

_PIECE = 64 * 1024
# How often a contested conditional write is tried.
_CONTESTS = 5


class S3Objects:
    """Implements ``ports.ObjectStore``."""

    def __init__(self, client: S3Client, bucket: str, *, owner: str | None = None) -> None:
        """``owner`` is the account that must own the bucket: every call says so to S3."""
        self._client = client
        self._bucket = bucket
        self._owner: Owner = {"ExpectedBucketOwner": owner} if owner else {}

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``ports.ObjectStore.keys``."""
        for entry in self.entries(prefix):
            yield entry.key

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """See ``ports.ObjectStore.entries``."""
        pages = self._client.get_paginator("list_objects_v2")
        start: dict[str, str] = {"StartAfter": after} if after else {}
        with translated("s3", f"bucket {self._bucket}"):
            for page in pages.paginate(
                Bucket=self._bucket,
                Prefix=prefix,
                **self._owner,
                **start,  # type: ignore[arg-type]
            ):
                for found in page.get("Contents", []):
                    yield Entry(found["Key"], found["Size"])

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        with translated("s3", f"s3://{self._bucket}/{key}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key, **self._owner)["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchKey":
                    raise
                raise NotFound(f"There is no object s3://{self._bucket}/{key}") from None
            yield from body.iter_chunks(_PIECE)

    def put(self, key: str, body: bytes) -> None:
        """See ``ports.ObjectStore.put``."""
        with translated("s3", f"s3://{self._bucket}/{key}"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **self._owner)

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``.

        S3 answers 412 if the object is there, and 409 if another conditional write of it is under
        way: then the other one's success is not certain yet, so we ask again.
        """
        for _ in range(_CONTESTS):
            with translated("s3", f"s3://{self._bucket}/{key}"):
                try:
                    self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*", **self._owner
                    )
                except ClientError as error:
                    match error.response["Error"]["Code"]:
                        case "PreconditionFailed" | "412":
                            return False
                        case "ConditionalRequestConflict" | "409":
                            continue
                    raise
            return True
        raise Conflict(
            f"s3://{self._bucket}/{key} is being written by somebody else",
            hint="Try again in a minute",
        )
