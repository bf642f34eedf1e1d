"""Destroy: the stack and its code go; the archive stays."""

from __future__ import annotations

import re
from collections.abc import Callable

from coldtable.errors import StackNotFound
from coldtable.model_stack import DestroyReport, Stack
from coldtable.ops import stack as stack_verbs
from coldtable.ops.deploy import own_code_bucket
from coldtable.ops.stack import Workshop
from coldtable.ports import Buckets, Stacks

_CODE_KEY = re.compile(r"[A-Za-z0-9-]+/[0-9a-f]{64}\.zip")
_KEPT = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy")


def plan_destroy(name: str, stacks: Stacks, buckets: Buckets) -> tuple[Stack, DestroyReport]:
    """The stack, and what would go and what would stay; ``StackNotFound`` if there is none."""
    stack = stacks.describe(name)
    if stack is None:
        raise StackNotFound(
            f"There is no stack {name}", hint="Check --stack-name, the account and the region"
        )
    resources = stacks.resources(stack.id)
    kept = [r for r in resources if r.kind == "AWS::S3::Bucket"]
    bucket = kept[0].physical_id if kept else stack.parameters.get("BucketName") or None
    code_bucket = stack.parameters.get("CodeBucket")
    return stack, DestroyReport(
        deleted=False,
        stack=name,
        goes=tuple(r for r in resources if r.kind not in _KEPT),
        code=_code_keys(name, code_bucket, buckets),
        code_bucket=code_bucket,
        bucket=bucket,
        bucket_owned=bool(kept),
    )


def destroy(
    stack: Stack,
    plan: DestroyReport,
    stacks: Stacks,
    buckets: Buckets,
    *,
    pause: Callable[[float], None],
    say: Callable[[str], None],
) -> DestroyReport:
    """Carry the plan out, and follow it to its end."""
    stack_verbs.remove(Workshop(stacks=stacks, pause=pause, say=say), stack)
    if plan.code_bucket:
        for key in plan.code:
            buckets.remove(plan.code_bucket, key)
            say(f"Removed s3://{plan.code_bucket}/{key}")
        if _is_shared(stack, plan.code_bucket) and not buckets.keys(plan.code_bucket):
            buckets.delete(plan.code_bucket)
            say(f"Removed the empty bucket {plan.code_bucket}")
    return DestroyReport(
        deleted=True,
        stack=plan.stack,
        goes=plan.goes,
        code=plan.code,
        code_bucket=plan.code_bucket,
        bucket=plan.bucket,
        bucket_owned=plan.bucket_owned,
    )


def _code_keys(name: str, code_bucket: str | None, buckets: Buckets) -> tuple[str, ...]:
    """This stack's zips; whatever else lies there is not ours."""
    if not code_bucket or not buckets.exists(code_bucket):
        return ()
    return tuple(k for k in buckets.keys(code_bucket, f"{name}/") if _CODE_KEY.fullmatch(k))


def _is_shared(stack: Stack, code_bucket: str) -> bool:
    """Whether ``deploy`` made the bucket: one that somebody named is theirs."""
    _, _, _, region, account, _ = stack.id.split(":", 5)
    return code_bucket == own_code_bucket(account, region)
