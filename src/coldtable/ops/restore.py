"""Restore a table: prove what is read, make the table, fill it, hold it against the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any

from coldtable.core.checkpoint import Checkpoint, digest_of, encode
from coldtable.core.creation import afterwards, creation, import_parameters
from coldtable.core.lines import parse_json
from coldtable.core.manifest import DataFile
from coldtable.core.pace import Pace, units_a_second
from coldtable.core.verification import Fault, Problem
from coldtable.errors import ColdtableError, DamagedError, Different, ServiceFailed
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
from coldtable.ops.build import finish_table, make_table, wait_until_ready
from coldtable.ops.compare import compare_all, compare_sample
from coldtable.ops.import_way import (
    begun_import,
    follow_import,
    import_request,
    judge_import,
    noted,
)
from coldtable.ops.load import Reached, load
from coldtable.ops.restore_plan import TablePlan, Windows, json_lines
from coldtable.ops.scan import Reading
from coldtable.ops.send import Sender, Tally

THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is, for whoever watches: ``done`` of ``total`` in the words of ``what``."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was done. ``tally`` is of the write way, ``imported`` of the other."""

    plan: TablePlan
    table: TableState
    seconds: float
    comparison: Comparison
    tally: Tally | None = None
    imported: Import | None = None


def restore_table(
    plan: TablePlan, windows: Windows, progress: Callable[[Progress], None]
) -> RestoreReport:
    """Carry the plan out. Interrupted at any point, the same wish goes on where this one was.

    Raises ``DamagedError`` before anything is written if a byte of the archive is wrong,
    ``ImportFailed``, ``ItemRefused``, and ``Different`` if the table is not what it should be.
    """
    began, wish = monotonic(), plan.wish
    # ImportTable reads them too, and tells of damage only when it is done.
    prove(plan, windows, progress)
    if plan.way is Way.IMPORT:
        imported, checkpoint = _import(plan, windows, progress)
        table, tally = wait_until_ready(windows.tables, wish.to, windows.pause), None
    else:
        imported = None
        table, checkpoint = _table(plan, windows)
        tally = _write(plan, windows, table, checkpoint, progress)
    # Before time to live: what has expired is still to be found.
    comparison = compare(plan, windows, table)
    if not comparison.same:
        raise Different(
            _difference(comparison, wish.to),
            hint="Is anybody else writing to it? Nothing was done after the comparison: the table "
            "has no tags, time to live, stream or PITR yet",
        )
    if checkpoint.ours:
        requests = afterwards(
            plan.definition, wish.to, table.arn, wish.parts, imported=imported is not None
        )
        finish_table(windows.tables, wish.to, requests, windows.pause, windows.say)
    return RestoreReport(
        plan=plan,
        table=table,
        seconds=monotonic() - began,
        comparison=comparison,
        tally=tally,
        imported=imported,
    )


def prove(plan: TablePlan, windows: Windows, progress: Callable[[Progress], None]) -> None:
    """Read every data file once and hold it against its manifest, before anything is written."""
    done, files = 0, plan.base.files
    readings = [[Reading(export=0, place=place, file=file)] for place, file in enumerate(files)]
    crew = windows.crew.for_size(plan.estimate.stored_bytes or 0)
    for batch in crew.read(windows.open_store, readings):
        for read in batch:
            if read.problems:
                raise _broken(read.problems[0])
            done += files[read.place].items
        progress(Progress(what="items proven", done=done, total=plan.base.manifest.items))


def _broken(problem: Problem) -> ColdtableError:
    text = f"{problem.key}: {problem.reason}"
    if problem.fault is Fault.UNREADABLE:
        return ServiceFailed(text, hint="Run it again")
    return DamagedError(
        text, hint="Nothing was written. To see all that is damaged: coldtable verify"
    )


def compare(plan: TablePlan, windows: Windows, table: TableState) -> Comparison:
    """Hold the table against the archive as the wish says."""
    wish, read = plan.wish, _reader(plan, windows)
    merged = wish.merging is not None
    if wish.compare is Compare.FULL and not merged:
        return compare_all(plan.base.files, read, windows.reader, table.name)
    if wish.compare is Compare.NONE:
        return Comparison(level=Compare.NONE)
    return compare_sample(
        plan.base.files,
        read,
        windows.reader,
        table.name,
        table.key,
        seed=plan.restore_id,
        present_only=wish.merging in (Merging.MISSING, Merging.NEWER),
    )


def _reader(plan: TablePlan, windows: Windows) -> Callable[[DataFile], Iterator[bytes]]:
    return lambda file: json_lines(file, plan.base, windows)


def _import(
    plan: TablePlan, windows: Windows, progress: Callable[[Progress], None]
) -> tuple[Import, Checkpoint]:
    wish, importer = plan.wish, windows.importer
    wanted = plan.base.manifest.items
    before = plan.checkpoint or Checkpoint(files=digest_of(plan.base.files))
    checkpoint = before
    if not before.attempt or _failed(before, windows, plan.target):
        checkpoint = replace(before, attempt=before.attempt + 1, import_arn=None)
        _save(plan, windows, checkpoint)
    files = plan.base.files
    folder = files[0].key.rpartition("/")[0] if files else f"{plan.base.folder}/data"
    request = import_request(
        plan.restore_id,
        checkpoint.attempt,
        bucket=windows.bucket or "",
        owner=windows.owner,
        folder=f"{folder}/",
        output_format=plan.base.manifest.output_format,
        parameters=import_parameters(plan.definition, wish.to, wish.parts),
    )
    arn = f"{plan.base.table.arn.rpartition('/')[0]}/{wish.to}"
    begun = begun_import(importer, request, arn, checkpoint)
    _save(plan, windows, noted(checkpoint, begun))
    windows.say(f"{wish.to}: import {begun.import_id} is {begun.status}")

    def tell(now: Import) -> None:
        progress(Progress(what="items imported", done=now.imported_items or 0, total=wanted))

    ended = follow_import(importer, begun, windows.pause, tell)
    judge_import(importer, ended, wanted)
    return ended, noted(checkpoint, ended)


def _failed(checkpoint: Checkpoint, windows: Windows, target: TableState | None) -> bool:
    """Whether the last import failed and its table is gone, so that another one may begin."""
    if target is not None or not checkpoint.import_arn:
        return False
    return windows.importer.describe(checkpoint.import_arn).status in ("FAILED", "CANCELLED")


def _table(plan: TablePlan, windows: Windows) -> tuple[TableState, Checkpoint]:
    """The table to write to, and the checkpoint that knows of it."""
    wish = plan.wish
    if plan.target is not None:
        table = wait_until_ready(windows.tables, wish.to, windows.pause)
        if plan.checkpoint is not None:
            return table, plan.checkpoint
        checkpoint = Checkpoint(table_id=table.table_id, files=digest_of(plan.base.files))
    else:
        body = creation(plan.definition, wish.to, wish.parts)
        request = TableRequest(operation="CreateTable", body=body, what=f"table {wish.to}")
        table = make_table(windows.tables, request, windows.pause)
        windows.say(f"{wish.to}: created")
        checkpoint = Checkpoint(
            table_id=table.table_id, files=digest_of(plan.base.files), made=True
        )
    _save(plan, windows, checkpoint)
    return table, checkpoint


def _write(
    plan: TablePlan,
    windows: Windows,
    table: TableState,
    checkpoint: Checkpoint,
    progress: Callable[[Progress], None],
) -> Tally:
    stop, wish = Event(), plan.wish
    units = units_a_second(wish.rate, table)
    items = wish.rate.items if wish.rate else None
    sender = Sender(
        windows.writer,
        table.name,
        pause=lambda seconds: not stop.wait(seconds),
        items_pace=Pace(items, monotonic) if items else None,
        units_pace=Pace(units, monotonic) if units else None,
        condition=condition_for(plan, table),
    )
    total = plan.base.manifest.items
    before = _lines_done(plan.base.files, checkpoint.done, checkpoint.part)

    def save(reached: Reached) -> None:
        now = replace(checkpoint, done=reached.done, part=reached.part)
        _save(plan, windows, now)

    def tell() -> None:
        done = before + sender.tally.written + sender.tally.kept
        progress(Progress(what="items written", done=min(done, total), total=total))

    load(
        plan.base.files,
        _reader(plan, windows),
        sender,
        stop,
        threads=THREADS,
        reached=Reached(done=checkpoint.done, part=checkpoint.part),
        save=save,
        tell=tell,
    )
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
    windows.notes.put(plan.checkpoint_key, encode(checkpoint))


def _difference(found: Comparison, table: str) -> str:
    parts = []
    if found.wanted != found.found:
        parts.append(f"it has {found.found} items, and the archive {found.wanted}")
    if found.missing:
        parts.append(f"it lacks {', '.join(found.missing)}")
    if found.different:
        parts.append(f"it differs in {', '.join(found.different)}")
    return f"The table {table} is not what the archive holds: {'; '.join(parts)}"
