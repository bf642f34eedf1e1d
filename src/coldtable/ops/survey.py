"""The first part of verifying: every manifest, and whether what they name is there.

Nothing is read but manifests and listings. What is kept in memory does not grow with the archive
but for 16 bytes an object and one small record an export.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice

from coldtable.core.archive import ROOT, Archive, ArchivedExport
from coldtable.core.verification import Fault, Problem, Verdict, judge_unfinished
from coldtable.errors import Archived, DamagedError, ObjectMissing
from coldtable.ops.archive import load_files
from coldtable.ops.inventory import Inventory
from coldtable.ports import ObjectStore

_AT_A_TIME = 16
# So many file lists are remembered; those of a larger archive are read twice.
_MOST_FILES = 200_000
_MOST_ORPHANS = 1000
_OWN = {
    "_started",
    "manifest-files.json",
    "manifest-files.md5",
    "manifest-summary.json",
    "manifest-summary.md5",
}


@dataclass(slots=True)
class Survey:
    """What the manifests and the listing say. ``selected`` are the exports that were asked for."""

    store: ObjectStore
    prefix: str
    archive: Archive
    selected: Sequence[ArchivedExport]
    now: datetime
    inventory: Inventory = field(default_factory=Inventory)
    broken: dict[str, Problem] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)
    orphan_count: int = 0
    _lists: dict[str, ArchivedExport] = field(default_factory=dict)
    _listed: int = 0

    def carry_out(self) -> None:
        """Read every file list, then list every object."""
        roots = {_root(export.folder) for export in self.selected}
        around = [e for e in self.archive.exports if _root(e.folder) in roots]
        chosen = {export.summary_key for export in self.selected}
        for export, loaded in self._load_all(around):
            if isinstance(loaded, Problem):
                self.broken[export.summary_key] = loaded
                continue
            for file in loaded.files:
                self.inventory.name(file.key)
            if export.summary_key in chosen and self._listed < _MOST_FILES:
                self._lists[export.summary_key] = loaded
                self._listed += len(loaded.files)
        self.inventory.freeze()
        self._look(around, roots)

    def files(self, export: ArchivedExport) -> ArchivedExport:
        """The export with its files; it was read without an error before."""
        return self._lists.get(export.summary_key) or load_files(self.store, export)

    def is_archived(self, export: ArchivedExport) -> bool:
        """Whether S3 must bring its list of files back before anybody can tell what it is."""
        problem = self.broken.get(export.summary_key)
        return problem is not None and problem.fault is Fault.ARCHIVED

    def _load_all(
        self, exports: Iterable[ArchivedExport]
    ) -> Iterator[tuple[ArchivedExport, ArchivedExport | Problem]]:
        left = iter(exports)
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            # Some at a time: the lists of all exports together may be more than fits.
            while some := list(islice(left, 16 * _AT_A_TIME)):
                load = partial(load_list, self.store)
                yield from zip(some, threads.map(load, some), strict=True)

    def _look(self, around: Sequence[ArchivedExport], roots: set[str]) -> None:
        """Which objects are there; those that nobody names are orphans."""
        own = {export.folder for export in around}
        searched = own | {_data(root) for root in roots} | {r for r in roots if _is_root(r)}
        unread = {found.summary_key.rpartition("/")[0] for found in self.archive.unreadable}
        unread |= {key.rpartition("/")[0] for key in self.broken}
        running = {
            found.folder
            for found in self.archive.unfinished
            if judge_unfinished(found, self.now).verdict is Verdict.IN_PROGRESS
        }
        # In a folder that increments share, somebody's data is no orphan while his manifest has
        # not been written or could not be read.
        left = unread | {found.folder for found in self.archive.unfinished}
        left |= {_data(_root(folder)) for folder in unread | running}
        for entry in self.store.entries(self.prefix):
            if self.inventory.see(entry.key, entry.size):
                continue
            folder, _, name = entry.key.rpartition("/")
            around_it = _above(folder)
            if (folder in own and name in _OWN) or around_it & left or not around_it & searched:
                continue
            self.orphan_count += 1
            if len(self.orphans) < _MOST_ORPHANS:
                self.orphans.append(entry.key)


def _root(folder: str) -> str:
    """The folder around an export's own, in which increments share ``data/``."""
    return folder.rpartition("/")[0]


def _is_root(folder: str) -> bool:
    return folder.rpartition("/")[2] == ROOT


def _data(root: str) -> str:
    return f"{root}/data" if root else "data"


def _above(folder: str) -> set[str]:
    """The folder and those around it, up to ``AWSDynamoDB``."""
    found = {folder}
    while "/" in folder and not _is_root(folder):
        folder = _root(folder)
        found.add(folder)
    return found


def load_list(store: ObjectStore, export: ArchivedExport) -> ArchivedExport | Problem:
    """The export with its data files, or what is wrong with the list of them."""
    try:
        loaded = load_files(store, export)
    except ObjectMissing as error:
        return _problem(export, Fault.MISSING, error.message)
    except DamagedError as error:
        return _problem(export, Fault.DAMAGED, error.message)
    except Archived as error:
        return _problem(export, Fault.ARCHIVED, error.reason)
    if len({file.key for file in loaded.files}) != len(loaded.files):
        return _problem(export, Fault.DAMAGED, "the manifest names a data file twice")
    return loaded


def _problem(export: ArchivedExport, fault: Fault, reason: str) -> Problem:
    return Problem(key=export.files_key, fault=fault, reason=reason)
