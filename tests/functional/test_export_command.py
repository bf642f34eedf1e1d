"""``coldtable export`` over HTTP: what it prints, and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from coldtable.cli.app import main
from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import Boto
from tests.functional.installation import Installation


@pytest.fixture
def here(
    aws: EmbeddedAws, account: str, boto: Boto, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """An account with a table of some minutes' history and a bucket; the CLI talks to it."""
    for name, value in {**aws.env(), "AWS_ACCESS_KEY_ID": account}.items():
        monkeypatch.setenv(name, value)
    made = Installation(aws, account, boto)
    made.add_table("orders")
    made.boto("s3").create_bucket(Bucket=f"archive-{account}")
    made.scene.put({"id": {"S": "1"}}, {"id": {"S": "2"}})
    aws.advance(timedelta(minutes=2))
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["export", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def as_user(here: Installation, monkeypatch: pytest.MonkeyPatch, *actions: str) -> None:
    """From now on the CLI runs as a user who may do these actions and nothing else."""
    iam = here.boto("iam")
    iam.create_user(UserName="operator")
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="operator", PolicyName="some", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])


def test_to_a_bucket_and_wait(here: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """With --bucket nothing needs to be deployed; --wait follows, proves, and answers JSON."""
    bucket = f"archive-{here.account}"
    code, out, err = run(capsys, "orders", "--bucket", bucket, "--wait", "--output", "json")
    assert code == 0
    answer = json.loads(out)
    assert answer["schema"] == "coldtable.export/1"
    (export,) = answer["exports"]
    assert export["status"] == "COMPLETED"
    assert export["itemCount"] == 2
    assert export["s3Location"].startswith(f"s3://{bucket}/{here.aws.now():%Y/%m/%d}/orders/")
    assert answer["failed"] == []
    assert "manifests agree: 2 items in 4 files" in err


def test_without_wait_it_only_starts(
    here: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --wait the answer comes at once, with the export in progress."""
    code, out, _ = run(capsys, "orders", "--bucket", f"archive-{here.account}", "-q")
    assert code == 0
    assert "IN_PROGRESS" in out


def test_some_tables_fail(here: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, the good table in the answer, the bad one with its reason."""
    words = ["orders", "nothing", "--bucket", f"archive-{here.account}", "--output", "json"]
    code, out, err = run(capsys, *words)
    assert code == 3
    answer = json.loads(out)
    assert [e["tableName"] for e in answer["exports"]] == ["orders"]
    assert [(f["tableName"], f["code"]) for f in answer["failed"]] == [("nothing", "TableNotFound")]
    assert "1 of 2 tables could not be exported: nothing" in err


@pytest.mark.usefixtures("here")
def test_stderr_holds_nothing_else() -> None:
    """A table that fails is told as such; the Lambda's log does not get in between."""
    words = ["export", "nothing", "--bucket", "archive", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "coldtable", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 12
    first, second = done.stderr.splitlines()
    assert first.startswith("error: 1 of 1 tables could not be exported: nothing: ")
    assert second.startswith("  hint: ")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing", "--bucket", "archive"], 12, "The table does not exist (table nothing)"),
        (["orders", "--bucket", "nowhere-at-all", "--wait"], 12, "Create the bucket nowhere-at"),
        (["orders", "--parameter-path", "/not/there"], 10, "There are no parameters under /not"),
        (["orders", "--bucket", "archive", "--at", "2000-01-01T00:00Z"], 10, "begins at"),
        (["orders", "--bucket", "archive", "--at", "2100-01-01T00:00Z"], 10, "ends at"),
    ],
)
def test_what_goes_wrong(
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    """Each failure has its exit code, one error, and what to do."""
    found, _, err = run(capsys, *words, "-q")
    assert found == code
    assert said in err
    assert "hint: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        (["s3:*"], "dynamodb:DescribeTable"),
        (["s3:*", "dynamodb:Describe*"], "dynamodb:ExportTableToPointInTime"),
    ],
)
def test_a_user_without_the_action(
    here: Installation,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    allowed: list[str],
    missing: str,
) -> None:
    """Exit code 11, and the name of the IAM action."""
    as_user(here, monkeypatch, *allowed)
    code, _, err = run(capsys, "orders", "--bucket", f"archive-{here.account}", "-q")
    assert code == 11
    assert f"{missing} is missing" in err


def test_a_user_who_may_not_write(
    here: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB writes with the caller's rights: the export fails later, and names s3:PutObject."""
    as_user(here, monkeypatch, "dynamodb:*")
    code, out, err = run(capsys, "orders", "--bucket", f"archive-{here.account}", "--wait", "-q")
    assert code == 11
    assert "FAILED" in out
    assert "S3AccessDenied" in err
    assert "Allow s3:PutObject" in err


def test_the_parameters_may_not_be_read(
    here: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Access denied on the settings names ssm:GetParametersByPath, and never means no settings."""
    as_user(here, monkeypatch, "dynamodb:*", "s3:*")
    code, _, err = run(capsys, "-q")
    assert code == 11
    assert "ssm:GetParametersByPath is missing" in err


def test_a_damaged_manifest_is_found(
    here: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """--wait does not believe a COMPLETED whose manifest does not match its MD5: exit code 5."""
    here.aws.fault(damage={"how": "flip", "name": "manifest-files.json"})
    bucket = f"archive-{here.account}"
    code, _, err = run(capsys, "orders", "--bucket", bucket, "--wait", "-q")
    assert code == 5
    assert "does not match its MD5" in err
