"""What is known of a table whose exports an archive holds: its definition, or only its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from coldtable.core.archive import ArchivedExport
from coldtable.core.definition import definition_of_key, parse_definition
from coldtable.core.lines import Parse
from coldtable.core.records import Home, parse_base_name, parse_log_name, parse_record
from coldtable.errors import ConfigError
from coldtable.model import Table
from coldtable.model_restore import Definition, KeyAttribute, KeySchema
from coldtable.ops.key_schema import find_types
from coldtable.ports import ObjectStore


def recorded_definition(
    store: ObjectStore, prefix: str, table: Table, moment: datetime
) -> tuple[Definition, str] | None:
    """The table's definition that was noted last up to ``moment``, and the key of its record.

    If all are later, the first one; ``None`` if none was ever noted.
    """
    home = Home.of(table)
    folders = (home.base(table.table_id), home.log(table.table_id))
    keys = [
        key
        for folder in folders
        for key in store.keys(prefix + folder)
        if _is_definition(key.removeprefix(prefix + folder))
    ]
    found = sorted((_at(record), key, record) for key, record in _records(store, keys))
    if not found:
        return None
    until = [one for one in found if one[0] <= moment]
    _, key, record = until[-1] if until else found[0]
    return parse_definition(key, record["definition"]), key


def inferred_key(
    store: ObjectStore, increments: Sequence[ArchivedExport], ion: Parse
) -> KeySchema | None:
    """The key schema, where the records of an increment leave no doubt: a key of one attribute.

    Of two attributes nothing tells which is the partition key; that is raised as what is missing.
    """
    types = find_types(store, increments, ion)
    if types is None:
        return None
    found = [KeyAttribute(name=name, kind=kind) for name, kind in types.items()]
    if len(found) == 1:
        return KeySchema(partition=found[0])
    names = " and ".join(map(str, found))
    raise _unknown(f"its items have the keys {names}, and which comes first is not told")


def definition_for(
    store: ObjectStore,
    prefix: str,
    exports: Sequence[ArchivedExport],
    moment: datetime,
    ion: Parse,
) -> tuple[Definition, str]:
    """The definition to make the table by, and where it is from, in words; ``ion`` reads a line of
    an ION export.

    Raises ``ConfigError`` that asks for the key where the archive does not tell it.
    """
    if noted := recorded_definition(store, prefix, exports[0].table, moment):
        definition, key = noted
        return definition, f"the record {key}"
    if inferred := inferred_key(store, exports[1:], ion):
        return definition_of_key(inferred), "the keys in the incremental exports"
    raise _unknown("exports carry no definition, and the archive has no record of one")


def _unknown(why: str) -> ConfigError:
    return ConfigError(
        f"The table's key schema is not known: {why}",
        hint="Give it, the partition key first: --key pk:S --key sk:N",
    )


def _is_definition(name: str) -> bool:
    fact = parse_base_name(name) or parse_log_name(name)
    return fact is not None and fact.definition


def _records(store: ObjectStore, keys: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(key, parse_record(key, b"".join(store.read(key)))) for key in keys]


def _at(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record["at"])
