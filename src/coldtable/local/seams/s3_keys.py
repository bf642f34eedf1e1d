"""What S3 hears from KMS when it uses a key for a caller.

The texts of a missing key and of one in another region are known [QUIRKS]; those of a disabled and
of a dying key are KMS's own behind S3's ``KMS.`` (UNVERIFIED).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import kms

from . import iam

# Code, message, status.
Refusal = tuple[str, str, int]

_STATES = {
    "Disabled": ("KMS.DisabledException", "is disabled."),
    "PendingDeletion": ("KMS.KMSInvalidStateException", "is pending deletion."),
    "PendingImport": ("KMS.KMSInvalidStateException", "is pending import."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Who asks for which object; ``region`` is the bucket's. No principal: S3 itself."""

    principal: Any
    bucket: str
    key: str
    region: str


def refusal(use: Use, action: str, key_id: str) -> Refusal | None:
    """Why the caller may not do ``action`` with this key; ``None`` if it may."""
    if use.principal is None or not key_id or key_id.endswith("alias/aws/s3"):
        return None
    account, region = use.principal.account, use.region
    if key_id.startswith("arn:"):
        _, _, _, region, account, _ = [*key_id.split(":", 5), "", "", ""][:6]
        if region != use.region:
            return "KMS.NotFoundException", f"Invalid arn {region}", 400
    with responses.request_scope(account, region):
        record = kms._resolve_key(key_id)
    if record is None:
        return "KMS.NotFoundException", f"Key '{key_id}' does not exist", 400
    state = _STATES.get(record["KeyState"])
    if state is not None:
        return state[0], f"{record['Arn']} {state[1]}", 400
    return _denied(use, action, record, account)


def _denied(use: Use, action: str, record: Mapping[str, Any], owner: str) -> Refusal | None:
    """Both the key's policy and the caller's must allow it; the root has none of its own."""
    principal, arn = use.principal, str(record["Arn"])
    context = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=arn,
        region=use.region,
        service_context={
            "kms:viaservice": f"s3.{use.region}.amazonaws.com",
            "kms:calleraccount": principal.account,
            "kms:encryptioncontext:aws:s3:arn": f"arn:aws:s3:::{use.bucket}/{use.key}",
        },
        principal_keys=principal.keys,
    )
    if principal.policies is None:
        identity = iam_evaluator.EvalResult("Allow", principal_arn=principal.arn)
    else:
        identity = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    result = iam_evaluator.combine_resource_policy(
        identity,
        context,
        record.get("Policy") or _default_policy(owner),
        owner,
        required=True,
        limits=principal.limits,
    )
    if result.decision == "Allow":
        return None
    text = iam.denial_text(
        "kms",
        action,
        principal.arn,
        arn,
        explicit=result.decision == "Deny",
        by="identity" if identity.decision != "Allow" else "resource",
    )
    return "AccessDenied", text, 403


def _default_policy(account: str) -> dict[str, Any]:
    """A key that was made without a policy leaves the decision to its account's IAM policies."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
