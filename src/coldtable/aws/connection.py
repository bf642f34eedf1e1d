"""HTTP/1.1 over one kept connection, as little of it as DynamoDB needs.

``http.client`` opens the connection, with TLS and by way of a proxy. What it does for each request
after that is most of what a request costs (measured, ``bench/restore_write.py``), because it reads
headers as those of mail.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import IO
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_TIMEOUT = 30.0
_LONGEST_LINE = 65_536


class Connection:
    """A connection to ``endpoint``; not for several threads at once."""

    def __init__(self, endpoint: str, ca_bundle: str | None) -> None:
        made = _opened(endpoint, ca_bundle)
        made.connect()
        self._made = made
        self._socket = made.sock
        self._answers: IO[bytes] = made.sock.makefile("rb")

    def post(self, path: str, head: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises ``OSError`` and ``HTTPException``."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        start = f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        self._socket.sendall(start.encode("latin-1") + body)
        status, fields = self._head()
        while status == 100:
            status, fields = self._head()
        answer = self._body(fields)
        if fields.get(b"connection", b"").lower() == b"close":
            self.close()
        stated = fields.get(b"x-amz-crc32")
        if stated is not None and int(stated) != zlib.crc32(answer):
            raise http.client.HTTPException("the answer does not match its checksum")
        return status, answer

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._answers.closed

    def close(self) -> None:
        """End it."""
        for one in (self._answers, self._made):
            with suppress(OSError):
                one.close()

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        first = self._line()
        if not first:
            raise http.client.RemoteDisconnected("the connection was closed without an answer")
        parts = first.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise http.client.BadStatusLine(repr(first[:80]))
        fields: dict[bytes, bytes] = {}
        while (line := self._line()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        return int(parts[1]), fields

    def _body(self, fields: Mapping[bytes, bytes]) -> bytes:
        length = fields.get(b"content-length")
        if length is not None:
            return self._exactly(int(length))
        if fields.get(b"transfer-encoding", b"").lower() != b"chunked":
            raise http.client.HTTPException("the answer does not say how long it is")
        pieces = []
        while size := int(self._line().split(b";")[0], 16):
            pieces.append(self._exactly(size))
            self._line()
        while self._line() not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(pieces)

    def _line(self) -> bytes:
        line = self._answers.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise http.client.LineTooLong("header")
        return line

    def _exactly(self, size: int) -> bytes:
        found = self._answers.read(size)
        if len(found) < size:
            raise http.client.IncompleteRead(found, size - len(found))
        return found


def _opened(endpoint: str, ca_bundle: str | None) -> http.client.HTTPConnection:
    """To the endpoint, by way of the proxy that the environment names for such addresses."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    proxy = None if proxy_bypass(host) else getproxies().get(url.scheme)
    through = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else url
    at = through.hostname or "", through.port
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=ca_bundle)
        made: http.client.HTTPConnection = http.client.HTTPSConnection(
            *at, timeout=_TIMEOUT, context=context
        )
    else:
        made = http.client.HTTPConnection(*at, timeout=_TIMEOUT)
    if proxy:
        made.set_tunnel(host, url.port)
    return made
