"""Deploy: look, prepare what the stack needs, bring the stack about, and look again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coldtable.core.bucket_rules import rule_notes, rule_parameters
from coldtable.errors import Conflict
from coldtable.model_stack import ChangeSet, Code, DeployReport, Stack, Wish
from coldtable.ops import stack as stack_verbs
from coldtable.ops.code import sha256
from coldtable.ops.ground import Ground, pack_arns
from coldtable.ops.preflight import Sight, survey
from coldtable.ops.stack import Workshop
from coldtable.ops.stack_check import check_stack
from coldtable.ports import (
    Buckets,
    Exporter,
    ParameterStore,
    PitrSwitch,
    Probe,
    Stacks,
    TableDirectory,
)

# A new table's backups take a few seconds to be prepared [QUIRKS].
_PITR_ATTEMPTS, _PITR_PAUSE = 12, 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Everything outside that a deployment asks or changes. For ``table_arns`` see ``Sight``."""

    exporter: Exporter
    directory: TableDirectory
    table_arns: Callable[[], str]
    pitr: PitrSwitch
    parameters: ParameterStore
    buckets: Buckets
    stacks: Stacks
    probe: Probe
    pause: Callable[[float], None]
    say: Callable[[str], None]


def deploy(
    wish: Wish, windows: Windows, template: str, zipped: bytes, *, dry_run: bool = False
) -> DeployReport:
    """Bring the installation to what ``wish`` says; doing it again changes nothing.

    With ``dry_run`` nothing is changed nor left behind; the report has what would be done.
    """
    shop = Workshop(stacks=windows.stacks, pause=windows.pause, say=windows.say)
    stack = windows.stacks.describe(wish.stack_name)
    ground = survey(wish, stack, _sight(windows))
    code = _code(ground, zipped)
    create = _clear_way(shop, stack, dry_run=dry_run)
    parameters = _parameters(ground, code, stack)
    meant = rule_notes(stack.parameters if stack else {}, parameters)
    if dry_run:
        return _rehearse(shop, ground, parameters, template, meant, create=create)
    for note in meant:
        # Before it is done: some of it cannot be undone.
        windows.say(note)
    _protect(ground, windows)
    _upload(ground, code, windows)
    made = stack_verbs.propose(shop, wish.stack_name, template, parameters, create=create)
    now = stack_verbs.execute(shop, made) if made else _unchanged(shop, wish.stack_name)
    findings = check_stack(
        ground, now.outputs, code, windows.exporter, windows.parameters, windows.probe
    )
    return DeployReport(
        outcome=("created" if create else "updated") if made else "unchanged",
        stack=wish.stack_name,
        changes=made.changes if made else (),
        pitr=tuple(t.name for t in ground.unprotected),
        findings=findings,
        outputs=now.outputs,
        notes=_notes(ground, now),
    )


def _parameters(ground: Ground, code: Code, stack: Stack | None) -> dict[str, str]:
    """Those of the wish, and of the stack how its bucket keeps objects, where the wish says nothing
    of that."""
    wish, found = ground.wish, stack.parameters if stack else {}
    own = rule_parameters(wish.bucket_rules, ground.templates, found)
    return {**own, **stack_parameters(ground, code)}


def stack_parameters(ground: Ground, code: Code) -> dict[str, str]:
    """The template's parameters. Those left out keep the template's default."""
    wish = ground.wish
    first, rest = pack_arns(ground.tables)
    return {
        "TableNames": ",".join(t.name for t in ground.tables),
        "TableArns": first,
        "MoreTableArns": rest,
        "PatternArns": ",".join(ground.patterns),
        "Tagged": "true" if ground.tagged else "false",
        "Policy": "" if wish.existing_parameters else wish.policy,
        "BucketName": wish.bucket or "",
        "BucketKmsKeyArn": wish.bucket_key or "",
        "S3PrefixTemplate": wish.prefix_template,
        "BackupDay": str(wish.day),
        "BackupHour": str(wish.at.hour),
        "BackupMinute": str(wish.at.minute),
        "BackupSecond": str(wish.at.second),
        "TimeZone": wish.timezone or "UTC",
        "ScheduleExpression": wish.schedule,
        "TickExpression": wish.tick,
        "VerifyDays": str(wish.verify_days),
        "DrillDays": str(wish.drill_days),
        "ParameterPath": wish.parameter_path,
        "ManageParameters": "false" if wish.existing_parameters else "true",
        "ParameterKmsKeyArn": wish.parameter_key or "",
        "AlarmEmail": wish.email or "",
        "HeartbeatUrl": wish.heartbeat_url or "",
        "LogRetentionDays": str(wish.log_days),
        "CodeBucket": code.bucket,
        "CodeKey": code.key,
    }


def _sight(windows: Windows) -> Sight:
    return Sight(
        exporter=windows.exporter,
        directory=windows.directory,
        parameters=windows.parameters,
        buckets=windows.buckets,
        table_arns=windows.table_arns,
    )


def own_code_bucket(account: str, region: str) -> str:
    """The bucket that deployments of this account and region share, unless told otherwise."""
    return f"coldtable-code-{account}-{region}"


def _code(ground: Ground, zipped: bytes) -> Code:
    digest = sha256(zipped)
    return Code(
        body=zipped,
        sha256=digest,
        bucket=ground.wish.code_bucket or own_code_bucket(ground.account, ground.region),
        key=f"{ground.wish.stack_name}/{digest}.zip",
    )


def _clear_way(shop: Workshop, stack: Stack | None, *, dry_run: bool) -> bool:
    """Whether to create the stack. One whose creation failed can only be deleted: it is."""
    if stack and stack.status == "ROLLBACK_COMPLETE" and not dry_run:
        shop.say(f"The creation of {stack.name} failed before; what is left of it is removed")
        stack_verbs.remove(shop, stack)
        return True
    return stack_verbs.must_create(stack)


def _rehearse(
    shop: Workshop,
    ground: Ground,
    parameters: dict[str, str],
    template: str,
    notes: tuple[str, ...],
    *,
    create: bool,
) -> DeployReport:
    """The change set, shown and withdrawn. CloudFormation does not look for the code's object
    before it executes one (UNVERIFIED on AWS), so none is uploaded."""
    name = ground.wish.stack_name
    made: ChangeSet | None = stack_verbs.propose(shop, name, template, parameters, create=create)
    if made:
        stack_verbs.withdraw(shop, made, create=create)
    return DeployReport(
        outcome="planned",
        stack=name,
        changes=made.changes if made else (),
        pitr=tuple(t.name for t in ground.unprotected),
        notes=notes,
    )


def _protect(ground: Ground, windows: Windows) -> None:
    for table in ground.unprotected:
        for left in reversed(range(_PITR_ATTEMPTS)):
            try:
                windows.pitr.turn_on(table, ground.wish.recovery_days)
                break
            except Conflict:
                if not left:
                    raise
                windows.pause(_PITR_PAUSE)
        windows.say(f"Point-in-time recovery is on for table {table.name}")


def _upload(ground: Ground, code: Code, windows: Windows) -> None:
    """The zip under its own digest, so that it is there once however often it is deployed.

    The shared bucket's name can be guessed, so it must be this account's: whoever owned it could
    put other code in its place.
    """
    owner = None if ground.wish.code_bucket else ground.account
    if owner and not windows.buckets.exists(code.bucket, owner=owner):
        windows.buckets.create(code.bucket)
        windows.say(f"Created the bucket {code.bucket} for the function's code")
    if not windows.buckets.has(code.bucket, code.key, owner=owner):
        windows.buckets.put(code.bucket, code.key, code.body, owner=owner)
        windows.say(f"Uploaded the function's code: s3://{code.bucket}/{code.key}")


def _unchanged(shop: Workshop, name: str) -> Stack:
    shop.say(f"The stack {name} is already as wanted")
    stack = shop.stacks.describe(name)
    if stack is None:
        raise Conflict(f"The stack {name} was deleted at this moment", hint="Deploy it again")
    return stack


def _notes(ground: Ground, stack: Stack) -> tuple[str, ...]:
    notes = []
    if ground.unprotected:
        names = ", ".join(t.name for t in ground.unprotected)
        notes.append(
            f"The history of {names} begins now (or is only now kept for longer): a run that asks "
            "for an earlier moment fails, until the first moment after this one"
        )
    if ground.unseen_owner:
        notes.append(
            f"The bucket {ground.wish.bucket} of account {ground.unseen_owner} could not be looked "
            "at from here. Unless its policy lets the functions in already, put the one there "
            f"that this prints: coldtable policy bucket --stack-name {ground.wish.stack_name}"
        )
    if ground.wish.email:
        notes.append(f"AWS mails {ground.wish.email}: alarms come only after the link is clicked")
    if not ground.wish.email:
        notes.append(
            "Nobody hears the alarms yet: subscribe to "
            f"{stack.outputs['TopicArn']}, or deploy again with --email"
        )
    return tuple(notes)
