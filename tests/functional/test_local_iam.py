"""Least privilege: what a role may, it may with rightly scoped ARNs, and nothing more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client


class Guest:
    """A role of the test's account that may do exactly what it is given."""

    def __init__(self, aws: EmbeddedAws, boto: Boto, account: str) -> None:
        self._aws = aws
        self._boto = boto
        self.account = account
        trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
        self._role = boto("iam").create_role(
            RoleName="guest",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]

    def may(self, action: str, *resources: str) -> None:
        statement = {"Effect": "Allow", "Action": action, "Resource": list(resources)}
        self._boto("iam").put_role_policy(
            RoleName="guest",
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )

    def client(self, service: str) -> Any:
        found = self._boto("sts").assume_role(RoleArn=self._role, RoleSessionName="visit")
        given = found["Credentials"]
        return client(
            self._aws,
            service,
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given["SessionToken"],
        )


@pytest.fixture
def guest(aws: EmbeddedAws, boto: Boto, account: str) -> Guest:
    return Guest(aws, boto, account)


def _table(boto: Boto, name: str) -> str:
    made = boto("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    boto("dynamodb").update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return str(made["TableDescription"]["TableArn"])


Call = Callable[[Any, str], Any]

_ON_A_TABLE: dict[str, Call] = {
    "DescribeTable": lambda ddb, arn: ddb.describe_table(TableName=arn.rsplit("/", 1)[1]),
    "DescribeContinuousBackups": lambda ddb, arn: ddb.describe_continuous_backups(
        TableName=arn.rsplit("/", 1)[1]
    ),
    "UpdateContinuousBackups": lambda ddb, arn: ddb.update_continuous_backups(
        TableName=arn.rsplit("/", 1)[1],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    ),
    "ExportTableToPointInTime": lambda ddb, arn: ddb.export_table_to_point_in_time(
        TableArn=arn, S3Bucket="nowhere"
    ),
}


@pytest.mark.parametrize("operation", _ON_A_TABLE)
def test_a_table_operation_is_judged_on_its_table(boto: Boto, guest: Guest, operation: str) -> None:
    """Allowed on the one table that the policy names, refused on the other with AWS's sentence."""
    mine, other = _table(boto, "mine"), _table(boto, "other")
    guest.may(f"dynamodb:{operation}", mine)
    ddb = guest.client("dynamodb")
    _ON_A_TABLE[operation](ddb, mine)
    with pytest.raises(ClientError) as refused:
        _ON_A_TABLE[operation](ddb, other)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refused.value.response["Error"]["Message"] == (
        f"User: arn:aws:sts::{guest.account}:assumed-role/guest/visit is not authorized to "
        f"perform: dynamodb:{operation} on resource: {other} because no identity-based policy "
        f"allows the dynamodb:{operation} action"
    )


def test_an_export_is_described_by_its_own_arn(boto: Boto, guest: Guest) -> None:
    """``table/T/export/*`` is enough for DescribeExport; ListExports wants ``*``."""
    arn = _table(boto, "exported")
    export = boto("dynamodb").export_table_to_point_in_time(TableArn=arn, S3Bucket="nowhere")
    export_arn = export["ExportDescription"]["ExportArn"]
    guest.may("dynamodb:DescribeExport", f"{arn}/export/*")
    guest.client("dynamodb").describe_export(ExportArn=export_arn)
    guest.may("dynamodb:ListExports", "*")
    assert guest.client("dynamodb").list_exports(TableArn=arn)["ExportSummaries"]
    with pytest.raises(ClientError, match="dynamodb:DescribeExport"):
        guest.client("dynamodb").describe_export(ExportArn=export_arn)


def test_parameters_are_judged_by_path_and_each_by_name(boto: Boto, guest: Guest) -> None:
    """GetParametersByPath on its path, GetParameters on every name that it asks for."""
    ssm = boto("ssm")
    for name in ("/app/prod/A", "/app/prod/B"):
        ssm.put_parameter(Name=name, Value="1", Type="String")
    arn = f"arn:aws:ssm:us-east-1:{guest.account}:parameter/app/prod"
    guest.may("ssm:GetParametersByPath", arn)
    assert len(guest.client("ssm").get_parameters_by_path(Path="/app/prod")["Parameters"]) == 2
    with pytest.raises(ClientError, match="parameter/app "):
        guest.client("ssm").get_parameters_by_path(Path="/app")
    guest.may("ssm:GetParameters", f"{arn}/A")
    assert guest.client("ssm").get_parameters(Names=["/app/prod/A"])["Parameters"]
    with pytest.raises(ClientError, match="parameter/app/prod/B "):
        guest.client("ssm").get_parameters(Names=["/app/prod/A", "/app/prod/B"])


def test_a_log_stream_is_made_with_the_groups_arn_and_a_star(boto: Boto, guest: Guest) -> None:
    """``log-group:NAME:*``, as CloudFormation's GetAtt gives it, allows stream and events."""
    boto("logs").create_log_group(logGroupName="/mine")
    boto("logs").create_log_group(logGroupName="/other")
    guest.may("logs:*", f"arn:aws:logs:us-east-1:{guest.account}:log-group:/mine:*")
    logs = guest.client("logs")
    logs.create_log_stream(logGroupName="/mine", logStreamName="s")
    logs.put_log_events(
        logGroupName="/mine", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}]
    )
    with pytest.raises(ClientError, match="log-group:/other:log-stream:"):
        logs.create_log_stream(logGroupName="/other", logStreamName="s")


def test_a_refused_object_is_named_in_quotes(boto: Boto, guest: Guest) -> None:
    """S3's sentence quotes the resource."""
    boto("s3").create_bucket(Bucket=f"iam-{guest.account}")
    guest.may("s3:ListBucket", f"arn:aws:s3:::iam-{guest.account}")
    with pytest.raises(ClientError) as refused:
        guest.client("s3").put_object(Bucket=f"iam-{guest.account}", Key="a/b", Body=b"")
    assert f's3:PutObject on resource: "arn:aws:s3:::iam-{guest.account}/a/b"' in str(refused.value)


def test_a_tls_only_bucket_policy_lets_loopback_in(boto: Boto, guest: Guest) -> None:
    """Loopback counts as TLS; an explicit Deny of another kind still bites."""
    bucket = f"tls-{guest.account}"
    boto("s3").create_bucket(Bucket=bucket)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    boto("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    guest.may("s3:*", f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*")
    guest.client("s3").put_object(Bucket=bucket, Key="k", Body=b"v")
    policy["Statement"] = [{k: v for k, v in deny.items() if k != "Condition"}]
    boto("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with pytest.raises(ClientError, match="explicit deny"):
        guest.client("s3").put_object(Bucket=bucket, Key="k", Body=b"v")


def test_without_auth_everybody_may(fresh_aws: Callable[..., EmbeddedAws]) -> None:
    """``--no-auth`` turns enforcement off, for those who only want the services."""
    running = fresh_aws("--no-auth")
    stranger = client(running, "ssm", "AKIANOBODY", "whatever")
    stranger.put_parameter(Name="/x", Value="1", Type="String")
    assert stranger.get_parameter(Name="/x")["Parameter"]["Value"] == "1"
