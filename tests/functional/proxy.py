"""A proxy before the embedded AWS: it writes down every call, and does harm on demand."""

from __future__ import annotations

import http.client
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What changes nothing, by operation of DynamoDB and the like, and by method of S3.
_READS = ("Describe", "List", "Get", "Scan", "Query", "BatchGet")


@dataclass
class Proxy:
    """What went through it: ``operations`` of AWS's APIs, ``GET``, ``PUT`` … of S3.

    ``harm`` gets each operation (``path`` is what it asks for) and may say what befalls it:
    ``unprocessed``, ``throttle``, ``fail``, ``lose`` (done, and the connection closed without an
    answer), ``cut`` (closed in the middle of the answer's body), ``stop`` and ``stop after``
    (before or after it is done, whoever called waits for an answer until ``go`` is set;
    ``stopped`` tells that somebody does), or nothing.
    """

    endpoint: str
    url: str = ""
    path: str = ""
    operations: list[str] = field(default_factory=list)
    harm: Callable[[str], str | None] = lambda _: None
    random: Random = field(default_factory=lambda: Random(5))
    lock: Lock = field(default_factory=Lock)
    stopped: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)

    @property
    def changes(self) -> list[str]:
        """The calls that change anything."""
        found = [o for o in self.operations if not o.startswith(_READS)]
        return [o for o in found if o not in ("GET", "HEAD")]


@contextmanager
def proxied(endpoint: str) -> Iterator[Proxy]:
    """A proxy before ``endpoint`` on a port of its own."""
    proxy = Proxy(endpoint)

    class Handler(_Handler):
        here = proxy

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    here: Proxy

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self._operation(body)
        with self.here.lock:
            self.here.operations.append(operation)
            self.here.path = self.path
            harm = self.here.harm(operation)
        match harm:
            case "throttle":
                self._answer(400, _error("ThrottlingException", "Rate exceeded"))
            case "fail":
                self._answer(500, _error("InternalServerError", "Internal server error"))
            case "unprocessed":
                kept, left = _parted(body, self.here.random)
                status, _, answer = self._forward(kept) if kept else (200, {}, b"{}")
                told = {**json.loads(answer), "UnprocessedItems": left}
                self._answer(status, json.dumps(told).encode())
            case "lose":
                self._forward(body)
                self.close_connection = True
            case "stop" | "stop after":
                if harm == "stop after":
                    self._forward(body)
                self.here.stopped.set()
                self.here.go.wait()
                self.close_connection = True
            case "cut":
                status, headers, answer = self._forward(body)
                self._answer(status, answer, headers, cut=self.here.random.randrange(len(answer)))
                self.close_connection = True
            case _:
                status, headers, answer = self._forward(body)
                self._answer(status, answer, headers)

    def _operation(self, body: bytes) -> str:
        """As a JSON API names it in a header, or a query API in the body."""
        query = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        usual = parse_qs(body.decode())["Action"][0] if query else self.command
        return self.headers.get("X-Amz-Target", usual).rsplit(".", 1)[-1]

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        at = urlsplit(self.here.endpoint)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
        headers["Content-Length"] = str(len(body))
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        given = headers or {"x-amz-crc32": str(zlib.crc32(body))}
        for name, value in given.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", given.get("content-length", "0"))
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])


_OWN = ("connection", "content-length", "transfer-encoding", "date", "server", "expect")


def _parted(body: bytes, random: Random) -> tuple[bytes, dict[str, Any]]:
    """A BatchWriteItem request with some of its items (none: empty), and those that were left."""
    request = json.loads(body)
    ((table, puts),) = request["RequestItems"].items()
    kept = [put for put in puts if random.random() < 0.6]
    left = [put for put in puts if put not in kept]
    if not kept:
        return b"", {table: left}
    request["RequestItems"] = {table: kept}
    return json.dumps(request).encode(), {table: left} if left else {}


def _error(code: str, text: str) -> bytes:
    return json.dumps(
        {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": text}
    ).encode()
