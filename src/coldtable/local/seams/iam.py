"""Roles and policies: the resource that a call is judged on, and AWS's words for a refusal.

ministack judges several calls that we need on the resource ``*``, so that a rightly scoped policy
is refused. Here they get the ARN that AWS judges them on [MODEL: service authorization reference].

UNVERIFIED: the ARN of ``ssm:GetParametersByPath`` is the path as given, below ``parameter``; the
ARN of calls on a log group ends in ``:log-stream:`` (seen in published error messages).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions

Answer = tuple[int, dict[str, str], bytes]

# Fields of DynamoDB requests that carry an ARN, most telling first.
_DYNAMODB_ARNS = (
    "ExportArn",
    "ImportArn",
    "BackupArn",
    "ResourceArn",
    "SourceTableArn",
    "TableArn",
)
_DYNAMODB_ON_STAR = frozenset({"ListExports", "ListImports", "ListBackups", "DescribeLimits"})
# Services whose refusals name the resource; ministack does so for ssm and logs by itself.
_NAMES_RESOURCE = frozenset({"dynamodb", "lambda", "s3", "scheduler", "sns", "sqs", "states"})


def install() -> None:
    """Put our answers in place of ministack's."""
    iam_actions.extract_resource_arn = _extracting(iam_actions.extract_resource_arn)
    iam_actions.access_denied_response = _refusing(iam_actions.access_denied_response)
    ministack.pin_request_origin = _pinning(ministack.pin_request_origin)


def denial_text(
    service: str, action: str, principal: str, resource: str, *, explicit: bool = False
) -> str:
    """AWS's sentence for a refused call. S3 quotes the resource; SQS and SNS spell the action."""
    named = action
    if service == "s3":
        resource = f'"{resource}"'
    elif service == "sqs":
        named = action.lower()
    elif service == "sns":
        named = action.replace("sns:", "SNS:")
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {named} action"
    )
    return (
        f"User: {principal} is not authorized to perform: {named} on resource: {resource} {reason}"
    )


def resource_of(
    service: str, operation: str, body: Mapping[str, Any], region: str, account: str
) -> str | None:
    """The ARN that AWS judges a JSON call on; ``None`` where ministack knows it."""
    if service == "ssm" and "Path" in body:
        return f"arn:aws:ssm:{region}:{account}:parameter/{str(body['Path']).removeprefix('/')}"
    if service == "ssm" and body.get("Names"):
        return f"arn:aws:ssm:{region}:{account}:parameter/{str(body['Names'][0]).removeprefix('/')}"
    if service == "dynamodb":
        return _dynamodb_resource(operation, body, region, account)
    if service == "logs" and operation in ("CreateLogGroup", "CreateLogStream"):
        group = f"arn:aws:logs:{region}:{account}:log-group:{body.get('logGroupName', '')}"
        return f"{group}:log-stream:"
    return None


def _dynamodb_resource(
    operation: str, body: Mapping[str, Any], region: str, account: str
) -> str | None:
    if operation in _DYNAMODB_ON_STAR:
        return "*"
    for name in _DYNAMODB_ARNS:
        if isinstance(body.get(name), str) and body[name]:
            return str(body[name])
    table = body.get("SourceTableName")
    if operation == "ImportTable":
        table = (body.get("TableCreationParameters") or {}).get("TableName")
    return f"arn:aws:dynamodb:{region}:{account}:table/{table}" if table else None


def _extracting(original: Callable[..., str]) -> Callable[..., str]:
    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        if service in ("ssm", "dynamodb", "logs") and body:
            operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
            try:
                request = json.loads(body)
            except ValueError:
                request = None
            if isinstance(request, dict):
                found = resource_of(service, operation, request, region, account_id)
                if found:
                    return found
        return original(service, method, path, headers, body, query_params, region, account_id)

    return extract_resource_arn


def _refusing(original: Callable[..., Answer]) -> Callable[..., Answer]:
    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **more: Any
    ) -> Answer:
        by_resource_policy = more.get("explicit_deny") and more.get("resource_policy_arn")
        plain = not more.get("error_code") and not more.get("message") and not by_resource_policy
        if service in _NAMES_RESOURCE and plain:
            more["message"] = denial_text(
                service,
                action,
                principal_arn,
                more.get("resource_arn", "*"),
                explicit=bool(more.get("explicit_deny")),
            )
            if service == "dynamodb":
                return _dynamodb_refusal(more["message"])
        return original(service, action, principal_arn, request_id, **more)

    return access_denied_response


def _dynamodb_refusal(message: str) -> Answer:
    body = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": message}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()


def _pinning(original: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    def pin_request_origin(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001
        # Loopback counts as TLS: there is no other way in, and archives refuse plain HTTP.
        original(source_ip, True)

    return pin_request_origin
