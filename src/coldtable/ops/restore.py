"""Restore a table: prove what is read, make the table, fill it, hold it against the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any

from coldtable.core.checkpoint import Checkpoint, digest_of, encode
from coldtable.core.creation import afterwards, creation, import_parameters
from coldtable.core.lines import parse_json
from coldtable.core.manifest import DataFile
from coldtable.errors import Conflict, Different
from coldtable.model_restore import (
    Compare,
    Comparison,
    Condition,
    Import,
    Merging,
    TableRequest,
    TableState,
    Way,
)
from coldtable.ops.build import ask, finish_table, make_table, wait_until_ready
from coldtable.ops.compare import compare_all, compare_sample
from coldtable.ops.content import Content, Tell, clear, content_of
from coldtable.ops.import_way import (
    begun_import,
    follow_import,
    import_request,
    judge_import,
    noted,
)
from coldtable.ops.load import Reached, load
from coldtable.ops.restore_plan import Progress, TablePlan, Windows
from coldtable.ops.send import Tally, paced_sender

THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was done. ``tally`` is of the write way, ``imported`` of the other."""

    plan: TablePlan
    table: TableState
    seconds: float
    comparison: Comparison
    tally: Tally | None = None
    imported: Import | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A table with all that was to come into it. ``ours`` tells that the restore made it."""

    table: TableState
    ours: bool
    tally: Tally | None = None
    imported: Import | None = None


def restore_table(plan: TablePlan, windows: Windows, progress: Tell) -> RestoreReport:
    """Carry the plan out. Interrupted at any point, the same wish goes on where this one was.

    Raises ``DamagedError`` before anything is written if a byte of the archive is wrong,
    ``ImportFailed``, ``ItemRefused``, and ``Different`` if the table is not what it should be.
    """
    began, wish = monotonic(), plan.wish
    # ImportTable reads the bytes too, and tells of damage only when it is done.
    content = content_of(plan, windows, progress)
    filled = fill_table(plan, windows, content, progress)
    table, imported = filled.table, filled.imported
    # Before time to live: what has expired is still to be found.
    comparison = compare(plan, windows, content, table)
    if not comparison.same:
        raise Different(
            difference(comparison, wish.to),
            hint="Is anybody else writing to it? Nothing was done after the comparison: the table "
            "has no tags, time to live, stream or PITR yet",
        )
    if filled.ours:
        requests = afterwards(
            plan.definition, wish.to, table.arn, wish.parts, imported=imported is not None
        )
        finish_table(windows.tables, wish.to, requests, windows.pause, windows.say)
    clear(content, windows)
    return RestoreReport(
        plan=plan,
        table=table,
        seconds=monotonic() - began,
        comparison=comparison,
        tally=filled.tally,
        imported=imported,
    )


def fill_table(plan: TablePlan, windows: Windows, content: Content, progress: Tell) -> Filled:
    """Make the table if there is none, and put the content in; what is done already stays so."""
    checkpoint = _resumed(plan, content)
    if plan.way is Way.IMPORT:
        imported, checkpoint = _import(plan, windows, content, checkpoint, progress)
        table = wait_until_ready(windows.tables, plan.wish.to, windows.pause)
        return Filled(table=table, ours=checkpoint.ours, imported=imported)
    table, checkpoint = _table(plan, windows, checkpoint)
    tally = _write(plan, windows, content, table, checkpoint, progress)
    return Filled(table=table, ours=checkpoint.ours, tally=tally)


def _resumed(plan: TablePlan, content: Content) -> Checkpoint:
    """The checkpoint to begin with. One of other files is only good for whose the table is."""
    files, found = digest_of(content.files), plan.checkpoint
    if found is None:
        return Checkpoint(files=files)
    if found.files == files:
        return found
    if found.way is Way.IMPORT:
        return replace(found, files=files)
    return replace(found, files=files, done=frozenset(), part={})


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


def _import(
    plan: TablePlan, windows: Windows, content: Content, checkpoint: Checkpoint, progress: Tell
) -> tuple[Import, Checkpoint]:
    wish, importer = plan.wish, windows.importer
    if checkpoint.way is not Way.IMPORT:
        attempt = checkpoint.attempt + 1
        checkpoint = replace(checkpoint, way=Way.IMPORT, attempt=attempt, import_arn=None)
        _save(plan, windows, checkpoint)
    bucket, owner = windows.bucket, windows.owner
    if plan.source.increments:
        bucket, owner = windows.scratch_bucket, windows.scratch_owner
    request = import_request(
        plan.restore_id,
        checkpoint.attempt,
        bucket=bucket or "",
        owner=owner,
        folder=content.folder,
        output_format=content.output_format,
        parameters=import_parameters(plan.definition, wish.to, wish.parts),
    )
    begun = begun_import(importer, request, checkpoint)
    _save(plan, windows, noted(checkpoint, begun))
    windows.say(f"{wish.to}: import {begun.import_id} is {begun.status}")

    def tell(now: Import) -> None:
        done = now.imported_items or 0
        progress(Progress(what="items imported", done=done, total=content.items))

    ended = follow_import(importer, begun, windows.pause, tell)
    checkpoint = noted(checkpoint, ended)
    _save(plan, windows, checkpoint)
    _mark(plan, windows, ended)
    judge_import(importer, ended, content.items)
    return ended, checkpoint


def _mark(plan: TablePlan, windows: Windows, ended: Import) -> None:
    """Tag the imported table: ImportTable takes no tags [MODEL]. A failed one has left a table,
    too, or none."""
    wish, tables = plan.wish, windows.tables
    if not wish.marks or (state := tables.state(wish.to)) is None:
        return
    if ended.table_id in (None, state.table_id):
        body = {"ResourceArn": state.arn, "Tags": _tags(wish.marks)}
        ask(tables, TableRequest(operation="TagResource", body=body, what="tags"), windows.pause)


def _tags(marks: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in marks]


def _table(
    plan: TablePlan, windows: Windows, checkpoint: Checkpoint
) -> tuple[TableState, Checkpoint]:
    """The table to write to, and the checkpoint that knows of it."""
    wish = plan.wish
    if plan.target is not None:
        checkpoint = replace(checkpoint, table_id=plan.target.table_id)
    else:
        body = creation(plan.definition, wish.to, wish.parts)
        if wish.marks:
            body["Tags"] = _tags(wish.marks)
        request = TableRequest(operation="CreateTable", body=body, what=f"table {wish.to}")
        # Before it is there: whoever dies now finds it again as its own.
        _save(plan, windows, replace(checkpoint, table_id="", made=True))
        try:
            table = make_table(windows.tables, request, windows.pause)
        except Conflict:
            # It is somebody else's.
            _save(plan, windows, checkpoint)
            raise
        windows.say(f"{wish.to}: created")
        # Its indexes may take minutes: whoever goes on must know it as this restore's own.
        checkpoint = replace(checkpoint, table_id=table.table_id, made=True)
    _save(plan, windows, checkpoint)
    return wait_until_ready(windows.tables, wish.to, windows.pause), checkpoint


def _write(
    plan: TablePlan,
    windows: Windows,
    content: Content,
    table: TableState,
    checkpoint: Checkpoint,
    progress: Tell,
) -> Tally:
    stop, condition = Event(), condition_for(plan, table)
    sender = paced_sender(
        windows.writer, table, plan.wish.rate, stop, windows.time, condition=condition
    )
    before = _lines_done(content.files, checkpoint.done, checkpoint.part)

    def save(reached: Reached) -> None:
        _save(plan, windows, replace(checkpoint, done=reached.done, part=reached.part))

    def tell() -> None:
        done = min(content.items, before + sender.tally.written + sender.tally.kept)
        progress(Progress(what="items written", done=done, total=content.items))

    load(
        content.files,
        content.read,
        sender,
        stop,
        threads=THREADS,
        reached=Reached(done=checkpoint.done, part=checkpoint.part),
        save=save,
        tell=tell,
    )
    tell()
    return sender.tally


def condition_for(plan: TablePlan, table: TableState) -> Callable[[bytes], Condition] | None:
    """The condition of each item of a merge; ``None`` where items are put over what is there."""
    wish = plan.wish
    absent = Condition(
        expression="attribute_not_exists(#k)", names={"#k": table.key.partition.name}
    )
    match wish.merging:
        case None | Merging.REPLACE:
            return None
        case Merging.MISSING:
            return lambda _: absent
    attribute = wish.newer_by or ""
    return lambda item: newer_condition(absent, attribute, item)


def newer_condition(absent: Condition, attribute: str, item: bytes) -> Condition:
    """Put the item where there is none, or where the one there has less of ``attribute``.

    One that lacks it cannot be told to be newer, and only fills a place that is empty.
    """
    value = _attribute(item, attribute)
    if value is None:
        return absent
    return Condition(
        expression=f"{absent.expression} OR #a < :a",
        names={**absent.names, "#a": attribute},
        values={":a": value},
    )


def _attribute(item: bytes, name: str) -> Mapping[str, Any] | None:
    value: Mapping[str, Any] | None = parse_json(item).get(name)
    return value if value and next(iter(value)) in ("S", "N", "B") else None


def _lines_done(files: Iterable[DataFile], done: frozenset[int], part: Mapping[int, int]) -> int:
    counts = [file.items for file in files]
    return sum(counts[place] for place in done if place < len(counts)) + sum(part.values())


def _save(plan: TablePlan, windows: Windows, checkpoint: Checkpoint) -> None:
    windows.scratch.put(plan.checkpoint_key, encode(checkpoint))


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
