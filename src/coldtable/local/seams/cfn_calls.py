"""Public API calls from a provisioner's thread, as the account's root."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from ..interface import Inner, Reply, Scope

_SECONDS = 60


class Calls:
    """Every call waits for its answer and raises ``ValueError`` when AWS refuses.

    The text of the error is what CloudFormation shows as the resource's status reason.
    """

    def __init__(self, inner: Inner, loop: asyncio.AbstractEventLoop, scope: Scope) -> None:
        self._inner = inner
        self._loop = loop
        self.scope = scope

    def dynamodb(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        reply = self.http(
            "dynamodb",
            "POST",
            "/",
            headers={
                "x-amz-target": f"DynamoDB_20120810.{operation}",
                "content-type": "application/x-amz-json-1.0",
            },
            body=json.dumps(request).encode(),
        )
        answer: dict[str, Any] = json.loads(reply.body or b"{}")
        return answer

    def http(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        accept: tuple[int, ...] = (),
    ) -> Reply:
        """``accept`` are statuses of 300 and more that are no error here."""
        call = self._inner.call(
            self.scope, service, method, path, query=query, headers=headers, body=body
        )
        reply = asyncio.run_coroutine_threadsafe(call, self._loop).result(_SECONDS)
        if reply.status >= 300 and reply.status not in accept:
            text = reply.body.decode(errors="replace")
            raise ValueError(f"{_message(text)} (Service: {service}, Status Code: {reply.status})")
        return reply


def _message(text: str) -> str:
    """The message inside a JSON or XML error; the text itself when there is none."""
    try:
        answer = json.loads(text)
        return str(answer.get("message") or answer.get("Message") or text)
    except (ValueError, AttributeError):
        start, end = text.find("<Message>"), text.find("</Message>")
        return text[start + 9 : end] if 0 <= start < end else text


def truth(value: object) -> bool:
    """A template's boolean, which may be a string."""
    return value in (True, "true", "True")


def dropped(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an update takes the property away."""
    return name in old and name not in new
