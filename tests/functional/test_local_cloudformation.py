"""A stack has what its template says: every property is read back through its own service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Boto, until

_ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["scheduler.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
_ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": _ASSUME}}


def _deploy(boto: Boto, resources: dict[str, Any], name: str = "stack") -> dict[str, Any]:
    """Create or update the stack and return its description."""
    cfn = boto("cloudformation")
    template = json.dumps({"Resources": resources})
    act = cfn.update_stack if _exists(cfn, name) else cfn.create_stack
    act(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    return _settled(cfn, name)


def _exists(cfn: Any, name: str) -> bool:
    return any(s["StackName"] == name for s in cfn.describe_stacks()["Stacks"])


def _settled(cfn: Any, name: str) -> dict[str, Any]:
    def ask() -> Any:
        stack = cfn.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    return dict(until(ask))


def _reasons(boto: Boto, name: str = "stack") -> str:
    events = boto("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(e.get("ResourceStatusReason", "") for e in events)


def _table(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "orders",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            **properties,
        },
    }


def _recovery(boto: Boto) -> dict[str, Any]:
    found = boto("dynamodb").describe_continuous_backups(TableName="orders")
    return dict(found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"])


def test_a_table_gets_its_recovery_period_ttl_and_encryption(boto: Boto) -> None:
    """PITR with its period, time to live and SSE arrive, and leave when an update drops them."""
    table = _table(
        PointInTimeRecoverySpecification={
            "PointInTimeRecoveryEnabled": "true",
            "RecoveryPeriodInDays": 7,
        },
        TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
        SSESpecification={"SSEEnabled": True, "SSEType": "KMS"},
    )
    assert _deploy(boto, {"T": table})["StackStatus"] == "CREATE_COMPLETE"
    assert _recovery(boto)["PointInTimeRecoveryStatus"] == "ENABLED"
    assert _recovery(boto)["RecoveryPeriodInDays"] == 7
    ddb = boto("dynamodb")
    ttl = ddb.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "until")
    sse = ddb.describe_table(TableName="orders")["Table"]["SSEDescription"]
    assert (sse["Status"], sse["SSEType"]) == ("ENABLED", "KMS")
    assert _deploy(boto, {"T": _table()})["StackStatus"] == "UPDATE_COMPLETE"
    assert _recovery(boto)["PointInTimeRecoveryStatus"] == "DISABLED"


def _bucket(account: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": f"cfn-{account}", **properties},
    }


def test_a_bucket_gets_encryption_lifecycle_ownership_and_lock(boto: Boto, account: str) -> None:
    """What protects an archive is really on the bucket."""
    bucket = _bucket(
        account,
        VersioningConfiguration={"Status": "Enabled"},
        ObjectLockEnabled=True,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}},
        },
        BucketEncryption={
            "ServerSideEncryptionConfiguration": [
                {
                    "BucketKeyEnabled": True,
                    "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
                }
            ]
        },
        LifecycleConfiguration={
            "Rules": [
                {
                    "Id": "tidy",
                    "Status": "Enabled",
                    "Prefix": "a/",
                    "ExpirationInDays": 9,
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 4},
                    "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 5}],
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                }
            ]
        },
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True},
    )
    assert _deploy(boto, {"B": bucket})["StackStatus"] == "CREATE_COMPLETE", _reasons(boto)
    s3, name = boto("s3"), f"cfn-{account}"
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["BucketKeyEnabled"] is True
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert lifecycle["ID"] == "tidy"
    assert lifecycle["Filter"]["Prefix"] == "a/"
    assert lifecycle["Expiration"]["Days"] == 9
    assert lifecycle["Transitions"] == [{"Days": 5, "StorageClass": "GLACIER"}]
    assert lifecycle["NoncurrentVersionExpiration"]["NoncurrentDays"] == 4
    assert lifecycle["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    owner = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"][0]
    assert owner["ObjectOwnership"] == "BucketOwnerEnforced"
    lock = s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 3}
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"][
        "BlockPublicPolicy"
    ]


def test_a_bucket_with_objects_does_not_go_with_its_stack(boto: Boto, account: str) -> None:
    """DeleteStack ends in DELETE_FAILED and says that the bucket is not empty."""
    _deploy(boto, {"B": _bucket(account)})
    boto("s3").put_object(Bucket=f"cfn-{account}", Key="k", Body=b"v")
    cfn = boto("cloudformation")
    cfn.delete_stack(StackName="stack")
    assert _settled(cfn, "stack")["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in _reasons(boto)
    assert boto("s3").list_objects_v2(Bucket=f"cfn-{account}")["KeyCount"] == 1


@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_a_retained_bucket_outlives_its_stack(boto: Boto, account: str, policy: str) -> None:
    """With such a DeletionPolicy the stack goes and the objects stay."""
    bucket = {**_bucket(account), "DeletionPolicy": policy}
    _deploy(boto, {"B": bucket})
    boto("s3").put_object(Bucket=f"cfn-{account}", Key="k", Body=b"v")
    cfn = boto("cloudformation")
    arn = cfn.describe_stacks(StackName="stack")["Stacks"][0]["StackId"]
    cfn.delete_stack(StackName="stack")
    assert _settled(cfn, arn)["StackStatus"] == "DELETE_COMPLETE"
    assert boto("s3").list_objects_v2(Bucket=f"cfn-{account}")["KeyCount"] == 1


def _schedule(account: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Scheduler::Schedule",
        "DependsOn": "G",
        "Properties": {
            "Name": "nightly",
            "GroupName": "group",
            "ScheduleExpression": "cron(0 4 * * ? *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "StartDate": "2030-01-01T00:00:00Z",
            "EndDate": "2031-01-01T00:00:00Z",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": f"arn:aws:lambda:us-east-1:{account}:function:f",
                "RoleArn": {"Fn::GetAtt": ["R", "Arn"]},
                "RetryPolicy": {"MaximumRetryAttempts": "3", "MaximumEventAgeInSeconds": 600},
            },
            **properties,
        },
    }


_GROUP = {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "group"}}


def test_a_schedule_keeps_its_time_zone_dates_and_retry_policy(boto: Boto, account: str) -> None:
    """GetSchedule says what the template said, with the types of the API, also after an update."""
    resources = {"R": _ROLE, "G": _GROUP, "S": _schedule(account)}
    assert _deploy(boto, resources)["StackStatus"] == "CREATE_COMPLETE", _reasons(boto)
    found = boto("scheduler").get_schedule(Name="nightly", GroupName="group")
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["StartDate"].isoformat()[:10] == "2030-01-01"
    assert found["EndDate"].year in (2030, 2031)
    assert found["Target"]["RetryPolicy"] == {
        "MaximumRetryAttempts": 3,
        "MaximumEventAgeInSeconds": 600,
    }
    resources["S"] = _schedule(account, ScheduleExpressionTimezone="Asia/Tokyo")
    assert _deploy(boto, resources)["StackStatus"] == "UPDATE_COMPLETE", _reasons(boto)
    found = boto("scheduler").get_schedule(Name="nightly", GroupName="group")
    assert found["ScheduleExpressionTimezone"] == "Asia/Tokyo"


def test_a_schedule_group_that_exists_fails_the_stack(boto: Boto) -> None:
    """A second stack cannot take over another's group."""
    boto("scheduler").create_schedule_group(Name="group")
    assert _deploy(boto, {"G": _GROUP})["StackStatus"].startswith("ROLLBACK")
    assert "already exists" in _reasons(boto)
    assert boto("scheduler").get_schedule_group(Name="group")["State"] == "ACTIVE"


def test_a_schedule_without_its_group_fails_the_stack(boto: Boto, account: str) -> None:
    """A refusal of the scheduler is not lost."""
    schedule = _schedule(account, GroupName="nowhere")
    del schedule["DependsOn"]
    assert _deploy(boto, {"R": _ROLE, "S": schedule})["StackStatus"].startswith("ROLLBACK")
    assert "nowhere" in _reasons(boto)


def test_a_function_keeps_its_dead_letter_queue_and_concurrency(boto: Boto) -> None:
    """Dead letters, reserved concurrency, EventInvokeConfig, log format and retention arrive."""
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": "f",
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["R", "Arn"]},
            "Code": {"ZipFile": "def handler(event, context):\n    return 1\n"},
            "ReservedConcurrentExecutions": 2,
            "DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": ["Q", "Arn"]}},
            "LoggingConfig": {"LogFormat": "JSON", "LogGroup": {"Ref": "L"}},
        },
    }
    resources = {
        "R": _ROLE,
        "Q": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": 1209600}},
        "L": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
        "F": function,
        "I": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "F"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "MaximumEventAgeInSeconds": 3600,
            },
        },
    }
    assert _deploy(boto, resources)["StackStatus"] == "CREATE_COMPLETE", _reasons(boto)
    found = boto("lambda").get_function(FunctionName="f")
    assert found["Configuration"]["DeadLetterConfig"]["TargetArn"].startswith("arn:aws:sqs")
    assert found["Concurrency"]["ReservedConcurrentExecutions"] == 2
    assert found["Configuration"]["LoggingConfig"]["LogFormat"] == "JSON"
    invoke = boto("lambda").get_function_event_invoke_config(FunctionName="f", Qualifier="$LATEST")
    assert (invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (1, 3600)
    (group,) = boto("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 30
    (url,) = boto("sqs").list_queues()["QueueUrls"]
    attributes = boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert attributes["Attributes"]["MessageRetentionPeriod"] == "1209600"


def test_a_change_set_leaves_out_what_its_conditions_leave_out(boto: Boto) -> None:
    """A resource whose condition is false is no change; it is one when the condition turns."""
    template = {
        "Parameters": {"Email": {"Type": "String", "Default": ""}},
        "Conditions": {"HasEmail": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Email"}, ""]}]}},
        "Resources": {
            "T": {"Type": "AWS::SNS::Topic"},
            "S": {"Type": "AWS::SQS::Queue", "Condition": "HasEmail"},
        },
    }
    cfn = boto("cloudformation")

    def changes(email: str, kind: str) -> list[tuple[str, str]]:
        made = cfn.create_change_set(
            StackName="stack",
            ChangeSetName=f"set-{kind}-{email}",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Email", "ParameterValue": email}],
        )["Id"]
        found = [
            c["ResourceChange"] for c in cfn.describe_change_set(ChangeSetName=made)["Changes"]
        ]
        cfn.execute_change_set(ChangeSetName=made)
        assert _settled(cfn, "stack")["StackStatus"].endswith("_COMPLETE")
        return sorted((c["Action"], c["LogicalResourceId"]) for c in found)

    assert changes("", "CREATE") == [("Add", "T")]
    assert changes("me", "UPDATE") == [("Add", "S")]
    assert changes("", "UPDATE") == [("Remove", "S")]
    resources = cfn.describe_stack_resources(StackName="stack")["StackResources"]
    assert [r["LogicalResourceId"] for r in resources] == ["T"]
