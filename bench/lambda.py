"""The Lambda against the naive handler of the same work, side by side in one run.

Each run is a new process: time from its start to the response, its peak memory, and the API calls
it made, against the same embedded AWS. Runs of the two alternate, so a busy machine slows both.
Read the ratios; the absolutes are this machine's. On loopback a call takes 2 ms of CPU and no
waiting; a second round adds 50 ms of waiting to every call of both, as a call to AWS has.

    python bench/lambda.py [runs]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from coldtable.aws.session import AwsSession
from coldtable.local.process import EmbeddedAws

HERE = Path(__file__).parent
PATH = "/bench"

CHILD = """
import json, re, time, time_machine
time_machine.travel({now!r}).start()
from botocore.httpsession import URLLib3Session
calls, send = [], URLLib3Session.send

def counted(self, request):
    calls.append(1)
    time.sleep({latency})
    return send(self, request)

URLLib3Session.send = counted
from {module} import handler
answer = handler({{}}, None)
assert answer["statusCode"] == 200, answer
memory = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(json.dumps([len(calls), int(memory) / 1024]))
"""

MODULES = {"coldtable": "coldtable.handler", "naive": "naive_handler"}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    for count in (1, 50):
        for latency in (0.0, 0.05):
            # A fresh one each time: the naive handler's exports pile up to the limit of 300.
            with EmbeddedAws(["--export-seconds", "3600"]) as aws:
                prepare(aws, count)
                compare(aws, count, runs if count == 1 else max(3, runs // 3), latency)


def prepare(aws: EmbeddedAws, count: int) -> None:
    """Tables with a day of history, a bucket, and parameters whose moment lies in that history."""
    session = AwsSession(
        region=aws.region, endpoint_url=aws.endpoint, access_key="test", secret_key="test"
    )
    dynamodb, ssm = session.client("dynamodb"), session.client("ssm")
    names = [f"table-{n:02}" for n in range(count)]
    for name in names:
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    session.client("s3").create_bucket(Bucket="bench-archive")
    parameters = {
        "BACKUP_BUCKET_NAME": "bench-archive",
        "BACKUP_DAY_STR": "0",
        "BACKUP_HOUR_STR": "3",
        "BACKUP_MINUTE_STR": "0",
        "BACKUP_SECOND_STR": "0",
        "TIMEZONE": "UTC",
        "TABLE_NAMES": ",".join(names),
    }
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"{PATH}/{name}", Value=value, Type="String")
    tomorrow = aws.now() + timedelta(days=2)
    aws.move_to(tomorrow.replace(hour=6, minute=0, second=0, microsecond=0))


def compare(aws: EmbeddedAws, count: int, runs: int, latency: float) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in MODULES}
    seen: dict[str, tuple[int, float]] = {}
    for _ in range(runs):
        for name, module in MODULES.items():
            elapsed, calls, memory = once(aws, module, latency)
            seconds[name].append(elapsed)
            seen[name] = (calls, memory)
    tables = f"{count} table{'s' if count > 1 else ''}"
    print(f"\n{tables}, {latency * 1000:.0f} ms a call, median of {runs} runs")
    print(f"{'':12}{'seconds':>10}{'API calls':>12}{'peak MB':>10}")
    for name in MODULES:
        calls, memory = seen[name]
        print(f"{name:12}{statistics.median(seconds[name]):>10.3f}{calls:>12}{memory:>10.1f}")
    ratio = statistics.median(seconds["coldtable"]) / statistics.median(seconds["naive"])
    print(f"coldtable / naive: {ratio:.2f} of the time")


def once(aws: EmbeddedAws, module: str, latency: float) -> tuple[float, int, float]:
    env = {**os.environ, **aws.env(), "COLDTABLE_PARAMETER_PATH": PATH, "PYTHONPATH": str(HERE)}
    start = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CHILD.format(module=module, latency=latency, now=aws.now().timestamp()),
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    elapsed = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    calls, memory = json.loads(done.stdout.splitlines()[-1])
    return elapsed, calls, memory


if __name__ == "__main__":
    main()
