"""What keeping history costs a writer: the embedded AWS with the journal, and without it.

Two emulators run side by side and take turns, so a busy machine slows both. One is what people
use, with PITR on; the other is the same program without the journal's seam. Throughput as a
client sees it, and the server's own processor time for the same work, which other programs on the
machine do not disturb. Read the ratios; the absolutes are this machine's.

    python bench/journal.py [rounds]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coldtable.aws.session import AwsSession

TABLE = "bench"
PUTS, BATCHES = 150, 40

WITHOUT = """
import socket, sys
from datetime import UTC, datetime
from coldtable.local.options import parse
from coldtable.local.surroundings import prepare

options = parse(sys.argv[1:], datetime.now(UTC))
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
with prepare(options, listener.getsockname()[1]) as surroundings:
    from coldtable.local.seams import dynamodb, selfcheck
    from coldtable.local.server import serve

    async def unchecked(*_, **__):
        pass

    selfcheck.probe = unchecked  # it would miss the journal, and refuse to start
    dynamodb.install = lambda past: None
    serve(options, surroundings, listener)
"""


class Emulator:
    """One child process and a client of it, with a table."""

    def __init__(self, command: list[str], *, pitr: bool) -> None:
        parent = ["--with-parent", str(os.getpid())]
        self._child = subprocess.Popen(
            [sys.executable, *command, *parent], stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        ready = json.loads(self._child.stdout.readline())
        session = AwsSession(
            region=ready["region"],
            endpoint_url=ready["endpoint"],
            access_key="test",
            secret_key="test",
        )
        self.dynamodb: Any = session.client("dynamodb")
        self.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        if pitr:
            self.dynamodb.update_continuous_backups(
                TableName=TABLE,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )

    def processor_seconds(self) -> float:
        """User and system time of the child so far."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait()


def item(number: int) -> dict[str, Any]:
    """About 500 bytes in six attributes."""
    return {
        "pk": {"S": f"user#{number:09d}"},
        "name": {"S": "x" * 120},
        "n": {"N": str(number)},
        "ok": {"BOOL": True},
        "tags": {"SS": ["red", "green"]},
        "text": {"S": "lorem ipsum " * 22},
    }


def put(dynamodb: Any, start: int) -> int:
    for number in range(start, start + PUTS):
        dynamodb.put_item(TableName=TABLE, Item=item(number))
    return PUTS


def batch(dynamodb: Any, start: int) -> int:
    for first in range(start, start + BATCHES * 25, 25):
        writes = [{"PutRequest": {"Item": item(first + n)}} for n in range(25)]
        dynamodb.batch_write_item(RequestItems={TABLE: writes})
    return BATCHES * 25


def overwrite(dynamodb: Any, start: int) -> int:
    return batch(dynamodb, start % 1)


def compare(name: str, work: Callable[[Any, int], int], pair: list[Emulator], rounds: int) -> None:
    rates: list[list[float]] = [[], []]
    spent = [0.0, 0.0]
    for round_ in range(rounds + 1):
        for side, emulator in enumerate(pair):
            before, began = emulator.processor_seconds(), time.perf_counter()
            done = work(emulator.dynamodb, (round_ + 1) * 1_000_000)
            elapsed = time.perf_counter() - began
            if round_:  # the first round warms up
                rates[side].append(done / elapsed)
                spent[side] += emulator.processor_seconds() - before
    with_, without = (statistics.median(side) for side in rates)
    print(
        f"{name:12}{with_:>14.0f}{without:>14.0f}{with_ / without:>10.3f}"
        f"{spent[0] / spent[1]:>16.3f}"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    pair = [
        Emulator(["-m", "coldtable.local"], pitr=True),
        Emulator(["-c", WITHOUT], pitr=False),
    ]
    try:
        print(f"{'':12}{'with, items/s':>14}{'without':>14}{'ratio':>10}{'processor time':>16}")
        for name, work in (("put", put), ("batch", batch), ("overwrite", overwrite)):
            compare(name, work, pair, rounds)
    finally:
        for emulator in pair:
            emulator.stop()


if __name__ == "__main__":
    main()
