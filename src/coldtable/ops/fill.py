"""Fill a table by importing into it, which makes it, too; and what every way of filling shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from coldtable.core.checkpoint import Checkpoint, digest_of, encode
from coldtable.core.creation import import_parameters
from coldtable.model_restore import Import, TableRequest, TableState, Way
from coldtable.ops.build import ask, wait_until_ready
from coldtable.ops.content import Content, Tell
from coldtable.ops.import_way import (
    begun_import,
    follow_import,
    import_request,
    judge_import,
    noted,
)
from coldtable.ops.restore_plan import Progress, TablePlan, Windows
from coldtable.ops.send import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A table with all that was to come into it. ``ours`` tells that the restore made it."""

    table: TableState
    ours: bool
    tally: Tally | None = None
    imported: Import | None = None


def fill_by_import(plan: TablePlan, windows: Windows, content: Content, progress: Tell) -> Filled:
    """Let DynamoDB import the content; one that was asked for already is gone on with."""
    checkpoint = resumed(plan, content)
    imported, checkpoint = _imported(plan, windows, content, checkpoint, progress)
    table = wait_until_ready(windows.tables, plan.wish.to, windows.pause)
    return Filled(table=table, ours=checkpoint.ours, imported=imported)


def resumed(plan: TablePlan, content: Content) -> Checkpoint:
    """The checkpoint to begin with. One of other files is only good for whose the table is."""
    files, found = digest_of(content.files), plan.checkpoint
    if found is None:
        return Checkpoint(files=files)
    if found.files == files:
        return found
    if found.way is Way.IMPORT:
        return replace(found, files=files)
    return replace(found, files=files, done=frozenset(), part={})


def save(plan: TablePlan, windows: Windows, checkpoint: Checkpoint) -> None:
    """Note how far it is."""
    windows.scratch.put(plan.checkpoint_key, encode(checkpoint))


def tags(marks: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Tags as requests have them."""
    return [{"Key": key, "Value": value} for key, value in marks]


def _imported(
    plan: TablePlan, windows: Windows, content: Content, checkpoint: Checkpoint, progress: Tell
) -> tuple[Import, Checkpoint]:
    wish, importer = plan.wish, windows.importer
    if checkpoint.way is not Way.IMPORT:
        attempt = checkpoint.attempt + 1
        checkpoint = replace(checkpoint, way=Way.IMPORT, attempt=attempt, import_arn=None)
        save(plan, windows, checkpoint)
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
    save(plan, windows, noted(checkpoint, begun))
    windows.say(f"{wish.to}: import {begun.import_id} is {begun.status}")

    def tell(now: Import) -> None:
        done = now.imported_items or 0
        progress(Progress(what="items imported", done=done, total=content.items))

    ended = follow_import(importer, begun, windows.pause, tell)
    checkpoint = noted(checkpoint, ended)
    save(plan, windows, checkpoint)
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
        body = {"ResourceArn": state.arn, "Tags": tags(wish.marks)}
        ask(tables, TableRequest(operation="TagResource", body=body, what="tags"), windows.pause)
