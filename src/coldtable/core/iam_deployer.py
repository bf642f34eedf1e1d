"""The deployer's IAM policy: what ``coldtable deploy`` calls, and CloudFormation in its name.

``docs/deployer-permissions.md`` shows it and says where each part comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coldtable.core.iam import Document, Statement, allow, policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where is deployed: names and numbers, as they stand in ARNs.

    ``path`` is the parameter path without its first slash. ``bucket`` is ``None`` for one that
    the stack creates. ``tables`` are names, or ``*``.
    """

    account: str
    region: str
    stack: str
    path: str
    code_bucket: str
    bucket: str | None = None
    tables: tuple[str, ...] = ("*",)
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket_arn(self, bucket: str) -> str:
        """The ARN of a bucket."""
        return f"arn:{self.partition}:s3:::{bucket}"

    @property
    def archive(self) -> str:
        """The archive's bucket; a pattern where CloudFormation makes the name."""
        return self.bucket or f"{self.stack}-archivebucket-*"


def deployer_policy(site: Site) -> Document:
    """All that deploying, rehearsing and destroying one installation needs."""
    return policy(*_own_calls(site), *_stack_calls(site))


def _own_calls(site: Site) -> Iterator[Statement]:
    """The calls of this program. A test holds them against those that are made."""
    tables = [site.arn("dynamodb", f"table/{name}") for name in site.tables]
    archive, code = site.bucket_arn(site.archive), site.bucket_arn(site.code_bucket)
    yield allow(
        "ColdtableLooksAtTables", "dynamodb:DescribeContinuousBackups DescribeTable", tables
    )
    # For globs and tags; neither can be narrowed.
    yield allow("ColdtableFindsTables", "dynamodb:ListTables", "*")
    yield allow("ColdtableFindsTags", "tag:GetResources", "*")
    yield allow("ColdtableEnablesPitr", "dynamodb:UpdateContinuousBackups", tables)
    yield allow(
        "ColdtableReadsSettings",
        "ssm:GetParametersByPath",
        site.arn("ssm", f"parameter/{site.path}"),
    )
    yield allow("ColdtableLooksAtBuckets", "s3:ListBucket", (archive, code))
    yield allow(
        "ColdtableKeepsTheCodeBucket",
        "s3:CreateBucket DeleteBucket PutBucketPublicAccessBlock PutEncryptionConfiguration",
        code,
    )
    yield allow(
        "ColdtableKeepsTheCode", "s3:DeleteObject GetObject PutObject", f"{code}/{site.stack}/*"
    )
    yield allow(
        "ColdtableDrivesTheStack",
        "cloudformation:CreateChangeSet DeleteChangeSet DeleteStack DescribeChangeSet "
        "DescribeStackEvents DescribeStacks ExecuteChangeSet ListStackResources",
        site.arn("cloudformation", f"stack/{site.stack}/*"),
    )
    yield allow(
        "ColdtableChecksTheSchedules",
        "scheduler:GetSchedule",
        site.arn("scheduler", f"schedule/{site.stack}/*"),
    )
    yield allow(
        "ColdtableChecksTheFunctions",
        "lambda:GetFunctionConfiguration",
        site.arn("lambda", f"function:{site.stack}-*"),
    )
    yield allow("ColdtableChecksTheAlarms", "cloudwatch:DescribeAlarms", "*")


def _stack_calls(site: Site) -> Iterator[Statement]:
    """What CloudFormation calls in the deployer's name."""
    stack = site.stack
    if site.bucket is None:
        yield allow(
            "StackArchive",
            "s3:CreateBucket DeleteBucket DeleteBucketPolicy GetBucketPolicy "
            "PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy "
            "PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning "
            "PutEncryptionConfiguration PutLifecycleConfiguration",
            site.bucket_arn(site.archive),
        )
    yield allow(
        "StackSettings",
        "ssm:AddTagsToResource DeleteParameter GetParameters ListTagsForResource PutParameter "
        "RemoveTagsFromResource",
        site.arn("ssm", f"parameter/{site.path}/*"),
    )
    roles = f"arn:{site.partition}:iam::{site.account}:role/{stack}-*"
    yield allow(
        "StackRoles",
        "iam:CreateRole DeleteRole DeleteRolePolicy GetRole GetRolePolicy "
        "ListAttachedRolePolicies ListRolePolicies PutRolePolicy TagRole UntagRole "
        "UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
        roles,
    )
    services = ["lambda.amazonaws.com", "scheduler.amazonaws.com"]
    yield allow(
        "StackPassesRoles",
        "iam:PassRole",
        roles,
        Condition={"StringEquals": {"iam:PassedToService": services}},
    )
    yield allow(
        "StackFunctions",
        "lambda:CreateFunction DeleteFunction DeleteFunctionEventInvokeConfig GetFunction "
        "GetFunctionCodeSigningConfig GetFunctionEventInvokeConfig GetFunctionRecursionConfig "
        "GetRuntimeManagementConfig PutFunctionEventInvokeConfig TagResource UntagResource "
        "UpdateFunctionCode UpdateFunctionConfiguration UpdateFunctionEventInvokeConfig",
        site.arn("lambda", f"function:{stack}-*"),
    )
    yield from _watching_calls(site)


def _watching_calls(site: Site) -> Iterator[Statement]:
    stack = site.stack
    yield allow(
        "StackLogs",
        "logs:CreateLogGroup DeleteLogGroup ListTagsForResource PutRetentionPolicy TagResource "
        "UntagResource",
        site.arn("logs", f"log-group:/aws/lambda/{stack}-*"),
    )
    yield allow("StackFindsLogs", "logs:DescribeLogGroups", "*")
    yield allow(
        "StackQueue",
        "sqs:CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags "
        "SetQueueAttributes TagQueue UntagQueue",
        site.arn("sqs", f"{stack}-*"),
    )
    yield allow(
        "StackSchedules",
        "scheduler:CreateSchedule CreateScheduleGroup DeleteSchedule DeleteScheduleGroup "
        "GetSchedule GetScheduleGroup ListTagsForResource TagResource UntagResource "
        "UpdateSchedule",
        [
            site.arn("scheduler", f"schedule-group/{stack}"),
            site.arn("scheduler", f"schedule/{stack}/*"),
        ],
    )
    yield allow(
        "StackTopic",
        "sns:CreateTopic DeleteTopic GetDataProtectionPolicy GetSubscriptionAttributes "
        "GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource SetTopicAttributes "
        "Subscribe TagResource Unsubscribe UntagResource",
        site.arn("sns", f"{stack}-*"),
    )
    yield allow(
        "StackAlarms",
        "cloudwatch:DeleteAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource",
        site.arn("cloudwatch", f"alarm:{stack}-*"),
    )
