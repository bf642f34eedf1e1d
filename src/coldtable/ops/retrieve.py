"""What a plan reads and S3 has archived: looked at before anything is read, asked for, awaited.

Only what a plan reads is looked at, and only folders in which the listing has shown another class
than STANDARD: an archive that has none costs nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from coldtable.core.archive import Archive, ArchivedExport, Unreadable
from coldtable.core.records import ROOT
from coldtable.core.request import exact_iso
from coldtable.core.retrieval import Asked, Need, need_of, offer_of, refusal
from coldtable.errors import DamagedError, NotCovered, NotFound
from coldtable.model_restore import Stored
from coldtable.ops.archive import load_files
from coldtable.ops.witness import Witness
from coldtable.ports import ObjectStore
from coldtable.ports_restore import Retriever

# Waiting for S3, most of it; it takes a thousand requests for retrieval a second [DOC: S3,
# archival storage].
_AT_A_TIME = 16
_AT_ONCE = 1024
_INTELLIGENT = "INTELLIGENT_TIERING"


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """An archive in front of its plan: what of it can be read now.

    ``retriever`` is ``None`` for a folder on a disk, which archives nothing; ``witness`` is who
    knows of filters, if anybody may be asked, and ``say`` is told if he is silent.
    """

    store: ObjectStore
    archive: Archive
    retriever: Retriever | None = None
    witness: Witness | None = None
    say: Callable[[str], None] = lambda _: None

    def admit(self, exports: Sequence[ArchivedExport]) -> Need:
        """What S3 keeps apart of what these exports are read from: all of it can be read.

        Raises ``Archived`` with what cannot. Lists of files come first, because only they tell the
        files of an increment; a full export's lie in its own folder. Raises ``DamagedError`` if one
        of them was filtered.
        """
        for note in self.witness.refuse(exports).notes if self.witness else ():
            self.say(note)
        if self.retriever is None or not self.archive.cold:
            return Need()
        lists = need_of(
            self._seen(key for export in exports for key in _list_keys(export)), of="lists of files"
        )
        if not lists.readable:
            raise refusal(self._with_their_data(lists, exports))
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            loaded = threads.map(self._loaded, exports)
            keys = [file.key for export in loaded for file in export.files]
        need = need_of(self._seen(keys))
        if not need.readable:
            raise refusal(need)
        return need

    def choose(
        self, plan: Callable[[], T], at: datetime | None, stop: Callable[[T], datetime]
    ) -> T:
        """The plan, unless it may depend on a manifest that cannot be read.

        Of such a one nobody knows the table or the time, but that its export began no earlier than
        what it holds. If S3 has archived it: raises ``Archived`` if without it nothing can be
        planned, or if the newest is wanted (``at`` is ``None``) and it may be newer than where the
        plan ends (``stop``). If it is damaged or gone: ``DamagedError``, if the newest is wanted.
        """
        shut = [found for found in self.archive.unreadable if found.archived]
        broken = [found for found in self.archive.unreadable if not found.archived]
        try:
            found = plan()
        except NotCovered as error:
            if shut:
                raise refusal(self._summaries()) from None
            if at is None and broken:
                raise _cannot_know(broken, error.message) from None
            raise
        except NotFound:
            if shut:
                raise refusal(self._summaries()) from None
            raise
        if at is not None:
            return found
        if any(_may_be_after(one, stop(found)) for one in shut):
            raise refusal(self._summaries())
        if newer := [one for one in broken if _may_be_after(one, stop(found))]:
            moment = exact_iso(stop(found))
            raise _cannot_know(newer, f"Whether there is anything newer than {moment} is not known")
        return found

    def _summaries(self) -> Need:
        folders = {f.folder for f in self.archive.unreadable if f.archived}
        found = (
            one
            for folder in sorted(folders)
            for one in self._listed(f"{folder}/manifest-", lambda _: True)
        )
        return need_of(found, of="manifests", more=True)

    def _loaded(self, export: ArchivedExport) -> ArchivedExport:
        return export if export.files else load_files(self.store, export)

    def _with_their_data(self, lists: Need, exports: Sequence[ArchivedExport]) -> Need:
        """The lists, with all the data of full exports: then it is waited for once."""
        closed = {found.key for found in (*lists.archived, *lists.coming)}
        shut = [e for e in exports if any(key in closed for key in _list_keys(e))]
        full = [e for e in shut if e.is_full]
        found = [*lists.archived, *lists.coming, *lists.copied]
        for export in full:
            folder = export.files_key.rpartition("/")[0]
            found += self._listed(f"{folder}/data/", lambda _: True)
        more = len(full) < len(shut) or len(exports) > len(shut)
        return need_of(found, of="objects", more=more)

    def _seen(self, keys: Iterable[str]) -> Iterator[Stored]:
        """Those of the objects that lie in a folder with another class than STANDARD."""
        wanted: dict[str, set[str]] = {}
        for key in keys:
            folder = key.rpartition("/")[0]
            if folder in self.archive.cold:
                wanted.setdefault(folder, set()).add(key)
        for folder, names in wanted.items():
            shared = _common(names)
            yield from self._listed(
                shared if len(shared) > len(folder) else folder, names.__contains__
            )

    def _listed(self, prefix: str, wanted: Callable[[str], bool]) -> Iterator[Stored]:
        """The wanted objects below the prefix; what a listing does not tell is looked up."""
        if self.retriever is None:
            return
        found = (one for one in self.retriever.objects(prefix) if wanted(one.key))
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            while some := list(islice(found, _AT_ONCE)):
                yield from threads.map(self._with_tier, some)

    def _with_tier(self, found: Stored) -> Stored:
        if self.retriever is None or found.storage != _INTELLIGENT:
            return found
        return self.retriever.look(found.key)


def _may_be_after(one: Unreadable, moment: datetime) -> bool:
    return one.started is None or one.started > moment


def _cannot_know(broken: Sequence[Unreadable], what: str) -> DamagedError:
    """Whoever wants the newest state must not get an older one because a manifest is spoilt."""
    more = f", and {len(broken) - 1} more cannot be read" if broken[1:] else ""
    return DamagedError(
        f"{what}: {broken[0].summary_key} cannot be read: {broken[0].reason}{more}",
        hint="To do without, name an instant with --at. To see all that is damaged: coldtable "
        "verify",
    )


def _list_keys(export: ArchivedExport) -> tuple[str, str]:
    """The file list and its MD5: neither can be done without."""
    return export.files_key, export.files_key.removesuffix(".json") + ".md5"


def _common(names: Iterable[str]) -> str:
    """What all of the names begin with."""
    low, high = min(names), max(names)
    same = 0
    while same < min(len(low), len(high)) and low[same] == high[same]:
        same += 1
    return low[:same]


# What was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Where it is noted that copies were asked for: S3 does not say since when it makes them."""

    store: ObjectStore
    prefix: str
    table: str

    @property
    def key(self) -> str:
        """One note a table."""
        return f"{self.prefix}{ROOT}/retrieval/{self.table.rpartition('/')[2]}.json"

    def ready(self) -> datetime | None:
        """When all that was asked for should be there; ``None`` if nobody noted it."""
        try:
            noted = json.loads(b"".join(self.store.read(self.key)))
            return datetime.fromisoformat(noted["ready"])
        except (NotFound, ValueError, KeyError, TypeError):
            return None

    def write(self, need: Need, asked: Asked, now: datetime) -> None:
        """Note what is asked for now."""
        offer = offer_of(need, asked)
        if offer is None:
            return
        before = self.ready()
        ready = now.replace(microsecond=0) + offer.latest
        if need.coming and before and before > ready:
            ready = before
        noted = {
            "schema": "coldtable.retrieval/1",
            "asked": now.isoformat(),
            "ready": ready.isoformat(),
            "tier": str(asked.tier),
            "days": asked.days,
            "objects": len(need.archived),
        }
        self.store.put(self.key, json.dumps(noted).encode() + b"\n")


def ask(
    retriever: Retriever, wanted: Sequence[Stored], asked: Asked, tell: Callable[[int], None]
) -> None:
    """Ask for the copies of all of them, or that those which are there stay so long.

    Broken off and begun again it asks for the rest: what was asked for is in the listing then.
    """
    left, done = iter(wanted), 0

    def one(found: Stored) -> None:
        retriever.retrieve(found, asked.tier.name_at_aws, asked.days)

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        while some := list(islice(left, _AT_ONCE)):
            list(threads.map(one, some))
            done += len(some)
            tell(done)
