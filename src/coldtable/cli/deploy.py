"""``coldtable deploy``: the installation, brought about in an AWS account."""

from __future__ import annotations

import sys
import time
from datetime import time as time_of_day
from importlib.resources import files
from typing import Annotated

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.errors import UsageError
from coldtable.model_stack import DeployReport, Wish
from coldtable.ops.code import build_zip
from coldtable.ops.deploy import Windows
from coldtable.ops.deploy import deploy as deploy_installation

SCHEMA = "coldtable.deploy/1"


def deploy(
    *,
    table: tuple[str, ...] = (),
    bucket: str | None = None,
    schedule: str = "cron(0 4 * * ? *)",
    timezone: str | None = None,
    at: str | None = None,
    day: int | None = None,
    prefix_template: str | None = None,
    parameter_path: str = "/coldtable/prod",
    existing_parameters: bool = False,
    email: str | None = None,
    stack_name: str = "coldtable",
    enable_pitr: bool = False,
    recovery_days: int | None = None,
    log_days: int = 90,
    code_bucket: str | None = None,
    bucket_kms_key: str | None = None,
    parameter_kms_key: str | None = None,
    dry_run: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Deploy the schedule, the function, the alarms and the archive bucket, as one stack.

    Everything is checked before anything is changed; running it again changes nothing.

    Parameters
    ----------
    table
        A table to export; repeat it for several. A comma-separated list works too.
    bucket
        An existing bucket for the exports. Without it the stack creates one, which outlives it.
    schedule
        When the exports are started, in --timezone: cron(...), rate(...) or at(...).
    timezone
        The IANA time zone of the schedule and of the moment. Default UTC.
    at
        The local time of the moment that is exported. Default 00:00:00.
    day
        The day of the month whose state is exported; 0, the default, for every day.
    prefix_template
        The folder of an export. Default {date:%Y/%m/%d}/{table}.
    parameter_path
        Where the settings lie in SSM Parameter Store.
    existing_parameters
        The settings exist below the path already, with the tables and the bucket in them.
    email
        Who gets the alarms.
    stack_name
        The stack's name; one stack for each installation.
    enable_pitr
        Turn point-in-time recovery on where it is off.
    recovery_days
        With --enable-pitr: keep at least so many days of history, 1 to 35. Never shortens it.
    log_days
        How many days the function's logs are kept; one of CloudWatch's choices.
    code_bucket
        An existing bucket for the function's code. Without it coldtable-code-ACCOUNT-REGION.
    bucket_kms_key
        The ARN of the KMS key that encrypts the bucket, if it is a customer managed one.
    parameter_kms_key
        The ARN of the customer managed KMS key of SecureString settings.
    dry_run
        Show what would change, and change nothing.
    """
    if existing_parameters and (at, day, prefix_template) != (None, None, None):
        raise UsageError(
            "--at, --day and --prefix-template contradict --existing-parameters",
            hint="The function reads them from there: change the parameters instead",
        )
    if recovery_days is not None and not 1 <= recovery_days <= 35:
        raise UsageError("--recovery-days must be 1 to 35")
    if day is not None and not 0 <= day <= 31:
        raise UsageError("--day must be 0 (every day) to 31")
    wish = Wish(
        tables=table,
        bucket=bucket,
        stack_name=stack_name,
        schedule=schedule,
        timezone=timezone,
        at=_time_of_day(at),
        day=day or 0,
        prefix_template=prefix_template or DEFAULT_TEMPLATE,
        parameter_path=parameter_path,
        existing_parameters=existing_parameters,
        parameter_key=parameter_kms_key,
        bucket_key=bucket_kms_key,
        email=email,
        log_days=log_days,
        code_bucket=code_bucket,
        enable_pitr=enable_pitr,
        recovery_days=recovery_days,
    )
    report = deploy_installation(wish, windows(context), template(), build_zip(), dry_run=dry_run)
    _answer(context, report)
    return 0


def windows(context: Context) -> Windows:
    """AWS, as a deployment sees it."""
    from coldtable.aws.buckets import S3Buckets
    from coldtable.aws.exporter import DynamoDbExporter
    from coldtable.aws.parameters import SsmParameters
    from coldtable.aws.pitr import DynamoDbPitr
    from coldtable.aws.probe import AwsProbe
    from coldtable.aws.stacks import CloudFormationStacks

    client = context.session.client
    dynamodb = client("dynamodb")
    return Windows(
        exporter=DynamoDbExporter(dynamodb),
        pitr=DynamoDbPitr(dynamodb),
        parameters=SsmParameters(client("ssm")),
        buckets=S3Buckets(client("s3")),
        stacks=CloudFormationStacks(client("cloudformation")),
        probe=AwsProbe(client("scheduler"), client("lambda"), client("cloudwatch")),
        pause=time.sleep,
        say=context.note,
    )


def template() -> str:
    """The CloudFormation template of an installation."""
    return files("coldtable.infra").joinpath("template.yaml").read_text(encoding="utf-8")


def _time_of_day(text: str | None) -> time_of_day:
    try:
        at = time_of_day.fromisoformat(text or "00:00:00")
    except ValueError:
        at = None
    if at is None or at.tzinfo or at.microsecond:
        raise UsageError(
            f"--at {text!r} is not a time of day", hint="Write it like 03:00 or 03:00:00"
        )
    return at


def _answer(context: Context, report: DeployReport) -> None:
    body = {
        "outcome": report.outcome,
        "stack": report.stack,
        "changes": [
            {
                "action": c.action,
                "resource": c.resource,
                "type": c.kind,
                "physicalId": c.physical_id or None,
                "replacement": c.replacement or None,
            }
            for c in report.changes
        ],
        "pitrEnabled": list(report.pitr),
        "checks": [{"subject": f.subject, "found": f.found, "ok": f.ok} for f in report.findings],
        "outputs": dict(report.outputs),
        "notes": list(report.notes),
    }

    def table() -> None:
        if report.outcome in ("planned", "updated"):
            _print_changes(report)
        if report.findings:
            sys.stdout.write("\n" if report.outcome == "updated" else "")
            print_table(["CHECKED", "FOUND"], [[f.subject, f.found] for f in report.findings])
            sys.stdout.write("\n")
            print_table(["OUTPUT", "VALUE"], sorted([k, v] for k, v in report.outputs.items()))
        if report.outcome != "planned":
            sys.stdout.write(f"\nThe stack {report.stack} is {report.outcome}.\n")

    context.answer(SCHEMA, body, table)
    for note in report.notes:
        context.note(f"note: {note}")
    if report.outcome == "planned":
        context.note("This was a dry run: nothing was changed.")


def _print_changes(report: DeployReport) -> None:
    rows = [[c.action, c.resource, c.kind, c.replacement] for c in report.changes]
    rows += [["Enable", f"point-in-time recovery of {name}", "", ""] for name in report.pitr]
    if rows:
        print_table(["ACTION", "RESOURCE", "TYPE", "REPLACEMENT"], rows)
    else:
        sys.stdout.write("Nothing would change.\n")
