"""Restore a table: prove what is read, make the table, fill it, hold it against the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any

from coldtable.core.checkpoint import Checkpoint
from coldtable.core.creation import afterwards, creation
from coldtable.core.lines import parse_json
from coldtable.core.manifest import DataFile
from coldtable.errors import Conflict, Different
from coldtable.model_restore import (
    Comparison,
    Condition,
    Import,
    Merging,
    TableRequest,
    TableState,
    Way,
)
from coldtable.ops.build import finish_table, make_table, wait_until_ready
from coldtable.ops.compare import compare, difference
from coldtable.ops.content import Content, Tell, clear
from coldtable.ops.fill import Filled, fill_by_import, resumed, save, tags
from coldtable.ops.gather import content_of
from coldtable.ops.load import Reached, load
from coldtable.ops.restore_plan import Progress, TablePlan
from coldtable.ops.restore_windows import RestoreWindows
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


def restore_table(plan: TablePlan, windows: RestoreWindows, progress: Tell) -> RestoreReport:
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


def fill_table(
    plan: TablePlan, windows: RestoreWindows, content: Content, progress: Tell
) -> Filled:
    """Make the table if there is none, and put the content in; what is done already stays so."""
    if plan.way is Way.IMPORT:
        return fill_by_import(plan, windows, content, progress)
    table, checkpoint = _table(plan, windows, resumed(plan, content))
    tally = _write(plan, windows, content, table, checkpoint, progress)
    return Filled(table=table, ours=checkpoint.ours, tally=tally)


def _table(
    plan: TablePlan, windows: RestoreWindows, checkpoint: Checkpoint
) -> tuple[TableState, Checkpoint]:
    """The table to write to, and the checkpoint that knows of it."""
    wish = plan.wish
    if plan.target is not None:
        checkpoint = replace(checkpoint, table_id=plan.target.table_id)
    else:
        body = creation(plan.definition, wish.to, wish.parts)
        if wish.marks:
            body["Tags"] = tags(wish.marks)
        request = TableRequest(operation="CreateTable", body=body, what=f"table {wish.to}")
        # Before it is there: whoever dies now finds it again as its own.
        save(plan, windows, replace(checkpoint, table_id="", made=True))
        try:
            table = make_table(windows.tables, request, windows.pause)
        except Conflict:
            # It is somebody else's.
            save(plan, windows, checkpoint)
            raise
        windows.say(f"{wish.to}: created")
        # Its indexes may take minutes: whoever goes on must know it as this restore's own.
        checkpoint = replace(checkpoint, table_id=table.table_id, made=True)
    save(plan, windows, checkpoint)
    return wait_until_ready(windows.tables, wish.to, windows.pause), checkpoint


def _write(
    plan: TablePlan,
    windows: RestoreWindows,
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

    def note(reached: Reached) -> None:
        save(plan, windows, replace(checkpoint, done=reached.done, part=reached.part))

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
        save=note,
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
