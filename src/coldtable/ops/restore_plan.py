"""Plan a restore: what is read, what table comes of it, which way, how long, and for how much.

Only reads. What a plan cannot do it refuses, with the option that allows it where there is one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from coldtable.core.archive import ArchivedExport, of_table
from coldtable.core.checkpoint import Checkpoint
from coldtable.core.creation import local_indexes, losses, without_indexes
from coldtable.core.definition import check_table_name, definition_of_key
from coldtable.core.estimate import estimate
from coldtable.core.lines import Parse, parse_json
from coldtable.core.manifest import DataFile
from coldtable.core.pace import Rate
from coldtable.core.records import ROOT
from coldtable.core.restore_point import RestorePlan, plan_restore
from coldtable.core.retrieval import Need
from coldtable.core.selection import parse_selection
from coldtable.core.ways import Wanted, obstacles
from coldtable.errors import Conflict, NotFound, ParameterInvalid, UsageError
from coldtable.model_restore import (
    Compare,
    Definition,
    Estimate,
    KeySchema,
    Merging,
    Parts,
    TableState,
    Way,
)
from coldtable.ops.archive import find_exports, load_files
from coldtable.ops.definitions import definition_for
from coldtable.ops.proof import read_items
from coldtable.ops.restore_checkpoint import checkpoint_of
from coldtable.ops.retrieve import Gate
from coldtable.ops.witness import Witness
from coldtable.ports import ObjectStore
from coldtable.ports_restore import Importer, Retriever, TableReader, Tables

_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreWish:
    """What somebody asks for. ``at`` is ``None`` for the newest restore point, ``way`` for the
    best that applies, ``merging`` for a table that must be new or empty. Without ``prove`` damage
    is only found on the way. ``marks`` are tags by which a table that it makes is known again; it
    fills no other then."""

    table: str
    at: datetime | None
    to: str
    way: Way | None = None
    merging: Merging | None = None
    newer_by: str | None = None
    keys: tuple[str, ...] = ()
    parts: Parts = field(default_factory=Parts)
    rate: Rate | None = None
    key: KeySchema | None = None
    allow_gap: bool = False
    into_source: bool = False
    prove: bool = True
    compare: Compare = Compare.SAMPLE
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Everything outside that a restore needs; to prove, fold and write: ``RestoreWindows``.

    ``prefix`` is the archive's in ``store``; ``bucket`` the bucket that it is, if it is one, and
    ``owner`` its account where that is another one. ``scratch`` is where checkpoints and folds are
    written, in the same terms, and ``own`` a folder of one's own among the folds. ``ion`` reads a
    line of an ION export; ``retriever`` knows what S3 has archived, if the archive is a bucket, and
    ``witness`` which exports were filtered.
    """

    store: ObjectStore
    prefix: str
    bucket: str | None
    owner: str | None
    scratch: ObjectStore
    scratch_prefix: str
    scratch_bucket: str | None
    scratch_owner: str | None
    region: str
    tables: Tables
    reader: TableReader
    importer: Importer
    ion: Parse
    now: Callable[[], datetime]
    pause: Callable[[float], None]
    say: Callable[[str], None]
    retriever: Retriever | None = None
    witness: Witness | None = None
    own: str = ""

    @property
    def folds(self) -> str:
        """Where all folds are written in ``scratch``, without a slash at its end."""
        return f"{self.scratch_prefix}{ROOT}/scratch"

    @property
    def fold_place(self) -> str:
        """Where those of whoever has these windows are written."""
        return f"{self.folds}/{self.own}".rstrip("/")

    def checkpoints(self, table: str) -> str:
        """The folder of the checkpoints of restores into a table of this name."""
        return f"{self.scratch_prefix}{ROOT}/restore/{table}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is, for whoever watches: ``done`` of ``total`` in the words of ``what``."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """One restore, ready to be done. ``because`` says why it goes its way.

    ``base`` has its data files. ``target`` is the table if it is there already. ``checkpoint`` is
    that of an earlier attempt at the very same restore; ``notes`` is what the result will lack;
    ``need`` what it reads that S3 keeps in another class.
    """

    wish: RestoreWish
    source: RestorePlan
    base: ArchivedExport
    definition: Definition
    defined_by: str
    target: TableState | None
    way: Way
    because: str
    estimate: Estimate
    notes: tuple[str, ...]
    restore_id: str
    checkpoint_key: str
    checkpoint: Checkpoint | None
    need: Need = field(default_factory=Need)

    @property
    def resumes(self) -> bool:
        """Whether an earlier attempt is continued."""
        return self.checkpoint is not None and bool(self.checkpoint.files)

    @property
    def exports(self) -> tuple[ArchivedExport, ...]:
        """What is read, in order."""
        return (self.base, *self.source.increments)


def gate_of(windows: Windows, folder: str = "") -> Gate:
    """The archive, in front of what is planned of it; what cannot be read in it is told.

    With ``folder`` only the export that lies there.
    """
    archive = find_exports(windows.store, f"{folder}/" if folder else windows.prefix)
    for bad in archive.unreadable:
        windows.say(f"{bad.summary_key} cannot be read, and is left out: {bad.reason}")
    return Gate(
        store=windows.store,
        archive=archive,
        retriever=windows.retriever,
        witness=windows.witness,
        say=windows.say,
    )


def exports_of(gate: Gate, windows: Windows, table: str) -> tuple[ArchivedExport, ...]:
    """The archive's exports of the table, by its name or ARN; ``NotFound`` if there is none."""
    # What an earlier run has folded is looked for again by whoever folds.
    ours = f"{windows.folds}/"
    found = [e for e in gate.archive.exports if not e.summary_key.startswith(ours)]
    if not found:
        raise NotFound("There is no export in the archive", hint="Is it the right --archive?")
    return of_table(found, table)


def plan_table(
    wish: RestoreWish,
    windows: Windows,
    gate: Gate | None = None,
    source: RestorePlan | None = None,
) -> TablePlan:
    """Look at the archive and at the target, and say what a restore would do.

    ``gate`` and ``source`` are what somebody has looked at and chosen already. Raises
    ``NotCovered``, ``DamagedError``, ``ConfigError`` if the key is not known, ``Conflict`` for a
    table that must not be written to as the wish stands, and ``Archived`` for what S3 must bring
    back first.
    """
    check_table_name(wish.to)
    found = gate or gate_of(windows)
    source = source or found.choose(
        lambda: plan_restore(
            exports_of(found, windows, wish.table), wish.at, allow_gap=wish.allow_gap
        ),
        wish.at,
        lambda plan: plan.moment,
    )
    target = windows.tables.state(wish.to)
    restore_id = _identity(wish, source)
    key = f"{windows.checkpoints(wish.to)}{restore_id}.json"
    checkpoint = checkpoint_of(wish, windows, key, target)
    _check_target(wish, source.base, target, windows.tables, checkpoint)
    need = found.admit((source.base, *source.increments))
    base = load_files(windows.store, source.base)
    base = replace(base, files=tuple(sorted(base.files, key=lambda file: file.key)))
    ours = checkpoint is not None and checkpoint.ours
    definition, defined_by = _definition(wish, source, None if ours else target, windows)
    if target is not None and target.key != definition.key:
        raise Conflict(
            f"The table {wish.to} has the key {target.key}, and the archive's {definition.key}",
            hint="It is not the one that this restore began to make. Name another one",
        )
    if wish.keys:
        parse_selection(wish.keys, definition.key)
    stored, strays = _stored(windows.store, base)
    way, because = _way(wish, source, base, definition, target, windows, stored, strays, checkpoint)
    rows = sample_rows(base, windows)
    return TablePlan(
        wish=wish,
        source=source,
        base=base,
        definition=definition,
        defined_by=defined_by,
        target=target,
        way=way,
        because=because,
        estimate=estimate(
            way,
            items=base.manifest.items,
            rows=rows,
            stored=stored,
            definition=definition if wish.parts.indexes else without_indexes(definition),
            target=target,
            rate=wish.rate,
        ),
        notes=_notes(wish, source, definition, target),
        restore_id=restore_id,
        checkpoint_key=key,
        checkpoint=checkpoint,
        need=need,
    )


def line_parser(export: ArchivedExport, ion: Parse) -> Parse:
    """How a line of this export is read."""
    return ion if export.manifest.output_format == "ION" else parse_json


def json_lines(
    file: DataFile, export: ArchivedExport, store: ObjectStore, ion: Parse
) -> Iterator[bytes]:
    """The lines of a file as DynamoDB JSON, whatever they are written in."""
    lines = read_items(file, store)
    if export.manifest.output_format != "ION":
        return lines
    return (
        json.dumps(ion(line), ensure_ascii=False, separators=(",", ":")).encode() for line in lines
    )


def sample_rows(base: ArchivedExport, windows: Windows) -> list[bytes]:
    """The first lines of the first file that has any."""
    for file in base.files:
        if file.items:
            return list(islice(json_lines(file, base, windows.store, windows.ion), _SAMPLE))
    return []


def _identity(wish: RestoreWish, source: RestorePlan) -> str:
    """What makes a restore the same when it is asked for again: not how fast or with what parts."""
    exports = [e.manifest.export_arn for e in (source.base, *source.increments)]
    parts = [exports, wish.to, sorted(wish.keys), str(wish.merging), wish.newer_by]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _check_target(
    wish: RestoreWish,
    base: ArchivedExport,
    target: TableState | None,
    tables: Tables,
    checkpoint: Checkpoint | None,
) -> None:
    if target is None:
        return
    if target.arn == base.table.arn and not wish.into_source:
        raise Conflict(
            f"{wish.to} is the table that the exports are of",
            hint="Restore into a new one: --to ANOTHER-NAME. To write into the source itself: "
            "--into-source, and --merge because it has items",
        )
    if wish.marks and not (checkpoint and checkpoint.ours):
        raise Conflict(
            f"There is a table {wish.to}, and it is not known to be this run's own: it was left as "
            "it is",
            hint="If an interrupted run made it some seconds ago, run the same command again; else "
            "it is somebody else's",
        )
    if wish.merging or checkpoint is not None:
        return
    if tables.has_items(wish.to):
        raise Conflict(
            f"The table {wish.to} exists and has items",
            hint="Name a new one, or put in what it lacks with --merge",
        )


def _definition(
    wish: RestoreWish,
    source: RestorePlan,
    target: TableState | None,
    windows: Windows,
) -> tuple[Definition, str]:
    """By --key, else as noted; a table that is there already is what it is."""
    if target is not None:
        if wish.key and wish.key != target.key:
            raise ParameterInvalid(f"The table {target.name} has the key {target.key}")
        return definition_of_key(target.key), f"the table {target.name} itself"
    if wish.key:
        return definition_of_key(wish.key), "--key"
    exports = (source.base, *source.increments)
    return definition_for(windows.store, windows.prefix, exports, source.moment, windows.ion)


def _stored(store: ObjectStore, base: ArchivedExport) -> tuple[int | None, tuple[str, ...]]:
    """The bytes of the base's files, and what else lies among them."""
    known = {file.key for file in base.files}
    folders = {key.rpartition("/")[0] + "/" for key in known}
    if len(folders) != 1:
        return None, ()
    size, strays = 0, []
    for entry in store.entries(folders.pop()):
        if entry.key in known:
            size += entry.size
        else:
            strays.append(entry.key)
    return size, tuple(strays)


def _way(
    wish: RestoreWish,
    source: RestorePlan,
    base: ArchivedExport,
    definition: Definition,
    target: TableState | None,
    windows: Windows,
    stored: int | None,
    strays: tuple[str, ...],
    checkpoint: Checkpoint | None,
) -> tuple[Way, str]:
    if checkpoint is not None and checkpoint.files:
        return checkpoint.way, "it was begun so"
    folded = bool(source.increments)
    reasons = obstacles(
        Wanted(
            table_exists=target is not None,
            in_bucket=(windows.scratch_bucket if folded else windows.bucket) is not None,
            some_keys=bool(wish.keys),
            merging=wish.merging is not None,
            local_indexes=local_indexes(definition) if wish.parts.indexes else (),
            objects=len(base.files),
            stored_bytes=stored,
            region=windows.region,
            strays=() if folded else strays,
        )
    )
    if wish.way is Way.IMPORT and reasons:
        raise UsageError(f"It cannot be imported: {'; '.join(reasons)}", hint="Use --way write")
    if wish.way is not None:
        return wish.way, "it was asked for"
    if reasons:
        return Way.WRITE, reasons[0]
    return Way.IMPORT, "it needs no write capacity"


def _notes(
    wish: RestoreWish, source: RestorePlan, definition: Definition, target: TableState | None
) -> tuple[str, ...]:
    found = [str(seam) for seam in source.seams]
    if target is None:
        found += losses(definition)
    if wish.merging is Merging.MISSING and target is not None:
        found.append("Items that were deleted after that time come back")
    return tuple(found)
