"""The nouns of restoring: a table's definition, and what is known of one that is written to.

For no Lambda but the one that drills: each pays for every class at its cold start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAttribute:
    """One attribute of a key; ``kind`` is S, N or B."""

    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySchema:
    """A table's primary key: the partition key, and the sort key if it has one."""

    partition: KeyAttribute
    sort: KeyAttribute | None = None

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        """The partition key first."""
        return (self.partition, self.sort) if self.sort else (self.partition,)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the attributes, the partition key's first."""
        return tuple(a.name for a in self.attributes)

    def __str__(self) -> str:
        return " ".join(map(str, self.attributes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a restored table gets besides its key, its billing and its items.

    ``protection`` is that from deletion, for a table that is to stay.
    """

    indexes: bool = True
    ttl: bool = True
    tags: bool = True
    streams: bool = True
    pitr: bool = True
    protection: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A table as it was defined. ``known`` is false where only the key schema was given.

    ``table`` is DescribeTable's answer; ``ttl`` the attribute that expires items, ``pitr_days``
    the recovery period (``None``: PITR was off, 0: on with AWS's default).
    """

    key: KeySchema
    known: bool = True
    table: Mapping[str, Any] = field(default_factory=dict)
    ttl: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    pitr_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """One request for a table, as AWS takes it; ``what`` says in words what it is for."""

    operation: Literal[
        "CreateTable", "UpdateTable", "UpdateTimeToLive", "TagResource", "UpdateContinuousBackups"
    ]
    body: Mapping[str, Any]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """A table as it is now.

    ``ready`` tells that it and all its indexes are ACTIVE. ``write_units`` is what it takes a
    second: its provisioned capacity, its on-demand limit or what AWS keeps warm for it; ``None``
    where AWS does not say.
    """

    name: str
    arn: str
    table_id: str
    key: KeySchema
    ready: bool
    on_demand: bool
    write_units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A ConditionExpression with what it names; values are DynamoDB's JSON."""

    expression: str
    names: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a batch: the items that AWS left unprocessed, and what the rest cost.

    ``units`` are write units of the table alone, ``all_units`` with those of its indexes; both
    are ``None`` where AWS does not say.
    """

    left: tuple[bytes, ...] = ()
    units: float | None = None
    all_units: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import, as DescribeImport tells it. ``status`` is AWS's, and so are the times at which it
    ``started`` and at which its table was there with all items, ``ended`` [MODEL]."""

    arn: str
    status: str
    table_arn: str
    table_id: str | None = None
    processed_items: int | None = None
    imported_items: int | None = None
    processed_bytes: int | None = None
    errors: int | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def import_id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def table_name(self) -> str:
        """The name of the table that it makes."""
        return self.table_arn.rsplit("/", 1)[-1]

    @property
    def running(self) -> bool:
        """Whether its end is still to come."""
        return self.status in ("IN_PROGRESS", "CANCELLING")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """One line of an import's error log: where the item lies, and what is wrong with it."""

    key: str
    index: int
    messages: tuple[str, ...] = ()


class Way(StrEnum):
    """How items get into a table: by ImportTable from S3, or written by us."""

    IMPORT = "import"
    WRITE = "write"


class Merging(StrEnum):
    """What becomes of an item that the table has already. A snapshot's items carry no time.

    MISSING leaves it; NEWER replaces it if an attribute of both says that it is older; REPLACE
    always does.
    """

    MISSING = "missing"
    NEWER = "newer"
    REPLACE = "replace"


class Compare(StrEnum):
    """How a restored table is held against the archive."""

    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a restore is going to be, from a sample of its items.

    ``stored_bytes`` are compressed, ``json_bytes`` are not; ``units`` are write units of the table
    and its indexes together. ``seconds`` and ``dollars`` are ``None`` where nobody can tell.
    """

    items: int
    stored_bytes: int | None = None
    json_bytes: int | None = None
    units: float | None = None
    seconds: float | None = None
    dollars: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the table was held against the archive, and what was found.

    ``wanted`` and ``found`` are counts of items. ``checked`` items were compared attribute by
    attribute; ``different`` names the keys of some that were not the same, ``missing`` of some
    that were not there.
    """

    level: Compare
    wanted: int | None = None
    found: int | None = None
    checked: int = 0
    different: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing was found to differ."""
        counts = self.wanted is None or self.found is None or self.wanted == self.found
        return counts and not self.different and not self.missing


class Copy(NamedTuple):
    """The temporary copy of an archived object; ``until`` is ``None`` while S3 is making it."""

    until: datetime | None = None


class Stored(NamedTuple):
    """How an object is kept: its storage class, and the copy of one that is archived.

    What INTELLIGENT_TIERING has archived has the name of that tier in ``storage``:
    ARCHIVE_ACCESS or DEEP_ARCHIVE_ACCESS.
    """

    key: str
    size: int
    storage: str
    copy: Copy | None = None
