"""Hold a restored table against the items that it was made of: a sample of them, or all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from random import Random
from typing import Any

from coldtable.core.items import canonical, content_hash, same
from coldtable.core.lines import item_of, parse_json
from coldtable.core.manifest import DataFile
from coldtable.model_restore import Compare, Comparison, KeySchema, Merging, TableState
from coldtable.ops.content import Content
from coldtable.ops.restore_plan import TablePlan, Windows
from coldtable.ports_restore import BATCH_GETS, TableReader

_SAMPLE, _SAMPLE_FILES = 1000, 8
_SEGMENTS = 8
_NAMED = 10
_HASH = 1 << 128

Read = Callable[[DataFile], Iterable[bytes]]


def compare(plan: TablePlan, windows: Windows, content: Content, table: TableState) -> Comparison:
    """Hold the table against the content as the wish says; a merged one as far as it can be."""
    wish = plan.wish
    if wish.compare is Compare.FULL and wish.merging is None:
        return compare_all(content.files, content.read, windows.reader, table.name)
    if wish.compare is Compare.NONE:
        return Comparison(level=Compare.NONE)
    return compare_sample(
        content.files,
        content.read,
        windows.reader,
        table.name,
        table.key,
        seed=plan.restore_id,
        present_only=wish.merging in (Merging.MISSING, Merging.NEWER),
    )


def compare_sample(
    files: Sequence[DataFile],
    read: Read,
    reader: TableReader,
    table: str,
    key: KeySchema,
    *,
    seed: str,
    present_only: bool = False,
) -> Comparison:
    """Up to 1,000 items of up to 8 files, drawn by ``seed``, against the table's.

    With ``present_only`` an item of another content is as good: a merge leaves such.
    """
    chance = Random(seed)  # noqa: S311  # a sample that can be drawn again, and no secret
    checked, missing, different = 0, list[str](), list[str]()
    for wanted in _chunks(_drawn(files, read, chance), BATCH_GETS):
        items = {_name(item, key): item for item in wanted}
        keys = [{name: item[name] for name in key.names} for item in items.values()]
        found = {_name(item, key): item for item in reader.get_all(table, keys)}
        checked += len(items)
        missing += [name for name in items if name not in found]
        if not present_only:
            differ = (n for n, i in items.items() if n in found and not same(i, found[n]))
            different += differ
    return Comparison(
        level=Compare.SAMPLE,
        checked=checked,
        missing=tuple(missing[:_NAMED]),
        different=tuple(different[:_NAMED]),
    )


def compare_all(
    files: Sequence[DataFile], read: Read, reader: TableReader, table: str
) -> Comparison:
    """Every item of the table against every item of the files, whatever their order.

    Both sides are counted, and a hash of 128 bits of each item's canonical form is summed up.
    What differs is then not named, only that something does.
    """

    def scanned(segment: int) -> tuple[int, int]:
        return _summed(reader.scan(table, segment, _SEGMENTS))

    def lines(file: DataFile) -> tuple[int, int]:
        return _summed(item_of(parse_json(line)) for line in read(file))

    with ThreadPoolExecutor(_SEGMENTS) as threads:
        found = _total(threads.map(scanned, range(_SEGMENTS)))
        wanted = _total(threads.map(lines, files))
    return Comparison(
        level=Compare.FULL,
        wanted=wanted[0],
        found=found[0],
        checked=found[0],
        different=() if wanted == found or wanted[0] != found[0] else ("the sum of all items",),
    )


def _summed(items: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    count, total = 0, 0
    for item in items:
        count += 1
        total = (total + int.from_bytes(content_hash(item))) % _HASH
    return count, total


def _total(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    count, total = 0, 0
    for more, added in parts:
        count, total = count + more, (total + added) % _HASH
    return count, total


def _drawn(files: Sequence[DataFile], read: Read, chance: Random) -> Iterator[Mapping[str, Any]]:
    """Items of a few files, large ones more likely, in proportion to what they hold."""
    holding = [file for file in files if file.items]
    chosen = set[DataFile]()
    if len(holding) <= _SAMPLE_FILES:
        chosen.update(holding)
    while len(chosen) < min(_SAMPLE_FILES, len(holding)):
        chosen.add(chance.choices(holding, [file.items for file in holding])[0])
    total = sum(file.items for file in chosen)
    for file in sorted(chosen, key=lambda one: one.key):
        count = min(file.items, -(-_SAMPLE * file.items // total))
        places = set(chance.sample(range(file.items), count))
        for place, line in enumerate(read(file)):
            if place in places:
                yield item_of(parse_json(line))


def _chunks(
    items: Iterator[Mapping[str, Any]], size: int
) -> Iterator[tuple[Mapping[str, Any], ...]]:
    while chunk := tuple(islice(items, size)):
        yield chunk


def _name(item: Mapping[str, Any], key: KeySchema) -> str:
    """A key in its one spelling, which people can read, too."""
    return canonical({name: item[name] for name in key.names}).decode()


def difference(found: Comparison, table: str) -> str:
    """What a comparison found, in words."""
    parts = []
    if found.wanted != found.found:
        parts.append(f"it has {found.found} items, and the archive {found.wanted}")
    if found.missing:
        parts.append(f"it lacks {', '.join(found.missing)}")
    if found.different:
        parts.append(f"it differs in {', '.join(found.different)}")
    return f"The table {table} is not what the archive holds: {'; '.join(parts)}"
