"""``coldtable deploy``: the installation, brought about in an AWS account."""

from __future__ import annotations

import sys
import time
from datetime import time as time_of_day
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.core.bucket_rules import parse_lock
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.core.template_text import compact
from coldtable.errors import UsageError
from coldtable.model_stack import BucketRules, DeployReport, Wish
from coldtable.ops.code import build_zip
from coldtable.ops.deploy import Windows
from coldtable.ops.deploy import deploy as deploy_installation

SCHEMA = "coldtable.deploy/1"


def deploy(
    *,
    table: tuple[str, ...] = (),
    tagged: bool = False,
    continuous: bool = False,
    policy: Path | None = None,
    bucket: str | None = None,
    bucket_owner: str | None = None,
    schedule: str = "cron(0 4 * * ? *)",
    tick: str = "rate(15 minutes)",
    verify_days: int = 0,
    drill_days: int = 0,
    timezone: str | None = None,
    at: str | None = None,
    day: int | None = None,
    prefix_template: str | None = None,
    parameter_path: str = "/coldtable/prod",
    existing_parameters: bool = False,
    email: str | None = None,
    heartbeat_url: str | None = None,
    stack_name: str = "coldtable",
    enable_pitr: bool = False,
    recovery_days: int | None = None,
    log_days: int = 90,
    code_bucket: str | None = None,
    bucket_kms_key: str | None = None,
    parameter_kms_key: str | None = None,
    standard_ia_after: int | None = None,
    glacier_ir_after: int | None = None,
    deep_archive_after: int | None = None,
    remove_versions_after: int | None = None,
    object_lock: str | None = None,
    dry_run: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Deploy the schedules, the functions, the alarms and the archive bucket, as one stack.

    Everything is checked before anything is changed; running it again changes nothing.

    Examples:

    `coldtable deploy --table orders --timezone Asia/Tokyo --at 03:00 --dry-run`

    `coldtable deploy --table 'app-*' --continuous --email you@example.com`

    `coldtable deploy --table orders --stack-name audit --parameter-path /coldtable/audit`

    `coldtable deploy --table orders --glacier-ir-after 30 --remove-versions-after 90`

    `coldtable deploy --table orders --continuous --verify-days 30 --drill-days 30`

    Exit codes: 0; 1 if the stack could not be made, or does not work; 2 if an option is wrong; 10
    if a setting is; 11 without the rights; 12 if there is no such table or bucket; 13 if the stack
    is changing; 14 if it grows too large.

    IAM: what `coldtable policy deployer` prints.

    Parameters
    ----------
    table
        A table to keep, or a glob like 'app-*'; repeat it for several. A comma-separated list
        works too.
    tagged
        Keep the tables with the tag coldtable, whose value is their mode: snapshot or continuous.
    continuous
        Keep them without gaps: one full export, then increments, instead of a snapshot a day.
    policy
        A JSON file that says how the tables are kept; it becomes the parameter POLICY.
    bucket
        An existing bucket for the exports. Without it the stack creates one, which outlives it.
    bucket_owner
        The account that owns --bucket, if it is another one: docs/how-to/cross-account.md.
    schedule
        When the snapshots are started, in --timezone: cron(...), rate(...) or at(...).
    tick
        How often the archive is looked after: rate(1 minute) to rate(30 minutes).
    verify_days
        Read every byte of the archive again within so many days, in a function of its own. 0, the
        default, is never, and takes that function away: reading costs, docs/how-to/verify.md.
    drill_days
        Restore each table again after so many days (30: monthly) to one that is compared and thrown
        away, in a function of its own. 0, the default, is never, and takes that function away:
        importing costs, docs/how-to/drill.md.
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
    heartbeat_url
        An address that begins with https:// and is called after each good tick.
    stack_name
        The stack's name; one stack for each installation.
    enable_pitr
        Turn point-in-time recovery on where it is off.
    recovery_days
        With --enable-pitr: keep at least so many days of history, 1 to 35. Never shortens it.
    log_days
        How many days the functions' logs are kept; one of CloudWatch's choices.
    code_bucket
        An existing bucket for the functions' code. Without it coldtable-code-ACCOUNT-REGION.
    bucket_kms_key
        The ARN of the customer managed KMS key that encrypts the exports, and the bucket that the
        stack creates.
    parameter_kms_key
        The ARN of the customer managed KMS key of SecureString settings.
    standard_ia_after
        In the bucket that the stack creates: after how many days exports move to STANDARD_IA, 30
        or more. Without it, as for the next four, it stays as it is; 0 is never.
    glacier_ir_after
        After how many days they move to GLACIER_IR.
    deep_archive_after
        After how many days they move to DEEP_ARCHIVE, where nothing can be read until it was
        retrieved.
    remove_versions_after
        After how many days what was deleted is gone for good.
    object_lock
        For how long S3 lets nobody delete a new object: governance:DAYS, or compliance:DAYS, which
        cannot be undone.
    dry_run
        Show what would change, and change nothing.
    """
    if existing_parameters and (at, day, prefix_template) != (None, None, None):
        raise UsageError(
            "--at, --day and --prefix-template contradict --existing-parameters",
            hint="The functions read them from there: change the parameters instead",
        )
    if recovery_days is not None and not 1 <= recovery_days <= 35:
        raise UsageError("--recovery-days must be 1 to 35")
    if day is not None and not 0 <= day <= 31:
        raise UsageError("--day must be 0 (every day) to 31")
    wish = Wish(
        tables=table,
        bucket=bucket,
        bucket_owner=bucket_owner,
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
        tagged=tagged,
        continuous=continuous,
        policy=_read(policy),
        tick=tick,
        verify_days=verify_days,
        drill_days=drill_days,
        heartbeat_url=heartbeat_url,
        bucket_rules=BucketRules(
            standard_ia=standard_ia_after,
            glacier_ir=glacier_ir_after,
            deep_archive=deep_archive_after,
            remove_versions=remove_versions_after,
            lock=parse_lock(object_lock) if object_lock else None,
        ),
    )
    report = deploy_installation(wish, windows(context), template(), build_zip(), dry_run=dry_run)
    _answer(context, report)
    return 0


def windows(context: Context) -> Windows:
    """AWS, as a deployment sees it."""
    from coldtable.aws.buckets import S3Buckets
    from coldtable.aws.directory import DynamoDbDirectory
    from coldtable.aws.exporter import DynamoDbExporter
    from coldtable.aws.parameters import SsmParameters
    from coldtable.aws.pitr import DynamoDbPitr
    from coldtable.aws.probe import AwsProbe
    from coldtable.aws.stacks import CloudFormationStacks

    client = context.session.client
    dynamodb = client("dynamodb")

    def table_arns() -> str:
        _, partition, _, _, account, _ = context.session.caller().split(":", 5)
        return f"arn:{partition}:dynamodb:{dynamodb.meta.region_name}:{account}:table/"

    return Windows(
        exporter=DynamoDbExporter(dynamodb),
        directory=DynamoDbDirectory(dynamodb, lambda: client("resourcegroupstaggingapi")),
        table_arns=table_arns,
        pitr=DynamoDbPitr(dynamodb),
        parameters=SsmParameters(client("ssm")),
        buckets=S3Buckets(client("s3")),
        stacks=CloudFormationStacks(client("cloudformation")),
        probe=AwsProbe(client("scheduler"), client("lambda"), client("cloudwatch")),
        pause=time.sleep,
        say=context.note,
    )


def template() -> str:
    """The CloudFormation template of an installation, as short as a request wants it."""
    return compact(files("coldtable.infra").joinpath("template.yaml").read_text(encoding="utf-8"))


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--policy {path} cannot be read: {error}") from None


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
