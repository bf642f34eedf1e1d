"""The nouns of a deployment: a CloudFormation stack, what changes in it, and what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRules:
    """How the bucket that the stack creates is to keep its objects: after how many days exports
    move on, and what was deleted goes for good (0 for never); S3's mode and the days of Object
    Lock. ``None`` leaves it as it is.
    """

    standard_ia: int | None = None
    glacier_ir: int | None = None
    deep_archive: int | None = None
    remove_versions: int | None = None
    lock: tuple[str, int] | None = None

    @property
    def days(self) -> Mapping[str, int | None]:
        """The days, by their options."""
        return {
            "--standard-ia-after": self.standard_ia,
            "--glacier-ir-after": self.glacier_ir,
            "--deep-archive-after": self.deep_archive,
            "--remove-versions-after": self.remove_versions,
        }

    @property
    def asked(self) -> tuple[str, ...]:
        """The options of what is asked for."""
        found = [option for option, days in self.days.items() if days is not None]
        return (*found, *(["--object-lock"] if self.lock else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants to have deployed.

    ``tables`` are names and globs; once the wish is complete, the names of ``TABLE_NAMES`` alone,
    and ``policy``, the JSON of ``POLICY``, has the globs, ``tagged`` and ``continuous`` in it.
    ``tables`` may be empty and ``bucket`` ``None`` with ``existing_parameters``: both are then
    read from there. ``bucket`` is ``None`` for one that the stack creates. ``at`` is the local
    time of the moment that is exported, ``day`` its day of the month (0: every day); with
    ``existing_parameters`` neither counts. ``timezone`` is ``None`` for that of the existing
    parameters, else UTC.
    """

    tables: tuple[str, ...]
    bucket: str | None = None
    bucket_owner: str | None = None
    stack_name: str = "coldtable"
    schedule: str = "cron(0 4 * * ? *)"
    timezone: str | None = None
    at: time = time(0)
    day: int = 0
    prefix_template: str
    parameter_path: str = "/coldtable/prod"
    existing_parameters: bool = False
    parameter_key: str | None = None
    bucket_key: str | None = None
    email: str | None = None
    log_days: int = 90
    code_bucket: str | None = None
    enable_pitr: bool = False
    recovery_days: int | None = None
    tagged: bool = False
    continuous: bool = False
    policy: str = ""
    tick: str = "rate(15 minutes)"
    heartbeat_url: str | None = None
    bucket_rules: BucketRules = BucketRules()
    verify_days: int = 0
    drill_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack as CloudFormation describes it. ``id`` is its ARN: it still works after deletion."""

    id: str
    name: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """One line of a stack's history. The stack itself is a resource of it, too."""

    id: str
    resource: str
    kind: str
    status: str
    reason: str = ""
    physical_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackResource:
    """A resource that a stack has now."""

    resource: str
    kind: str
    physical_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change set would do to one resource.

    ``action`` is Add, Modify or Remove; ``replacement`` True, False, Conditional, or empty where
    the question makes no sense.
    """

    action: str
    resource: str
    kind: str
    physical_id: str = ""
    replacement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """A change set: ``id`` is its ARN; the changes are complete once it is CREATE_COMPLETE."""

    id: str
    stack_id: str
    status: str
    reason: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The Lambda's zip, and its address: the key has the digest of the bytes in it."""

    body: bytes
    sha256: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """A schedule as the scheduler has it."""

    state: str
    expression: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionState:
    """A function as Lambda has it; ``sha256`` is the code's, in hex."""

    state: str
    update: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmState:
    """An alarm as CloudWatch has it."""

    name: str
    enabled: bool
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One assertion on what was deployed: what was looked at, and what was found."""

    subject: str
    found: str
    ok: bool
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployReport:
    """What ``deploy`` did, or with ``--dry-run`` would do.

    ``outcome`` is created, updated, unchanged or planned.
    """

    outcome: str
    stack: str
    changes: tuple[Change, ...]
    pitr: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyReport:
    """What ``destroy`` removed, or without ``--yes`` would remove, and what stays."""

    deleted: bool
    stack: str
    goes: tuple[StackResource, ...]
    code: tuple[str, ...]
    code_bucket: str | None
    bucket: str | None
    bucket_owned: bool
