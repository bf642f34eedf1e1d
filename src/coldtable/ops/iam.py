"""Fill the IAM policies in: from what a person says, and for the rest from what is deployed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from coldtable.core.configuration import parse_configuration
from coldtable.core.iam import (
    Document,
    Reach,
    bucket_policy,
    drill_policy,
    export_policy,
    key_policy,
    tick_policy,
    verify_policy,
)
from coldtable.core.iam_deployer import Site, deployer_policy
from coldtable.core.policy import destinations, expected_tables
from coldtable.errors import StackNotFound, UsageError
from coldtable.model import Destination
from coldtable.model_policy import Configuration
from coldtable.model_stack import Stack
from coldtable.ops.deploy import own_code_bucket
from coldtable.ports import ParameterStore, Stacks

DEFAULT_PATH = "/coldtable/prod"
# The roles of the template, by what their function is called here.
ROLES = {
    "export": "ExportRole",
    "tick": "TickRole",
    "verify": "VerifyRole",
    "drill": "DrillRole",
}
_BY_TAG = "tables by their tag"
_POLICIES = {
    "export": export_policy,
    "tick": tick_policy,
    "verify": verify_policy,
    "drill": drill_policy,
}
# Parameters of the template that list ARNs, and the one that has the bucket's key.
_TABLES, _PATTERNS, _KEY = ("TableArns", "MoreTableArns"), "PatternArns", "BucketKmsKeyArn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person said. What is ``None`` or empty is read from what is deployed.

    ``tables`` are names or ARNs; ``roles`` are those that export, ``readers`` those that only
    read, as ARNs. ``function`` is one of ``ROLES``; with ``tagged`` it keeps the tables that
    have the tag.
    """

    tables: tuple[str, ...] = ()
    bucket: str | None = None
    owner: str | None = None
    key: str | None = None
    roles: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    function: str = "tick"
    tagged: bool = False
    stack: str = "coldtable"
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A policy, the command that puts it into its place, and what to know before that."""

    policy: Document
    command: str
    notes: tuple[str, ...] = ()


class Deployed:
    """What is deployed: each part is looked at when it is first needed."""

    def __init__(
        self,
        ask: Ask,
        stacks: Callable[[], Stacks],
        parameters: Callable[[], ParameterStore],
    ) -> None:
        self._ask = ask
        self._stacks = stacks
        self._parameters = parameters

    @cached_property
    def stack(self) -> Stack:
        """The installation's stack; ``StackNotFound`` if there is none."""
        name = self._ask.stack
        found = self._stacks().describe(name)
        if found is None or not found.outputs:
            raise StackNotFound(
                f"There is no deployed stack {name} to read the rest from",
                hint="Name it with --stack-name, deploy it first, or give all that is asked for "
                "with options (coldtable policy --help)",
            )
        return found

    @cached_property
    def place(self) -> tuple[str, str, str]:
        """Partition, region and account of the stack."""
        _, partition, _, region, account, _ = self.stack.id.split(":", 5)
        return partition, region, account

    @cached_property
    def roles(self) -> dict[str, str]:
        """The ARNs of the functions' roles, by the functions' names."""
        partition, _, account = self.place
        made = {
            found.resource: f"arn:{partition}:iam::{account}:role/{found.physical_id}"
            for found in self._stacks().resources(self.stack.id)
            if found.kind == "AWS::IAM::Role" and found.physical_id
        }
        return {name: made[role] for name, role in ROLES.items() if role in made}

    @cached_property
    def configuration(self) -> Configuration:
        """The settings below the path that was named, or else below the stack's."""
        path = self._ask.path or self.stack.parameters.get("ParameterPath", DEFAULT_PATH)
        return parse_configuration(path, self._parameters().read(path))

    def places(self, tables: Iterable[str] = ()) -> tuple[Destination, ...]:
        """Where these tables' exports go; without any, every place of the settings."""
        return destinations(self.configuration, (name.rsplit("/", 1)[-1] for name in tables))


def for_bucket(ask: Ask, deployed: Deployed) -> Sheet:
    """What another account's bucket must allow those that export into it."""
    to = _destination(ask, deployed)
    writers, readers = _principals(ask, deployed)
    drillers = [] if ask.roles else [arn for name, arn in deployed.roles.items() if name == "drill"]
    notes = []
    if to.owner and to.owner in {arn.split(":")[4] for arn in writers}:
        notes.append(
            f"{to.bucket} belongs to the account of those that export, where their own policies "
            "are enough: it needs this one only if its policy denies them something now"
        )
    elif to.owner:
        notes.append(
            f"Run the command as account {to.owner}, which owns the bucket. The settings must say "
            f'so too: "bucket_owner": "{to.owner}"'
        )
    else:
        notes.append(
            'If another account owns the bucket, the settings must say so: "bucket_owner" in '
            "POLICY or in the table's policy"
        )
    notes += [
        f"It replaces the whole policy of {to.bucket}. If there is one, add these statements to "
        f"it instead: aws s3api get-bucket-policy --bucket {to.bucket}",
        "The roles' own policies must allow it too: coldtable policy lambda",
    ]
    return Sheet(
        policy=bucket_policy(to.bucket, writers, readers, drillers, partition=_partition(writers)),
        command=f"aws s3api put-bucket-policy --bucket {to.bucket} --policy file://policy.json",
        notes=tuple(notes),
    )


def for_key(ask: Ask, deployed: Deployed) -> Sheet:
    """What a KMS key must allow those that write and read what it encrypts."""
    key = ask.key or _key(ask, deployed)
    _, partition, _, region, account, _ = key.split(":", 5)
    writers, readers = _principals(ask, deployed)
    return Sheet(
        policy=key_policy(account, writers, readers, partition=partition),
        command=f"aws kms put-key-policy --region {region} --key-id {key} --policy-name default "
        "--policy file://policy.json",
        notes=(
            f"Run the command as account {account}, which owns the key. The key must be one of "
            f"the bucket's region: the bucket must lie in {region}",
            "It replaces the key's whole policy. If more is in that than its account's right to "
            "it, add the Coldtable statements to it instead: aws kms get-key-policy "
            f"--region {region} --key-id {key} --policy-name default",
            "The roles' own policies must allow it too: coldtable policy lambda",
        ),
    )


def for_function(ask: Ask, deployed: Deployed) -> Sheet:
    """What the role of a function must be allowed."""
    by_options = bool(ask.bucket and ask.tables) and all(map(_is_arn, ask.tables))
    reach = _told(ask) if by_options else _found(ask, deployed)
    make = _POLICIES[ask.function]
    role = ROLES[ask.function]
    notes = [f"The stack gives its {role} this; it is what a role of your own needs"]
    if by_options:
        notes.append("The * in ARNs stands for what CloudFormation appends to names")
    else:
        role = deployed.roles.get(ask.function, role).rsplit("/", 1)[-1]
        beyond = list(_beyond(reach, deployed.stack))
        if ask.function == "export":
            # The nightly run never goes beyond TABLE_NAMES.
            beyond = [name for name in beyond if name not in reach.patterns]
        if ask.function in ("verify", "drill"):
            tables = (*reach.tables, *reach.patterns, _BY_TAG)
            beyond = [name for name in beyond if name not in tables]
        if beyond:
            notes[0] = f"Missing from what the stack gave the role {role}: {', '.join(beyond)}"
    return Sheet(
        policy=make(reach),
        command=f"aws iam put-role-policy --role-name {role} --policy-name coldtable-more "
        "--policy-document file://policy.json",
        notes=tuple(notes),
    )


def for_deployer(ask: Ask, account: str, region: str, code_bucket: str | None) -> Sheet:
    """What whoever runs ``coldtable deploy`` and ``destroy`` must be allowed."""
    path = (ask.path or DEFAULT_PATH).removeprefix("/")
    site = Site(
        account=account,
        region=region,
        stack=ask.stack,
        path=path,
        code_bucket=code_bucket or own_code_bucket(account, region),
        bucket=ask.bucket,
        tables=tuple(name.rsplit("/", 1)[-1] for name in ask.tables) or ("*",),
        partition=_partition_of(region),
    )
    return Sheet(
        policy=deployer_policy(site),
        command="aws iam create-policy --policy-name coldtable-deployer --policy-document "
        "file://policy.json",
        notes=("What can be left out: docs/deployer-permissions.md",),
    )


def _destination(ask: Ask, deployed: Deployed) -> Destination:
    """The one bucket that is meant: another account's, if the settings name one."""
    if ask.bucket:
        return Destination(bucket=ask.bucket, owner=ask.owner)
    found = deployed.places(ask.tables)
    meant = [to for to in found if to.owner] or list(found)
    names = sorted({to.bucket for to in meant})
    if len(names) != 1:
        raise UsageError(
            f"The settings name {len(names)} buckets: {', '.join(names)}",
            hint="Say which is meant with --bucket, or with --table whose",
        )
    return Destination(bucket=names[0], owner=ask.owner or meant[0].owner)


def _key(ask: Ask, deployed: Deployed) -> str:
    """The one key that is meant: of the settings, or else the one that the stack knows."""
    keys = {to.key for to in deployed.places(ask.tables) if to.key}
    keys = keys or {deployed.stack.parameters.get(_KEY, "")} - {""}
    if len(keys) != 1:
        listed = f": {', '.join(sorted(keys))}" if keys else ""
        raise UsageError(
            f"The settings name {len(keys)} KMS keys{listed}",
            hint="Say which is meant with --kms-key, or with --table whose",
        )
    (key,) = keys
    if not _is_arn(key):
        raise UsageError(
            f"The settings name the KMS key {key} by its id alone, which is one of the caller's "
            "account",
            hint="Give its ARN with --kms-key",
        )
    return key


def _principals(ask: Ask, deployed: Deployed) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that write, and those that read: of the functions, all but the nightly one."""
    if ask.roles:
        return ask.roles, _once(ask.roles + ask.readers)
    roles = deployed.roles
    reading = tuple(roles[name] for name in ("tick", "verify", "drill") if name in roles)
    return tuple(roles.values()), _once(reading + ask.readers)


def _told(ask: Ask) -> Reach:
    """The reach as the options spell it; names that CloudFormation makes are patterns."""
    _, partition, _, region, account, _ = ask.tables[0].split(":", 5)
    here = f"{region}:{account}"
    return Reach(
        account=account,
        region=region,
        partition=partition,
        tables=ask.tables,
        tagged=ask.tagged,
        buckets=(ask.bucket or "",),
        path=ask.path or DEFAULT_PATH,
        log=f"arn:{partition}:logs:{here}:log-group:/aws/lambda/{ask.stack}-{ask.function}:*",
        queue=f"arn:{partition}:sqs:{here}:{ask.stack}-DeadLetterQueue-*",
        topic=f"arn:{partition}:sns:{here}:{ask.stack}-AlarmTopic-*",
        keys=(ask.key,) if ask.key else (),
    )


def _found(ask: Ask, deployed: Deployed) -> Reach:
    """The reach as it is deployed, and whatever else the settings name."""
    stack = deployed.stack
    partition, region, account = deployed.place
    here, said = f"{region}:{account}", deployed.configuration
    tables = _table_arns(deployed, ask.tables)
    patterns: tuple[str, ...] = ()
    if not ask.tables:
        tables = _once((*_listed(stack, *_TABLES), *_table_arns(deployed, said.scheduled)))
        others = _table_arns(deployed, (*said.selection.names, *expected_tables(said)))
        patterns = _once(arn for arn in (*_listed(stack, _PATTERNS), *others) if arn not in tables)
    places = deployed.places(ask.tables)
    # The id alone is a key of the caller's account and the bucket's region.
    ids = f"arn:{partition}:kms:*:{account}:key/"
    named = (to.key if not to.key or _is_arn(to.key) else f"{ids}{to.key}" for to in places)
    queue = stack.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[-1]
    return Reach(
        account=account,
        region=region,
        partition=partition,
        tables=tables,
        patterns=patterns,
        tagged=ask.tagged or (not ask.tables and said.selection.tagged),
        buckets=_once((ask.bucket,))
        or _once((stack.outputs["Bucket"], *(to.bucket for to in places))),
        path=ask.path or stack.parameters.get("ParameterPath", DEFAULT_PATH),
        log=f"arn:{partition}:logs:{here}:log-group:/aws/lambda/{ask.stack}-{ask.function}:*",
        queue=f"arn:{partition}:sqs:{here}:{queue}",
        topic=stack.outputs["TopicArn"],
        keys=_once((ask.key,)) or _once((stack.parameters.get(_KEY), *named)),
        parameter_key=stack.parameters.get("ParameterKmsKeyArn") or None,
    )


def _table_arns(deployed: Deployed, names: Iterable[str]) -> tuple[str, ...]:
    partition, region, account = deployed.place
    tables = f"arn:{partition}:dynamodb:{region}:{account}:table/"
    return tuple(name if _is_arn(name) else f"{tables}{name}" for name in names)


def _listed(stack: Stack, *names: str) -> list[str]:
    """The ARNs in these parameters of the stack."""
    found = ",".join(stack.parameters.get(name, "") for name in names)
    return [arn for arn in found.split(",") if arn]


def _beyond(reach: Reach, stack: Stack) -> Iterator[str]:
    """What the reach has, and the role that the stack made has not."""
    known = _listed(stack, *_TABLES, _PATTERNS)
    yield from (arn for arn in (*reach.tables, *reach.patterns) if arn not in known)
    if reach.tagged and stack.parameters.get("Tagged") != "true":
        yield _BY_TAG
    yield from (f"bucket {b}" for b in reach.buckets if b != stack.outputs["Bucket"])
    yield from (key for key in reach.keys if key != stack.parameters.get(_KEY))


def _once(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _is_arn(text: str) -> bool:
    return text.startswith("arn:")


def _partition(arns: Sequence[str]) -> str:
    return arns[0].split(":")[1] if arns else "aws"


def _partition_of(region: str) -> str:
    """The partition of a region, by the first letters of its name [docs: ARNs]."""
    names = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for start, name in names.items() if region.startswith(start)), "aws")
