"""DynamoDB's own protocol, spoken directly: for bodies that are bytes already.

An export's items *are* the JSON of a request, so that a request's body is spliced from them. The
SDK would parse each item into Python values and write it out again, and it would encode binary a
second time. That is most of what a restore costs the client (measured,
``bench/restore_write.py``). The SDK still gives the credentials, the region, the endpoint and the
CA bundle; to try again is up to the caller.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from botocore.exceptions import ClientError

from coldtable.aws.connection import Connection
from coldtable.aws.signing import Signer
from coldtable.errors import ServiceFailed

# What a connection says when the other side closed it while it was idle.
_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Wire:
    """Signed requests to DynamoDB over kept connections, one for each thread that calls."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._path = signer.path
        self._own = threading.local()

    def call(self, operation: str, body: bytes) -> dict[str, Any]:
        """The answer. Raises botocore's ``ClientError`` if AWS refuses, ``ServiceFailed`` if it
        does not answer, or not in JSON."""
        head = self._signer.headers(operation, body, time.time())
        try:
            status, answer = self._sent(head, body)
            found: dict[str, Any] = json.loads(answer or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._close()
            raise ServiceFailed(
                f"dynamodb {operation} failed at {self._signer.endpoint}: "
                f"{error or type(error).__name__}",
                hint="Check the network, the region and --endpoint-url, and try again",
            ) from error
        if status >= 300:
            raise _refused(operation, status, found)
        return found

    def _sent(self, head: dict[str, str], body: bytes) -> tuple[int, bytes]:
        kept: Connection | None = getattr(self._own, "connection", None)
        if kept is not None and not kept.closed:
            try:
                return kept.post(self._path, head, body)
            except _GONE:
                kept.close()
        signer = self._signer
        made = self._own.connection = Connection(signer.endpoint, signer.ca_bundle)
        return made.post(self._path, head, body)

    def _close(self) -> None:
        kept: Connection | None = getattr(self._own, "connection", None)
        if kept is not None:
            kept.close()


def _refused(operation: str, status: int, found: dict[str, Any]) -> ClientError:
    code = str(found.get("__type") or status).rsplit("#", 1)[-1]
    text = str(found.get("message") or found.get("Message") or "")
    return ClientError(
        {
            "Error": {"Code": code, "Message": text},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )
