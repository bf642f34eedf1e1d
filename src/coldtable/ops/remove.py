"""Remove the objects of one export, so that whatever is left at any moment does not look whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from coldtable.core.archive import EXPORT_ID, SUMMARY, located_in
from coldtable.core.manifest import parse_files
from coldtable.errors import Archived, ColdtableError, DamagedError, NotFound
from coldtable.ops.proof import read_with_md5
from coldtable.ports import Lock, ObjectStore, Vault

_FILES, _FILES_MD5 = "manifest-files.json", "manifest-files.md5"
_AT_A_TIME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An object that could not be removed, and why."""

    key: str
    error: ColdtableError


def remove_export(
    store: ObjectStore, folder: str, export_id: str, *, trusted: bool = True
) -> Refused | None:
    """Remove an export: its summary first, then its data, and what lists the data last.

    So whoever looks meanwhile finds an export without a summary, and a run that was interrupted
    can be done again. Stops at the first object that cannot be removed. For ``trusted`` see
    ``data_keys``.
    """
    try:
        data = data_keys(store, folder, export_id, trusted=trusted)
    except Archived as error:
        return Refused(key=f"{folder}/{_FILES}", error=error)
    if refused := _remove(store, [f"{folder}/{SUMMARY}"]) or _remove(store, data):
        return refused
    last = (f"{folder}/{_FILES}", f"{folder}/{_FILES_MD5}")
    rest = (key for key in store.keys(f"{folder}/") if key not in last)
    return _remove(store, rest) or _remove(store, last[:1]) or _remove(store, last[1:])


def data_keys(
    store: ObjectStore, folder: str, export_id: str, *, trusted: bool = True
) -> list[str]:
    """The data files that the manifest lists, where they lie now.

    A manifest that is gone or damaged, or that is not ``trusted``, might name another export's:
    then it is what lies beside the folder, if no other export can have put it there. So it is of
    one that S3 has archived; ``Archived`` is raised where that does not tell.
    """
    files_key = f"{folder}/{_FILES}"
    if trusted:
        try:
            files = parse_files(files_key, read_with_md5(files_key, store))
            return [located_in(folder, export_id, files_key, file.key) for file in files]
        except (NotFound, DamagedError):
            pass
        except Archived:
            if own := list(store.keys(f"{folder}/data/")):
                return own
            if not _is_alone(store, folder, export_id):
                raise
    return beside(store, folder, export_id)


def beside(store: ObjectStore, folder: str, export_id: str) -> list[str]:
    """The data that increments keep beside their folders [REAL-G], if there is only this one."""
    if not _is_alone(store, folder, export_id):
        return []
    return list(store.keys(f"{folder.rpartition('/')[0]}/data/"))


def _is_alone(store: ObjectStore, folder: str, export_id: str) -> bool:
    root = folder.rpartition("/")[0]
    names = {key.removeprefix(f"{root}/").partition("/")[0] for key in store.keys(f"{root}/")}
    return not any(EXPORT_ID.fullmatch(name) for name in names - {export_id})


def find_lock(
    vault: Vault,
    store: ObjectStore,
    folder: str,
    export_id: str,
    now: datetime,
    *,
    trusted: bool = True,
) -> Lock | None:
    """A lock that any of the export's objects is under; of several the one that lasts longest."""
    keys = {*store.keys(f"{folder}/"), *data_keys(store, folder, export_id, trusted=trusted)}
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        found = [lock for lock in threads.map(vault.lock, sorted(keys)) if lock]
    # A retention that is over is told for ever.
    lasting = (lock for lock in found if lock.legal_hold or (lock.until and lock.until > now))
    return max(lasting, key=_weight, default=None)


def lock_text(lock: Lock) -> str:
    """Why S3 would not let go of it, in words."""
    parts = ["an S3 legal hold is on it"] if lock.legal_hold else []
    if lock.until:
        parts.append(f"S3 Object Lock ({lock.mode}) until {lock.until:%Y-%m-%dT%H:%M:%SZ}")
    return "; ".join(parts)


def _weight(lock: Lock) -> tuple[bool, float]:
    return lock.legal_hold, lock.until.timestamp() if lock.until else 0.0


def _remove(store: ObjectStore, keys: Iterable[str]) -> Refused | None:
    return next(iter(_refusals(store, keys)), None)


def _refusals(store: ObjectStore, keys: Iterable[str]) -> Iterator[Refused]:
    for key, error in store.remove_many(keys).items():
        yield Refused(key=key, error=error)
