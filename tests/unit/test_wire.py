"""The connection that requests go out on: what it takes from a server, and what it does not."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coldtable.aws.signing import Signer
from coldtable.aws.wire import Wire
from coldtable.errors import ServiceFailed

OK = b'{"ok":true}'


def answer(body: bytes = OK, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def crc(body: bytes) -> bytes:
    return b"x-amz-crc32: %d" % zlib.crc32(body)


class Server:
    """Gives one answer after the other; each list of them is one connection's, then it closes."""

    def __init__(self, connections: list[list[bytes]], context: ssl.SSLContext | None) -> None:
        self.requests: list[bytes] = []
        self._connections = connections
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                plain, _ = self._socket.accept()
                made = (
                    self._context.wrap_socket(plain, server_side=True) if self._context else plain
                )
            except OSError:
                return
            with made:
                for one in answers:
                    self.requests.append(_request(made))
                    made.sendall(one)


def _request(made: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += made.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += made.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(*connections: list[bytes], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(list(connections), context)
    try:
        yield server
    finally:
        server.close()


def wire(server: Server, *, scheme: str = "http", ca: Path | None = None) -> Wire:
    return Wire(
        Signer(
            endpoint=f"{scheme}://127.0.0.1:{server.port}",
            region="eu-north-1",
            credentials=lambda: ReadOnlyCredentials("A", "s", None, None),
            ca_bundle=str(ca) if ca else None,
        )
    )


def test_a_connection_is_kept() -> None:
    """Several requests go over one connection, each with its own body and target."""
    with serving([answer(OK, crc(OK)), answer(b"{}")]) as server:
        one = wire(server)
        assert one.call("BatchWriteItem", b'{"a":1}') == {"ok": True}
        assert one.call("Scan", b"{}") == {}
    first, second = server.requests
    assert first.startswith(b"POST / HTTP/1.1\r\n")
    assert b"x-amz-target: DynamoDB_20120810.BatchWriteItem\r\n" in first
    assert first.endswith(b'\r\n\r\n{"a":1}')
    assert b"x-amz-target: DynamoDB_20120810.Scan\r\n" in second


@pytest.mark.parametrize(
    "spelled",
    [
        answer(OK, b"Connection: close"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n"
        + OK[:5] + b"\r\n6\r\n" + OK[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.0 200 OK\nContent-Length:11\n\n" + OK,
    ],
)  # fmt: skip
def test_ways_to_spell_an_answer(spelled: bytes) -> None:
    """Chunks, other line ends, an interim answer, and the end of a connection are understood."""
    with serving([spelled], [answer()]) as server:
        one = wire(server)
        assert one.call("Scan", b"{}") == {"ok": True}
        assert one.call("Scan", b"{}") == {"ok": True}


def test_a_connection_that_was_idle_is_made_again() -> None:
    """The server closed it meanwhile: the request goes out again on a new one."""
    with serving([answer()], [answer()]) as server:
        one = wire(server)
        assert one.call("Scan", b"{}") == {"ok": True}
        assert one.call("Scan", b"{}") == {"ok": True}
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [
        answer(OK, b"x-amz-crc32: 1"),
        answer()[:-3],
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"SMTP ready\r\n",
        b"",
        answer(b"<html>"),
        answer(b"<html>", status=b"502 Bad Gateway"),
    ],
)
def test_answers_that_are_none(broken: bytes) -> None:
    """A wrong checksum, a cut answer or something else than JSON is ServiceFailed; it can be
    tried again, and then it is on a new connection."""
    with serving([broken], [answer()]) as server:
        one = wire(server)
        with pytest.raises(ServiceFailed, match="Scan"):
            one.call("Scan", b"{}")
        assert one.call("Scan", b"{}") == {"ok": True}


def test_nobody_there() -> None:
    """A server that is not there is ServiceFailed."""
    with serving() as server:
        one = wire(server)
    with pytest.raises(ServiceFailed, match=r"127\.0\.0\.1"):
        one.call("Scan", b"{}")


def test_a_refusal_is_the_sdk_s() -> None:
    """AWS's refusals come as botocore's errors, so that they are translated as all others."""
    told = {"__type": "com.amazonaws.dynamodb.v20120810#ResourceInUseException", "message": "no"}
    body = json.dumps(told).encode()
    with (
        serving([answer(body, status=b"400 Bad Request")]) as server,
        pytest.raises(ClientError) as caught,
    ):
        wire(server).call("Scan", b"{}")
    assert caught.value.response["Error"] == {"Code": "ResourceInUseException", "Message": "no"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_threads_have_connections_of_their_own() -> None:
    """Two threads do not share one."""
    with serving([answer()], [answer()]) as server:
        one = wire(server)
        threads = [threading.Thread(target=one.call, args=("Scan", b"{}")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert len(server.requests) == 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody else knows, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(private + public)
    (folder / "ca.pem").write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return folder / "ca.pem", context


def test_tls(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """An https endpoint is spoken to over TLS, if its certificate is one of the CA bundle's."""
    bundle, context = certificate
    with serving([answer(), answer()], context=context) as server:
        one = wire(server, scheme="https", ca=bundle)
        assert one.call("Scan", b"{}") == {"ok": True}
        assert one.call("Scan", b"{}") == {"ok": True}
    with (
        serving([answer()], context=context) as server,
        pytest.raises(ServiceFailed, match="certificate"),
    ):
        wire(server, scheme="https").call("Scan", b"{}")


def test_a_proxy_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HTTP_PROXY the connection is a tunnel by way of the proxy."""
    with serving([b"HTTP/1.1 200 OK\r\n\r\n", answer()]) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("no_proxy", "")
        signer = Signer(
            endpoint="http://dynamodb.invalid:8000",
            region="eu-north-1",
            credentials=lambda: ReadOnlyCredentials("A", "s", None, None),
        )
        assert Wire(signer).call("Scan", b"{}") == {"ok": True}
    tunnel, request = server.requests
    assert tunnel.startswith(b"CONNECT dynamodb.invalid:8000 ")
    assert b"host: dynamodb.invalid:8000\r\n" in request
