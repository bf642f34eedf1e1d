"""Least privilege: what the roles of the template may do, and how many tables fit into them."""

from __future__ import annotations

import json
import re

import pytest

from coldtable.errors import LimitReached
from coldtable.model import Table
from coldtable.ops import ground
from tests.unit.rendering import ACCOUNT, ARNS, KEY, REGION, Rendered, statements


def test_function_may_do_its_work_and_nothing_else() -> None:
    """The role's whole policy: these tables, this bucket, this path, this log, this queue."""
    allowed = {
        sid: (s["Action"], s["Resource"])
        for sid, s in statements(Rendered().properties("ExportRole")).items()
    }
    assert allowed == {
        "ExportTheseTables": (
            [
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeTable",
                "dynamodb:ExportTableToPointInTime",
            ],
            list(ARNS),
        ),
        "FindExports": ("dynamodb:ListExports", "*"),
        "FollowTheExports": (
            "dynamodb:DescribeExport",
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*/export/*",
        ),
        "WriteTheArchive": (
            ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"],
            "arn:aws:s3:::<ArchiveBucket>/*",
        ),
        "ReadTheSettings": (
            "ssm:GetParametersByPath",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/coldtable/prod",
        ),
        "WriteTheLog": (["logs:CreateLogStream", "logs:PutLogEvents"], "<LogGroup.Arn>"),
        "ReportWhatFailed": ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    }


def test_keys_are_used_only_where_they_are_named() -> None:
    """KMS rights appear with the key's ARN, on that key, and not otherwise."""
    allowed = statements(
        Rendered(BucketKmsKeyArn=KEY, ParameterKmsKeyArn=KEY).properties("ExportRole")
    )
    assert allowed["EncryptTheArchive"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert allowed["DecryptTheSettings"]["Action"] == "kms:Decrypt"
    assert {allowed[s]["Resource"] for s in ("EncryptTheArchive", "DecryptTheSettings")} == {KEY}
    (rule,) = Rendered(BucketKmsKeyArn=KEY).properties("ArchiveBucket")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY


PATTERNS = tuple(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("app-*", "x?y"))
KEEP = [
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:ListTagsOfResource",
]


def test_tick_may_do_its_work_and_nothing_else() -> None:
    """The tick's whole policy: these tables, their exports, this bucket, path, topic and log."""
    allowed = {
        sid: (s["Action"], s["Resource"])
        for sid, s in statements(Rendered().properties("TickRole")).items()
    }
    assert allowed == {
        "KeepTheseTables": (KEEP, list(ARNS)),
        "FindTables": (["dynamodb:ListExports", "dynamodb:ListTables"], "*"),
        "FollowTheExports": (
            "dynamodb:DescribeExport",
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*/export/*",
        ),
        "KeepTheArchive": (
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"],
            "arn:aws:s3:::<ArchiveBucket>/*",
        ),
        "ListTheArchive": ("s3:ListBucket", "arn:aws:s3:::<ArchiveBucket>"),
        "ReadTheSettings": (
            "ssm:GetParametersByPath",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/coldtable/prod",
        ),
        "TellPeople": ("sns:Publish", "<AlarmTopic>"),
        "WriteTheLog": (["logs:CreateLogStream", "logs:PutLogEvents"], "<TickLogGroup.Arn>"),
    }


def test_who_verifies_can_change_nothing_of_it() -> None:
    """It may read all, write records alone, and do nothing to any table."""
    allowed = statements(Rendered(VerifyDays="30").properties("VerifyRole"))
    written = {
        sid: s["Resource"] for sid, s in allowed.items() if "s3:PutObject" in str(s["Action"])
    }
    assert written == {"WriteTheRecords": "arn:aws:s3:::<ArchiveBucket>/coldtable/v1/*"}
    actions = json.dumps([s["Action"] for s in allowed.values()])
    assert "dynamodb:" not in actions
    assert "Delete" not in actions


def test_tables_are_kept_by_glob_and_by_tag() -> None:
    """Wildcards are IAM's own; a tag is a condition on every table; the nightly role gets none."""
    rendered = Rendered(
        TableNames="", TableArns="", PatternArns=",".join(PATTERNS), Tagged="true", Policy="{}"
    )
    allowed = statements(rendered.properties("TickRole"))
    assert "KeepTheseTables" not in allowed
    assert allowed["KeepTablesOfTheseNames"]["Resource"] == list(PATTERNS)
    tagged = allowed["KeepTablesWithTheTag"]
    assert tagged["Resource"] == f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*"
    assert tagged["Condition"] == {
        "StringEqualsIgnoreCase": {"aws:ResourceTag/coldtable": ["snapshot", "continuous"]}
    }
    assert allowed["KeepTablesOfTheseNames"]["Action"] == tagged["Action"] == KEEP
    assert allowed["FindTags"]["Action"] == "tag:GetResources"
    nightly = statements(rendered.properties("ExportRole"))
    assert not [a for s in nightly.values() for a in s["Action"] if a.startswith("dynamodb:")]


def test_schedules_may_invoke_these_functions_only() -> None:
    """The scheduler's role: two functions, one queue, and trust for one account and group."""
    role = Rendered().properties("ScheduleRole")
    assert {sid: (s["Action"], s["Resource"]) for sid, s in statements(role).items()} == {
        "InvokeTheFunctions": (
            "lambda:InvokeFunction",
            ["<ExportFunction.Arn>", "<TickFunction.Arn>"],
        ),
        "ReportWhatWasNotDelivered": ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    }
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": "<ScheduleGroup.Arn>",
    }


def test_no_resource_is_a_star() -> None:
    """Nothing is allowed on everything, but listings that AWS cannot narrow [POLICY]."""
    listings = {"dynamodb:ListExports", "dynamodb:ListTables", "tag:GetResources"}
    for name, resource in Rendered(BucketKmsKeyArn=KEY, Tagged="true").resources.items():
        for allowed in re.findall(r'\{[^{}]*"Effect": "Allow"[^{}]*\}', json.dumps(resource)):
            if '"Resource": "*"' in allowed:
                actions = json.loads(allowed)["Action"]
                assert ({actions} if isinstance(actions, str) else set(actions)) <= listings, name


def _tables(count: int, length: int) -> list[Table]:
    prefix = f"arn:aws:dynamodb:ap-southeast-1:{ACCOUNT}:table/"
    names = [f"{i:0{length}d}" for i in range(count)]
    return [Table(name=n, arn=prefix + n, table_id=n) for n in names]


PATH = "/" + "p" * 900


def _policy_size(role: str, tables: list[Table]) -> int:
    """The inline policies of a role as IAM counts them, at the longest names."""
    first, rest = ground.pack_arns(tables)
    properties = Rendered(
        TableArns=first,
        MoreTableArns=rest,
        Tagged="true",
        # One pattern, which the statement for patterns needs to be there.
        PatternArns="x",
        BucketName="b" * 63,
        BucketKmsKeyArn=KEY,
        ParameterKmsKeyArn=KEY,
        ParameterPath=PATH,
    ).properties(role)
    return sum(
        len(json.dumps(p["PolicyDocument"], separators=(",", ":"))) for p in properties["Policies"]
    )


@pytest.mark.parametrize(("count", "length"), [(1, 3), (60, 20), (130, 8), (20, 255)])
def test_policy_size_is_not_underestimated(count: int, length: int) -> None:
    """What the size check reckons is at least what the larger of both policies takes, and near."""
    tables = _tables(count, length)
    reckoned = ground.POLICY_FRAME + len(PATH) + sum(len(f'"{t.arn}",') for t in tables)
    larger = max(_policy_size(role, tables) for role in ("ExportRole", "TickRole"))
    # The log group's and the topic's ARN are names of 100 characters at most more than here.
    assert larger + 2 * 100 <= reckoned <= larger + 700


def test_many_tables_fit() -> None:
    """A hundred tables fit into one stack, their ARNs over two parameters, none lost."""
    tables = _tables(100, 20)
    ground.check_sizes(tables, (), "/coldtable/prod")
    first, rest = ground.pack_arns(tables)
    assert len(first) <= ground.LONGEST_VALUE
    resource = statements(Rendered(TableArns=first, MoreTableArns=rest).properties("ExportRole"))[
        "ExportTheseTables"
    ]["Resource"]
    assert resource == [t.arn for t in tables]


@pytest.mark.parametrize(("count", "length"), [(200, 20), (40, 255)])
def test_too_many_tables_are_refused(count: int, length: int) -> None:
    """More than fits is refused with the sizes and the way out, before AWS refuses it late."""
    with pytest.raises(LimitReached) as caught:
        ground.check_sizes(_tables(count, length), (), "/coldtable/prod")
    assert f"{count} tables are too many for one stack" in caught.value.message
    assert "--stack-name" in caught.value.hint
