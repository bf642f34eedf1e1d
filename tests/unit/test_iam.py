"""The printed policies: those of the template and of the page, and words that are wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from coldtable.cli.app import main
from coldtable.core.iam import (
    Document,
    Reach,
    bucket_policy,
    drill_policy,
    export_policy,
    key_policy,
    tick_policy,
    verify_policy,
)
from coldtable.core.iam_deployer import Site, deployer_policy

from .rendering import ACCOUNT, ARNS, KEY, REGION, Rendered

ROLE, READER = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("writes", "reads"))
PAGE = Path(__file__).parents[2] / "docs" / "deployer-permissions.md"

Said = tuple[int, str, str]


def sets(document: Mapping[str, Any]) -> dict[str, Any]:
    """The statements by their Sid, their actions and resources without order."""

    def of(value: str | list[str]) -> set[str]:
        return {value} if isinstance(value, str) else set(value)

    return {
        s["Sid"]: {**s, "Action": of(s["Action"]), "Resource": of(s["Resource"])}
        for s in document["Statement"]
    }


def reach(**more: Any) -> Reach:
    """What the rendered template of the unit tests names."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "tables": ARNS,
        "buckets": ("<ArchiveBucket>",),
        "path": "/coldtable/prod",
        "log": "<LogGroup.Arn>",
        "queue": "<DeadLetterQueue.Arn>",
        "topic": "<AlarmTopic>",
    }
    return Reach(**{**fields, **more})


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({}, {}),
        (
            {"BucketName": "mine", "BucketKmsKeyArn": KEY, "ParameterKmsKeyArn": KEY},
            {"buckets": ("mine",), "keys": (KEY,), "parameter_key": KEY},
        ),
        (
            {"PatternArns": ",".join(ARNS), "Tagged": "true"},
            {"patterns": ARNS, "tagged": True},
        ),
    ],
)
def test_functions_policies_are_the_template_s(given: dict[str, str], more: Any) -> None:
    """The printed policies of the functions' roles are those that the template gives them."""
    rendered = Rendered(**given, VerifyDays="30", DrillDays="30")
    for name, printed, log in (
        ("ExportRole", export_policy, "<LogGroup.Arn>"),
        ("TickRole", tick_policy, "<TickLogGroup.Arn>"),
        ("VerifyRole", verify_policy, "<VerifyLogGroup.Arn>"),
        ("DrillRole", drill_policy, "<DrillLogGroup.Arn>"),
    ):
        (inline,) = rendered.properties(name)["Policies"]
        assert sets(printed(reach(log=log, **more))) == sets(inline["PolicyDocument"])


def test_deployer_s_policy_is_the_page_s() -> None:
    """docs/deployer-permissions.md shows what is printed, statement by statement."""
    text = PAGE.read_text("utf-8").split("<!-- policy -->")[1].split("```json")[1].split("```")[0]
    shown = json.loads(text.replace(":::ARCHIVE", ":::STACK-archivebucket-*"))
    site = Site(account="ACCOUNT", region="REGION", stack="STACK", path="PATH", code_bucket="CODE")
    assert shown == deployer_policy(site)


def test_deployer_s_policy_fits() -> None:
    """It can be made a managed policy, at names that are longer than usual."""
    site = Site(
        account=ACCOUNT,
        region="ap-southeast-1",
        stack="coldtable-staging",
        path="coldtable/staging",
        code_bucket=f"coldtable-code-{ACCOUNT}-ap-southeast-1",
    )
    # IAM's quota, white space not counted.
    assert len(json.dumps(deployer_policy(site), separators=(",", ":"))) <= 6_144


# What CloudFormation calls for each property of the bucket that the template sets.
OF_THE_BUCKET = {
    "BucketEncryption": "s3:PutEncryptionConfiguration",
    "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "ObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "ObjectLockEnabled": "s3:PutBucketObjectLockConfiguration",
    "OwnershipControls": "s3:PutBucketOwnershipControls",
    "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
    "VersioningConfiguration": "s3:PutBucketVersioning",
}


def test_deployer_s_policy_has_what_the_bucket_s_properties_take() -> None:
    """Each property that the template can set, with the action that AWS publishes for it in the
    schema of the resource, of which cfn-lint has a copy."""
    bucket = Rendered(ObjectLockMode="GOVERNANCE", DaysToGlacierIr="30").properties("ArchiveBucket")
    assert bucket.keys() == OF_THE_BUCKET.keys()
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::S3::Bucket").schema
    site = Site(account="1", region="R", stack="S", path="P", code_bucket="C")
    allowed = sets(deployer_policy(site))["StackArchive"]["Action"]
    for handler in ("create", "update"):
        assert set(OF_THE_BUCKET.values()) <= set(schema["handlers"][handler]["permissions"])
    assert set(OF_THE_BUCKET.values()) <= allowed


def test_an_existing_bucket_is_not_the_stack_s() -> None:
    """With --bucket the stack creates none, so its rights to one are left out."""
    site = Site(account="1", region="R", stack="S", path="P", code_bucket="C", bucket="mine")
    found = {s["Sid"]: s for s in deployer_policy(site)["Statement"]}
    assert "StackArchive" not in found
    assert "arn:aws:s3:::mine" in found["ColdtableLooksAtBuckets"]["Resource"]


def principals(document: Document) -> dict[str, Any]:
    """Who each statement is about."""
    return {
        s["Sid"]: s["Principal"]["AWS"] if s["Principal"] != "*" else "*"
        for s in document["Statement"]
    }


def test_who_is_named_where() -> None:
    """Writers write, readers read, a reader that also writes is named once for the key, and the
    key's own account keeps it."""
    assert principals(bucket_policy("b", [ROLE], [ROLE, READER])) == {
        "ColdtableWrites": ROLE,
        "ColdtableReads": [ROLE, READER],
        "ColdtableLists": [ROLE, READER],
        "TlsOnly": "*",
    }
    assert principals(bucket_policy("b", [ROLE], [ROLE], [READER]))["ColdtableForgets"] == READER
    assert principals(key_policy("210987654321", [ROLE], [ROLE, READER])) == {
        "KeyOfThisAccount": "arn:aws:iam::210987654321:root",
        "ColdtableEncrypts": ROLE,
        "ColdtableDecrypts": READER,
    }
    assert "ColdtableDecrypts" not in principals(key_policy("1", [ROLE], [ROLE]))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``coldtable policy`` where any call to AWS would fail."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "cn-north-1")

    def run(words: str) -> Said:
        with pytest.raises(SystemExit) as caught:
            main(["policy", *words.split()])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("bucket --bucket arn:aws:s3:::b", "--bucket 'arn:aws:s3:::b' cannot be used"),
        ("bucket --bucket-owner 1234", "--bucket-owner '1234' cannot be used"),
        ("bucket --bucket b-1 --table t-1", "--bucket and --table both say"),
        ("bucket --role writes", "--role 'writes' cannot be used"),
        (
            "bucket --role arn:aws:sts::123456789012:assumed-role/writes/me",
            "like arn:aws:iam::123456789012:role/",
        ),
        ("bucket --table app-*", "--table 'app-*' cannot be used"),
        ("bucket --stack-name 1", "--stack-name '1' cannot be used"),
        ("key --kms-key alias/mine", "--kms-key 'alias/mine' cannot be used"),
        ("key --kms-key mine --table t-1", "--kms-key and --table both say"),
        ("key --reader *", "--reader '*' cannot be used"),
        ("deployer --account me", "--account 'me' cannot be used"),
        ("deployer --account 123456789012 --code-bucket C", "--code-bucket 'C' cannot be used"),
        ("lambda --function both", "Choose from"),
        ("lambda --table a,b", "--table 'a,b' cannot be used"),
        ("group", "group"),
    ],
)
def test_wrong_words(said: Any, words: str, wrong: str) -> None:
    """An option that makes no sense ends with code 2 and one sentence, on stderr alone."""
    code, out, err = said(words)
    assert (code, out) == (2, "")
    assert wrong in err
    assert err.count("error: ") == 1


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (f"bucket --bucket mine --role {ROLE}", "aws s3api put-bucket-policy --bucket mine "),
        (f"key --kms-key {KEY} --role {ROLE}", f"aws kms put-key-policy --region {REGION} "),
        ("deployer --account 123456789012", "aws iam create-policy "),
        (f"lambda --bucket mine --table {ARNS[0]}", "aws iam put-role-policy "),
        (f"lambda --function export --bucket mine --table {ARNS[0]}", "aws iam put-role-policy "),
    ],
)
def test_aws_is_not_asked_for_what_is_said(said: Any, words: str, command: str) -> None:
    """With complete options the document stands on stdout and the command on stderr, and the same
    document lies in the envelope of --output json."""
    code, out, err = said(words)
    assert code == 0, err
    assert command in err
    shown = json.loads(out)
    assert shown["Version"] == "2012-10-17"
    _, enveloped, _ = said(f"{words} --output json")
    envelope = json.loads(enveloped)
    assert (envelope["schema"], envelope["policy"]) == ("coldtable.policy/1", shown)
    assert envelope["command"].startswith(command)


def test_partitions(said: Any) -> None:
    """In China every ARN begins with arn:aws-cn."""
    _, out, _ = said("deployer --account 123456789012")
    assert "arn:aws:" not in out
    assert "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/*" in out
    _, out, _ = said(f"bucket --bucket mine --role {ROLE.replace('aws', 'aws-cn')}")
    assert "arn:aws-cn:s3:::mine/*" in out
