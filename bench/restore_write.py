"""What writing an archive into a table costs the client: items a second of its processor time.

The same data files are written to a server on loopback that answers at once and keeps nothing, so
that only the client is measured. Ours is the whole way from the gzip file on a disk, its checksum
and its lines to acknowledged requests; the others get the same lines: boto3's ``batch_writer``, as
most scripts use it; boto3's client with DynamoDB's JSON, as the more careful ones do; and
dynamodump, which pins another boto3 and so needs a place of its own (``make bench`` makes it):

    python bench/restore_write.py [seconds] [/some/where/bin/dynamodump]

AWS answers later, and then more requests are out at a time, in threads: "after 5 ms" is ours
against a server that answers so. Read the ratios; the absolutes are this machine's.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config

from coldtable.aws.session import AwsSession
from coldtable.aws.table_writer import DynamoDbWriter
from coldtable.aws.wire import Wire
from coldtable.core.manifest import DataFile, md5_of
from coldtable.files import FileObjects
from coldtable.ops.load import Reached, load
from coldtable.ops.proof import read_items
from coldtable.ops.restore import THREADS
from coldtable.ops.send import Sender

TABLE, REGION, FILES = "bench", "us-east-1", 8
KEYS = {"access_key": "AKIDEXAMPLE", "secret_key": "secret"}
# Items of a corpus, and of those how many the slow ways write.
SIZES = {"small": (120_000, 10_000), "medium": (60_000, 4_000), "large": (6_000, 500)}
SIZES["std"] = (100_000, 10_000)
WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed eiusmod tempor".split()  # noqa: SIM905


def item(corpus: str, number: int) -> dict[str, Any]:
    """About 180 bytes, 1 kB or 20 kB of JSON; ``std`` is a single-table design of 340 bytes."""
    chance = random.Random(number)  # noqa: S311
    key = {"pk": {"S": f"CUSTOMER#{number // 7:09d}"}, "sk": {"S": f"KIND#{number:010d}"}}
    text = " ".join(chance.choices(WORDS, k=8))
    if corpus == "small":
        return {**key, "n": {"N": str(number)}, "text": {"S": text[:60]}, "on": {"BOOL": True}}
    digest = base64.b64encode(chance.randbytes(24)).decode()
    line = {"M": {"sku": {"S": f"SKU-{number}"}, "count": {"N": "3"}, "price": {"N": "12.50"}}}
    rest = {
        "email": {"S": f"user{number}@example.com"},
        "total": {"N": f"{number}.25"},
        "tags": {"SS": ["one", "two"]},
        "digest": {"B": digest},
        "note": {"S": text},
        "lines": {"L": [line]},
    }
    if corpus == "std":
        return {**key, **dict(chance.sample(sorted(rest.items()), 4))}
    if corpus == "medium":
        return {**key, **rest, "lines": {"L": [line] * 6}, "more": {"S": text * 4}}
    return {**key, **rest, "lines": {"L": [line] * 60}, "body": {"S": text * 280}}


def write_files(folder: Path, corpus: str) -> tuple[DataFile, ...]:
    """The corpus as data files of a full export."""
    count = SIZES[corpus][0] // FILES
    files = []
    for number in range(FILES):
        rows = (item(corpus, n) for n in range(number * count, (number + 1) * count))
        lines = (json.dumps({"Item": row}, separators=(",", ":")) + "\n" for row in rows)
        body = gzip.compress("".join(lines).encode())
        name = f"{corpus}/{number}.json.gz"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(body)
        files.append(DataFile(key=name, items=count, md5=md5_of(body)))
    return tuple(files)


# The ways


def ours(folder: Path, files: tuple[DataFile, ...], url: str) -> int:
    """``coldtable restore --way write`` from the reading of files on."""
    session = AwsSession(endpoint_url=url, region=REGION, **KEYS)  # type: ignore[arg-type]
    stop, store = Event(), FileObjects(folder)
    sender = Sender(
        DynamoDbWriter(Wire(session.signer("dynamodb"))),
        TABLE,
        pause=lambda seconds: not stop.wait(seconds),
    )
    load(
        files,
        lambda file: read_items(file, store),
        sender,
        stop,
        threads=THREADS,
        reached=Reached(),
        save=lambda _: None,
        tell=lambda: None,
    )
    return sender.tally.written


def batch_writer(lines: list[bytes], url: str) -> int:
    """boto3's resource, with items as Python values."""
    table = _boto("resource", url).Table(TABLE)
    read: Callable[[Any], Any] = TypeDeserializer().deserialize
    with table.batch_writer() as writer:
        for line in lines:
            row = json.loads(line)["Item"]
            item = {name: _decoded(value) for name, value in row.items()}
            writer.put_item(Item={name: read(value) for name, value in item.items()})
    return len(lines)


def client(lines: list[bytes], url: str) -> int:
    """boto3's client, with DynamoDB's own JSON and binary decoded."""
    dynamodb = _boto("client", url)
    for start in range(0, len(lines), 25):
        rows = [json.loads(line)["Item"] for line in lines[start : start + 25]]
        items = [{name: _decoded(value) for name, value in row.items()} for row in rows]
        left = {TABLE: [{"PutRequest": {"Item": one}} for one in items]}
        while left:
            left = dynamodb.batch_write_item(RequestItems=left).get("UnprocessedItems") or {}
    return len(lines)


def _boto(kind: str, url: str) -> Any:
    return getattr(boto3, kind)(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def _decoded(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, held),) = value.items()
    match kind:
        case "B":
            return {kind: base64.b64decode(held)}
        case "L":
            return {kind: [_decoded(one) for one in held]}
        case "M":
            return {kind: {name: _decoded(one) for name, one in held.items()}}
    return value


def dynamodump(program: str, lines: list[bytes], url: str) -> float:
    """Seconds of processor time that dynamodump takes for them, without those of its start."""
    spent = []
    for rows in ([], lines):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "dump" / TABLE / "data"
            data.mkdir(parents=True)
            items = [json.loads(line)["Item"] for line in rows]
            (data / "0001.json").write_text(json.dumps({"Items": items}))
            units = {"ReadCapacityUnits": 25, "WriteCapacityUnits": 25}
            schema = {"AttributeDefinitions": [], "KeySchema": [], "ProvisionedThroughput": units}
            (data.parent / "schema.json").write_text(json.dumps({"Table": schema}))
            host, port = url.removeprefix("http://").split(":")
            words = [program, "-m", "restore", "-r", "local", "-s", TABLE, "-d", TABLE]
            words += ["--host", host, "--port", port.rstrip("/"), "--accessKey", "a"]
            words += ["--secretKey", "b", "--dataOnly", "--skipThroughputUpdate"]
            words += ["--log", "ERROR"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(words, cwd=folder, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return spent[1] - spent[0]


# The measurement


def rate(way: Callable[[], int]) -> float:
    """Items a second of this process's processor time."""
    began = time.process_time()
    count = way()
    return count / (time.process_time() - began)


def compare(
    folder: Path, corpus: str, url: str, late: str, program: str | None, seconds: float
) -> None:
    files = write_files(folder, corpus)
    lines = list(read_items(files[0], FileObjects(folder)))
    fewer = (lines * (SIZES[corpus][1] // len(lines) + 1))[: SIZES[corpus][1]]
    ways: dict[str, Callable[[], float]] = {
        "coldtable": lambda: rate(lambda: ours(folder, files, url)),
        "after 5 ms": lambda: rate(lambda: ours(folder, files, late)),
        "batch_writer": lambda: rate(lambda: batch_writer(fewer, url)),
        "boto3 client": lambda: rate(lambda: client(fewer, url)),
    }
    if program:
        ways["dynamodump"] = lambda: len(fewer) / dynamodump(program, fewer, url)
    best = dict.fromkeys(ways, 0.0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or not all(best.values()):
        for name, measure in ways.items():
            best[name] = max(best[name], measure())
    mine = best["coldtable"]
    for name, found in best.items():
        print(
            f"{corpus:<7} {len(lines[0]):>6} bytes  {name:<13} {found:>9,.0f} items/s"
            f"  {mine / found:>6.1f}"
        )


# The server that keeps nothing

_UNITS = {"CapacityUnits": 25.0, "TableName": TABLE}


def _answer(fields: dict[str, Any]) -> bytes:
    body = json.dumps(fields).encode()
    head = (
        b"HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        b"Content-Length: %d\r\nConnection: keep-alive\r\nx-amzn-RequestId: %s\r\n"
        b"x-amz-crc32: %d\r\nDate: Wed, 14 Jan 2026 12:00:00 GMT\r\n\r\n"
    )
    return head % (len(body), b"A" * 52, zlib.crc32(body)) + body


_WRITTEN = _answer({"UnprocessedItems": {}, "ConsumedCapacity": [_UNITS]})
# dynamodump waits for the table.
_DESCRIBED = _answer({"Table": {"TableStatus": "ACTIVE"}})


class _Null(asyncio.Protocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = bytearray()
        self._wanted = 0
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._data:
            if not self._wanted:
                end = self._data.find(b"\r\n\r\n")
                if end < 0:
                    return
                head = bytes(self._data[:end]).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                self._wanted = end + 4 + int(length or 0)
                self._answer = _WRITTEN if b"batchwriteitem" in head else _DESCRIBED
                if b"expect: 100" in head:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self._data) < self._wanted:
                return
            del self._data[: self._wanted]
            self._wanted = 0
            if self._delay:
                loop = asyncio.get_running_loop()
                loop.call_later(self._delay, self._transport.write, self._answer)
            else:
                self._transport.write(self._answer)


async def _serve(delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Null(delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(delay: float = 0.0) -> Iterator[str]:
    """The server as a process of its own, so that its work is not ours; ``delay`` in seconds."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(delay)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--serve"]:
        asyncio.run(_serve(float(arguments[1])))
        return
    seconds = float(arguments[0]) if arguments else 10.0
    # Its own folder is another one.
    program = str(Path(arguments[1]).absolute()) if arguments[1:] else None
    os.environ.pop("HTTP_PROXY", None)
    print(f"{'corpus':<7} {'item':>6}        {'way':<13} {'of client CPU':>17}  {'ours is':>6}")
    with serving() as url, serving(0.005) as late, tempfile.TemporaryDirectory() as folder:
        for corpus in SIZES:
            compare(Path(folder), corpus, url, late, program, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
