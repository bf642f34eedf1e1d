"""S3: who may reach another account's bucket, whose bucket it must be, and KMS keys.

ministack asks another account's bucket policy about the caller's root, so that a policy that names
a role lets nobody in; it lets the own account's root pass a Deny, does not compare
``x-amz-expected-bucket-owner``, and encrypts with any key, for anybody. [docs: S3, bucket owner
condition; S3, server-side encryption with KMS keys; IAM, the root user and bucket policies]
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.core.router import extract_access_key_id
from ministack.services import s3

from . import iam, s3_keys

Answer = tuple[int, dict[str, str], bytes]

_EXPECTED_OWNER = "x-amz-expected-bucket-owner"
_ALGORITHM = "x-amz-server-side-encryption"
_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"

# True while the emulator itself asks as an account's root: no policy stops it.
inside: contextvars.ContextVar[bool] = contextvars.ContextVar("coldtable_inside", default=False)


def install() -> None:
    """Put our answers in front of ministack's."""
    s3._foreign_bucket_allows = _judging(s3._foreign_bucket_allows)
    s3._dispatch = _dispatching(s3._dispatch)


def _judging(original: Callable[..., bool]) -> Callable[..., bool]:
    def foreign_bucket_allows(
        owner_account: str,
        bucket_name: str,
        key: str,
        method: str,
        query_params: Mapping[str, Any],
        caller: str,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        decision = _policy_s_decision(
            owner_account, bucket_name, key, method, query_params, caller, headers or {}
        )
        if decision == "ImplicitDeny":
            return original(owner_account, bucket_name, key, method, query_params, caller, headers)
        return decision == "Allow"

    return foreign_bucket_allows


def _policy_s_decision(
    owner: str,
    bucket: str,
    key: str,
    method: str,
    query: Mapping[str, Any],
    account: str,
    headers: Mapping[str, str],
) -> str:
    """What the bucket's policy says to the very user or role that asks."""
    policy = s3._bucket_policies.get_scoped(owner, None, bucket)
    principal = _principal(headers, query, account)
    if not policy or principal is None:
        return "ImplicitDeny"
    path = f"/{bucket}/{key}" if key else f"/{bucket}"
    action = _action(method, path, query)
    with responses.request_scope(owner, responses.get_region()):
        keys = iam_actions.s3_service_context(action, query, path, headers)
        public = s3._public_access_blocked(owner, bucket, "RestrictPublicBuckets") and (
            s3._policy_is_public(policy)
        )
    context = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=f"arn:aws:s3:::{path[1:]}",
        region=responses.get_region(),
        service_context={name.lower(): value for name, value in keys.items()},
        principal_keys=principal.keys,
    )
    decision = str(iam_evaluator.evaluate_resource_policy(policy, context).decision)
    return "ImplicitDeny" if public and decision == "Allow" else decision


def _action(method: str, path: str, query: Mapping[str, Any]) -> str:
    found = iam_actions._s3_action(method, path, query)
    return f"s3:{found or ('GetObject' if method in ('GET', 'HEAD') else 'PutObject')}"


def _principal(headers: Mapping[str, str], query: Mapping[str, Any], account: str) -> Any:
    """Who signed the request; ``None`` for nobody and for services inside the emulator."""
    access_key = extract_access_key_id(headers, query)
    if not access_key or not account:
        return None
    if iam_evaluator.is_root_access_key(access_key):
        access_key = account
    # A user's policies are looked up in the request's account, which is the bucket's owner's.
    with responses.request_scope(account, responses.get_region()):
        found = iam_evaluator.resolve_principal(access_key, account)
    return None if isinstance(found, iam_evaluator.AuthError) else found


def _dispatching(original: Callable[..., Answer]) -> Callable[..., Answer]:
    def dispatch(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Answer:
        owner = s3._bucket_owner_account(bucket) if bucket else None
        if owner is None:
            return original(method, bucket, key, headers, body, query_params)
        if headers.get(_EXPECTED_OWNER, owner) != owner:
            return _refusal("AccessDenied", "Access Denied", 403, bucket, key)
        if not ministack.AUTH or inside.get():
            return original(method, bucket, key, headers, body, query_params)
        # By now the request stands in the account of the bucket's owner.
        account = iam_evaluator.caller_arn().split(":")[4]
        principal = _principal(headers, query_params, account)
        is_root = principal is not None and principal.policies is None and account == owner
        # The root can always mend the policy itself.
        if is_root and "policy" not in query_params:
            asked = (owner, bucket, key, method, query_params, account, headers)
            if _policy_s_decision(*asked) == "Deny":
                return _denied_root(principal.arn, method, bucket, key, query_params)
        if not key:
            return original(method, bucket, key, headers, body, query_params)
        request = s3_keys.Use(
            principal=principal, bucket=bucket, key=key, region=s3.bucket_region(bucket)
        )
        for action, key_id in _uses(method, bucket, headers, query_params):
            refused = s3_keys.refusal(request, action, key_id)
            if refused is not None:
                return _refusal(*refused, bucket, key)
        answer = original(method, bucket, key, headers, body, query_params)
        if method == "GET" and answer[0] < 300 and _header(answer, _ALGORITHM) == "aws:kms":
            refused = s3_keys.refusal(request, "kms:Decrypt", _header(answer, _KEY_ID))
            if refused is not None:
                return _refusal(*refused, bucket, key)
        return answer

    return dispatch


def _denied_root(arn: str, method: str, bucket: str, key: str, query: Mapping[str, Any]) -> Answer:
    path = f"{bucket}/{key}" if key else bucket
    action = _action(method, f"/{path}", query)
    resource = f"arn:aws:s3:::{path}"
    text = iam.denial_text("s3", action, arn, resource, explicit=True, by="resource")
    return _refusal("AccessDenied", text, 403, bucket, key)


def _uses(
    method: str, bucket: str, headers: Mapping[str, str], query: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What a write does with which KMS key: of the request, or else the bucket's default."""
    if method == "POST" and "uploadId" in query:
        # The parts are read and written once more [docs: multipart upload with KMS].
        upload = s3._multipart_uploads.get(_first(query["uploadId"])) or {}
        stored = upload.get("preserved_headers") or {}
        return [("kms:Decrypt", stored[_KEY_ID])] if _KEY_ID in stored else []
    begins = method == "POST" and "uploads" in query
    puts = method == "PUT" and not (set(query) & {"tagging", "acl", "retention", "legal-hold"})
    if not begins and (not puts or "uploadId" in query):
        return []
    chosen = headers if headers.get(_ALGORITHM) else s3._bucket_default_sse_headers(bucket)
    if chosen.get(_ALGORITHM) != "aws:kms" or not chosen.get(_KEY_ID):
        return []
    return [("kms:GenerateDataKey", str(chosen[_KEY_ID]))]


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _header(answer: Answer, name: str) -> str:
    return next((str(v) for k, v in answer[1].items() if k.lower() == name), "")


def _refusal(code: str, message: str, status: int, bucket: str, key: str) -> Answer:
    answer: Answer = s3._error(code, message, status, f"/{bucket}/{key}" if key else f"/{bucket}")
    return answer
