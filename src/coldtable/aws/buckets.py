"""S3 buckets, as far as deploying needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CreateBucketRequestTypeDef

    class Owner(TypedDict, total=False):
        """The part of a request that names the account that must own the bucket."""

        ExpectedBucketOwner: str


class S3Buckets:
    """Implements ``ports.Buckets``."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def exists(self, bucket: str, *, owner: str | None = None) -> bool:
        """See ``ports.Buckets.exists``."""
        with translated("s3", f"bucket {bucket}"):
            try:
                self._client.head_bucket(Bucket=bucket, **_owner(owner))
            except ClientError as error:
                if _is_absent(error):
                    return False
                raise
        return True

    def create(self, bucket: str) -> None:
        """See ``ports.Buckets.create``. Private and encrypted is S3's default, and said anyway."""
        region = self._client.meta.region_name
        request: CreateBucketRequestTypeDef = {"Bucket": bucket}
        if region != "us-east-1":
            request["CreateBucketConfiguration"] = {"LocationConstraint": region}  # type: ignore[typeddict-item]
        with translated("s3", f"bucket {bucket}"):
            self._client.create_bucket(**request)
            self._client.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )
            self._client.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )

    def delete(self, bucket: str) -> None:
        """See ``ports.Buckets.delete``."""
        with translated("s3", f"bucket {bucket}"):
            self._client.delete_bucket(Bucket=bucket)

    def has(self, bucket: str, key: str, *, owner: str | None = None) -> bool:
        """See ``ports.Buckets.has``."""
        with translated("s3", f"s3://{bucket}/{key}"):
            try:
                self._client.head_object(Bucket=bucket, Key=key, **_owner(owner))
            except ClientError as error:
                if _is_absent(error):
                    return False
                raise
        return True

    def put(self, bucket: str, key: str, body: bytes, *, owner: str | None = None) -> None:
        """See ``ports.Buckets.put``."""
        with translated("s3", f"s3://{bucket}/{key}"):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, **_owner(owner))

    def keys(self, bucket: str, prefix: str = "") -> tuple[str, ...]:
        """See ``ports.Buckets.keys``."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated("s3", f"bucket {bucket}"):
            return tuple(
                found["Key"]
                for page in pages.paginate(Bucket=bucket, Prefix=prefix)
                for found in page.get("Contents", [])
            )

    def remove(self, bucket: str, key: str) -> None:
        """See ``ports.Buckets.remove``."""
        with translated("s3", f"s3://{bucket}/{key}"):
            self._client.delete_object(Bucket=bucket, Key=key)


def _owner(owner: str | None) -> Owner:
    return {"ExpectedBucketOwner": owner} if owner else {}


def _is_absent(error: ClientError) -> bool:
    """HEAD has no body, so S3 has only the status code to say it with."""
    return error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NoSuchKey", "NotFound")
