"""Tables in memory: what restoring is tested with, held to the same contract as DynamoDB's."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

from coldtable.core.items import decode
from coldtable.errors import AccessDenied, Conflict, ParameterInvalid, TableNotFound
from coldtable.model_restore import (
    Condition,
    KeyAttribute,
    KeySchema,
    TableRequest,
    TableState,
    Written,
)
from coldtable.testing.fakes import ACCOUNT, REGION

Item = Mapping[str, Any]


@dataclass
class _Table:
    state: TableState
    items: dict[str, Item] = field(default_factory=dict)
    asked: list[TableRequest] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    # Once it is being deleted: how often it still shows itself.
    lingers: int | None = None


class FakeTables:
    """Implements ``ports_restore.Tables``, ``TableWriter`` and ``TableReader``.

    ``leave`` says of how many items of a batch AWS shall leave how many unprocessed; ``before``
    is called before each write and ``hear`` with each request, and both may raise what AWS would;
    ``see`` turns what is there into what whoever reads is given. A table that is deleted still
    shows itself ``lingers`` times, and new tags do not ``tags_late`` times; ``hide_tags`` refuses
    to tell any.
    """

    def __init__(self) -> None:
        self.leave: Callable[[int], int] = lambda _: 0
        self.before: Callable[[], object] = lambda: None
        self.hear: Callable[[TableRequest], object] = lambda _: None
        self.see: Callable[[Iterable[Item]], Iterable[Item]] = lambda items: items
        self.writes = 0
        self.lingers = 0
        self.tags_late = 0
        self.hide_tags = False
        self._tables: dict[str, _Table] = {}
        self._made = 0
        self._lock = RLock()

    def add(
        self,
        name: str,
        key: KeySchema,
        *,
        write_units: int | None = None,
        arn: str | None = None,
        table_id: str | None = None,
    ) -> TableState:
        """A table that is there already."""
        self._made += 1
        state = TableState(
            name=name,
            arn=arn or f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}",
            table_id=table_id or f"id-{self._made}-{name}",
            key=key,
            ready=True,
            on_demand=write_units is None,
            write_units=write_units,
        )
        self._tables[name] = _Table(state)
        return state

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that are there and not being deleted."""
        return tuple(name for name, table in self._tables.items() if table.lingers is None)

    @property
    def made(self) -> int:
        """How many tables there ever were."""
        return self._made

    def items(self, name: str) -> list[Item]:
        """What is in the table."""
        return list(self._table(name).items.values())

    def asked(self, name: str) -> list[TableRequest]:
        """What was asked for of this table, in order."""
        return self._table(name).asked

    # ports_restore.Tables

    def state(self, name: str) -> TableState | None:
        """See ``ports_restore.Tables.state``. A new table is ready when it is asked for twice."""
        if name not in self._tables:
            return None
        table = self._tables[name]
        if table.lingers is not None:
            table.lingers -= 1
            if table.lingers < 0:
                del self._tables[name]
                return None
            return replace(table.state, ready=False)
        found = table.state
        table.state = replace(found, ready=True)
        return found

    def ask(self, request: TableRequest) -> None:
        """See ``ports_restore.Tables.ask``."""
        self.hear(request)
        body = request.body
        if request.operation == "CreateTable":
            if body["TableName"] in self._tables:
                raise Conflict(f"Table already exists: {body['TableName']}")
            name = body["TableName"]
            made = self.add(name, _key_of(body))
            self._tables[name].state = replace(made, ready=False)
        else:
            name = body.get("TableName") or body["ResourceArn"].rsplit("/", 1)[-1]
        table = self._table(name)
        table.asked.append(request)
        table.tags |= {tag["Key"]: tag["Value"] for tag in body.get("Tags", ())}

    def tags(self, arn: str) -> Mapping[str, str]:
        """See ``ports_restore.Tables.tags``."""
        if self.hide_tags:
            raise AccessDenied("Access denied", action="dynamodb:ListTagsOfResource")
        found = self._table(arn.rsplit("/", 1)[-1]).tags
        if self.tags_late:
            self.tags_late -= 1
            return {}
        return dict(found)

    def has_items(self, name: str) -> bool:
        """See ``ports_restore.Tables.has_items``."""
        return bool(self._table(name).items)

    def delete_table(self, name: str) -> None:
        """See ``ports_restore.Tables.delete_table``."""
        table = self._table(name)
        if table.lingers is None:
            table.lingers = self.lingers
        if not self.lingers:
            del self._tables[name]

    # ports_restore.TableWriter

    def put_all(self, table: str, items: Sequence[bytes]) -> Written:
        """See ``ports_restore.TableWriter.put_all``."""
        with self._lock:
            self.writes += 1
            self.before()
            into = self._table(table)
            parsed = [_checked(into.state.key, json.loads(item)) for item in items]
            keys = [_key(into.state.key, item) for item in parsed]
            if len(set(keys)) < len(keys):
                raise ParameterInvalid("Provided list of item keys contains duplicates")
            done = len(items) - min(len(items), self.leave(len(items)))
            into.items.update(zip(keys[:done], parsed[:done], strict=True))
        units = float(sum(-(-len(item) // 1024) for item in items[:done]))
        return Written(left=tuple(items[done:]), units=units, all_units=units)

    def put(self, table: str, item: bytes, condition: Condition) -> bool:
        """See ``ports_restore.TableWriter.put``."""
        with self._lock:
            self.writes += 1
            self.before()
            into = self._table(table)
            new = _checked(into.state.key, json.loads(item))
            key = _key(into.state.key, new)
            if not _holds(condition, into.items.get(key)):
                return False
            into.items[key] = new
        return True

    def delete(self, table: str, key: bytes, condition: Condition) -> bool:
        """See ``ports_restore.TableWriter.delete``."""
        with self._lock:
            self.writes += 1
            self.before()
            into = self._table(table)
            name = _key(into.state.key, json.loads(key))
            if not _holds(condition, into.items.get(name)):
                return False
            into.items.pop(name, None)
        return True

    # ports_restore.TableReader

    def get_all(self, table: str, keys: Sequence[Item]) -> tuple[Item, ...]:
        """See ``ports_restore.TableReader.get_all``."""
        found = self._table(table)
        named = [_key(found.state.key, key) for key in keys]
        return tuple(self.see(found.items[name] for name in named if name in found.items))

    def scan(self, table: str, segment: int, segments: int) -> Iterator[Item]:
        """See ``ports_restore.TableReader.scan``."""
        found = list(self._table(table).items.items())
        here = (i for n, i in found if zlib.crc32(n.encode()) % segments == segment)
        yield from self.see(here)

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise TableNotFound(f"The table does not exist (table {name})")
        return self._tables[name]


def _key_of(body: Mapping[str, Any]) -> KeySchema:
    kinds = {d["AttributeName"]: d["AttributeType"] for d in body["AttributeDefinitions"]}
    key = [KeyAttribute(name=k["AttributeName"], kind=kinds[k["AttributeName"]])
           for k in body["KeySchema"]]  # fmt: skip
    return KeySchema(partition=key[0], sort=key[1] if key[1:] else None)


def _checked(schema: KeySchema, item: Item) -> Item:
    for attribute in schema.attributes:
        if attribute.kind not in item.get(attribute.name, {}):
            raise ParameterInvalid(f"Type mismatch or missing key: {attribute}")
    return item


def _key(schema: KeySchema, item: Item) -> str:
    return json.dumps([item[name] for name in schema.names])


def _holds(condition: Condition, item: Item | None) -> bool:
    """The few forms of conditions that restoring uses."""
    joiner = any if " OR " in condition.expression else all
    parts = condition.expression.replace(" OR ", "\0").replace(" AND ", "\0").split("\0")
    return joiner(_part_holds(part, condition, item or {}) for part in parts)


def _part_holds(part: str, condition: Condition, item: Item) -> bool:
    if part.startswith("attribute_not_exists("):
        return condition.names[part[21:-1]] not in item
    name, operator, value = part.split(" ")
    held, wanted = item.get(condition.names[name]), condition.values[value]
    if held is None or held.keys() != wanted.keys():
        return False
    one, other = decode({"": held})[""], decode({"": wanted})[""]
    return bool(one == other if operator == "=" else one < other)
