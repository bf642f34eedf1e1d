"""The embedded AWS starts, answers boto3, keeps its clock and goes away without a trace."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.errors import ServiceFailed, UsageError
from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client, until

Start = Callable[..., EmbeddedAws]


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_boto3_reads_what_it_wrote(boto: Boto, account: str) -> None:
    """An object put through boto3 comes back."""
    s3 = boto("s3")
    s3.create_bucket(Bucket=f"one-{account}")
    s3.put_object(Bucket=f"one-{account}", Key="k", Body=b"v")
    assert s3.get_object(Bucket=f"one-{account}", Key="k")["Body"].read() == b"v"


def test_accounts_are_apart(boto: Boto, account: str) -> None:
    """A 12-digit access key is the root of that account, and sees only its own tables."""
    boto("dynamodb").create_table(
        TableName="apart",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert boto("sts").get_caller_identity()["Account"] == account
    assert boto("dynamodb", key="100000000000").list_tables()["TableNames"] == []


def test_access_key_test_is_root_of_the_default_account(aws: EmbeddedAws, boto: Boto) -> None:
    """Any SDK works at once with the key ``test``."""
    identity = boto("sts", key="test").get_caller_identity()
    assert identity["Account"] == aws.account
    assert identity["Arn"] == f"arn:aws:iam::{aws.account}:root"


def test_env_is_all_that_an_sdk_needs(aws: EmbeddedAws) -> None:
    """A child process with ``env()`` and nothing else reaches the emulator."""
    done = subprocess.run(
        [sys.executable, "-c", "import boto3; print(boto3.client('s3').list_buckets()['Owner'])"],
        env={"PATH": os.environ["PATH"], **aws.env()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_stop_leaves_nothing_behind(
    fresh_aws: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``stop`` the process and its temporary folder are gone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running = fresh_aws()
    pid = running.pid
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("coldtable-local-")]
    running.stop()
    assert _gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_clock_moves_forward_and_signatures_still_work(fresh_aws: Start) -> None:
    """A move of 40 days changes the emulator's time and refuses no caller with a real clock."""
    running = fresh_aws("--clock", "+3600")
    assert abs(running.now() - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    iam = _root(running, "iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    running.advance(timedelta(days=40))
    assert running.now() - datetime.now(UTC) > timedelta(days=40)
    sts = client(running, "sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(":user/u")


def test_clock_never_moves_back(aws: EmbeddedAws) -> None:
    """A moment that has passed is refused with both times."""
    with pytest.raises(UsageError, match="only moves forward"):
        aws.move_to(datetime(2020, 1, 1, tzinfo=UTC))


def test_control_endpoint_refuses_another_host(aws: EmbeddedAws) -> None:
    """A page that rebinds its name to 127.0.0.1 cannot reset the emulator."""
    connection = http.client.HTTPConnection("127.0.0.1", int(aws.endpoint.rsplit(":", 1)[1]))
    connection.request("POST", "/_coldtable/reset", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_state_folder_keeps_data_over_a_restart(fresh_aws: Start, tmp_path: Path) -> None:
    """Objects and tables are there again after a clean stop and a start with the same folder."""
    first = fresh_aws("--state", str(tmp_path / "state"))
    s3 = _root(first, "s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"v")
    first.stop()
    second = fresh_aws("--state", str(tmp_path / "state"))
    assert _root(second, "s3").get_object(Bucket="kept", Key="k")["Body"].read() == b"v"


def _history(running: EmbeddedAws) -> Any:
    ddb = _root(running, "dynamodb")
    found = ddb.describe_continuous_backups(TableName="kept")["ContinuousBackupsDescription"]
    return found["PointInTimeRecoveryDescription"]


def test_history_and_clock_survive_a_restart(fresh_aws: Start, tmp_path: Path) -> None:
    """PITR goes on where it was, and time has not gone back."""
    state = str(tmp_path / "state")
    first = fresh_aws("--state", state, "--restorable-lag", "0")
    ddb = _root(first, "dynamodb")
    ddb.create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ddb.update_continuous_backups(
        TableName="kept", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    earliest = _history(first)["EarliestRestorableDateTime"]
    moved = first.advance(timedelta(days=3))
    first.stop()
    second = fresh_aws("--state", state, "--restorable-lag", "0")
    assert second.now() >= moved
    assert _history(second)["EarliestRestorableDateTime"] == earliest


def test_reset_forgets_everything(fresh_aws: Start) -> None:
    """Buckets and tables with their history are gone; the clock stays."""
    running = fresh_aws()
    _root(running, "s3").create_bucket(Bucket="gone")
    moved = running.advance(60)
    running.reset()
    assert _root(running, "s3").list_buckets()["Buckets"] == []
    assert running.now() >= moved


def test_exports_can_be_held_and_made_to_fail(fresh_aws: Start) -> None:
    """The control endpoint reaches the exports; a fault that nobody knows is refused."""
    running = fresh_aws("--export-seconds", "0", "--restorable-lag", "0")
    ddb, s3 = _root(running, "dynamodb"), _root(running, "s3")
    s3.create_bucket(Bucket="archive")
    arn = ddb.create_table(
        TableName="held",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    ddb.update_continuous_backups(
        TableName="held", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )

    def export() -> str:
        made = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket="archive")
        return str(made["ExportDescription"]["ExportArn"])

    def status(export_arn: str) -> str:
        found = ddb.describe_export(ExportArn=export_arn)["ExportDescription"]
        return str(found["ExportStatus"])

    running.hold_exports()
    held = export()
    assert status(held) == "IN_PROGRESS"
    running.release_exports()
    until(lambda: status(held) == "COMPLETED")
    running.fault(fail={"code": "S3NoSuchBucket"})
    failing = export()
    until(lambda: status(failing) == "FAILED")
    with pytest.raises(UsageError, match="unknown fault"):
        running.fault(earthquake=True)


def test_time_to_live_follows_the_clock(fresh_aws: Start) -> None:
    """An item is gone as soon as the moved clock has overtaken it, another stays."""
    running = fresh_aws()
    ddb = _root(running, "dynamodb")
    ddb.create_table(
        TableName="mortal",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ddb.update_time_to_live(
        TableName="mortal", TimeToLiveSpecification={"AttributeName": "until", "Enabled": True}
    )
    now = int(running.now().timestamp())
    for name, hours in (("soon", 1), ("late", 99)):
        item = {"k": {"S": name}, "until": {"N": str(now + hours * 3600)}}
        ddb.put_item(TableName="mortal", Item=item)
    running.advance(timedelta(hours=2))
    assert [i["k"]["S"] for i in ddb.scan(TableName="mortal")["Items"]] == ["late"]


def test_a_killed_emulators_folder_is_swept_by_the_next(
    fresh_aws: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a SIGKILL leaves in the temporary folder does not pile up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed = fresh_aws()
    os.kill(killed.pid, 9)
    with pytest.raises(ServiceFailed, match="ended with status -9"):
        killed.wait()
    (left,) = tmp_path.glob("coldtable-local-*")
    fresh_aws()
    assert not left.exists()


def test_a_taken_port_is_an_error_with_words(aws: EmbeddedAws) -> None:
    """The error names the port instead of showing a traceback."""
    port = aws.endpoint.rsplit(":", 1)[1]
    with pytest.raises(ServiceFailed, match=f"port {port} cannot be used"):
        EmbeddedAws(["--port", port]).start()


def test_it_ends_with_its_parent() -> None:
    """A killed parent takes the emulator with it."""
    script = (
        "from coldtable.local.process import EmbeddedAws; import os;"
        "a = EmbeddedAws().start(); print(a.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    until(lambda: _gone(pid))


def _root(running: EmbeddedAws, service: str) -> Any:
    return client(running, service, "test", "test")
