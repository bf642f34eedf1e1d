"""A folder of exports as a person finds it: which export is whose, and where its files lie now.

Nothing here needs a catalog. Exports may have been copied to another bucket, prefix or disk, so
that the keys in their manifests are those of a place that is gone: a key is taken from where the
manifest *was found*, and only its tail from what the manifest says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from coldtable.core.manifest import DataFile, Manifest
from coldtable.errors import DamagedError, NotFound, UsageError
from coldtable.model import Table

SUMMARY = "manifest-summary.json"
STARTED = "_started"
# Every export lies below a folder of this name, whatever the prefix [REAL-G, DOC-OUT].
ROOT = "AWSDynamoDB"
EXPORT_ID = re.compile(r"\d{14}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedExport:
    """A completed export where it lies now.

    ``files`` are the data files with keys that can be read; they are empty until ``ops.archive``
    has read ``manifest-files.json`` too, because an archive may hold millions of them.
    """

    manifest: Manifest
    summary_key: str
    files: tuple[DataFile, ...] = ()

    @property
    def folder(self) -> str:
        """The folder of its manifests, without a slash at its end; empty at the very root."""
        return self.summary_key.rpartition("/")[0]

    @property
    def export_id(self) -> str:
        """The last part of the export's ARN."""
        return self.manifest.export_id

    @property
    def table(self) -> Table:
        """The source; its id tells a re-created table from the one it replaced."""
        arn = self.manifest.table_arn
        return Table(name=arn.rsplit("/", 1)[-1], arn=arn, table_id=self.manifest.table_id)

    @property
    def start(self) -> datetime:
        """Where its window begins; a full export's moment."""
        window, moment = self.manifest.window, self.manifest.moment
        return window.start if window else moment or _NEVER

    @property
    def stop(self) -> datetime:
        """The instant whose state it leads to: its window's end, or its moment."""
        window, moment = self.manifest.window, self.manifest.moment
        return window.stop if window else moment or _NEVER

    @property
    def is_full(self) -> bool:
        """Whether it holds the whole table, not the changes of a window."""
        return self.manifest.window is None

    @property
    def files_key(self) -> str:
        """Where its ``manifest-files.json`` lies now."""
        return located(self, self.manifest.files_key)

    def with_files(self, files: Iterable[DataFile]) -> ArchivedExport:
        """The same with its data files, whose keys are as ``manifest-files.json`` spells them."""
        found = tuple(replace(file, key=located(self, file.key)) for file in files)
        return replace(self, files=found)


_NEVER = datetime.min.replace(tzinfo=UTC)


def located(export: ArchivedExport, recorded: str) -> str:
    """Where an object lies now, of which the export's manifests recorded the key ``recorded``.

    A full export's files move with its own folder, ``<root>/AWSDynamoDB/<id>/``; those of an
    incremental one with the folder around it, which all increments share [REAL-G]. Where nothing
    was moved the key is the recorded one. Raises ``DamagedError`` for a key that leads out of the
    folder: a manifest must not make anybody read elsewhere.
    """
    return located_in(export.folder, export.export_id, export.manifest.files_key, recorded)


def located_in(folder: str, export_id: str, files_key: str, recorded: str) -> str:
    """The same for an export of which no more is known than its folder and its id, and under
    which key its ``manifest-files.json`` was written."""
    parts = recorded.split("/")
    if ROOT in parts:
        tail = parts[len(parts) - parts[::-1].index(ROOT) :]
    else:
        # Not AWS's layout: then at least the manifest's own folder is known.
        own = files_key.split("/")[:-1]
        tail = [export_id, *parts[len(own) :]] if parts[: len(own)] == own else []
    if len(tail) < 2 or any(part in ("", ".", "..") or "\0" in part for part in tail):
        raise DamagedError(
            f"{_joined(folder, [SUMMARY])}: the manifests name {recorded!r}, which is no object of "
            "this export",
            hint="The manifest was changed after DynamoDB wrote it, or is not an export's",
        )
    if tail[0] == export_id:
        return _joined(folder, tail[1:])
    if not folder:
        raise NotFound(
            f"The files of the export {export_id} lie beside its folder, in "
            f"{'/'.join(tail[:-1])}/, and the archive begins below that",
            hint=f"Name the folder that holds both {export_id}/ and {tail[0]}/",
        )
    return _joined(folder.rpartition("/")[0], tail)


def _joined(folder: str, tail: Sequence[str]) -> str:
    return "/".join([folder, *tail] if folder else tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An export's folder without a summary: in progress, or failed and left behind.

    ``started`` is read from the export's id, which begins with milliseconds [REAL-G].
    """

    folder: str
    export_id: str

    @property
    def started(self) -> datetime:
        """When DynamoDB began it."""
        return started_of(self.export_id) or _NEVER


def started_of(export_id: str) -> datetime | None:
    """When the export of this id began: it begins with milliseconds [REAL-G]."""
    if not EXPORT_ID.fullmatch(export_id):
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(export_id[:14]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An export whose summary is there and cannot be believed or read, and why.

    ``missing`` tells that something is not there, rather than wrong; ``archived`` that nobody can
    know, because S3 must bring it back first.
    """

    summary_key: str
    reason: str
    missing: bool = False
    archived: bool = False

    @property
    def folder(self) -> str:
        """The folder of its manifests, without a slash at its end."""
        return self.summary_key.rpartition("/")[0]

    @property
    def started(self) -> datetime | None:
        """When DynamoDB began it, as the folder's name tells; ``None`` where it has another."""
        return started_of(self.folder.rpartition("/")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Everything that was found below a prefix, in order of table and time.

    ``cold`` are the folders with objects that S3 keeps in another class than STANDARD.
    """

    exports: tuple[ArchivedExport, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    cold: frozenset[str] = frozenset()


def in_order(exports: Iterable[ArchivedExport]) -> tuple[ArchivedExport, ...]:
    """By table, then by time; a full export comes before the window that begins at its moment."""
    return tuple(
        sorted(
            exports,
            key=lambda e: (e.table.arn, e.start, e.stop, e.export_id, e.summary_key),
        )
    )


def by_table(exports: Iterable[ArchivedExport]) -> dict[Table, tuple[ArchivedExport, ...]]:
    """The exports of each table, in order; a re-created table is another one."""
    found: dict[Table, list[ArchivedExport]] = {}
    for export in in_order(exports):
        found.setdefault(export.table, []).append(export)
    return {table: tuple(group) for table, group in found.items()}


def of_table(exports: Iterable[ArchivedExport], wanted: str) -> tuple[ArchivedExport, ...]:
    """The exports of the table of this name or ARN, of each table that ever had it.

    Raises ``NotFound`` naming the tables that are there, and ``UsageError`` if the name means
    tables of several accounts or regions.
    """
    group = in_order(exports)
    found = tuple(e for e in group if wanted in (e.table.arn, e.table.name))
    arns = sorted({e.table.arn for e in found})
    if not found:
        names = sorted({e.table.name for e in group})
        raise NotFound(
            f"The archive holds no export of a table {wanted}",
            hint=f"It holds: {', '.join(names)}" if names else "It holds no export at all",
        )
    if len(arns) > 1:
        raise UsageError(
            f"The archive holds several tables named {wanted}",
            hint="Name one by its ARN: " + ", ".join(arns),
        )
    return found
