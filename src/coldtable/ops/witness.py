"""Whether an export is the whole table: DynamoDB knows, for 90 days, and no manifest tells.

An export may have a FilterSpecification, which leaves items out [MODEL, DOC-FILT]. Its bytes are as
sound as any, and nothing can be restored from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from coldtable.core.archive import ArchivedExport, by_table, started_of
from coldtable.core.ledger import proven_exports
from coldtable.core.records import Home, stamp
from coldtable.errors import ColdtableError, DamagedError, NotFound
from coldtable.model import Export
from coldtable.ops.catalog import Catalog

# DynamoDB tells of an export for so long [MODEL].
_REMEMBERED = timedelta(days=90)
_AT_A_TIME = 16
FILTERED = "it was exported with a FilterSpecification: it is no copy of its table"


Describe = Callable[[str], Export]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What DynamoDB says: the ids of exports that were filtered. ``silent`` is why it could not be
    asked about all of them."""

    filtered: frozenset[str] = frozenset()
    silent: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not known, in words."""
        if not self.silent:
            return ()
        return (f"Whether exports were filtered is not known: {self.silent}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """DynamoDB, where it may be asked: ``connect`` gives DescribeExport, by an export's ARN."""

    connect: Callable[[], Describe]
    now: Callable[[], datetime]

    def ask(self, exports: Iterable[ArchivedExport], catalog: Catalog | None = None) -> Told:
        """Ask about the exports of the last 90 days, but for those that coldtable has made, or that
        ``catalog`` has noted as proven. One that DynamoDB does not know tells nothing."""
        asked = [export for export in exports if self._is_young(export)]
        if asked and catalog:
            known = self._proven(catalog, asked)
            asked = [export for export in asked if export.export_id not in known]
        if not asked:
            return Told()
        try:
            questions = _Questions(self.connect())
        except ColdtableError as error:
            return Told(silent=error.message)
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            found = list(threads.map(questions.ask, asked))
        filtered = (e.export_id for e, told in zip(asked, found, strict=True) if told)
        return Told(filtered=frozenset(filtered), silent=questions.silent)

    def refuse(self, exports: Iterable[ArchivedExport]) -> Told:
        """Raise ``DamagedError`` if one of them was filtered; else what was told."""
        exports = tuple(exports)
        told = self.ask(exports)
        for export in exports:
            if export.export_id in told.filtered:
                raise DamagedError(
                    f"{export.summary_key}: {FILTERED}",
                    hint="Name an instant that does not need it with --at, or move it out of the "
                    "archive",
                )
        return told

    def _is_young(self, export: ArchivedExport) -> bool:
        began = started_of(export.export_id)
        return (
            began is not None and self.now() - began < _REMEMBERED and not export.manifest.made_from
        )

    def _proven(self, catalog: Catalog, exports: Iterable[ArchivedExport]) -> frozenset[str]:
        """The ids of those that the catalog has noted as proven lately: whoever did has asked. A
        listing or two for each table."""
        found: set[str] = set()
        since = stamp((self.now() - 2 * _REMEMBERED).replace(microsecond=0))
        for table in by_table(exports):
            home, store = Home.of(table), catalog.store
            log = home.log(table.table_id)
            keys = list(store.keys(home.base(table.table_id)))
            keys += (entry.key for entry in store.entries(log, after=log + since))
            found |= proven_exports(key.rpartition("/")[2] for key in keys)
        return frozenset(found)


class _Questions:
    """DescribeExport, until it fails. Safe to use from several threads."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self.silent = ""

    def ask(self, export: ArchivedExport) -> bool:
        """Whether it is known to be filtered."""
        if self.silent:
            return False
        try:
            return self._describe(export.manifest.export_arn).filtered
        except NotFound:
            return False
        except ColdtableError as error:
            # Without the right, or of another region: so it is with all of them.
            self.silent = error.message
            return False
