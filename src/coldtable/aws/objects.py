"""One S3 bucket: listed, read in a stream, written with conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from urllib3.exceptions import ProtocolError

from coldtable.aws.errors import from_client_error, translated
from coldtable.errors import AccessDenied, Archived, ColdtableError, Conflict, NotFound, archived
from coldtable.ports import STANDARD, Entry

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef, GetObjectOutputTypeDef

    from coldtable.aws.buckets import Owner

_PIECE = 256 * 1024
# S3 takes parts of 5 MiB to 5 GiB, and 10,000 of them: this is enough for objects of 80 GB.
_PART = 8 * 1024 * 1024
# How often a read goes on after it broke off without a byte more.
_AGAIN = 4
_BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
# The most that DeleteObjects takes [MODEL].
_DELETED_AT_ONCE = 1000
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
        with self._asking():
            for page in pages.paginate(
                Bucket=self._bucket,
                Prefix=prefix,
                **self._owner,
                **start,  # type: ignore[arg-type]
            ):
                for found in page.get("Contents", []):
                    storage = found.get("StorageClass", STANDARD)
                    yield Entry(found["Key"], found["Size"], storage)

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``.

        The SDK tries a request again, but not what breaks off in the middle of an answer: that is
        gone on with from there, if the object is still the same.
        """
        with self._asking(key):
            found, done, broken = self._get(key), 0, 0
            while True:
                try:
                    for piece in found["Body"].iter_chunks(_PIECE):
                        done, broken = done + len(piece), 0
                        yield piece
                    return
                except _BROKEN:
                    broken += 1
                    if broken > _AGAIN:
                        raise
                found = self._get(key, Range=f"bytes={done}-", IfMatch=found["ETag"])

    def _get(self, key: str, **more: str) -> GetObjectOutputTypeDef:
        for _ in range(_AGAIN):
            try:
                return self._ask_for(key, **more)
            except ProtocolError:
                # The answer was an error, and broke off: that the SDK does not try again.
                continue
        return self._ask_for(key, **more)

    def _ask_for(self, key: str, **more: str) -> GetObjectOutputTypeDef:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key, **self._owner, **more)  # type: ignore[arg-type]
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchKey":
                    raise NotFound(f"There is no object s3://{self._bucket}/{key}") from None
                case "InvalidObjectState":
                    raise self._archived(key, error) from None
            raise

    def _archived(self, key: str, error: ClientError) -> Archived:
        """S3 tells the class, and of INTELLIGENT_TIERING the tier [MODEL: InvalidObjectState]."""
        told = error.response
        kept = str(told.get("AccessTier") or told.get("StorageClass") or "an archive class")
        return archived(f"s3://{self._bucket}/{key}", kept)

    def put(self, key: str, body: bytes) -> None:
        """See ``ports.ObjectStore.put``."""
        with self._asking(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **self._owner)

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``.

        S3 answers 412 if the object is there, and 409 if another conditional write of it is under
        way: then the other one's success is not certain yet, so we ask again.
        """
        for _ in range(_CONTESTS):
            with self._asking(key):
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

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        """See ``ports.ObjectStore.put_stream``.

        A multipart upload, but for what fits into one part. A process that is killed leaves parts
        behind that nobody sees and S3 charges for: a lifecycle rule of the bucket removes them.
        """
        parts = _parts(pieces)
        first = next(parts)
        if len(first) < _PART:
            with self._asking(key):
                put = self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=first, **self._owner
                )
            return put["ETag"].strip('"')
        with self._asking(key):
            upload = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, **self._owner
            )["UploadId"]
        try:
            return self._upload(key, upload, first, parts)
        except BaseException:
            # Whatever went wrong is told; that the parts could not be removed is not.
            with suppress(ColdtableError), self._asking(key):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, **self._owner
                )
            raise

    def remove(self, key: str) -> None:
        """See ``ports.ObjectStore.remove``."""
        with self._asking(key):
            self._client.delete_object(Bucket=self._bucket, Key=key, **self._owner)

    def remove_many(self, keys: Iterable[str]) -> Mapping[str, ColdtableError]:
        """See ``ports.ObjectStore.remove_many``. S3 answers for each key by itself."""
        refused: dict[str, ColdtableError] = {}
        waiting = iter(keys)
        while batch := list(islice(waiting, _DELETED_AT_ONCE)):
            with self._asking():
                answer = self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                    **self._owner,
                )
            for told in answer.get("Errors", []):
                error = {"Code": told.get("Code", ""), "Message": told.get("Message", "")}
                refused[told["Key"]] = from_client_error(
                    ClientError({"Error": error}, "DeleteObjects"),  # type: ignore[typeddict-item]
                    "s3",
                    f"s3://{self._bucket}/{told['Key']}",
                )
        return refused

    def _upload(self, key: str, upload: str, first: bytes, rest: Iterator[bytes]) -> str:
        done: list[CompletedPartTypeDef] = []
        for number, body in enumerate(chain([first], rest), 1):
            # Not around the loop: errors of the pieces are not S3's.
            with self._asking(key):
                part = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=body,
                    **self._owner,
                )
            # A checksum that the SDK sent with a part has to be told again at the end.
            sums = {name: part[name] for name in part if name.startswith("Checksum")}  # type: ignore[literal-required]
            done.append({"PartNumber": number, "ETag": part["ETag"], **sums})  # type: ignore[typeddict-item]
        with self._asking(key):
            made = self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": done},
                **self._owner,
            )
        return made["ETag"].strip('"')

    @contextmanager
    def _asking(self, key: str | None = None) -> Iterator[None]:
        """S3's errors as ours. A foreign bucket's refusals have more than one possible cause."""
        subject = f"bucket {self._bucket}" if key is None else f"s3://{self._bucket}/{key}"
        owner = self._owner.get("ExpectedBucketOwner")
        try:
            with translated("s3", f"{subject} of account {owner}" if owner else subject):
                yield
        except AccessDenied as refused:
            if not owner:
                raise
            raise AccessDenied(
                refused.message,
                action=refused.action,
                hint=f"The bucket must belong to account {owner}, and its policy must allow it "
                "as well as the caller's own: coldtable policy bucket; coldtable policy lambda",
            ) from refused.__cause__


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in parts of equal size, but for the last; at least one."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= _PART:
            yield bytes(held[:_PART])
            del held[:_PART]
    yield bytes(held)
