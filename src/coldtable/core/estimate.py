"""What a restore is going to be: how much, how long, and for how much; from a sample of lines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from coldtable.core.creation import global_indexes, is_on_demand, local_indexes
from coldtable.core.pace import NEW_TABLE_UNITS, Rate, units_a_second
from coldtable.core.prices import import_price, write_price
from coldtable.core.size import item_size, write_units
from coldtable.model_restore import Definition, Estimate, TableState, Way


def estimate(
    way: Way,
    *,
    items: int,
    rows: Sequence[bytes],
    stored: int | None,
    definition: Definition,
    target: TableState | None,
    rate: Rate | None,
) -> Estimate:
    """``rows`` are some lines of the full export, ``stored`` its compressed bytes.

    AWS promises nothing about how long an import takes. Every index is counted as if it took
    every item: an upper bound.
    """
    if not rows:
        return Estimate(items=items, stored_bytes=stored, json_bytes=0, units=0, dollars=0)
    json_bytes = items * sum(len(row) + 1 for row in rows) // len(rows)
    if way is Way.IMPORT:
        price = import_price(json_bytes)
        return Estimate(items=items, stored_bytes=stored, json_bytes=json_bytes, dollars=price)
    sizes = [item_size(json.loads(row)["Item"]) for row in rows]
    own = items * sum(map(write_units, sizes)) / len(rows)
    units = own * (1 + len(local_indexes(definition)) + len(global_indexes(definition)))
    on_demand = target.on_demand if target else is_on_demand(definition)
    return Estimate(
        items=items,
        stored_bytes=stored,
        json_bytes=json_bytes,
        units=units,
        seconds=_seconds(items, own, definition, target, rate),
        dollars=write_price(units) if on_demand else None,
    )


def _seconds(
    items: int, units: float, definition: Definition, target: TableState | None, rate: Rate | None
) -> float:
    if rate and rate.items:
        return items / rate.items
    if target:
        takes = float(target.write_units or NEW_TABLE_UNITS)
        return units / (units_a_second(rate, target) or takes)
    return units / (_capacity(definition) * (rate.share if rate and rate.share else 1))


def _capacity(definition: Definition) -> float:
    table = definition.table
    if not is_on_demand(definition):
        return float(table["ProvisionedThroughput"]["WriteCapacityUnits"])
    limit = (table.get("OnDemandThroughput") or {}).get("MaxWriteRequestUnits") or -1
    return float(limit) if limit > 0 else NEW_TABLE_UNITS
