"""Deploying and destroying over real HTTP, by the command line and by users with few rights."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.app import main
from coldtable.local.process import EmbeddedAws

from .conftest import Boto, until

pytestmark = pytest.mark.functional

POLICY_PAGE = Path(__file__).parents[2] / "docs" / "deployer-permissions.md"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Answer]


@pytest.fixture
def run(
    aws: EmbeddedAws,
    account: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs ``coldtable`` as this test's own account's root, or as the user with a given key."""

    def call(*words: str, key: str = account, secret: str = "test") -> Answer:  # noqa: S107
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        where = ["--endpoint-url", aws.endpoint, "--region", aws.region]
        with pytest.raises(SystemExit) as caught:
            main([*where, *words])
        out, err = capsys.readouterr()
        return Answer(code=int(caught.value.code or 0), out=out, err=err)

    return call


@pytest.fixture
def table(boto: Boto) -> Callable[..., str]:
    """Creates a table, with PITR on unless told otherwise, and returns its name."""

    def create(*, pitr: bool = True) -> str:
        name = f"t-{uuid.uuid4().hex[:8]}"
        dynamodb = boto("dynamodb")
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        if pitr:
            dynamodb.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        return name

    return create


def stacks(boto: Boto) -> list[str]:
    found = boto("cloudformation").describe_stacks()["Stacks"]
    return [s["StackName"] for s in found if s["StackStatus"] != "DELETE_COMPLETE"]


def buckets(boto: Boto) -> list[str]:
    return [b["Name"] for b in boto("s3").list_buckets()["Buckets"]]


def settings(boto: Boto, path: str = "/coldtable/prod") -> dict[str, str]:
    pages = boto("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    return {p["Name"]: p["Value"] for page in pages for p in page["Parameters"]}


def test_deploy_from_zero(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """One command makes all that the schedule needs, and each part is as it was asked for."""
    name = table()
    answer = run(
        "--output",
        "json",
        "deploy",
        *("--table", name, "--timezone", "Europe/Berlin", "--at", "03:30", "--day", "15"),
        *("--schedule", "cron(0 4 * * ? *)", "--email", "oncall@example.com"),
    )
    assert answer.code == 0, answer.err
    report = answer.json
    assert (report["schema"], report["outcome"]) == ("coldtable.deploy/1", "created")
    assert all(check["ok"] for check in report["checks"])
    assert "CREATE_COMPLETE      Schedule (AWS::Scheduler::Schedule)" in answer.err

    bucket = report["outputs"]["Bucket"]
    assert settings(boto) == {
        "/coldtable/prod/BACKUP_BUCKET_NAME": bucket,
        "/coldtable/prod/BACKUP_DAY_STR": "15",
        "/coldtable/prod/BACKUP_HOUR_STR": "3",
        "/coldtable/prod/BACKUP_MINUTE_STR": "30",
        "/coldtable/prod/BACKUP_SECOND_STR": "0",
        "/coldtable/prod/S3_PREFIX_TEMPLATE": "{date:%Y/%m/%d}/{table}",
        "/coldtable/prod/TABLE_NAMES": name,
        "/coldtable/prod/TIMEZONE": "Europe/Berlin",
    }
    schedule = boto("scheduler").get_schedule(GroupName="coldtable", Name="coldtable-export")
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["State"] == "ENABLED"
    function = boto("lambda").get_function_configuration(FunctionName="coldtable-export")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    retries = boto("lambda").get_function_event_invoke_config(
        FunctionName="coldtable-export", Qualifier="$LATEST"
    )
    assert retries["MaximumRetryAttempts"] == 2
    topic = boto("sns").list_subscriptions_by_topic(TopicArn=report["outputs"]["TopicArn"])
    assert [s["Endpoint"] for s in topic["Subscriptions"]] == ["oncall@example.com"]


def test_archive_bucket_is_protected(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """The bucket that S3 shows is private, versioned, encrypted, owned and TLS only."""
    bucket = run("--output", "json", "deploy", "--table", table()).json["outputs"]["Bucket"]
    s3 = boto("s3")
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    owned = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_second_deployment_changes_nothing(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """The same command again finds nothing to change, says so, and checks again."""
    name = table()
    first = run("--output", "json", "deploy", "--table", name)
    before = boto("cloudformation").describe_stack_events(StackName="coldtable")["StackEvents"]
    second = run("--output", "json", "deploy", "--table", name)
    after = boto("cloudformation").describe_stack_events(StackName="coldtable")["StackEvents"]
    assert (first.json["outcome"], second.json["outcome"]) == ("created", "unchanged")
    assert second.json["outputs"] == first.json["outputs"]
    assert len(second.json["checks"]) == len(first.json["checks"])
    assert len(after) == len(before)
    sets = boto("cloudformation").list_change_sets(StackName="coldtable")["Summaries"]
    assert [found for found in sets if found["Status"] == "FAILED"] == []


def test_change_is_shown_and_then_made(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """A dry run of another time zone names the two resources; the deployment changes them."""
    name = table()
    assert run("deploy", "--table", name).code == 0
    wanted = ("deploy", "--table", name, "--timezone", "Asia/Tokyo")
    rehearsed = run("--output", "json", *wanted, "--dry-run")
    assert {"Schedule", "TimeZoneParameter"} <= {c["resource"] for c in rehearsed.json["changes"]}
    assert settings(boto)["/coldtable/prod/TIMEZONE"] == "UTC"
    done = run("--output", "json", *wanted)
    assert done.json["outcome"] == "updated"
    assert settings(boto)["/coldtable/prod/TIMEZONE"] == "Asia/Tokyo"


def test_dry_run_leaves_nothing(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """A dry run prints the change set; after it no stack and no bucket is there, and PITR off."""
    name = table(pitr=False)
    answer = run("deploy", "--table", name, "--enable-pitr", "--dry-run")
    assert answer.code == 0, answer.err
    assert re.search(r"Add +ExportFunction +AWS::Lambda::Function", answer.out)
    assert f"point-in-time recovery of {name}" in answer.out
    assert stacks(boto) == []
    assert buckets(boto) == []
    found = boto("dynamodb").describe_continuous_backups(TableName=name)
    pitr = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert pitr["PointInTimeRecoveryStatus"] == "DISABLED"


def test_problems_are_told_at_once(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """A missing table, PITR off and a missing bucket: one error, three lines, nothing changed."""
    name = table(pitr=False)
    answer = run("deploy", "--table", name, "--table", "missing", "--bucket", "no-such-bucket-x")
    assert answer.code == 10
    assert "3 things are in the way, and nothing was changed" in answer.err
    assert "The table does not exist (table missing)" in answer.err
    assert f"Point-in-time recovery is off for table {name}" in answer.err
    assert "The bucket no-such-bucket-x does not exist" in answer.err
    assert "Add --enable-pitr" in answer.err
    assert answer.out == ""
    assert stacks(boto) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--table", "missing"), 12, "The table does not exist"),
        (("--table", "PITR-OFF"), 10, "Point-in-time recovery is off"),
        (
            ("--table", "GOOD", "--bucket", "no-such-bucket-x"),
            12,
            "no-such-bucket-x does not exist",
        ),
        ((), 2, "No table is named"),
    ],
)
def test_each_problem_has_its_exit_code(
    run: Run, table: Callable[..., str], words: tuple[str, ...], code: int, said: str
) -> None:
    """One problem alone ends with the exit code of its kind."""
    real = {"PITR-OFF": lambda: table(pitr=False), "GOOD": table}
    answer = run("deploy", *(real[w]() if w in real else w for w in words))
    assert (answer.code, said in answer.err) == (code, True), answer.err


def test_enable_pitr(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """--enable-pitr turns point-in-time recovery on, for as many days as asked."""
    name = table(pitr=False)
    answer = run("deploy", "--table", name, "--enable-pitr", "--recovery-days", "9")
    assert answer.code == 0, answer.err
    found = boto("dynamodb").describe_continuous_backups(TableName=name)
    pitr = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert (pitr["PointInTimeRecoveryStatus"], pitr["RecoveryPeriodInDays"]) == ("ENABLED", 9)


def test_existing_bucket_and_parameters(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """With --existing-parameters the tables, bucket and zone are those that are there already."""
    name = table()
    boto("s3").create_bucket(Bucket=f"archive-{name}")
    path = "/test/stg/infra"
    given = {
        "BACKUP_BUCKET_NAME": f"archive-{name}",
        "BACKUP_DAY_STR": "0",
        "BACKUP_HOUR_STR": "1",
        "BACKUP_MINUTE_STR": "0",
        "BACKUP_SECOND_STR": "0",
        "TEST_TABLE_NAME": name,
    }
    for key, value in given.items():
        boto("ssm").put_parameter(Name=f"{path}/{key}", Value=value, Type="String")
    answer = run("--output", "json", "deploy", "--existing-parameters", "--parameter-path", path)
    assert answer.code == 0, answer.err
    assert answer.json["outputs"]["Bucket"] == f"archive-{name}"
    assert settings(boto, path) == {f"{path}/{k}": v for k, v in given.items()}
    schedule = boto("scheduler").get_schedule(GroupName="coldtable", Name="coldtable-export")
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"


def test_destroy_keeps_the_archive(run: Run, table: Callable[..., str], boto: Boto) -> None:
    """Without --yes nothing happens; with it all is gone but the bucket, which serves again."""
    name = table()
    bucket = run("--output", "json", "deploy", "--table", name).json["outputs"]["Bucket"]
    boto("s3").put_object(Bucket=bucket, Key="kept", Body=b"")

    plan = run("destroy")
    assert plan.code == 0
    assert re.search(r"would go +ExportFunction", plan.out)
    assert re.search(rf"stays +archive +AWS::S3::Bucket +{bucket}", plan.out)
    assert "add --yes" in plan.err
    assert stacks(boto) == ["coldtable"]

    done = run("destroy", "--yes")
    assert done.code == 0, done.err
    assert stacks(boto) == []
    assert settings(boto) == {}
    assert buckets(boto) == [bucket]
    assert f"coldtable deploy --bucket {bucket}" in done.out

    again = run("--output", "json", "deploy", "--table", name, "--bucket", bucket)
    assert again.json["outputs"]["Bucket"] == bucket
    assert [o["Key"] for o in boto("s3").list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


def test_destroy_nothing(run: Run) -> None:
    """Destroying what is not there is an error of its own kind."""
    answer = run("destroy", "--yes")
    assert (answer.code, "There is no stack coldtable" in answer.err) == (12, True)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A deployed stack whose moment has just passed."""

    table: str
    bucket: str
    moment: datetime


@pytest.fixture
def installed(run: Run, table: Callable[..., str], boto: Boto, aws: EmbeddedAws) -> Installed:
    """Deploys one table with an item in it, and lets the emulator's clock pass the moment."""
    name = table()
    boto("dynamodb").put_item(TableName=name, Item={"id": {"S": "1"}})
    moment = aws.now().replace(microsecond=0) + timedelta(minutes=1)
    # The year 2099: nothing but this test shall start a run.
    answer = run(
        *("--output", "json", "deploy", "--table", name, "--at", f"{moment:%H:%M:%S}"),
        *("--schedule", "at(2099-01-01T00:00:00)"),
    )
    assert answer.code == 0, answer.err
    aws.move_to(moment + timedelta(minutes=1), fire=False)
    return Installed(table=name, bucket=answer.json["outputs"]["Bucket"], moment=moment)


def invoke(boto: Boto) -> tuple[int, dict[str, Any]]:
    """Status code and body of the deployed function's answer."""
    answer = boto("lambda").invoke(FunctionName="coldtable-export", Payload=b"{}")
    response = json.loads(answer["Payload"].read())
    return response["statusCode"], json.loads(response["body"])


def deny_role(boto: Boto, action: str) -> None:
    """Take one action away from the export function's role."""
    iam = boto("iam")
    (role,) = (r for r in iam.list_roles()["Roles"] if "ExportRole" in r["RoleName"])
    found = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="export")["PolicyDocument"]
    for statement in found["Statement"]:
        actions = statement["Action"]
        listed = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [a for a in listed if a != action] or ["none:None"]
    iam.put_role_policy(
        RoleName=role["RoleName"], PolicyName="export", PolicyDocument=json.dumps(found)
    )


def test_deployed_function_exports(installed: Installed, boto: Boto) -> None:
    """With the deployed role alone the function exports the moment, under its date and table."""
    status, body = invoke(boto)
    assert (status, body["message"]) == (200, "1 export started"), body
    (export,) = body["exports"]
    assert datetime.fromisoformat(export["exportTime"]) == installed.moment
    folder = f"{installed.moment:%Y/%m/%d}/{installed.table}/AWSDynamoDB/"
    until(
        lambda: [
            found["Key"]
            for found in boto("s3")
            .list_objects_v2(Bucket=installed.bucket, Prefix=folder)
            .get("Contents", [])
            if found["Key"].endswith("/manifest-summary.json")
        ]
    )


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:DescribeTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:ExportTableToPointInTime",
        "ssm:GetParametersByPath",
    ],
)
@pytest.mark.usefixtures("installed")
def test_role_needs_what_it_has(boto: Boto, action: str) -> None:
    """Without one of its actions the function fails, and its answer names that action."""
    deny_role(boto, action)
    status, body = invoke(boto)
    assert status == 500
    said = body["failedExports"][0]["error"] if body["failedExports"] else body["message"]
    assert f"{action} is missing" in said


@pytest.mark.usefixtures("installed")
def test_role_needs_to_write(boto: Boto) -> None:
    """Without s3:PutObject DynamoDB accepts the export and fails it for want of access."""
    deny_role(boto, "s3:PutObject")
    status, body = invoke(boto)
    assert (status, len(body["exports"])) == (200, 1)
    dynamodb = boto("dynamodb")

    def failed() -> dict[str, Any] | None:
        found: dict[str, Any] = dynamodb.describe_export(ExportArn=body["exports"][0]["exportArn"])[
            "ExportDescription"
        ]
        return None if found["ExportStatus"] == "IN_PROGRESS" else found

    assert until(failed)["FailureCode"] == "S3AccessDenied"


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:DescribeTable",
        "cloudformation:CreateChangeSet",
        "scheduler:GetSchedule",
        "s3:PutObject",
    ],
)
def test_missing_permission_is_named(
    run: Run, table: Callable[..., str], boto: Boto, account: str, aws: EmbeddedAws, action: str
) -> None:
    """A deployer without an action is told which, and exits with the code for access."""
    policy = deployer_policy(account, aws.region)
    policy["Statement"].append({"Effect": "Deny", "Action": action, "Resource": "*"})
    key, secret = deployer(boto, policy)
    answer = run("deploy", "--table", table(), key=key, secret=secret)
    assert answer.code == 11, answer.err
    assert f"Access denied: {action} is missing" in answer.err


def test_documented_policy_is_enough_and_no_more(
    run: Run,
    table: Callable[..., str],
    boto: Boto,
    account: str,
    aws: EmbeddedAws,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A user with the policy of docs/deployer-permissions.md, and no other, can do all of it; and
    the statements of this program's own calls allow what it called, and nothing that it did not."""
    policy = deployer_policy(account, aws.region)
    key, secret = deployer(boto, policy)
    name = table(pitr=False)
    wish = ("deploy", "--table", name, "--enable-pitr")
    caplog.set_level("DEBUG", "botocore.endpoint")
    caplog.clear()
    for words in ((*wish, "--dry-run"), wish, wish, ("destroy",), ("destroy", "--yes")):
        answer = run(*words, key=key, secret=secret)
        assert answer.code == 0, (words, answer.err)
    called = {
        found[1]
        for message in caplog.messages
        if (found := re.match(r"Making request for OperationModel\(name=(\w+)\)", message))
    }
    ours = [s for s in policy["Statement"] if s["Sid"].startswith("Coldtable")]
    allowed = {
        a for s in ours for a in ([s["Action"]] if type(s["Action"]) is str else s["Action"])
    }
    assert {action.partition(":")[2] for action in allowed} == {
        IAM_NAMES.get(operation, operation) for operation in called
    }


# Where IAM has another name for an operation than the API. HeadObject is s3:GetObject.
IAM_NAMES = {
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


def deployer_policy(account: str, region: str) -> dict[str, Any]:
    """The policy of the page, its capital words replaced by the defaults."""
    page = POLICY_PAGE.read_text(encoding="utf-8")
    text = page.split("<!-- policy -->")[1].split("```json")[1].split("```")[0]
    words = {
        "ARCHIVE": "STACK-archivebucket-*",
        "CODE": "coldtable-code-ACCOUNT-REGION",
        "STACK": "coldtable",
        "PATH": "coldtable/prod",
        "ACCOUNT": account,
        "REGION": region,
    }
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", value, text)
    policy: dict[str, Any] = json.loads(text)
    return policy


def deployer(boto: Boto, policy: dict[str, Any]) -> tuple[str, str]:
    """A user with that policy: access key and secret."""
    iam = boto("iam")
    iam.create_user(UserName="deployer")
    iam.put_user_policy(UserName="deployer", PolicyName="deploy", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="deployer")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]
