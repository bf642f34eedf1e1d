"""``coldtable destroy``: the installation goes, the archive stays."""

from __future__ import annotations

import sys
import time
from typing import Annotated

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.model_stack import DestroyReport
from coldtable.ops.destroy import destroy as destroy_installation
from coldtable.ops.destroy import plan_destroy

SCHEMA = "coldtable.destroy/1"


def destroy(
    *,
    stack_name: str = "coldtable",
    yes: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Delete the stack and its code. The bucket with the exports is kept, and so are the tables.

    Without --yes it only shows what would go and what would stay.

    Examples:

    `coldtable destroy`

    `coldtable destroy --stack-name audit --yes`

    Exit codes: 0; 1 if something could not be deleted; 11 without the rights; 12 if there is no
    such stack; 13 if it is changing.

    IAM: what `coldtable policy deployer` prints.

    Parameters
    ----------
    stack_name
        The stack's name.
    yes
        Really do it.
    """
    from coldtable.aws.buckets import S3Buckets
    from coldtable.aws.stacks import CloudFormationStacks

    stacks = CloudFormationStacks(context.session.client("cloudformation"))
    buckets = S3Buckets(context.session.client("s3"))
    stack, report = plan_destroy(stack_name, stacks, buckets)
    if yes:
        report = destroy_installation(
            stack, report, stacks, buckets, pause=time.sleep, say=context.note
        )
    _answer(context, report)
    return 0


def _answer(context: Context, report: DestroyReport) -> None:
    body = {
        "deleted": report.deleted,
        "stack": report.stack,
        "resources": [
            {"resource": r.resource, "type": r.kind, "physicalId": r.physical_id or None}
            for r in report.goes
        ],
        "code": [f"s3://{report.code_bucket}/{key}" for key in report.code],
        "keptBucket": report.bucket,
    }

    def table() -> None:
        word = "gone" if report.deleted else "would go"
        rows = [[word, r.resource, r.kind, r.physical_id] for r in report.goes]
        rows += [[word, "code", "object", f"s3://{report.code_bucket}/{k}"] for k in report.code]
        if report.bucket:
            rows.append(["stays", "archive", "AWS::S3::Bucket", report.bucket])
        print_table(["", "RESOURCE", "TYPE", "NAME"], rows)
        sys.stdout.write("\n")
        if report.deleted:
            sys.stdout.write(f"The stack {report.stack} is deleted.\n")
        if report.bucket:
            sys.stdout.write(
                f"The bucket {report.bucket} is kept with everything in it. To go on with it: "
                f"coldtable deploy --bucket {report.bucket} …\n"
            )

    context.answer(SCHEMA, body, table)
    if not report.deleted:
        context.note("Nothing was deleted. To do it, add --yes")
