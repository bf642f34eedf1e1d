"""A table with a random past in the embedded AWS, its exports, and what it was at each instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from coldtable.core.creation import creation
from coldtable.core.definition import definition_of_key
from coldtable.local.process import EmbeddedAws
from coldtable.model_restore import KeyAttribute, KeySchema, Parts

from .conftest import client
from .exporter import Account, Item, item, plain
from .test_local_random import VALUE
from .test_restore import define

State = dict[Any, Item]
Write = tuple[str, int, int, str, Item]

# Values of keys by their type, each of which is another one. Numbers are spelled as DynamoDB gives
# them back: the embedded AWS finds no other key.
KEY_VALUES: Mapping[str, tuple[Any, ...]] = {
    "S": ("a", "ä", '"\\\n', "\u2028", "x" * 300),
    "N": (
        "0",
        "-1.5",
        f"1{'0' * 125}",
        f"-0.{'0' * 129}1",
        "12345678901234567890123456789012345678",
    ),
    "B": (b"\x00", b"\x00\x00", b"\xff\xfe", b'{"', bytes(range(256))),
}
FILLERS = 60


@dataclass(frozen=True, kw_only=True)
class Step:
    """Writes, and the exports at their end: the window since the step before, and a full one.

    ``midway`` is a full export at an instant among the writes, where no window begins or ends.
    """

    writes: list[Write]
    full: bool
    midway: bool
    view: str
    form: str


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """One table of the name, from its creation to its end; the first step has no window.

    Of one that is ``noted`` the archive has a record of its definition: it has more than its key.
    """

    key: KeySchema
    noted: bool
    steps: list[Step]


WAYS = st.sampled_from(["put", "put", "update", "remove", "delete", "delete", "transact"])
NAMES = st.sampled_from(["v", "w", "Item", "Keys", "a.b", "S", "ü"])
NUMBER = st.integers(0, 4)
WRITES = st.lists(st.tuples(WAYS, NUMBER, NUMBER, NAMES, VALUE), max_size=12)


def steps(views: tuple[str, ...]) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        writes=WRITES,
        full=st.sampled_from([False, False, True]),
        midway=st.sampled_from([False, False, False, True]),
        view=st.sampled_from(views),
        form=st.sampled_from(["DYNAMODB_JSON", "DYNAMODB_JSON", "ION"]),
    )


def schema(first: Any, second: Any) -> KeySchema:
    return KeySchema(
        partition=KeyAttribute(name="pk", kind=first),
        sort=KeyAttribute(name="sk", kind=second) if second else None,
    )


def lifetimes(*views: str, most: int = 2) -> st.SearchStrategy[list[Lifetime]]:
    """The tables that had the name one after the other, with keys of all types."""
    key = st.builds(schema, st.sampled_from("SNB"), st.sampled_from(["", "S", "N", "B"]))
    several = st.lists(steps(views), min_size=2, max_size=4)
    life = st.builds(Lifetime, key=key, noted=st.booleans(), steps=several)
    return st.lists(life, min_size=1, max_size=most)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A restore point: the instant, what is known of the table, and its items then."""

    at: datetime
    noted: bool
    key: KeySchema
    items: State = field(repr=False)


@dataclass(kw_only=True)
class Past(Account):
    """Tables of one name that lived one after the other, in a bucket with exports of another one.

    ``points`` are all restore points; ``ends`` those of the last table between which there are
    windows; ``current`` is what it is now.
    """

    aws: EmbeddedAws
    number: str
    name: str
    points: list[Point] = field(default_factory=list)
    ends: list[Point] = field(default_factory=list)
    current: State = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dynamodb = client(self.aws, "dynamodb", self.number, "test")
        self.s3 = client(self.aws, "s3", self.number, "test")
        self.bucket = f"archive-{self.name}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.arn = self.create(f"{self.name}-other")
        self.enable(f"{self.name}-other")
        self.dynamodb.put_item(TableName=f"{self.name}-other", Item=item("other"))
        self.export(ExportTime=self.settle())

    def live(self, life: Lifetime) -> None:
        """Make the table, write to it and export it; one of this name that is there goes first."""
        if self.points:
            self.dynamodb.delete_table(TableName=self.name)
        self.key, self.noted, self.current, self.ends = life.key, life.noted, {}, []
        body = creation(definition_of_key(life.key), self.name, Parts())
        self.arn = self.dynamodb.create_table(**body)["TableDescription"]["TableArn"]
        self.enable(self.name)
        if self.noted:
            self._furnish()
        self._fill()
        started = [arn for step in life.steps for arn in self._step(step)]
        # Their history ends with the table.
        for arn in started:
            assert self.ended(arn)["ExportStatus"] == "COMPLETED"

    def _furnish(self) -> None:
        """What a restore brings back beside the items, and the record of it."""
        more = {"Enabled": True, "AttributeName": "expires"}
        self.dynamodb.update_time_to_live(TableName=self.name, TimeToLiveSpecification=more)
        self.dynamodb.tag_resource(ResourceArn=self.arn, Tags=[{"Key": "team", "Value": "ä"}])
        stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        self.dynamodb.update_table(TableName=self.name, StreamSpecification=stream)
        define(self, self.name)

    def furniture(self, table: str) -> Item:
        """All of that, of a table now."""
        found = self.dynamodb.describe_table(TableName=table)["Table"]
        ttl = self.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        backups = self.dynamodb.describe_continuous_backups(TableName=table)
        pitr = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        return {
            "ttl": ttl.get("AttributeName"),
            "tags": self.dynamodb.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"],
            "stream": (found.get("StreamSpecification") or {}).get("StreamViewType"),
            "pitr": pitr["PointInTimeRecoveryStatus"],
        }

    def items_of(self, table: str) -> State:
        """The items of a table now."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return {self.place(found): found for page in pages for found in page["Items"]}

    def place(self, item: Item) -> Any:
        """What tells the item from others."""
        return tuple(plain(item[name]) for name in ("pk", "sk") if name in item)

    def write(self, writes: list[Write]) -> None:
        """To few items, so that many are written again."""
        for way, first, second, name, value in writes:
            key, other = self._key(first, second), self._key(second, first)
            getattr(self, f"_{way}")(key, other, name, value)

    def _fill(self) -> None:
        """Items of which nothing becomes, enough for several batches."""
        rows = []
        for n in range(FILLERS):
            kinds = {"S": f"filler-{n}", "N": str(1000 + n), "B": b"filler-%d" % n}
            row = {a.name: {a.kind: kinds[a.kind]} for a in self.key.attributes}
            rows.append({**row, "pad": {"S": "x" * (n % 9)}})
        for start in range(0, FILLERS, 25):
            puts = [{"PutRequest": {"Item": row}} for row in rows[start : start + 25]]
            self.dynamodb.batch_write_item(RequestItems={self.name: puts})
        self.current |= {self.place(row): row for row in rows}

    def _step(self, step: Step) -> list[str]:
        started, middle = [], len(step.writes) // 2 if step.midway else 0
        self.write(step.writes[:middle])
        if step.midway:
            inside = self._point()
            started.append(self._start(step.form, ExportTime=inside.at))
        self.write(step.writes[middle:])
        now = self._point()
        if step.full or not self.ends:
            started.append(self._start(step.form, ExportTime=now.at))
        if self.ends:
            window = {"ExportFromTime": self.ends[-1].at, "ExportToTime": now.at}
            span = {"IncrementalExportSpecification": {**window, "ExportViewType": step.view}}
            started.append(self._start(step.form, ExportType="INCREMENTAL_EXPORT", **span))
        self.ends.append(now)
        return started

    def _point(self) -> Point:
        now, items = self.settle(), dict(self.current)
        self.points.append(Point(at=now, noted=self.noted, key=self.key, items=items))
        return self.points[-1]

    def _start(self, form: str, **more: Any) -> str:
        started = self.dynamodb.export_table_to_point_in_time(
            TableArn=self.arn, S3Bucket=self.bucket, ExportFormat=form, **more
        )
        return str(started["ExportDescription"]["ExportArn"])

    def _key(self, *places: int) -> Item:
        attributes = zip(self.key.attributes, places, strict=False)
        return {a.name: {a.kind: KEY_VALUES[a.kind][place]} for a, place in attributes}

    def _put(self, key: Item, _: Item, name: str, value: Item) -> None:
        self.current[self.place(key)] = {**key, name: value}
        self.dynamodb.put_item(TableName=self.name, Item={**key, name: value})

    def _update(self, key: Item, _: Item, name: str, value: Item) -> None:
        before = self.current.get(self.place(key), key)
        self.current[self.place(key)] = {**before, name: value}
        self._updated(key, name, "SET #n = :v", ExpressionAttributeValues={":v": value})

    def _remove(self, key: Item, _: Item, name: str, __: Item) -> None:
        before = self.current.get(self.place(key), key)
        self.current[self.place(key)] = {n: v for n, v in before.items() if n != name}
        self._updated(key, name, "REMOVE #n")

    def _updated(self, key: Item, name: str, expression: str, **more: Any) -> None:
        names = {"ExpressionAttributeNames": {"#n": name}, "UpdateExpression": expression}
        self.dynamodb.update_item(TableName=self.name, Key=key, **names, **more)

    def _delete(self, key: Item, _: Item, __: str, ___: Item) -> None:
        self.current.pop(self.place(key), None)
        self.dynamodb.delete_item(TableName=self.name, Key=key)

    def _transact(self, key: Item, other: Item, name: str, value: Item) -> None:
        """One item appears or changes at the very instant at which another one goes."""
        if key == other:
            return self._delete(key, other, name, value)
        self.current.pop(self.place(other), None)
        self.current[self.place(key)] = {**key, name: value}
        self.dynamodb.transact_write_items(
            TransactItems=[
                {"Delete": {"TableName": self.name, "Key": other}},
                {"Put": {"TableName": self.name, "Item": {**key, name: value}}},
            ]
        )
        return None


def plainly(state: State) -> dict[Any, Any]:
    """Items in a form that compares by value."""
    return {place: {n: plain(v) for n, v in one.items()} for place, one in state.items()}


BARE: Item = {"ttl": None, "tags": [], "stream": None, "pitr": "DISABLED"}
FURNISHED: Item = {
    "ttl": "expires",
    "tags": [{"Key": "team", "Value": "ä"}],
    "stream": "KEYS_ONLY",
    "pitr": "ENABLED",
}
