"""Rights: those of whoever deploys, and those of the role that the deployed function has."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws
from tests.unit.test_iam import sets

from .conftest import Boto, Coldtable, NewTable, until

pytestmark = pytest.mark.functional

POLICY_PAGE = Path(__file__).parents[2] / "docs" / "deployer-permissions.md"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A deployed stack whose moment has just passed."""

    table: str
    bucket: str
    moment: datetime


@pytest.fixture
def installed(coldtable: Coldtable, new_table: NewTable, boto: Boto, aws: EmbeddedAws) -> Installed:
    """Deploys one table with an item in it, and lets the emulator's clock pass the moment."""
    name = new_table()
    boto("dynamodb").put_item(TableName=name, Item={"id": {"S": "1"}})
    moment = aws.now().replace(microsecond=0) + timedelta(minutes=1)
    # The year 2099: nothing but this test shall start a run.
    answer = coldtable(
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


def test_printed_policies_are_the_deployed_ones(
    installed: Installed, coldtable: Coldtable, boto: Boto
) -> None:
    """`coldtable policy lambda` prints what the stack's role has, and what the settings ask for
    beyond that it names; `policy bucket` names the stack's roles."""
    (name,) = (
        r["RoleName"] for r in boto("iam").list_roles()["Roles"] if "ExportRole" in r["RoleName"]
    )
    deployed = boto("iam").get_role_policy(RoleName=name, PolicyName="export")["PolicyDocument"]
    answer = coldtable("policy", "lambda", "--function", "export")
    assert sets(answer.json) == sets(deployed)
    assert "Missing" not in answer.err
    boto("ssm").put_parameter(
        Name="/coldtable/prod/POLICY",
        Type="String",
        Value=json.dumps({"bucket": "theirs", "bucket_owner": "210987654321", "tables": ["a-*"]}),
    )
    answer = coldtable("policy", "lambda", "--function", "export")
    assert f"Missing from what the stack gave the role {name}: " in answer.err
    assert ": bucket theirs\n" in answer.err
    assert "table/a-*, bucket theirs\n" in coldtable("policy", "lambda").err
    assert f"--role-name {name} " in answer.err
    written = sets(answer.json)["WriteTheArchive"]
    assert written["Resource"] == {f"arn:aws:s3:::{b}/*" for b in (installed.bucket, "theirs")}
    answer = coldtable("policy", "bucket")
    assert sets(answer.json)["ColdtableWrites"]["Resource"] == {"arn:aws:s3:::theirs/*"}
    assert name in json.dumps(sets(answer.json)["ColdtableWrites"]["Principal"])
    assert "as account 210987654321" in answer.err


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
    coldtable: Coldtable,
    new_table: NewTable,
    boto: Boto,
    account: str,
    aws: EmbeddedAws,
    action: str,
) -> None:
    """A deployer without an action is told which, and exits with the code for access."""
    policy = deployer_policy(account, aws.region)
    policy["Statement"].append({"Effect": "Deny", "Action": action, "Resource": "*"})
    key, secret = deployer(boto, policy)
    answer = coldtable("deploy", "--table", new_table(), key=key, secret=secret)
    assert answer.code == 11, answer.err
    assert f"Access denied: {action} is missing" in answer.err


def test_documented_policy_is_enough_and_no_more(
    coldtable: Coldtable,
    new_table: NewTable,
    boto: Boto,
    account: str,
    aws: EmbeddedAws,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A user with the policy of docs/deployer-permissions.md, and no other, can do all of it; and
    the statements of this program's own calls allow what it called, and nothing that it did not."""
    policy = deployer_policy(account, aws.region)
    key, secret = deployer(boto, policy)
    name = new_table(pitr=False)
    wish = (
        *("deploy", "--table", name, "--table", "none-like-*", "--tagged", "--enable-pitr"),
        *("--glacier-ir-after", "30", "--object-lock", "governance:1"),
        *("--verify-days", "30", "--drill-days", "30"),
    )
    caplog.set_level("DEBUG", "botocore.endpoint")
    caplog.clear()
    for words in ((*wish, "--dry-run"), wish, wish, ("destroy",), ("destroy", "--yes")):
        answer = coldtable(*words, key=key, secret=secret)
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
    # The bucket outlives the stack, with the rules that the options asked for.
    s3 = boto("s3")
    (bucket,) = (b["Name"] for b in s3.list_buckets()["Buckets"] if "-archivebucket-" in b["Name"])
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    (moves,) = (rule["Transitions"] for rule in rules if "Transitions" in rule)
    assert moves == [{"Days": 30, "StorageClass": "GLACIER_IR"}]
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 1}


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
