"""One S3 bucket, read in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.errors import NotFound

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PIECE = 64 * 1024


class S3Objects:
    """Implements ``ports.ObjectStore``."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``ports.ObjectStore.keys``."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated("s3", f"bucket {self._bucket}"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield found["Key"]

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        with translated("s3", f"s3://{self._bucket}/{key}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchKey":
                    raise
                raise NotFound(f"There is no object s3://{self._bucket}/{key}") from None
            yield from body.iter_chunks(_PIECE)
