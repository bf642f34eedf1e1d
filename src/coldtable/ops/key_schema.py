"""Which attributes are a table's key? Exports do not say; increments show it in every line."""

from __future__ import annotations

from collections.abc import Iterable

from coldtable.core.archive import ArchivedExport
from coldtable.core.line_check import KeyTypes, key_types
from coldtable.core.lines import Parse, change_of, parse_json
from coldtable.errors import Archived, DamagedError, NotFound
from coldtable.ops.archive import load_files
from coldtable.ops.proof import first_line
from coldtable.ports import ObjectStore


def find_types(
    store: ObjectStore, increments: Iterable[ArchivedExport], ion: Parse
) -> KeyTypes | None:
    """The key's names and types, from the first of these increments that has a sound line; ``ion``
    reads one of an ION export. ``None`` if none has.
    """
    for export in increments:
        try:
            files = load_files(store, export).files
        except (Archived, DamagedError, NotFound):
            continue
        for file in files:
            if file.items and (types := _types_in(store, file.key, export, ion)):
                return types
    return None


def _types_in(store: ObjectStore, key: str, export: ArchivedExport, ion: Parse) -> KeyTypes | None:
    parse = ion if export.manifest.output_format == "ION" else parse_json
    try:
        line = first_line(store, key)
        return key_types(change_of(parse(line)).keys) if line else None
    except (Archived, DamagedError, NotFound):
        return None
