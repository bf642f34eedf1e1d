"""Roles and policies: the resource that a call is judged on, and AWS's words for a refusal.

ministack judges several calls that we need on the resource ``*``, so that a rightly scoped policy
is refused. Here they get the ARN that AWS judges them on [MODEL: service authorization reference].

UNVERIFIED: the ARN of ``ssm:GetParametersByPath`` is the path as given, below ``parameter``; the
ARN of calls on a log group ends in ``:log-stream:`` (seen in published error messages).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.core.router import extract_access_key_id
from ministack.services import iam as iam_service
from ministack.services import s3, sts

from ..interface import Caller, Scope

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
_ON_A_GROUP = frozenset(
    {"CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutRetentionPolicy"}
)
_ON_A_STREAM = frozenset({"PutLogEvents", "GetLogEvents", "DeleteLogStream"})
# Services whose refusals name the resource; ministack does so for ssm and logs by itself.
_NAMES_RESOURCE = frozenset({"dynamodb", "lambda", "s3", "scheduler", "sns", "sqs", "states"})


def install() -> None:
    """Put our answers in place of ministack's."""
    iam_actions.extract_resource_arn = _extracting(iam_actions.extract_resource_arn)
    iam_actions.access_denied_response = _refusing(iam_actions.access_denied_response)
    ministack.pin_request_origin = _pinning(ministack.pin_request_origin)
    iam_evaluator._resolve_condition_key = _telling(iam_evaluator._resolve_condition_key)


def denial_text(
    service: str,
    action: str,
    principal: str,
    resource: str,
    *,
    explicit: bool = False,
    by: str = "identity",
) -> str:
    """AWS's sentence for a refused call. S3 quotes the resource; SQS and SNS spell the action.

    ``by`` is the kind of policy that denies or does not allow: ``identity`` or ``resource``.
    """
    named = action
    if service == "s3":
        resource = f'"{resource}"'
    elif service == "sqs":
        named = action.lower()
    elif service == "sns":
        named = action.replace("sns:", "SNS:")
    reason = (
        f"with an explicit deny in {'an' if by == 'identity' else 'a'} {by}-based policy"
        if explicit
        else f"because no {by}-based policy allows the {named} action"
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
    if service == "logs" and operation in _ON_A_GROUP | _ON_A_STREAM:
        group = f"arn:aws:logs:{region}:{account}:log-group:{body.get('logGroupName', '')}"
        stream = body.get("logStreamName", "") if operation in _ON_A_STREAM else ""
        return f"{group}:log-stream:{stream}"
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


def assume_as_service(
    role_arn: str, service: str, session: str, scope: Scope, source_arn: str
) -> str | None:
    """An access key of the role, as AWS itself assumes it; ``None`` when its trust forbids it.

    ``source_arn`` is what the trust policy may compare with ``aws:SourceArn``. Without
    enforcement the account's root acts, and the key is the account's number.
    """
    if not ministack.AUTH:
        return scope.account
    if not trusted(role_arn, service, scope, source_arn):
        return None
    name = role_arn.rsplit("/", 1)[-1]
    role = iam_service._roles.get_scoped(scope.account, None, name)
    key = "ASIA" + secrets.token_hex(8).upper()
    record = {
        "Arn": f"arn:aws:sts::{scope.account}:assumed-role/{name}/{session}",
        "UserId": f"{role.get('RoleId', name)}:{session}",
        "SecretAccessKey": secrets.token_hex(20),
        "SessionToken": secrets.token_hex(32),
        "Expiration": time.time() + 3600,
    }
    sts.register_session(key, record)
    return key


def trusted(role_arn: str, service: str, scope: Scope, source_arn: str) -> bool:
    """Whether the role exists and its trust policy lets the service assume it."""
    if not ministack.AUTH:
        return True
    role = iam_service._roles.get_scoped(scope.account, None, role_arn.rsplit("/", 1)[-1])
    return role is not None and _trusts(role, service, scope, source_arn)


def _trusts(role: Mapping[str, Any], service: str, scope: Scope, source_arn: str) -> bool:
    document = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=scope.account,
        action="sts:AssumeRole",
        resource_arn=role.get("Arn", "*"),
        region=scope.region,
        service_context={"aws:sourceaccount": scope.account, "aws:sourcearn": source_arn},
    )
    statements = document.get("Statement", [])
    allowed = False
    for statement in [statements] if isinstance(statements, dict) else statements:
        if not _names_service(statement, service):
            continue
        if not iam_evaluator._conditions_met(statement.get("Condition", {}), context):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = True
    return allowed


def _names_service(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    actions = statement.get("Action", [])
    named = principal == "*" or service in ([services] if isinstance(services, str) else services)
    acts = [actions] if isinstance(actions, str) else actions
    return named and any(act in ("*", "sts:*", "sts:AssumeRole") for act in acts)


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
        if service == "scheduler" and "/schedules/" in path:
            group = _schedule_group(query_params, body)
            name = path.rsplit("/", 1)[-1]
            return f"arn:aws:scheduler:{region}:{account_id}:schedule/{group}/{name}"
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


def _schedule_group(query_params: Mapping[str, Any], body: bytes) -> str:
    """Reading and deleting name the group in the query, creating and changing in the body."""
    named = query_params.get("groupName")
    if not named and body:
        try:
            named = json.loads(body).get("GroupName")
        except (ValueError, AttributeError):
            named = None
    return str(named[0] if isinstance(named, list) else named or "default")


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


def _telling(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """A session's aws:PrincipalArn is its role's; a bucket's account is its owner's."""

    def resolve_condition_key(key: str, context: Any) -> Any:
        name = key.lower()
        if name == "aws:principalarn" and context.principal_type == "AssumedRole":
            role = context.principal_arn.split("/")[1]
            known = iam_service._roles.get_scoped(context.principal_account, None, role)
            return (known or {}).get("Arn", context.principal_arn)
        if name in ("aws:resourceaccount", "s3:resourceaccount"):
            bucket = context.resource_arn.removeprefix("arn:aws:s3:::").split("/", 1)[0]
            return s3._bucket_owner_account(bucket) or original(key, context)
        return original(key, context)

    return resolve_condition_key


def _pinning(original: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    def pin_request_origin(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001
        # Loopback counts as TLS: there is no other way in, and archives refuse plain HTTP.
        original(source_ip, True)

    return pin_request_origin


def install_name_checks(deny_reason: Callable[[Caller, str, str], str | None]) -> None:
    """GetParameters and DeleteParameters name several resources; ministack judges the first."""
    original = ministack.SERVICE_HANDLERS["ssm"]

    async def handle(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Answer:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        if operation in ("GetParameters", "DeleteParameters"):
            refusal = _first_refusal(deny_reason, operation, headers, body, query_params)
            if refusal is not None:
                answer = {"__type": "AccessDeniedException", "Message": refusal}
                kind = {"Content-Type": "application/x-amz-json-1.1"}
                return 400, kind, json.dumps(answer).encode()
        result: Answer = await original(method, path, headers, body, query_params)
        return result

    ministack.SERVICE_HANDLERS["ssm"] = handle


def _first_refusal(
    deny_reason: Callable[[Caller, str, str], str | None],
    operation: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Mapping[str, Any],
) -> str | None:
    scope = Scope(account=responses.get_account_id(), region=responses.get_region())
    caller = Caller(scope=scope, access_key=extract_access_key_id(headers, query_params))
    for name in json.loads(body or b"{}").get("Names") or []:
        bare = str(name).removeprefix("/").split(":", 1)[0]
        resource = f"arn:aws:ssm:{scope.region}:{scope.account}:parameter/{bare}"
        refusal = deny_reason(caller, f"ssm:{operation}", resource)
        if refusal is not None:
            return refusal
    return None
