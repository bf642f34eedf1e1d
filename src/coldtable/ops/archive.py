"""Find the exports of an archive by looking at its objects: no catalog, and no AWS API but S3."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from coldtable.core.archive import (
    EXPORT_ID,
    SUMMARY,
    Archive,
    ArchivedExport,
    Unfinished,
    Unreadable,
    in_order,
)
from coldtable.core.manifest import check_sum, parse_files, parse_summary
from coldtable.errors import Archived, DamagedError, NotFound, ObjectMissing
from coldtable.ops.proof import read_with_md5
from coldtable.ports import STANDARD, ObjectStore

# Two small reads for each export, most of which is waiting for S3.
_AT_A_TIME = 16


def find_exports(store: ObjectStore, prefix: str = "") -> Archive:
    """Every export below ``prefix``, of any table, wherever it was copied to; without its files.

    Reads each ``manifest-summary.json`` and holds it against its MD5. One that is damaged keeps
    nobody from the others; an export without a summary is told as unfinished.
    """
    summaries, folders, cold = [], dict[str, str](), set[str]()
    for entry in store.entries(prefix):
        folder, _, name = entry.key.rpartition("/")
        if entry.storage != STANDARD:
            cold.add(folder)
        if name == SUMMARY:
            summaries.append(entry.key)
        for found, export_id in _export_folders(folder):
            folders[found] = export_id
    for key in summaries:
        folders.pop(key.rpartition("/")[0], None)
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        read = list(threads.map(lambda key: read_summary(store, key), summaries))
    return Archive(
        exports=in_order(e for e in read if isinstance(e, ArchivedExport)),
        unreadable=tuple(e for e in read if isinstance(e, Unreadable)),
        unfinished=tuple(
            Unfinished(folder=folder, export_id=folders[folder]) for folder in sorted(folders)
        ),
        cold=frozenset(cold),
    )


def load_files(store: ObjectStore, export: ArchivedExport) -> ArchivedExport:
    """The export with its data files, whose keys are those where they lie now.

    Reads ``manifest-files.json`` and holds it against its MD5 and against the summary's count.
    Raises ``DamagedError``, and ``ObjectMissing`` if it, or its MD5, is not there.
    """
    key = export.files_key
    try:
        recorded = parse_files(key, read_with_md5(key, store))
    except NotFound as error:
        raise ObjectMissing(
            f"{error.message}, and the export's summary names it",
            hint="It was removed, or never copied",
        ) from None
    check_sum(replace(export.manifest, files=recorded))
    return export.with_files(recorded)


def read_summary(store: ObjectStore, key: str) -> ArchivedExport | Unreadable:
    """The export whose summary has this key, without its files, or why it cannot be believed."""
    try:
        found = ArchivedExport(
            manifest=parse_summary(key, read_with_md5(key, store)), summary_key=key
        )
        found.files_key  # noqa: B018  # a path that leads out of the archive is damage, too
    except DamagedError as error:
        return Unreadable(summary_key=key, reason=error.message)
    except NotFound as error:
        return Unreadable(summary_key=key, reason=error.message, missing=True)
    except Archived as error:
        return Unreadable(summary_key=key, reason=error.reason, archived=True)
    return found


def _export_folders(folder: str) -> Iterator[tuple[str, str]]:
    """The folders on the way whose name is an export's id: ``…/AWSDynamoDB/<id>``."""
    parts = folder.split("/")
    for place, part in enumerate(parts, 1):
        if EXPORT_ID.fullmatch(part):
            yield "/".join(parts[:place]), part
