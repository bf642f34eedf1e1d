"""Write the table of a restore point as a new full export, in AWS's own layout.

The summary comes last: without it nobody takes the folder for an export. Names follow from the
exports that it is made of, so that a run that was broken off is repeated over its own files.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import coldtable
from coldtable.core.archive import ROOT, SUMMARY, ArchivedExport
from coldtable.core.manifest import DataFile, Manifest, md5_of, parse_summary
from coldtable.core.manifest_text import data_name, files_text, made_id, summary_text
from coldtable.core.restore_point import RestorePlan, plan_restore
from coldtable.errors import Conflict, DamagedError, NotCovered, NotFound, NotInstalled
from coldtable.model import Window
from coldtable.model_restore import KeySchema
from coldtable.ops.archive import load_files
from coldtable.ops.definitions import recorded_definition
from coldtable.ops.fold_limits import Limits
from coldtable.ops.proof import read_with_md5
from coldtable.ports import ObjectStore

try:
    from coldtable.ops.fold import Block, Fold, Part
    from coldtable.ops.fold_gzip import HEADER, Deflated, Trailer, deflate
except ImportError as missing:
    raise NotInstalled(
        f"Exports cannot be folded: the package {missing.name} is missing",
        hint="Install it: pip install 'coldtable[archive]'",
    ) from None

# A file of the result ends when so much of it was compressed: a few million items at the most,
# as ImportTable likes it [DOC-IMP].
_FILE_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an export is written: ``prefix`` is AWS's S3Prefix, empty for none.

    ``bucket`` is the store's name, for the manifest; ``None`` if it is no bucket.
    """

    store: ObjectStore
    prefix: str = ""
    bucket: str | None = None

    def folder(self, export_id: str) -> str:
        """The folder of an export, without a slash at its end."""
        return f"{self.prefix}/{ROOT}/{export_id}".lstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Materialized:
    """The report: the export that is there now. ``new`` is false if it had been before."""

    manifest: Manifest
    folder: str
    new: bool
    stored_bytes: int = 0
    json_bytes: int = 0


def plan_materialize(
    exports: Sequence[ArchivedExport], at: datetime | None, *, allow_gap: bool = False
) -> RestorePlan:
    """What to read (``plan_restore``): from DynamoDB's own exports, if they are enough.

    So that an export which an earlier run has written into the archive is not copied.
    """
    own = [export for export in exports if not export.manifest.made_from]
    try:
        return plan_restore(own, at, allow_gap=allow_gap)
    except NotCovered:
        return plan_restore(exports, at, allow_gap=allow_gap)


def is_made(plan: RestorePlan, to: Destination) -> bool:
    """Whether the export is there already, so that nothing must be read for it."""
    return _finished(to, to.folder(made_id(plan))) is not None


def materialize(
    plan: RestorePlan,
    store: ObjectStore,
    to: Destination,
    *,
    now: Callable[[], datetime],
    bounds: Limits | None = None,
    key: KeySchema | None = None,
    archive: str | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Materialized:
    """Write what ``plan`` comes to, from the archive in ``store``.

    ``archive`` is the archive's prefix there: what its catalog noted of the table's definition goes
    along, so that the new export can be restored without it. ``tell`` hears how many lines were
    read, of how many. Raises ``DamagedError`` for exports that are not as their manifests say: then
    what was written is removed.
    """
    export_id = made_id(plan)
    folder = to.folder(export_id)
    if found := _finished(to, folder):
        return Materialized(manifest=found, folder=folder, new=False)
    _unfinish(to.store, folder)
    began = now()
    base = load_files(store, plan.base)
    increments = [load_files(store, export) for export in plan.increments]
    to.store.put(f"{folder}/_started", b"")
    done = 0

    def heard(lines: int) -> None:
        nonlocal done
        done += lines
        tell(done, fold.lines)

    fold = Fold(store, base, increments, key=key, bounds=bounds, tell=heard)
    writer = _Writer(fold, to.store, folder, export_id)
    try:
        with fold:
            written = [file for part in fold.each(fold.parts, writer.write) for file in part]
    except DamagedError as error:
        # Nobody can go on with it: half an export would only lie there and cost.
        _take_back(to.store, [f"{folder}/_started", *writer.keys], error)
        raise
    written.sort(key=lambda file: file.place)
    files = tuple(file.data for file in written)
    _check_alone(to.store, folder, files)
    manifest = _manifest(plan, base, files, to, folder)
    manifest = replace(manifest, started=began, ended=now())
    if archive is not None:
        _take_along(plan, store, archive, to)
    _finish(to.store, folder, manifest)
    return Materialized(
        manifest=manifest,
        folder=folder,
        new=True,
        stored_bytes=sum(file.stored for file in written),
        json_bytes=sum(file.size for file in written),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A data file that was written; ``place`` orders them, ``size`` is before compression."""

    place: tuple[int, int]
    data: DataFile
    stored: int
    size: int


class _Writer:
    """Writes the parts of a fold as data files. Safe to use from several threads."""

    def __init__(self, fold: Fold, store: ObjectStore, folder: str, export_id: str) -> None:
        self._fold = fold
        self._store = store
        self._folder = folder
        self._export_id = export_id
        self.keys: list[str] = []

    def write(self, part: Part) -> list[_Written]:
        """One part, in as many files as it takes: at least one for a file of the base."""
        feed = _Feed(self._fold.blocks(part, deflate))
        found: list[_Written] = []
        while feed.more() or (part.is_base and not found):
            place = (part.place, len(found))
            key = f"{self._folder}/data/{data_name(self._export_id, *place)}"
            file = _Gzip()
            self.keys.append(key)
            etag = self._store.put_stream(key, file.pieces(feed))
            data = DataFile(key=key, items=file.items, md5=file.md5, etag=etag)
            found.append(
                _Written(place=place, data=data, stored=file.stored, size=file.trailer.size)
            )
        return found


class _Feed:
    """Blocks with a look ahead; those without any line are left out."""

    def __init__(self, blocks: Iterator[Block[Deflated]]) -> None:
        self._blocks = blocks
        self._next: Block[Deflated] | None = None

    def more(self) -> bool:
        """Whether there is another block."""
        while self._next is None:
            found = next(self._blocks, None)
            if found is None:
                return False
            self._next = found if found.items else None
        return True

    def take(self) -> Block[Deflated] | None:
        """The next block; ``None`` if there is none."""
        self.more()
        found, self._next = self._next, None
        return found


class _Gzip:
    """One data file: a gzip member, and what the manifest says of it."""

    def __init__(self) -> None:
        self.items = 0
        self.stored = 0
        self.trailer = Trailer()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        """Base64 of the MD5 of all that was given out."""
        return base64.b64encode(self._md5.digest()).decode()

    def pieces(self, feed: _Feed) -> Iterator[bytes]:
        """The file's bytes, until it is large enough or there is no more."""
        yield self._noted(HEADER)
        while self.trailer.size < _FILE_BYTES and (block := feed.take()):
            self.items += block.items
            self.trailer.add(block.made)
            yield self._noted(block.made.body)
        yield self._noted(self.trailer.bytes())

    def _noted(self, piece: bytes) -> bytes:
        self._md5.update(piece)
        self.stored += len(piece)
        return piece


def _manifest(
    plan: RestorePlan,
    base: ArchivedExport,
    files: tuple[DataFile, ...],
    to: Destination,
    folder: str,
) -> Manifest:
    table = base.table
    return Manifest(
        export_arn=f"{table.arn}/export/{folder.rpartition('/')[2]}",
        table_arn=table.arn,
        table_id=table.table_id,
        moment=plan.moment,
        items=sum(file.items for file in files),
        output_format="DYNAMODB_JSON",
        bucket=to.bucket,
        prefix=to.prefix or None,
        # Whatever the bucket's own encryption is.
        algorithm=None,
        files_key=f"{folder}/manifest-files.json",
        files=files,
        made_from=tuple(e.manifest.export_arn for e in (plan.base, *plan.increments)),
        seams=tuple(Window(start=seam.end, stop=seam.start) for seam in plan.seams),
    )


def _take_along(plan: RestorePlan, store: ObjectStore, archive: str, to: Destination) -> None:
    """Copy the record of the table's definition to where the new export is looked for."""
    noted = recorded_definition(store, archive, plan.base.table, plan.moment)
    if noted is None:
        return
    key = noted[1]
    name = f"{to.prefix}/{key.removeprefix(archive)}".lstrip("/")
    to.store.put_new(name, b"".join(store.read(key)))


def _finish(store: ObjectStore, folder: str, manifest: Manifest) -> None:
    """Both manifests with their MD5s, in AWS's order [GCP]: the summary's MD5 is the very last."""
    for name, body in (
        ("manifest-files", files_text(manifest.files)),
        ("manifest-summary", summary_text(manifest, coldtable.__version__)),
    ):
        store.put(f"{folder}/{name}.json", body)
        store.put(f"{folder}/{name}.md5", md5_of(body).encode())


def _finished(to: Destination, folder: str) -> Manifest | None:
    """The export if an earlier run has finished it and all of it is there."""
    key = f"{folder}/{SUMMARY}"
    try:
        found = ArchivedExport(
            manifest=parse_summary(key, read_with_md5(key, to.store)), summary_key=key
        )
        files = load_files(to.store, found).files
    except (NotFound, DamagedError):
        return None
    there = set(to.store.keys(f"{folder}/data/"))
    if there != {file.key for file in files}:
        return None
    return replace(found.manifest, files=files)


def _take_back(store: ObjectStore, keys: Sequence[str], error: DamagedError) -> None:
    """Remove what was written; what cannot be is told with the error."""
    refused = store.remove_many(keys)
    for key, why in list(refused.items())[:1]:
        more = f" (and {len(refused) - 1} more objects)" if refused.keys() - {key} else ""
        error.hint = f"{error.hint}\n{key}{more} is left and can be removed: {why.message}".strip()


def _unfinish(store: ObjectStore, folder: str) -> None:
    """Make sure that nobody takes an earlier summary for that of the files that are written now."""
    if any(store.keys(f"{folder}/manifest-summary.")):
        store.put(f"{folder}/manifest-summary.md5", b"")


def _check_alone(store: ObjectStore, folder: str, files: tuple[DataFile, ...]) -> None:
    """Nothing else may lie among the data: ImportTable would take it for items."""
    strangers = sorted(set(store.keys(f"{folder}/data/")) - {file.key for file in files})
    if strangers:
        raise Conflict(
            f"{len(strangers)} objects in {folder}/data/ are not of this export: {strangers[0]}",
            hint="Remove them, or materialize to another place",
        )
