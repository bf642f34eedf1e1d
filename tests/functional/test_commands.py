"""``coldtable demo`` and ``coldtable local`` as processes: what they print, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.functional.conftest import until

COLDTABLE = str(Path(sys.executable).parent / "coldtable")


@dataclass
class Running:
    """A command that runs until it is interrupted, and the lines that it has printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        """The ``export NAME=VALUE`` lines so far."""
        found = (re.fullmatch(r"\s*export (\w+)=(\S+)", line) for line in self.lines)
        return {match[1]: match[2] for match in found if match}

    def boto(self, service: str) -> Any:
        """A client made of nothing but the variables that were printed."""
        told = until(
            lambda: v if "AWS_DEFAULT_REGION" in (v := self.variables()) else {}, seconds=180
        )
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=told["AWS_ENDPOINT_URL"],
            region_name=told["AWS_DEFAULT_REGION"],
            aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        )

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts ``coldtable WORDS``."""
    started: list[Running] = []

    def make(*words: str) -> Running:
        # Buffered, as most people's Python is: what is not flushed would not come.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        process = subprocess.Popen(
            [COLDTABLE, *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running = Running(process)

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                running.lines.append(line.rstrip("\n"))

        threading.Thread(target=listen, daemon=True).start()
        started.append(running)
        return running

    yield make
    for running in started:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(30)


def test_a_demo_whose_schedule_may_not_invoke() -> None:
    """It ends with an error that names the missing action, and claims nothing that was not."""
    done = subprocess.run(
        [COLDTABLE, "demo", "--without", "lambda:InvokeFunction"],
        env={**os.environ, "AWS_REGION": "eu-north-1", "AWS_PROFILE": "nobody"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "not authorized to perform: lambda:InvokeFunction" in error
    assert "Lambda has run" not in done.stderr


def test_a_demo_that_is_kept(start: Start) -> None:
    """--keep prints what an SDK needs; the export is there to see until Ctrl-C."""
    demo = start("demo", "--keep", "--output", "json")
    exports = until(lambda: demo.boto("dynamodb").list_exports()["ExportSummaries"])
    assert {export["ExportStatus"] for export in exports} == {"COMPLETED"}
    (bucket,) = [m[1] for line in demo.lines if (m := re.search(r"--recursive s3://(\S+)", line))]
    objects = demo.boto("s3").list_objects_v2(Bucket=bucket)["Contents"]
    # Below a date's folder, and not the catalog's records: each export writes at least nine.
    assert len([o for o in objects if not o["Key"].startswith("coldtable/v1/")]) >= 9 * len(exports)
    assert demo.interrupt() == 0


def test_a_failed_demo_is_kept_too(start: Start) -> None:
    """With --keep a failed night can be looked at, and the exit code is still its own."""
    demo = start("demo", "--keep", "--without", "s3:PutObject")
    groups = demo.boto("logs").describe_log_groups()["logGroups"]
    assert demo.said("not authorized to perform: s3:PutObject")
    assert demo.said(f"--log-group-name {groups[0]['logGroupName']}")
    queues = demo.boto("sqs").list_queues()["QueueUrls"]
    assert demo.said(f"--queue-url {queues[0]}")
    assert demo.interrupt() == 11


def test_local(start: Start, tmp_path: Path) -> None:
    """It prints the exports that any SDK needs, and keeps its state in --state."""
    for _ in range(2):
        local = start("local", "--port", "0", "--state", str(tmp_path), "--region", "eu-north-1")
        s3 = local.boto("s3")
        known = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        if not known:
            s3.create_bucket(
                Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
            )
        assert local.interrupt() == 0
    assert known == ["mine"]


def test_local_in_json(start: Start) -> None:
    """With --output json the answer is one object with the endpoint and the variables."""
    local = start("local", "--port", "0", "--output", "json", "-q")
    answer = json.loads(until(lambda: "\n".join(local.lines) if "}" in local.lines else ""))
    assert answer["schema"] == "coldtable.local/1"
    assert answer["environment"]["AWS_ENDPOINT_URL"] == answer["endpoint"]
    assert local.interrupt() == 0
