"""The windows: what the hall may ask of the world. The cellar (``aws/``) implements them.

Every method raises a ``ColdtableError`` from ``errors.py`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from coldtable.model import Export, ExportRequest, Pitr, Table

if TYPE_CHECKING:
    from coldtable.errors import ColdtableError

    # Not for the Lambda, which pays for every class at its cold start.
    from coldtable.model_stack import (
        AlarmState,
        ChangeSet,
        FunctionState,
        ScheduleState,
        Stack,
        StackEvent,
        StackResource,
    )


class Clock(Protocol):
    """Where ``now`` comes from."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class ParameterStore(Protocol):
    """The settings of one installation, below one path."""

    def read(self, path: str) -> Mapping[str, str]:
        """Every parameter below ``path``, at any depth: its name less the path to its value, like
        ``POLICY`` and ``policies/orders``.

        SecureStrings are decrypted. Raises ``AccessDenied`` naming the action; a path with
        nothing below it is an empty mapping.
        """
        ...


class ParameterWriter(Protocol):
    """Where the settings can be changed, one at a time."""

    def put(self, name: str, value: str) -> None:
        """Write the parameter of this full name, over any that is there."""
        ...


# The storage class of which a listing need not say anything.
STANDARD = "STANDARD"


class Entry(NamedTuple):
    """One line of a listing: an object's key, its size in bytes, and its storage class in S3."""

    key: str
    size: int
    storage: str = STANDARD


class ObjectStore(Protocol):
    """One bucket, as far as an archive needs it. Safe to use from several threads at once."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with ``prefix``, in order."""
        ...

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """The objects below ``prefix`` whose key is greater than ``after``, in order of UTF-8."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The object's bytes, in pieces; ``NotFound`` if there is no such object."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write an object, over any that is there."""
        ...

    def put_new(self, key: str, body: bytes) -> bool:
        """Write an object that is not there yet; ``False``, and nothing written, if it is."""
        ...

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        """Write an object of any size in bounded memory, over any that is there.

        Returns its ETag without quotes; empty where there is no such thing. The object is there
        when all of it is; if ``pieces`` raises, what was there before stays.
        """
        ...

    def remove(self, key: str) -> None:
        """Delete an object, if it is there. A bucket with versions keeps them."""
        ...

    def remove_many(self, keys: Iterable[str]) -> Mapping[str, ColdtableError]:
        """Delete any number of objects; those that are still there, each with what refused it."""
        ...


class Lock(NamedTuple):
    """Why S3 would not let go of an object's newest version: retention, a legal hold, or both."""

    mode: str = ""  # GOVERNANCE or COMPLIANCE, with ``until``
    until: datetime | None = None
    legal_hold: bool = False


class Vault(Protocol):
    """What protects a bucket's objects, beside its policy."""

    def keeps_versions(self) -> bool:
        """Whether what is deleted stays as an older version."""
        ...

    def can_lock(self) -> bool:
        """Whether S3 Object Lock is on, so that objects may have a lock."""
        ...

    def lock(self, key: str) -> Lock | None:
        """The lock of the object's newest version; ``None`` if it has none or is not there."""
        ...


class Exporter(Protocol):
    """DynamoDB, as far as exporting needs it."""

    def table(self, name: str) -> Table:
        """The table of this name or ARN; ``TableNotFound`` if there is none."""
        ...

    def pitr(self, table: Table) -> Pitr:
        """The PITR state of the table."""
        ...

    def start(self, request: ExportRequest) -> Export:
        """Start an export, or return the one that the same token started before."""
        ...

    def describe(self, export_arn: str) -> Export:
        """The export's state now; ``NotFound`` if AWS does not know it (or forgot: 90 days)."""
        ...

    def exports(self, table: Table) -> Iterator[str]:
        """The ARNs of the table's exports of the last 90 days, whoever started them, newest
        first [MODEL]."""
        ...


class TableDirectory(Protocol):
    """Which tables there are, and what they are made of."""

    def names(self) -> Iterator[str]:
        """Every table's name in this account and region."""
        ...

    def tagged(self, tag: str) -> Mapping[str, str]:
        """The tables that have this tag: name to the tag's value."""
        ...

    def definition(self, table: Table) -> Mapping[str, Any]:
        """What a restore needs and no export holds, fit for JSON: ``table`` (DescribeTable),
        ``ttl``, ``tags`` and ``pitr``."""
        ...


class Notifier(Protocol):
    """Where people hear of incidents."""

    def tell(self, subject: str, text: str) -> None:
        """Send one message; ``subject`` has at most 100 characters of ASCII (SNS)."""
        ...


class Beacon(Protocol):
    """A heartbeat for a monitor outside AWS."""

    def beat(self, url: str) -> None:
        """Call the URL; ``ServiceFailed`` if that does not work within seconds."""
        ...


class PitrSwitch(Protocol):
    """Where point-in-time recovery is turned on."""

    def turn_on(self, table: Table, days: int | None) -> None:
        """Turn PITR on, or set its period; ``None`` leaves the period to AWS (35 days).

        Raises ``Conflict`` for the few seconds after a table's creation in which AWS still
        prepares its backups [QUIRKS].
        """
        ...


class Buckets(Protocol):
    """S3 buckets, as far as deploying needs them.

    ``owner`` is the account that must own the bucket; ``AccessDenied`` if another does. A bucket
    name that can be guessed could be somebody else's.
    """

    def exists(self, bucket: str, *, owner: str | None = None) -> bool:
        """Whether there is such a bucket, in any region."""
        ...

    def create(self, bucket: str) -> None:
        """Create a private, encrypted bucket in the session's region."""
        ...

    def delete(self, bucket: str) -> None:
        """Delete the bucket, which is empty."""
        ...

    def has(self, bucket: str, key: str, *, owner: str | None = None) -> bool:
        """Whether the bucket holds that object."""
        ...

    def put(self, bucket: str, key: str, body: bytes, *, owner: str | None = None) -> None:
        """Write an object."""
        ...

    def keys(self, bucket: str, prefix: str = "") -> tuple[str, ...]:
        """The keys below ``prefix``, in order."""
        ...

    def remove(self, bucket: str, key: str) -> None:
        """Delete one object."""
        ...


class Stacks(Protocol):
    """CloudFormation. A stack is named by its name or its id; only the id outlives it."""

    def describe(self, stack: str) -> Stack | None:
        """The stack; ``None`` if there is none of that name."""
        ...

    def propose(
        self, name: str, template: str, parameters: Mapping[str, str], *, create: bool
    ) -> ChangeSet:
        """Make a change set that creates or updates the stack; nothing is changed by it yet."""
        ...

    def look_again(self, made: ChangeSet) -> ChangeSet:
        """The change set as it is now, with all its changes."""
        ...

    def execute(self, made: ChangeSet) -> None:
        """Start to carry the change set out."""
        ...

    def discard(self, made: ChangeSet) -> None:
        """Delete the change set."""
        ...

    def events(self, stack_id: str, after: str | None) -> tuple[StackEvent, ...]:
        """The stack's events since the one with the id ``after`` (all, if ``None``), in order."""
        ...

    def resources(self, stack_id: str) -> tuple[StackResource, ...]:
        """What the stack has now."""
        ...

    def delete(self, stack_id: str) -> None:
        """Start to delete the stack."""
        ...


class Probe(Protocol):
    """What was deployed, looked at where it lives and not where it was ordered."""

    def schedule(self, group: str, name: str) -> ScheduleState:
        """The schedule; ``NotFound`` if there is none."""
        ...

    def function(self, name: str) -> FunctionState:
        """The function; ``NotFound`` if there is none."""
        ...

    def alarms(self, names: Sequence[str]) -> tuple[AlarmState, ...]:
        """The alarms of these names that exist."""
        ...
