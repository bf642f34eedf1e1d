"""``coldtable verify`` over HTTP: exports as AWS lays them out, from the bucket and from a copy."""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path
from threading import Event

import pytest

from coldtable.files import FileObjects
from coldtable.local.process import EmbeddedAws

from .conftest import Answer, Boto, Coldtable
from .exporter import Account
from .proxy import proxied
from .test_restore import SOME_OF_EVERYTHING, begun


class Exported(Account):
    """A full export and the two increments after it, in each of the formats."""

    def __init__(self, aws: EmbeddedAws, number: str, *forms: str) -> None:
        super().__init__(aws, number)
        for n in range(20):
            self.put(f"p{n}", n, **SOME_OF_EVERYTHING)
        moments = [self.settle()]
        for n in range(2):
            self.put(f"p{n}", n, again={"N": str(n)})
            self.put("new", n)
            self.dynamodb.delete_item(TableName="orders", Key={"pk": {"S": "p9"}, "sk": {"N": "9"}})
            moments.append(self.settle())
        for form in forms:
            common = {"S3Prefix": form.lower(), "ExportFormat": form}
            self.export(ExportTime=moments[0], **common)
            for start, stop in itertools.pairwise(moments):
                spec = {"ExportFromTime": start, "ExportToTime": stop}
                self.export(
                    ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=spec, **common
                )

    def noted(self) -> list[str]:
        """The keys of the verifications in the catalog."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="coldtable/v1/evidence/")
        return [one["Key"] for one in found.get("Contents", [])]

    def objects(self) -> dict[str, bytes]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [found["Key"] for page in pages for found in page["Contents"]]
        return {key: self.read(key) for key in keys}


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def exported(aws: EmbeddedAws, account: str) -> Exported:
    return Exported(aws, account, "DYNAMODB_JSON")


def verdicts(done: Answer) -> list[str]:
    assert done.out, done.err
    return [export["verdict"] for export in done.json["exports"]]


def test_what_aws_writes_is_verified(
    aws: EmbeddedAws, account: str, coldtable: Coldtable, tmp_path: Path
) -> None:
    """Each line of full and incremental exports, JSON and ION, is as it should be: read from the
    bucket by two processes, and from a folder that it was copied to under another prefix."""
    exported = Exported(aws, account, "DYNAMODB_JSON", "ION")
    words = ["--level", "items", "--output", "json"]
    done = coldtable(
        "verify", "orders", "--archive", f"s3://{exported.bucket}", *words, "--cores", "2"
    )
    assert (done.code, verdicts(done)) == (0, ["verified"] * 6), done.out
    assert [e["notes"] for e in done.json["exports"]] == [[]] * 6
    assert sorted({e["items"] for e in done.json["exports"]}) == [2, 3, 20]
    only = coldtable("verify", "--archive", f"s3://{exported.bucket}/ion/", *words)
    assert verdicts(only) == ["verified"] * 3
    store = FileObjects(tmp_path / "copy")
    for object_key, content in exported.objects().items():
        store.put(f"from/elsewhere/{object_key}", content)
    copied = coldtable("verify", "--archive", str(tmp_path / "copy"), *words)
    assert (copied.code, verdicts(copied)) == (0, ["verified"] * 6), copied.out


def test_damage_in_the_bucket(exported: Exported, coldtable: Coldtable) -> None:
    """An object that S3 gives back otherwise than it was written: exit code 5, and its name."""
    found = exported.objects()
    for name in ("json.gz", "manifest-files.json", "manifest-summary.json"):
        victim = next(k for k in sorted(found) if k.endswith(name) and len(found[k]) > 20)
        body = bytearray(found[victim])
        body[-5] ^= 1
        exported.s3.put_object(Bucket=exported.bucket, Key=victim, Body=bytes(body))
        done = coldtable("verify", "--archive", f"s3://{exported.bucket}", "--output", "json")
        exported.s3.put_object(Bucket=exported.bucket, Key=victim, Body=found[victim])
        assert done.code == 5
        assert sorted(verdicts(done)) == ["damaged", "verified", "verified"]
        assert f"s3://{exported.bucket}/{victim}" in done.err


def test_a_filtered_export(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """Its bytes are as sound as any, and it is no copy of the table: DynamoDB tells that it was
    filtered. Verify calls it damaged, and nothing is made of it: exit code 5."""
    here = Account(aws, account)
    for n in range(4):
        here.put("p", n)
    here.export(
        ExportTime=here.settle(),
        FilterSpecification={
            "FilterExpression": "sk > :n",
            "ExpressionAttributeValues": {":n": {"N": "1"}},
        },
    )
    where = ["--archive", f"s3://{here.bucket}"]
    done = coldtable("verify", *where, "--record", "--output", "json")
    assert (done.code, verdicts(done)) == (5, ["damaged"]), done.err
    assert "it was exported with a FilterSpecification" in done.err
    key = ["--key", "pk:S", "--key", "sk:N"]
    restored = coldtable("restore", "orders", "--at", "latest", "--to", "copy", *where, *key, "-q")
    folded = coldtable(
        *("materialize", "orders", "--at", "latest", "--to", f"s3://{here.bucket}/made", *where)
    )
    assert (restored.code, folded.code) == (5, 5), restored.err + folded.err
    assert "it was exported with a FilterSpecification" in restored.err
    assert "copy" not in here.dynamodb.list_tables()["TableNames"]
    assert "Contents" not in here.s3.list_objects_v2(Bucket=here.bucket, Prefix="made/")


def test_the_bucket_of_the_settings(exported: Exported, coldtable: Coldtable, boto: Boto) -> None:
    """Without --archive the settings name the bucket, and the verdict is noted in its catalog:
    with --archive, too, once there is one."""
    values = {
        "TABLE_NAMES": "orders",
        "BACKUP_BUCKET_NAME": exported.bucket,
        "BACKUP_HOUR_STR": "3",
        "BACKUP_MINUTE_STR": "0",
        "BACKUP_SECOND_STR": "0",
        "BACKUP_DAY_STR": "0",
        "TIMEZONE": "UTC",
    }
    for name, value in values.items():
        boto("ssm").put_parameter(Name=f"/coldtable/prod/{name}", Value=value, Type="String")
    done = coldtable("verify", "orders", "--output", "json")
    assert (done.code, verdicts(done)) == (0, ["verified"] * 3), done.err
    (key,) = exported.noted()
    assert f"Noted in s3://{exported.bucket}/{key}" in done.err
    record = json.loads(exported.read(key))
    assert record["result"] == "verified"
    assert record["table"]["id"] == done.json["exports"][0]["tableId"]
    assert len(record["exports"]) == 3
    coldtable("verify", "--archive", f"s3://{exported.bucket}", "--level", "manifest")
    assert len(exported.noted()) == 2


def test_without_the_rights(exported: Exported, coldtable: Coldtable, boto: Boto) -> None:
    """Exit code 11 and the action: access that is denied says nothing about the bytes. Whoever may
    read and not note the verdict gets it, and exit code 3 with a way out."""
    iam = boto("iam")
    iam.create_user(UserName="lister")
    made = iam.create_access_key(UserName="lister")["AccessKey"]

    def run(allowed: list[str], *words: str) -> Answer:
        statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName="lister", PolicyName="x", PolicyDocument=json.dumps(document))
        return coldtable(
            *("verify", "--archive", f"s3://{exported.bucket}", "--output", "json", *words),
            key=made["AccessKeyId"],
            secret=made["SecretAccessKey"],
        )

    done = run(["s3:ListBucket"])
    assert done.code == 11
    assert "s3:GetObject is missing" in done.err
    exported.s3.put_object(Bucket=exported.bucket, Key="coldtable/v1/log/x", Body=b"")
    reading = ["s3:ListBucket", "s3:GetObject"]
    done = run(reading)
    assert (done.code, verdicts(done)) == (3, ["verified"] * 3), done.err
    assert "s3:PutObject is missing" in done.err
    assert "hint: With --no-record nothing is noted" in done.err
    assert run(reading, "--no-record").code == 0
    assert exported.noted() == []


def test_a_stopped_run_ends_at_once(
    aws: EmbeddedAws, exported: Exported, coldtable: Coldtable
) -> None:
    """Ctrl-C while the store is silent: exit code 130 in seconds, no process stays, and the same
    command works."""
    silent, heard, calls = Event(), Event(), itertools.count()

    def harm(_operation: str) -> None:
        # Two listings, six manifests with their MD5s, three exports described; then the data files.
        if next(calls) > 19:
            silent.set()
            heard.wait(60)

    words = ["verify", "--archive", f"s3://{exported.bucket}", "--cores", "2"]
    with proxied(aws.endpoint) as proxy:
        proxy.harm = harm
        process = begun(proxy.url, exported, *words)
        try:
            assert silent.wait(60)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            # Its output ends only when the processes that it began have ended, too.
            _, err = process.communicate(timeout=30)
            assert time.monotonic() - began < 10
        finally:
            heard.set()
            process.kill()
        assert process.returncode == 130, err
    assert coldtable(*words).code == 0
