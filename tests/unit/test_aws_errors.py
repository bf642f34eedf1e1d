"""From AWS's errors to ours: class, exit code, the IAM action, and AWS's own words kept."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from coldtable.aws.errors import from_client_error
from coldtable.aws.parameters import SsmParameters
from coldtable.aws.session import AwsSession
from coldtable.errors import (
    AccessDenied,
    BucketNotFound,
    ColdtableError,
    ConfigError,
    Conflict,
    LimitReached,
    MomentNotRestorable,
    NoCredentials,
    NotFound,
    ParameterInvalid,
    PitrDisabled,
    ServiceFailed,
    TableNotFound,
    Throttled,
)


@pytest.mark.parametrize(
    ("service", "operation", "code", "kind"),
    [
        ("dynamodb", "ExportTableToPointInTime", "AccessDeniedException", AccessDenied),
        ("s3", "ListObjectsV2", "AccessDenied", AccessDenied),
        ("s3", "HeadBucket", "403", AccessDenied),
        ("sns", "Publish", "AuthorizationError", AccessDenied),
        ("dynamodb", "DescribeTable", "UnrecognizedClientException", NoCredentials),
        ("s3", "GetObject", "ExpiredToken", NoCredentials),
        ("dynamodb", "DescribeExport", "ThrottlingException", Throttled),
        ("dynamodb", "DescribeTable", "ResourceNotFoundException", TableNotFound),
        ("dynamodb", "ExportTableToPointInTime", "TableNotFoundException", TableNotFound),
        ("dynamodb", "DescribeExport", "ExportNotFoundException", NotFound),
        (
            "dynamodb",
            "ExportTableToPointInTime",
            "PointInTimeRecoveryUnavailableException",
            PitrDisabled,
        ),
        ("dynamodb", "ExportTableToPointInTime", "InvalidExportTimeException", MomentNotRestorable),
        ("dynamodb", "ExportTableToPointInTime", "ExportConflictException", Conflict),
        ("dynamodb", "ExportTableToPointInTime", "LimitExceededException", LimitReached),
        ("s3", "ListObjectsV2", "NoSuchBucket", BucketNotFound),
        ("s3", "HeadBucket", "404", BucketNotFound),
        ("dynamodb", "ExportTableToPointInTime", "ValidationException", ParameterInvalid),
        ("dynamodb", "DescribeTable", "InternalServerError", ServiceFailed),
    ],
)
def test_each_code_has_its_class(
    service: str, operation: str, code: str, kind: type[ColdtableError]
) -> None:
    """Every code that AWS is known to answer has its class; the subject and AWS's words stay."""
    error = ClientError({"Error": {"Code": code, "Message": "so AWS said"}}, operation)
    found = from_client_error(error, service, "table orders")
    assert type(found) is kind
    assert "so AWS said" in found.message or kind is BucketNotFound
    assert "table orders" in found.message or kind is NoCredentials


@pytest.mark.parametrize(
    ("service", "operation", "text", "action"),
    [
        ("dynamodb", "DescribeTable", "Access is denied", "dynamodb:DescribeTable"),
        ("s3", "ListObjectsV2", "Access Denied", "s3:ListBucket"),
        ("s3", "HeadObject", "Forbidden", "s3:GetObject"),
        ("lambda", "Invoke", "no", "lambda:InvokeFunction"),
        ("sns", "Publish", "not authorized to perform: SNS:Publish on resource", "sns:Publish"),
        ("sqs", "SendMessage", "not authorized to perform: sqs:sendmessage on", "sqs:SendMessage"),
        (
            "cloudformation",
            "CreateChangeSet",
            "User: arn:aws:iam::1:user/x is not authorized to perform: iam:PassRole on resource: r",
            "iam:PassRole",
        ),
    ],
)
def test_the_action_is_named(service: str, operation: str, text: str, action: str) -> None:
    """AWS's text wins where it names the action; else the operation's own, as IAM spells it."""
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)
    found = from_client_error(error, service, "")
    assert isinstance(found, AccessDenied)
    assert found.action == action
    assert f"{action} is missing" in found.message
    assert action in found.hint


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "nowhere")
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "option", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, None, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, None, "eu-west-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, None, "eu-north-1"),
        ({"AWS_REGION": "eu-north-1"}, "us-east-1", "us-east-1"),
    ],
)
def test_both_region_variables_count(
    nowhere: pytest.MonkeyPatch, variables: dict[str, str], option: str | None, region: str
) -> None:
    """AWS_REGION before AWS_DEFAULT_REGION, and --region before both."""
    for name, value in variables.items():
        nowhere.setenv(name, value)
    assert AwsSession(region=option).client("ssm").meta.region_name == region


@pytest.mark.usefixtures("nowhere")
def test_no_region_is_a_configuration_error() -> None:
    """Without any region the error says how to give one."""
    with pytest.raises(ConfigError, match="No AWS region") as caught:
        AwsSession().client("ssm")
    assert "--region" in caught.value.hint


def test_nobody_answers() -> None:
    """A closed port is ServiceFailed with the address, and trying again may help."""
    session = AwsSession(
        region="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        access_key="test",
        secret_key="test",
        attempts=1,
    )
    with pytest.raises(ServiceFailed, match="could not be reached") as caught:
        SsmParameters(session.client("ssm")).read("/coldtable/prod")
    assert "127.0.0.1:9" in caught.value.message
    assert caught.value.retryable
