"""An in-memory account, as far as deploying sees one: every window of ``ops.deploy`` in one fake.

CloudFormation is modelled by its life cycle, not by its resources: a change set is empty if
template and parameters are those of the stack, states pass with each ``pause``, and a stack that
is complete has put the parameters, the schedule, the function and the alarms where they are
looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coldtable.errors import AccessDenied, Conflict, NotFound, TableNotFound
from coldtable.model import Export, ExportRequest, Pitr, Table
from coldtable.model_stack import (
    AlarmState,
    Change,
    ChangeSet,
    FunctionState,
    ScheduleState,
    Stack,
    StackEvent,
    StackResource,
)
from coldtable.ops.deploy import Windows
from coldtable.testing.fakes import FakeParameters
from coldtable.testing.settled import ACCOUNT, MADE_BUCKET, REGION, outputs_of, settings_of

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a "
    "change set."
)


@dataclass
class FakeCloud:
    """The account. Its attributes may be set and read freely by a test."""

    recovery: dict[str, int | None] = field(default_factory=dict)
    """Each table's PITR period in days; ``None`` while PITR is off."""
    tags: dict[str, str] = field(default_factory=dict)
    """The value of each table's tag ``coldtable``."""
    settings: dict[str, str] = field(default_factory=dict)
    """Full names of SSM parameters to their values."""
    objects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Each bucket's objects."""
    foreign: set[str] = field(default_factory=set)
    """Buckets that another account owns."""
    live: dict[str, Stack] = field(default_factory=dict)
    """Each stack by its name, also a deleted one."""
    history: dict[str, list[StackEvent]] = field(default_factory=dict)
    """Each stack's events by its id."""
    calls: list[str] = field(default_factory=list)
    """Everything that changed or tried to change something, in order."""
    fails: StackEvent | None = None
    """What makes the next execution fail."""
    empty_reason: str = NO_CHANGES
    preparing: int = 0
    """How many more times PITR cannot be turned on yet."""
    schedules: dict[tuple[str, str], ScheduleState] = field(default_factory=dict)
    functions: dict[str, FunctionState] = field(default_factory=dict)
    heard: dict[str, AlarmState] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)

    _waiting: dict[str, tuple[str, Mapping[str, str], bool]] = field(default_factory=dict)
    _sets: dict[str, ChangeSet] = field(default_factory=dict)
    _templates: dict[str, str] = field(default_factory=dict)
    _next: list[tuple[str, Stack, StackEvent]] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Time passes: one step of whatever is in progress happens."""
        self.paused.append(seconds)
        if self._next:
            name, stack, event = self._next.pop(0)
            self.live[name] = stack
            self.history[stack.id].append(event)
            if stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                self._settle(stack)

    # ports.Exporter, ports.PitrSwitch

    def table(self, name: str) -> Table:
        if name not in self.recovery:
            raise TableNotFound(f"The table does not exist (table {name})")
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        return Table(name=name, arn=arn, table_id=f"id-of-{name}")

    def pitr(self, table: Table) -> Pitr:
        days = self.recovery[table.name]
        return Pitr(enabled=days is not None, recovery_days=days)

    def start(self, request: ExportRequest) -> Export:
        raise NotImplementedError

    def describe_export(self, export_arn: str) -> Export:
        raise NotImplementedError

    def exports(self, table: Table) -> Iterator[str]:
        raise NotImplementedError

    def turn_on(self, table: Table, days: int | None) -> None:
        self.table(table.name)
        self.calls.append(f"pitr {table.name}")
        if self.preparing:
            self.preparing -= 1
            raise Conflict(f"DynamoDB still prepares the backups of table {table.name}")
        self.recovery[table.name] = days or self.recovery[table.name] or 35

    # ports.ParameterStore

    def read(self, path: str) -> Mapping[str, str]:
        return FakeParameters(self.settings).read(path)

    # ports.Buckets

    def exists(self, bucket: str, *, owner: str | None = None) -> bool:
        if owner and bucket in self.foreign:
            raise AccessDenied("Access denied (bucket)", action="s3:ListBucket")
        return bucket in self.objects or bucket in self.foreign

    def create(self, bucket: str) -> None:
        self.calls.append(f"create bucket {bucket}")
        self.objects[bucket] = {}

    def has(self, bucket: str, key: str, *, owner: str | None = None) -> bool:  # noqa: ARG002
        return key in self.objects[bucket]

    def put(self, bucket: str, key: str, body: bytes, *, owner: str | None = None) -> None:  # noqa: ARG002
        self.calls.append(f"put {key}")
        self.objects[bucket][key] = body

    def keys(self, bucket: str, prefix: str = "") -> tuple[str, ...]:
        return tuple(sorted(k for k in self.objects[bucket] if k.startswith(prefix)))

    def remove(self, bucket: str, key: str) -> None:
        self.calls.append(f"remove {key}")
        del self.objects[bucket][key]

    # ports.Stacks; `describe`, `events`, `resources` and `delete` are FakeStacks'

    def propose(
        self, name: str, template: str, parameters: Mapping[str, str], *, create: bool
    ) -> ChangeSet:
        self.calls.append(f"propose {name}")
        stack = self._new_stack(name) if create else self.live[name]
        same = self._templates.get(stack.id) == template and dict(stack.parameters) == parameters
        made = ChangeSet(id=f"set-{len(self.calls)}", stack_id=stack.id, status="CREATE_PENDING")
        self._waiting[made.id] = (template, dict(parameters), create)
        done = replace(made, status="CREATE_COMPLETE", changes=_changes(stack, parameters))
        if same:
            done = replace(made, status="FAILED", reason=self.empty_reason)
        self._sets[made.id] = done
        return made

    def look_again(self, made: ChangeSet) -> ChangeSet:
        return self._sets[made.id]

    def discard(self, made: ChangeSet) -> None:
        self.calls.append("discard")
        del self._sets[made.id]

    def execute(self, made: ChangeSet) -> None:
        self.calls.append("execute")
        template, parameters, create = self._waiting.pop(made.id)
        stack_id = self._sets.pop(made.id).stack_id
        name = stack_id.split("/")[1]
        verb = "CREATE" if create else "UPDATE"
        stack = replace(self.live[name], status=f"{verb}_IN_PROGRESS")
        self.live[name] = stack
        wanted = replace(stack, parameters=parameters, status=f"{verb}_COMPLETE")
        if self.fails:
            failed, self.fails = self.fails, None
            ended = "ROLLBACK_COMPLETE" if create else "UPDATE_ROLLBACK_COMPLETE"
            self._next = [
                (name, stack, failed),
                (name, replace(stack, status=ended), _event(stack, ended)),
            ]
            return
        self._templates[stack_id] = template
        self._next = [
            (name, stack, _event(stack, f"{verb}_COMPLETE", resource="ExportRole")),
            (name, replace(wanted, outputs=outputs_of(wanted)), _event(stack, f"{verb}_COMPLETE")),
        ]

    # ports.Probe

    def schedule(self, group: str, name: str) -> ScheduleState:
        if (group, name) not in self.schedules:
            raise NotFound(f"scheduler GetSchedule (schedule {group}/{name})")
        return self.schedules[group, name]

    def function(self, name: str) -> FunctionState:
        return self.functions[name]

    def alarms(self, names: Sequence[str]) -> tuple[AlarmState, ...]:
        return tuple(self.heard[name] for name in names if name in self.heard)

    def _new_stack(self, name: str) -> Stack:
        number = sum(f"/{name}/" in known for known in self.history)
        stack_id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{number}"
        stack = Stack(id=stack_id, name=name, status="REVIEW_IN_PROGRESS")
        self.live[name] = stack
        self.history[stack_id] = [_event(stack, "REVIEW_IN_PROGRESS")]
        return stack

    def _settle(self, stack: Stack) -> None:
        given, outputs = stack.parameters, stack.outputs
        if given["ManageParameters"] == "true":
            for parameter, name in (("VerifyDays", "VERIFY_DAYS"), ("DrillDays", "DRILL_DAYS")):
                if given[parameter] == "0":
                    self.settings.pop(f"{given['ParameterPath']}/{name}", None)
            for name, value in settings_of(given, outputs).items():
                self.settings[f"{given['ParameterPath']}/{name}"] = value
        self.objects.setdefault(outputs["Bucket"], {})
        self.schedules[outputs["ScheduleGroupName"], outputs["ScheduleName"]] = ScheduleState(
            state="ENABLED",
            expression=given["ScheduleExpression"],
            timezone=given["TimeZone"],
        )
        self.schedules[outputs["ScheduleGroupName"], outputs["TickScheduleName"]] = ScheduleState(
            state="ENABLED", expression=given["TickExpression"], timezone="UTC"
        )
        for hourly in ("VerifyScheduleName", "DrillScheduleName"):
            if hourly in outputs:
                self.schedules[outputs["ScheduleGroupName"], outputs[hourly]] = ScheduleState(
                    state="ENABLED", expression="rate(1 hour)", timezone="UTC"
                )
        for function in (outputs[key] for key in outputs if key.endswith("FunctionName")):
            self.functions[function] = FunctionState(
                state="Active",
                update="Successful",
                sha256=given["CodeKey"].rpartition("/")[2].removesuffix(".zip"),
            )
        for name in (outputs[key] for key in outputs if key.endswith("AlarmName")):
            self.heard[name] = AlarmState(name=name, enabled=True, topics=(outputs["TopicArn"],))


class FakeStacks:
    """The verbs of ``ports.Stacks`` whose names other windows have, too."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self.propose = cloud.propose
        self.look_again = cloud.look_again
        self.execute = cloud.execute
        self.discard = cloud.discard

    def describe(self, stack: str) -> Stack | None:
        by_id = {s.id: s for s in self._cloud.live.values()}
        if stack in by_id:
            return by_id[stack]
        found = self._cloud.live.get(stack)
        return None if found and found.status == "DELETE_COMPLETE" else found

    def events(self, stack_id: str, after: str | None) -> tuple[StackEvent, ...]:
        events = self._cloud.history[stack_id]
        ids = [event.id for event in events]
        return tuple(events[ids.index(after) + 1 if after else 0 :])

    def resources(self, stack_id: str) -> tuple[StackResource, ...]:
        stack = next(s for s in self._cloud.live.values() if s.id == stack_id)
        found = [StackResource(resource="ExportRole", kind="AWS::IAM::Role", physical_id="role")]
        found += [
            StackResource(resource=f"{part}Role", kind="AWS::IAM::Role", physical_id=part.lower())
            for part in ("Verify", "Drill")
            if stack.parameters.get(f"{part}Days", "0") != "0"
        ]
        if stack.parameters.get("BucketName") == "":
            found.append(
                StackResource(
                    resource="ArchiveBucket", kind="AWS::S3::Bucket", physical_id=MADE_BUCKET
                )
            )
        return tuple(found)

    def delete(self, stack_id: str) -> None:
        cloud = self._cloud
        cloud.calls.append("delete stack")
        stack = next(s for s in cloud.live.values() if s.id == stack_id)
        if stack.status == "REVIEW_IN_PROGRESS":
            del cloud.live[stack.name]
            return
        cloud.live[stack.name] = replace(stack, status="DELETE_IN_PROGRESS")
        gone = replace(stack, status="DELETE_COMPLETE")
        cloud._next = [(stack.name, gone, _event(gone, "DELETE_COMPLETE"))]


class FakeBuckets:
    """``ports.Buckets``: as the cloud's, with the ``delete`` that stacks have, too."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self.exists = cloud.exists
        self.create = cloud.create
        self.has = cloud.has
        self.put = cloud.put
        self.keys = cloud.keys
        self.remove = cloud.remove

    def delete(self, bucket: str) -> None:
        self._cloud.calls.append(f"delete bucket {bucket}")
        assert not self._cloud.objects[bucket], "S3 deletes only an empty bucket"  # noqa: S101
        del self._cloud.objects[bucket]


class FakeDirectory:
    """``ports.TableDirectory``: the tables that have an entry in ``recovery``, and their tags."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    def names(self) -> Iterator[str]:
        return iter(self._cloud.recovery)

    def tagged(self, tag: str) -> Mapping[str, str]:
        assert tag == "coldtable"  # noqa: S101
        return self._cloud.tags

    def definition(self, table: Table) -> Mapping[str, object]:
        raise NotImplementedError


class FakeExporter:
    """``ports.Exporter`` without exports."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.table = cloud.table
        self.pitr = cloud.pitr
        self.start = cloud.start
        self.describe = cloud.describe_export
        self.exports = cloud.exports


def windows(cloud: FakeCloud) -> Windows:
    """Everything that ``ops.deploy`` asks or changes, in this one account."""
    return Windows(
        exporter=FakeExporter(cloud),
        directory=FakeDirectory(cloud),
        table_arns=lambda: f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/",
        pitr=cloud,
        parameters=cloud,
        buckets=FakeBuckets(cloud),
        stacks=FakeStacks(cloud),
        probe=cloud,
        pause=cloud.pause,
        say=cloud.said.append,
    )


def _event(stack: Stack, status: str, *, resource: str = "") -> StackEvent:
    return StackEvent(
        id=f"{stack.id}-{resource}-{status}",
        resource=resource or stack.name,
        kind="AWS::IAM::Role" if resource else "AWS::CloudFormation::Stack",
        status=status,
        physical_id="role" if resource else stack.id,
    )


def _changes(stack: Stack, parameters: Mapping[str, str]) -> tuple[Change, ...]:
    changed = [k for k, v in parameters.items() if stack.parameters.get(k) != v]
    action = "Modify" if stack.parameters else "Add"
    return tuple(Change(action=action, resource=name, kind="Fake::Of::It") for name in changed)
