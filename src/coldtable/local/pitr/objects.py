"""S3 as exports and imports use it, signed as the caller: roles and bucket policies bite."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote
from xml.etree import ElementTree

from ..interface import Caller, Inner, Reply


class S3Refused(Exception):
    """S3 said no. ``code`` is S3's own (``NoSuchBucket``), ``message`` its text."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def failure_code(self) -> str:
        """S3NoSuchBucket, S3AccessDenied, KmsNotFoundException [QUIRKS].

        UNVERIFIED: the others, which are made in the same way.
        """
        if self.code.startswith("KMS."):
            return "Kms" + self.code.removeprefix("KMS.").removeprefix("KMS")
        return self.code if self.code.startswith("S3") else f"S3{self.code}"

    @property
    def failure_message(self) -> str:
        """The text with the SDK's tail, as DescribeExport shows it [QUIRKS]."""
        return (
            f"{self.message} (Service: Amazon S3; Status Code: {self.status}; "
            f"Error Code: {self.code}; Request ID: {secrets.token_hex(8).upper()}; "
            f"S3 Extended Request ID: {secrets.token_urlsafe(56)}; Proxy: null)"
        )


def encryption_headers(algorithm: str, key_id: str | None) -> dict[str, str]:
    """Server-side encryption of an object. KMS without a key id means S3's own key."""
    if algorithm != "KMS":
        return {"x-amz-server-side-encryption": "AES256"}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": key_id or "alias/aws/s3",
    }


class Bucket:
    """One bucket, as one caller sees it. Every method raises ``S3Refused``."""

    def __init__(
        self,
        inner: Inner,
        caller: Caller,
        name: str,
        *,
        owner: str | None = None,
        as_root: bool = False,
    ) -> None:
        self.name = name
        self._inner = inner
        self._scope = caller.scope
        self._access_key = None if as_root else caller.access_key
        self._owner = {"x-amz-expected-bucket-owner": owner} if owner else {}

    async def put(self, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """PutObject."""
        await self.request("PUT", key, headers=headers, body=body)

    async def get(self, key: str) -> bytes:
        """GetObject, whole."""
        return (await self.request("GET", key)).body

    async def delete(self, key: str) -> None:
        """DeleteObject."""
        await self.request("DELETE", key)

    async def exists(self) -> bool:
        """HeadBucket."""
        try:
            await self.request("HEAD", "")
        except S3Refused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """Keys and sizes below a string prefix (ListObjectsV2, all pages)."""
        found: list[tuple[str, int]] = []
        token = ""
        while True:
            query = f"list-type=2&prefix={quote(prefix, safe='')}"
            if token:
                query += f"&continuation-token={quote(token, safe='')}"
            root = _xml((await self.request("GET", "", query=query)).body)
            found.extend(
                (_text(entry, "Key"), int(_text(entry, "Size") or 0))
                for entry in root.findall("{*}Contents")
            )
            token = _text(root, "NextContinuationToken")
            if not token:
                return found

    async def request(
        self,
        method: str,
        key: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """One request on an object (or, with an empty key, on the bucket).

        The bucket may lie in another region [DOC-REQ]: S3 says where, and is asked there.
        """
        path = f"/{quote(self.name, safe='')}"
        if key:
            path += "/" + quote(key, safe="/~-._")
        sent = {**self._owner, **(headers or {})}
        reply = await self._ask(method, path, query, sent, body)
        region = _header(reply, "x-amz-bucket-region")
        if reply.status == 301 and region:
            self._scope = replace(self._scope, region=region)
            reply = await self._ask(method, path, query, sent, body)
        # CompleteMultipartUpload may answer 200 with an error in its body.
        if reply.status >= 300 or reply.body[:200].lstrip().startswith(b"<Error"):
            raise _refused(reply)
        return reply

    async def _ask(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        return await self._inner.call(
            self._scope,
            "s3",
            method,
            path,
            query=query,
            headers=headers,
            body=body,
            access_key=self._access_key,
        )


class Upload:
    """A multipart upload, even of twenty bytes: that is where the ``-1`` etags come from."""

    def __init__(self, bucket: Bucket, key: str, headers: Mapping[str, str]) -> None:
        self.key = key
        self._bucket = bucket
        self._headers = dict(headers)
        self._id = ""
        self._etags: list[str] = []

    async def add(self, body: bytes) -> None:
        """The next part; the first one opens the upload."""
        if not self._id:
            reply = await self._bucket.request(
                "POST", self.key, query="uploads=", headers=self._headers
            )
            self._id = _text(_xml(reply.body), "UploadId")
        query = f"partNumber={len(self._etags) + 1}&uploadId={quote(self._id, safe='')}"
        reply = await self._bucket.request("PUT", self.key, query=query, body=body)
        self._etags.append(_header(reply, "etag"))

    async def complete(self) -> str:
        """Close it; the etag that HeadObject will show, without quotes."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        reply = await self._bucket.request(
            "POST",
            self.key,
            query=f"uploadId={quote(self._id, safe='')}",
            headers={"content-type": "application/xml"},
            body=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode(),
        )
        self._id = ""
        return _text(_xml(reply.body), "ETag").strip('"')

    async def abort(self) -> None:
        """Throw the parts away; a caller that may not is left with them, as on AWS."""
        if not self._id:
            return
        query, self._id = f"uploadId={quote(self._id, safe='')}", ""
        try:
            await self._bucket.request("DELETE", self.key, query=query)
        except S3Refused:
            return


def _refused(reply: Reply) -> S3Refused:
    code, message = "", ""
    if reply.body.lstrip().startswith(b"<"):
        root = _xml(reply.body)
        code, message = _text(root, "Code"), _text(root, "Message")
    if not code:
        code = {403: "AccessDenied", 404: "NoSuchBucket"}.get(reply.status, "InternalError")
    return S3Refused(code, message or "Access Denied", reply.status)


def _xml(body: bytes) -> ElementTree.Element:
    # The emulator in this very process wrote it.
    return ElementTree.fromstring(body)  # noqa: S314


def _text(element: ElementTree.Element, name: str) -> str:
    found = element.find(f"{{*}}{name}")
    return (found.text or "") if found is not None else ""


def _header(reply: Reply, name: str) -> str:
    for key, value in reply.headers.items():
        if key.lower() == name:
            return value
    return ""
