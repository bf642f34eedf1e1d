"""What protects the objects of one S3 bucket: versions and Object Lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.ports import Lock

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from coldtable.aws.buckets import Owner


class S3Vault:
    """Implements ``ports.Vault``."""

    def __init__(self, client: S3Client, bucket: str, *, owner: str | None = None) -> None:
        """``owner`` is the account that must own the bucket."""
        self._client = client
        self._bucket = bucket
        self._owner: Owner = {"ExpectedBucketOwner": owner} if owner else {}

    def keeps_versions(self) -> bool:
        """See ``ports.Vault.keeps_versions``. Suspended versioning keeps those that there are."""
        with translated("s3", f"bucket {self._bucket}"):
            found = self._client.get_bucket_versioning(Bucket=self._bucket, **self._owner)
        return "Status" in found

    def can_lock(self) -> bool:
        """See ``ports.Vault.can_lock``."""
        with translated("s3", f"bucket {self._bucket}"):
            try:
                found = self._client.get_object_lock_configuration(
                    Bucket=self._bucket, **self._owner
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                    raise
                return False
        return found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    def lock(self, key: str) -> Lock | None:
        """See ``ports.Vault.lock``.

        HeadObject would tell both in one call, and leaves out what the caller may not know [docs:
        HeadObject]: asked for one by one, a missing right is an error.
        """
        with translated("s3", f"s3://{self._bucket}/{key}"):
            retention = self._ask("get_object_retention", "Retention", key)
            legal = self._ask("get_object_legal_hold", "LegalHold", key)
        until, held = retention.get("RetainUntilDate"), legal.get("Status") == "ON"
        if until is None and not held:
            return None
        return Lock(mode=retention.get("Mode", ""), until=until, legal_hold=held)

    def _ask(self, operation: str, part: str, key: str) -> dict[str, Any]:
        try:
            answer = getattr(self._client, operation)(Bucket=self._bucket, Key=key, **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchObjectLockConfiguration", "NoSuchKey"):
                return {}
            raise
        found: dict[str, Any] = answer[part]
        return found
