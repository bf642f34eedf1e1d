"""``coldtable policy``: the IAM policies that exports need, ready to be put into their places."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from coldtable.cli.context import Context
from coldtable.core.settings import parse_path
from coldtable.errors import ConfigError, UsageError
from coldtable.ops import iam
from coldtable.ops.iam import Ask, Deployed, Sheet
from coldtable.ports import ParameterStore, Stacks

SCHEMA = "coldtable.policy/1"

policy = App(
    name="policy",
    help="Print the IAM policy that a bucket, a key, the deployer or a function's role needs.",
)

_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_ACCOUNT = r"[0-9]{12}"
_STACK = r"[A-Za-z][A-Za-z0-9-]{0,56}"
_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
_ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]+)"
_TABLE_ARN = r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/"
_TABLE = rf"({_TABLE_ARN})?[A-Za-z0-9_.-]{{3,255}}"
_TABLES = rf"({_TABLE_ARN})?[A-Za-z0-9_.*?-]{{1,255}}"


@policy.command
def bucket(
    *,
    bucket: str | None = None,
    bucket_owner: str | None = None,
    table: tuple[str, ...] = (),
    role: tuple[str, ...] = (),
    reader: tuple[str, ...] = (),
    stack_name: str = "coldtable",
    parameter_path: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """The policy of a bucket in another account: who may export into it, and read it.

    With --bucket and --role nothing is read from AWS.

    Examples:

    - `coldtable policy bucket > policy.json`
    - `coldtable policy bucket --bucket acme-archive --role arn:aws:iam::111122223333:role/exporter`

    Exit codes: 0; 2 if an option is wrong, or the settings name several buckets; 10 if the
    settings are wrong; 11 without the rights; 12 without a stack.

    IAM for the rest: `cloudformation:DescribeStacks` and `ListStackResources` on the stack,
    `ssm:GetParametersByPath` on the path.

    Parameters
    ----------
    bucket
        The bucket. Without it, the one that the settings name, another account's before others.
    bucket_owner
        The account that owns the bucket.
    table
        Take the bucket of this table's policy; repeat it for several.
    role
        The ARN of a role or user that exports, and reads; repeat it for several. Without any,
        the roles of the stack's functions.
    reader
        The ARN of a role or user that only reads: to verify or to restore. Repeat it for several.
    stack_name
        The stack whose functions export.
    parameter_path
        Where the settings are in SSM Parameter Store. Without it, where the stack says.
    """
    if bucket and table:
        raise UsageError("--bucket and --table both say which bucket is meant: use one of them")
    ask = _ask(
        bucket=bucket,
        owner=bucket_owner,
        tables=table,
        roles=role,
        readers=reader,
        stack=stack_name,
        path=parameter_path,
    )
    return _answer(context, "bucket", iam.for_bucket(ask, _deployed(context, ask)))


@policy.command
def key(
    *,
    kms_key: str | None = None,
    table: tuple[str, ...] = (),
    role: tuple[str, ...] = (),
    reader: tuple[str, ...] = (),
    stack_name: str = "coldtable",
    parameter_path: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """The policy of the KMS key that encrypts an archive: who may encrypt, and decrypt, with it.

    With --kms-key and --role nothing is read from AWS.

    Examples:

    - `coldtable policy key > policy.json`
    - `coldtable policy key --table orders --reader arn:aws:iam::111122223333:role/auditor`

    Exit codes: 0; 2 if an option is wrong, or the settings name no key or several; 10 if the
    settings are wrong; 11 without the rights; 12 without a stack.

    IAM for the rest: `cloudformation:DescribeStacks` and `ListStackResources` on the stack,
    `ssm:GetParametersByPath` on the path.

    Parameters
    ----------
    kms_key
        The key's ARN. Without it, the one that the settings or the stack name.
    table
        Take the key of this table's policy; repeat it for several.
    role
        The ARN of a role or user that exports, and reads; repeat it for several. Without any,
        the roles of the stack's functions.
    reader
        The ARN of a role or user that only reads: to verify or to restore. Repeat it for several.
    stack_name
        The stack whose functions export.
    parameter_path
        Where the settings are in SSM Parameter Store. Without it, where the stack says.
    """
    if kms_key and table:
        raise UsageError("--kms-key and --table both say which key is meant: use one of them")
    ask = _ask(
        key=kms_key,
        tables=table,
        roles=role,
        readers=reader,
        stack=stack_name,
        path=parameter_path,
    )
    return _answer(context, "key", iam.for_key(ask, _deployed(context, ask)))


@policy.command
def deployer(
    *,
    account: str | None = None,
    table: tuple[str, ...] = (),
    bucket: str | None = None,
    code_bucket: str | None = None,
    stack_name: str = "coldtable",
    parameter_path: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """The policy of whoever runs `coldtable deploy` and `coldtable destroy`.

    With --account nothing is read from AWS.

    Examples:

    - `coldtable policy deployer > policy.json`
    - `coldtable policy deployer --account 111122223333 --region eu-west-1 --stack-name archive`

    Exit codes: 0; 2 if an option is wrong; 10 without a region; 11 without credentials.

    IAM: none; `sts:GetCallerIdentity` needs no right.

    Parameters
    ----------
    account
        The account to deploy in. Without it, that of the credentials.
    table
        A table that may be looked at and get PITR, by name or glob; repeat it for several.
        Without any, all.
    bucket
        The existing bucket of `coldtable deploy --bucket`. Without it, the stack may create one.
    code_bucket
        The bucket for the function's code. Without it coldtable-code-ACCOUNT-REGION.
    stack_name
        The stack's name.
    parameter_path
        Where the settings lie in SSM Parameter Store. Default /coldtable/prod.
    """
    ask = _ask(tables=table, globs=True, bucket=bucket, stack=stack_name, path=parameter_path)
    _check("--account", (account,), _ACCOUNT, "the 12 digits of an account")
    _check("--code-bucket", (code_bucket,), _BUCKET, "the name of a bucket, not its ARN")
    region = context.session.region
    if not region:
        raise ConfigError(
            "No AWS region is set", hint="Use --region, or set AWS_REGION or AWS_DEFAULT_REGION"
        )
    account = account or context.session.caller().split(":")[4]
    return _answer(context, "deployer", iam.for_deployer(ask, account, region, code_bucket))


@policy.command(name="lambda")
def function(
    *,
    function: Literal["tick", "export", "verify", "drill"] = "tick",
    table: tuple[str, ...] = (),
    tagged: bool = False,
    bucket: str | None = None,
    kms_key: str | None = None,
    stack_name: str = "coldtable",
    parameter_path: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """The policy of a function's role, for everything that the stack and the settings name.

    With --bucket, and each --table as its ARN, nothing is read from AWS.

    Examples:

    - `coldtable policy lambda > policy.json`
    - `coldtable policy lambda --function export`

    Exit codes: 0, also if the stack's role lacks something, which is noted; 2 if an option is
    wrong; 10 if the settings are wrong; 11 without the rights; 12 without a stack.

    IAM for the rest: `cloudformation:DescribeStacks` and `ListStackResources` on the stack,
    `ssm:GetParametersByPath` on the path.

    Parameters
    ----------
    function
        Whose role: that of the tick, of the nightly export, or of the function that verifies or
        that drills.
    table
        A table by its name, glob or ARN; repeat it for several. Without any, those of the stack
        and all that the settings name.
    tagged
        Tables with the tag coldtable as well; only the tick looks at tags.
    bucket
        The bucket. Without it, that of the stack and all that the settings name.
    kms_key
        The ARN of the bucket's KMS key. Without it, all that the stack and the settings name.
    stack_name
        The stack's name.
    parameter_path
        Where the settings are in SSM Parameter Store. Without it, where the stack says.
    """
    ask = _ask(
        function=function,
        tagged=tagged,
        tables=table,
        globs=True,
        bucket=bucket,
        key=kms_key,
        stack=stack_name,
        path=parameter_path,
    )
    return _answer(context, "lambda", iam.for_function(ask, _deployed(context, ask)))


def _ask(
    *,
    tables: tuple[str, ...],
    stack: str,
    path: str | None,
    bucket: str | None = None,
    owner: str | None = None,
    key: str | None = None,
    roles: tuple[str, ...] = (),
    readers: tuple[str, ...] = (),
    function: str = "tick",
    tagged: bool = False,
    globs: bool = False,
) -> Ask:
    """What was said, once each option is what it should be."""
    _check("--bucket", (bucket,), _BUCKET, "the name of a bucket, not its ARN")
    _check("--bucket-owner", (owner,), _ACCOUNT, "the 12 digits of an account")
    _check("--kms-key", (key,), _KEY, "the ARN of a key, not its id and not an alias")
    many = ", or a glob with * and ?" if globs else ""
    _check("--table", tables, _TABLES if globs else _TABLE, f"the name or the ARN of a table{many}")
    example = "the ARN of a role or user, like arn:aws:iam::123456789012:role/exporter"
    _check("--role", roles, _ROLE, example)
    _check("--reader", readers, _ROLE, example)
    _check("--stack-name", (stack,), _STACK, "a letter, and then letters, digits and dashes")
    return Ask(
        tables=tables,
        bucket=bucket,
        owner=owner,
        key=key,
        roles=roles,
        readers=readers,
        function=function,
        tagged=tagged,
        stack=stack,
        path=parse_path(path) if path is not None else None,
    )


def _check(option: str, values: tuple[str | None, ...], pattern: str, example: str) -> None:
    for value in values:
        if value is not None and not re.fullmatch(pattern, value):
            raise UsageError(f"{option} {value!r} cannot be used", hint=f"Give it {example}")


def _deployed(context: Context, ask: Ask) -> Deployed:
    """AWS's side, which is only asked if an option is missing."""

    def stacks() -> Stacks:
        from coldtable.aws.stacks import CloudFormationStacks

        return CloudFormationStacks(context.session.client("cloudformation"))

    def parameters() -> ParameterStore:
        from coldtable.aws.parameters import SsmParameters

        return SsmParameters(context.session.client("ssm"))

    return Deployed(ask, stacks, parameters)


def _answer(context: Context, kind: str, sheet: Sheet) -> int:
    def document() -> None:
        sys.stdout.write(json.dumps(sheet.policy, indent=2) + "\n")

    body = {"kind": kind, "policy": sheet.policy, "command": sheet.command, "notes": sheet.notes}
    context.answer(SCHEMA, body, document)
    for note in sheet.notes:
        context.note(f"note: {note}")
    context.note(f"Save it as policy.json, and: {sheet.command}")
    return 0
