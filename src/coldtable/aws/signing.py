"""AWS's Signature Version 4 for one kind of request, at a tenth of the price.

botocore's own signer is general, and takes half as long as a whole small request does (measured,
``bench/restore_write.py``). What this one makes is held against botocore's by a test.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from botocore.credentials import ReadOnlyCredentials

from coldtable.errors import NoCredentials

_TYPE = "application/x-amz-json-1.0"
_TARGET = "DynamoDB_20120810."


@dataclass(kw_only=True)
class Signer:
    """Where DynamoDB is and who asks. ``credentials`` gives those of now: they may be renewed.

    ``ca_bundle`` is a file of certificates to trust.
    """

    endpoint: str
    region: str
    credentials: Callable[[], ReadOnlyCredentials | None]
    ca_bundle: str | None = None
    # In one piece, because threads read it while another one replaces it.
    _cached: tuple[str, str, bytes] = field(default=("", "", b""), repr=False)

    @cached_property
    def path(self) -> str:
        """The path of every request."""
        return urlsplit(self.endpoint).path or "/"

    @cached_property
    def host(self) -> str:
        """The Host header: without a port that is the scheme's own, as botocore signs it."""
        url = urlsplit(self.endpoint)
        standard = {"https": 443, "http": 80}.get(url.scheme)
        host = url.hostname or ""
        return host if url.port in (None, standard) else f"{host}:{url.port}"

    def headers(self, operation: str, body: bytes, now: float) -> dict[str, str]:
        """The headers of a signed request at ``now`` (seconds since the epoch)."""
        keys = self.credentials()
        if keys is None:
            raise NoCredentials(
                "There are no usable AWS credentials",
                hint="Use --profile, set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY; to check: aws sts get-caller-identity",
            )
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        head = {"content-type": _TYPE, "host": self.host, "x-amz-date": stamp}
        if keys.token:
            head["x-amz-security-token"] = keys.token
        head["x-amz-target"] = _TARGET + operation
        # Already in the order that the signature wants.
        signed = ";".join(head)
        lines = "".join(f"{name}:{value}\n" for name, value in head.items())
        digest = hashlib.sha256(body).hexdigest()
        request = f"POST\n{self.path}\n\n{lines}\n{signed}\n{digest}"
        scope = f"{stamp[:8]}/{self.region}/dynamodb/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        signature = hmac.digest(
            self._signing_key(keys.secret_key or "", scope), text.encode(), "sha256"
        )
        head["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={signed}, "
            f"Signature={signature.hex()}"
        )
        head["user-agent"] = "coldtable"
        return head

    def _signing_key(self, secret: str, scope: str) -> bytes:
        """It changes with the day and the credentials only."""
        known_secret, known_scope, key = self._cached
        if (known_secret, known_scope) != (secret, scope):
            key = f"AWS4{secret}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._cached = (secret, scope, key)
        return key
