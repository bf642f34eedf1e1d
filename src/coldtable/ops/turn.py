"""What the turns of scheduled functions share that go over an archive, some tables each hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coldtable.core.records import Home
from coldtable.model import Destination, Table
from coldtable.ops.catalog import Catalog, Heads
from coldtable.ops.history import History, index_names, logs
from coldtable.ops.pace import Watch
from coldtable.ports import Notifier, ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a run asks or changes, and whose archive it is."""

    objects: Callable[[Destination], ObjectStore]
    notifier: Notifier
    watch: Watch
    now: Callable[[], datetime]
    account: str
    region: str
    partition: str = "aws"

    def table(self, name: str, table_id: str) -> Table:
        """A table of that account and region, whether it still exists or not."""
        arn = f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{name}"
        return Table(name=name, arn=arn, table_id=table_id)


@dataclass(slots=True)
class Lives:
    """All that had one table's name: the heads of its catalog, and its histories by TableId."""

    heads: Heads = field(default_factory=Heads)
    histories: dict[str, History] = field(default_factory=dict)


def lives_of(
    catalog: Catalog, world: World, wanted: Callable[[Home], bool]
) -> Mapping[Home, Lives]:
    """The tables that are wanted. All of them are listed: a request for each, and two more."""
    account, region = world.account, world.region
    heads = catalog.all_heads(account, region)
    homes = {name: Home(account=account, region=region, name=name) for name in heads}
    known = {(homes[name], table_id) for name, head in heads.items() for table_id in head.bases}
    known |= set(logs(catalog, f"{account}/{region}/"))
    indexes = index_names(catalog, account, region)
    found: dict[Home, Lives] = {}
    for home, table_id in sorted(known, key=lambda one: (one[0].name, one[1])):
        if not wanted(home):
            continue
        lives = found.setdefault(home, Lives(heads=heads.get(home.name, Heads())))
        lives.histories[table_id] = History(
            catalog=catalog,
            home=home,
            table_id=table_id,
            indexes=tuple(indexes.get((home, table_id), ())),
        )
    return found
