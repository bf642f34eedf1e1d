"""The ASGI front: control calls are ours, everything else is ministack's."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from .control import Control

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_PREFIX = "/_coldtable/"
_THEIR_RESET = "/_ministack/reset"


class Door:
    """Routes ``/_coldtable/...`` to ``Control`` and tells when the application is up."""

    def __init__(
        self,
        inside: Application,
        control: Control,
        port: int,
        started: Callable[[], Awaitable[None]],
        stopping: Callable[[], Awaitable[None]],
    ) -> None:
        self._inside = inside
        self._control = control
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._started = started
        self._stopping = stopping

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith((_PREFIX, _THEIR_RESET)):
            await self._answer(scope, receive, send)
        else:
            await self._inside(scope, receive, send)

    async def _lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._stopping()
            return message

        async def say(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                await self._started()

        await self._inside(scope, heard, say)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if headers.get("host", "") not in self._hosts:
            # A web page could point its own name at 127.0.0.1; it cannot fake this header.
            status, answer = 403, {"message": "the control endpoint answers to 127.0.0.1 only"}
        else:
            # ministack's own reset would leave our history behind.
            path = scope["path"].removeprefix("/_ministack/").removeprefix(_PREFIX)
            status, answer = await self._control.answer(scope["method"], path, body)
        await _send_json(send, status, answer)


async def _send_json(send: Send, status: int, answer: Mapping[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
