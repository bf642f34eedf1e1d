"""Folding real exports of the embedded AWS over HTTP, and what takes the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from coldtable.local.process import EmbeddedAws

from .conftest import Coldtable, until
from .exporter import Account, Item, values
from .proxy import Proxy, proxied
from .test_restore import SOME_OF_EVERYTHING

Recorded = dict[datetime, dict[tuple[str, str], Item]]


class Chained(Account):
    """A full export, two windows of random writes after it, and the table at each end."""

    def __init__(self, aws: EmbeddedAws, number: str) -> None:
        super().__init__(aws, number)
        chance = Random(number)
        for n in range(40):
            self.put(f"p{n % 5}", n, **SOME_OF_EVERYTHING)
        moments = [self.settle()]
        self.recorded: Recorded = {moments[0]: self.scan()}
        self.export(ExportTime=moments[0])
        for _ in range(2):
            for _ in range(30):
                n = chance.randrange(60)
                found = {"pk": {"S": f"p{n % 5}"}, "sk": {"N": str(n)}}
                if chance.random() < 0.3:
                    self.dynamodb.delete_item(TableName="orders", Key=found)
                else:
                    self.put(f"p{n % 5}", n, at={"N": str(chance.random())})
            aws.advance(timedelta(minutes=1))
            moments.append(self.settle())
            self.recorded[moments[-1]] = self.scan()
            self.window(moments[-2], moments[-1])

    def words(self, at: datetime, to: str) -> list[str]:
        """The command for one instant."""
        where = ["--archive", f"s3://{self.bucket}", "--to", to]
        return ["materialize", "orders", "--at", at.isoformat(), *where, "--output", "json"]


@pytest.fixture
def chained(aws: EmbeddedAws, account: str) -> Chained:
    return Chained(aws, account)


@pytest.fixture
def proxy(aws: EmbeddedAws) -> Iterator[Proxy]:
    with proxied(aws.endpoint) as running:
        yield running


def imported(here: Account, prefix: str) -> dict[tuple[str, str], Item]:
    """What ImportTable makes of a folder."""
    name = f"from-{prefix.split('/')[0]}"
    source = {"S3Bucket": here.bucket, "S3KeyPrefix": prefix}
    started = here.dynamodb.import_table(
        S3BucketSource=source,
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": name,
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )["ImportTableDescription"]

    def ended() -> Item | None:
        found = here.dynamodb.describe_import(ImportArn=started["ImportArn"])
        state: Item = found["ImportTableDescription"]
        return None if state["ImportStatus"] == "IN_PROGRESS" else state

    done = until(ended)
    assert (done["ImportStatus"], done["ErrorCount"]) == ("COMPLETED", 0)
    return here.scan(name)


def test_every_restore_point_imports_as_the_table_was(
    chained: Chained, coldtable: Coldtable
) -> None:
    """Folded to a bucket, the export of each instant is taken by ImportTable and by verify, and
    holds the very items that the table had then."""
    for number, (moment, expected) in enumerate(chained.recorded.items()):
        done = coldtable(*chained.words(moment, f"s3://{chained.bucket}/at{number}"))
        assert done.code == 0, done.err
        assert done.json["itemCount"] == len(expected)
        folder = done.json["location"].removeprefix(f"s3://{chained.bucket}/")
        assert folder.startswith(f"at{number}/AWSDynamoDB/")
        assert values(imported(chained, f"{folder}/data/")) == values(expected)
        where = f"s3://{chained.bucket}/at{number}"
        verified = coldtable("verify", "--archive", where, "--level", "items", "--key", "pk:S",
                             "--key", "sk:N")  # fmt: skip
        assert verified.code == 0, verified.err


def test_from_and_to_a_folder(chained: Chained, coldtable: Coldtable, tmp_path: Path) -> None:
    """A copied archive is folded into another folder, without any call to AWS; twice is once."""
    copied = chained.copy(tmp_path / "copied")
    words = ["materialize", "orders", "--at", "latest", "--archive", str(copied),
             "--to", str(tmp_path / "folded"), "--output", "json"]  # fmt: skip
    done = coldtable(*words, endpoint="http://127.0.0.1:1")
    assert done.code == 0, done.err
    assert done.json["new"]
    assert done.json["itemCount"] == len(list(chained.recorded.values())[-1])
    assert not coldtable(*words, endpoint="http://127.0.0.1:1").json["new"]
    verified = coldtable("verify", "--archive", str(tmp_path / "folded"))
    assert verified.code == 0, verified.err


def test_a_dry_run_writes_nothing(
    chained: Chained, proxy: Proxy, coldtable: Coldtable, tmp_path: Path
) -> None:
    """With --dry-run AWS gets nothing but reads, and no folder is made."""
    moment = list(chained.recorded)[-1]
    for to in (f"s3://{chained.bucket}/new", str(tmp_path / "new")):
        done = coldtable(*chained.words(moment, to), "--dry-run", endpoint=proxy.url)
        assert done.code == 0, done.err
        assert not done.json["done"]
        assert len(done.json["increments"]) == 2
    assert proxy.operations
    assert proxy.changes == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_it_leaves_no_summary_and_goes_through_again(
    chained: Chained, proxy: Proxy, coldtable: Coldtable, number: signal.Signals
) -> None:
    """Killed in the middle of its uploads, there is no export; run again, there is the whole."""
    moment, expected = list(chained.recorded.items())[-1]
    seen = [0]

    def harm(operation: str) -> str | None:
        seen[0] += operation == "PUT"
        return "throttle" if operation == "PUT" and seen[0] > 3 else None

    proxy.harm = harm
    words = chained.words(moment, f"s3://{chained.bucket}/killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "coldtable", "--endpoint-url", proxy.url, *words],
        env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        | {
            "AWS_ACCESS_KEY_ID": chained.number,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": chained.aws.region,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while seen[0] <= 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode in (-9, 130)

    def keys() -> list[str]:
        listed = chained.s3.list_objects_v2(Bucket=chained.bucket, Prefix="killed/")
        return [found["Key"] for found in listed.get("Contents", [])]

    assert any(name.endswith("_started") for name in keys())
    assert not [name for name in keys() if "manifest-summary" in name]
    done = coldtable(*words)
    assert done.code == 0, done.err
    assert done.json["itemCount"] == len(expected)
    prefix = done.json["location"].removeprefix(f"s3://{chained.bucket}/") + "/data/"
    assert values(imported(chained, prefix)) == values(expected)


def test_refusals_have_their_codes(chained: Chained, coldtable: Coldtable) -> None:
    """Not covered is 4, no such table 12, nonsense 2, damage 5; each names what is wrong."""
    moment = list(chained.recorded)[-1]
    here = f"s3://{chained.bucket}"
    cases = [
        (["orders", "--at", (moment - timedelta(seconds=9)).isoformat(), "--to", f"{here}/x"], 4),
        (["others", "--at", "latest", "--to", f"{here}/x"], 12),
        (["orders", "--at", "latest", "--to", "ftp://x"], 2),
        (["orders", "--at", "latest", "--to", f"{here}/x", "--memory", "10"], 2),
        (["orders", "--at", "latest", "--to", "s3://not-there-at-all/x"], 12),
    ]
    for words, code in cases:
        done = coldtable("materialize", *words, "--archive", here)
        assert (done.code, "hint" in done.err) == (code, True), done.err
    listed = chained.s3.list_objects_v2(Bucket=chained.bucket, Prefix="AWSDynamoDB/data/")
    spoilt = max(listed["Contents"], key=lambda found: int(found["Size"]))["Key"]
    chained.s3.put_object(Bucket=chained.bucket, Key=spoilt, Body=chained.read(spoilt)[:-1])
    done = coldtable(*chained.words(moment, f"{here}/spoilt"))
    assert done.code == 5
    assert spoilt in done.err
    left = chained.s3.list_objects_v2(Bucket=chained.bucket, Prefix="spoilt/")
    assert "Contents" not in left


def test_answers_that_break_off_cost_only_time(
    chained: Chained, proxy: Proxy, coldtable: Coldtable
) -> None:
    """Reads whose connection is lost in the middle go on there, and nothing is read twice."""
    moment, expected = list(chained.recorded.items())[-1]
    cut: Counter[str] = Counter()

    def harm(name: str) -> str | None:
        # Twice each: without a byte more, reading goes on some times and not for ever.
        cut[proxy.path] += 1
        return "cut" if name == "GET" and cut[proxy.path] <= 2 else None

    proxy.harm = harm
    done = coldtable(*chained.words(moment, f"s3://{chained.bucket}/cut"), endpoint=proxy.url)
    assert done.code == 0, done.err
    assert done.json["itemCount"] == len(expected)
