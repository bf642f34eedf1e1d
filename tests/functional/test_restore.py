"""Restoring from the embedded AWS and into it: the table that comes back is the one recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest

from coldtable.aws.directory import DynamoDbDirectory
from coldtable.core.records import Home, base_slot, body, definition_key
from coldtable.local.process import EmbeddedAws
from coldtable.model import Table

from .conftest import Coldtable, client, until
from .exporter import Account, Item, item, key, values
from .proxy import Proxy, proxied

SOME_OF_EVERYTHING: Item = {
    "n": {"N": "-12345678901234567890.123456789012345678"},
    "b": {"B": b"\x00\x01\xff"},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "ss": {"SS": ["é", '"quoted"', "\u2028"]},
    "ns": {"NS": ["1", "-0.5", "1E+30"]},
    "bs": {"BS": [b"", b"\x00"]},
    "l": {"L": [{"B": b"\xfe"}, {"L": []}, {"M": {}}]},
    "m": {"M": {"a.b": {"M": {"": {"BS": [b"x"]}}}, "Ä": {"S": ""}}},
}
BUILT = {
    "TableName": "things",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "by", "AttributeType": "S"},
    ],
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 50},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-who",
            "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 60},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "Tags": [{"Key": "team", "Value": "a"}],
}


class Archived(Account):
    """An account with a full export of sixty items of every type, after which things changed."""

    def __init__(self, aws: EmbeddedAws, number: str, *, count: int = 60, **more: Any) -> None:
        super().__init__(aws, number)
        rows = [
            item(f"p{n % 7}", n, **SOME_OF_EVERYTHING, pad={"S": "x" * (n * 37 % 900)})
            for n in range(count)
        ]
        for start in range(0, count, 25):
            puts = [{"PutRequest": {"Item": row}} for row in rows[start : start + 25]]
            self.dynamodb.batch_write_item(RequestItems={"orders": puts})
        self.moment = self.settle()
        self.expected = values({key(row): row for row in rows})
        self.done = self.export(ExportTime=self.moment, **more)
        self.put("later", 1)

    @property
    def words(self) -> list[str]:
        """The usual command."""
        where = ["--archive", f"s3://{self.bucket}"]
        return ["restore", "orders", "--at", "latest", "--to", "copy", *KEYS, *where]


KEYS = ["--key", "pk:S", "--key", "sk:N"]


@pytest.fixture
def archived(aws: EmbeddedAws, account: str) -> Archived:
    """In the emulator that the command talks to."""
    return Archived(aws, account)


@pytest.fixture
def proxy(aws: EmbeddedAws) -> Iterator[Proxy]:
    """A proxy before that emulator."""
    with proxied(aws.endpoint) as running:
        yield running


def begun(url: str, here: Account, *words: str) -> subprocess.Popen[str]:
    """The command as a process of its own, which can be killed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": here.number,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": here.aws.region,
    }
    command = [sys.executable, "-m", "coldtable", *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("way", ["write", "import"])
def test_a_table_comes_back(archived: Archived, coldtable: Coldtable, way: str) -> None:
    """Both ways make a table with exactly the items that were there, of every type."""
    done = coldtable(
        *archived.words, "--way", way, "--compare", "full", "--yes", "--output", "json"
    )
    assert done.code == 0, done.err
    assert values(archived.scan("copy")) == archived.expected
    assert done.json["report"]["written"] == 60
    assert done.json["report"]["comparison"]["checked"] == 60


def test_an_ion_export_comes_back(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """Exports in ION format are restored, too, both ways, with every type."""
    here = Archived(aws, account, ExportFormat="ION")
    for way in ("write", "import"):
        words = ["--to", way, "--way", way, "--compare", "full", "--yes"]
        done = coldtable(*[w for w in here.words if w not in ("--to", "copy")], *words)
        assert done.code == 0, done.err
        assert values(here.scan(way)) == here.expected


@pytest.mark.parametrize("way", ["write", "import"])
def test_a_dry_run_changes_nothing(
    archived: Archived, proxy: Proxy, coldtable: Coldtable, way: str
) -> None:
    """With --dry-run, also with --yes, and without --yes, AWS gets no call but reads."""
    for words in (["--dry-run"], ["--dry-run", "--yes"], []):
        done = coldtable(*archived.words, "--way", way, *words, endpoint=proxy.url)
        assert done.code == 0, done.err
        assert "60" in done.out
    assert len(proxy.operations) > 10
    assert proxy.changes == []


def test_trouble_takes_only_time(archived: Archived, proxy: Proxy, coldtable: Coldtable) -> None:
    """Unprocessed items, throttling, failures and lost answers: everything arrives."""
    chance = Random(3)

    def harm(operation: str) -> str | None:
        if operation != "BatchWriteItem" or chance.random() < 0.3:
            return None
        return chance.choice(["unprocessed", "unprocessed", "throttle", "fail", "lose"])

    proxy.harm = harm
    words = ["--way", "write", "--compare", "full", "--yes"]
    done = coldtable(*archived.words, *words, endpoint=proxy.url)
    assert done.code == 0, done.err
    assert values(archived.scan("copy")) == archived.expected
    assert proxy.operations.count("BatchWriteItem") > 5


def test_a_killed_restore_goes_on(
    aws: EmbeddedAws, account: str, proxy: Proxy, coldtable: Coldtable
) -> None:
    """Killed at some moment of the writing, the same command ends it with the whole table."""
    here = Archived(aws, account, count=600)
    wanted, seen = Random().randrange(2, 15), [0]

    def harm(operation: str) -> str | None:
        seen[0] += operation == "BatchWriteItem"
        # After that nothing gets through, until the process is gone.
        return "throttle" if operation == "BatchWriteItem" and seen[0] > wanted else None

    proxy.harm = harm
    words = [*here.words, "--way", "write", "--yes"]
    process = begun(proxy.url, here, *words)
    deadline = time.monotonic() + 30
    while (seen[0] <= wanted or not written(here)) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=30)
    assert 0 < len(here.scan("copy")) < 600
    proxy.harm = lambda _: None
    done = coldtable(*words, "--compare", "full")
    assert done.code == 0, done.err
    assert values(here.scan("copy")) == here.expected


@pytest.mark.parametrize("operation", ["ImportTable", "DescribeImport"])
def test_a_killed_import_goes_on(
    archived: Archived, proxy: Proxy, coldtable: Coldtable, operation: str
) -> None:
    """Killed before AWS's answer or after it, the same command follows the one import."""
    seen = Event()

    def harm(found: str) -> str | None:
        if found != operation:
            return None
        seen.set()
        return "lose" if found == "ImportTable" else "throttle"

    proxy.harm = harm
    process = begun(proxy.url, archived, *archived.words, "--way", "import", "--yes")
    assert seen.wait(30)
    # The import has begun, and AWS knows of it.
    until(lambda: archived.dynamodb.list_imports()["ImportSummaryList"])
    process.kill()
    process.communicate(timeout=30)
    done = coldtable(*archived.words, "--yes", "--compare", "full")
    assert done.code == 0, done.err
    assert values(archived.scan("copy")) == archived.expected
    assert len(archived.dynamodb.list_imports()["ImportSummaryList"]) == 1


def written(here: Account) -> bool:
    """Whether anything has arrived in the new table."""
    return bool(here.dynamodb.scan(TableName="copy", Limit=1)["Items"])


def test_a_table_is_built_as_it_was(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """With the catalog's definition: indexes, capacity, TTL, tags, stream and PITR come back."""
    here = Account(aws, account)
    here.arn = here.dynamodb.create_table(**BUILT)["TableDescription"]["TableArn"]
    here.enable("things")
    here.dynamodb.update_time_to_live(
        TableName="things",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
    )
    here.dynamodb.put_item(TableName="things", Item=item("a", by={"S": "me"}))
    define(here, "things")
    here.export(ExportTime=here.settle())
    where = ["--archive", f"s3://{here.bucket}", "--yes"]
    for name, way in (("written", "write"), ("imported", "import")):
        done = coldtable("restore", "things", "--at", "latest", "--to", name, "--way", way, *where)
        assert done.code == 0, done.err
        assert made_of(here, name) == made_of(here, "things")
        found = here.dynamodb.query(
            TableName=name,
            IndexName="by-who",
            KeyConditionExpression="#b = :b",
            ExpressionAttributeNames={"#b": "by"},
            ExpressionAttributeValues={":b": {"S": "me"}},
        )
        assert found["Count"] == 1


def define(here: Account, name: str) -> None:
    """What a tick notes beside a full export."""
    described = here.dynamodb.describe_table(TableName=name)["Table"]
    table = Table(name=name, arn=described["TableArn"], table_id=described["TableId"])
    tagging = client(here.aws, "resourcegroupstaggingapi", here.number, "test")
    directory = DynamoDbDirectory(here.dynamodb, tagging)
    record = body("definition", here.aws.now(), definition=directory.definition(table))
    key = definition_key(Home.of(table), table.table_id, base_slot(1))
    here.s3.put_object(Bucket=here.bucket, Key=key, Body=record)


def made_of(here: Account, name: str) -> Item:
    """Everything about a table that a restore brings back."""
    found = here.dynamodb.describe_table(TableName=name)["Table"]
    index = found["GlobalSecondaryIndexes"][0]
    ttl = here.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = here.dynamodb.describe_continuous_backups(TableName=name)
    pitr = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    names = ("ReadCapacityUnits", "WriteCapacityUnits")
    return {
        "key": found["KeySchema"],
        "attributes": sorted(a["AttributeName"] for a in found["AttributeDefinitions"]),
        "capacity": [found["ProvisionedThroughput"][n] for n in names],
        "index": (index["KeySchema"], index["Projection"]),
        "index capacity": [index["ProvisionedThroughput"][n] for n in names],
        "stream": found["StreamSpecification"],
        "ttl": (ttl["TimeToLiveStatus"], ttl["AttributeName"]),
        "tags": here.dynamodb.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"],
        "pitr": pitr["PointInTimeRecoveryStatus"],
    }


def test_a_copied_folder_is_enough(
    archived: Archived, coldtable: Coldtable, tmp_path: Path
) -> None:
    """An archive that was copied to a disk is restored by writing, its keys resolved anew."""
    copied = archived.copy(tmp_path / "copied")
    done = coldtable(
        "restore", "orders", "--at", archived.moment.isoformat(), "--to", "copy", *KEYS,
        "--archive", str(copied), "--compare", "full", "--yes", "--output", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["way"] == "write"
    assert values(archived.scan("copy")) == archived.expected


REFUSALS: list[tuple[list[str], int, str]] = [
    (["--at", "2020-01-01T00:00Z"], 4, "restore point"),
    (["--to", "orders"], 13, "--into-source"),
    (["--to", "x"], 10, "no table name"),
    (["--rate", "fast"], 2, "no rate"),
    (["--overwrite"], 2, "--merge"),
]


def test_refusals_have_their_codes(archived: Archived, coldtable: Coldtable) -> None:
    """Each thing that cannot be done has its exit code, and the error says what to do."""
    where = ["--archive", f"s3://{archived.bucket}", "--yes"]
    for words, code, text in REFUSALS:
        given = dict(zip(words[::2], words[1::2], strict=False))
        rest = [w for pair in ({"--at": "latest", "--to": "copy"} | given).items() for w in pair]
        flags = [word for word in words if word == "--overwrite"]
        done = coldtable("restore", "orders", *KEYS, *rest, *flags, *where)
        assert (done.code, text in done.err) == (code, True), done.err


def test_damage_is_exit_code_5(archived: Archived, coldtable: Coldtable) -> None:
    """A data file that was spoilt is named, and nothing is made."""
    listed = archived.s3.list_objects_v2(Bucket=archived.bucket)["Contents"]
    data = [found for found in listed if "/data/" in found["Key"]]
    spoilt = max(data, key=lambda found: int(found["Size"]))["Key"]
    good = archived.read(spoilt)
    bad = good[:40] + bytes([good[40] ^ 1]) + good[41:]
    archived.s3.put_object(Bucket=archived.bucket, Key=spoilt, Body=bad)
    done = coldtable(*archived.words, "--yes")
    assert done.code == 5
    assert spoilt in done.err
    assert "copy" not in archived.dynamodb.list_tables()["TableNames"]
