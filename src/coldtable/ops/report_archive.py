"""Report on any folder of exports: what its manifests say, and its catalog where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coldtable.core.archive import Archive, ArchivedExport, by_table, of_table
from coldtable.core.records import Home
from coldtable.core.report import NOTED, TableEvidence
from coldtable.core.request import exact_iso
from coldtable.core.restore_point import chains
from coldtable.core.timeline import timeline
from coldtable.core.verification import Unjoined, unjoined
from coldtable.model import Table, Window
from coldtable.model_archive import Run, Timeline
from coldtable.ops.archive import find_exports
from coldtable.ops.catalog import Catalog
from coldtable.ops.evidence import has_catalog
from coldtable.ops.history import index_names
from coldtable.ops.report import Reading
from coldtable.ops.shelf import open_shelf
from coldtable.ports import ObjectStore

# What the catalog alone knows of: exports that left no manifest behind.
_CAME_TO_NOTHING = ("failed", "damaged")
_SETTINGS = "with --archive the settings are not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEvidence:
    """The tables of an archive, and all that was found in it."""

    archive: Archive
    tables: tuple[TableEvidence, ...]


def gather_archive(
    store: ObjectStore, prefix: str, where: str, since: datetime, tables: Sequence[str] = ()
) -> ArchiveEvidence:
    """What an archive holds of each table (or of these, by name or ARN), from its manifests.

    ``where`` is how people call it. Raises ``NotFound`` if there is no export of a table that is
    named.
    """
    archive = find_exports(store, prefix)
    exports = archive.exports
    if tables:
        exports = tuple(e for name in dict.fromkeys(tables) for e in of_table(exports, name))
    catalog = Catalog(store) if has_catalog(store) else None
    loose = unjoined(exports)
    found = []
    for table, group in by_table(exports).items():
        own = tuple(one for one in loose if one.export.table == table)
        reading = _reading(catalog, table, since) if catalog else None
        gathering = _Gathering(
            table=table, exports=group, loose=own, since=since, where=where, reading=reading
        )
        found.append(gathering.result())
    return ArchiveEvidence(archive=archive, tables=tuple(found))


def _reading(catalog: Catalog, table: Table, since: datetime) -> Reading:
    home = Home.of(table)
    indexes = index_names(catalog, home.account, home.region, home.name)
    names = indexes.get((home, table.table_id), ())
    return Reading(open_shelf(catalog, home, table.table_id, catalog.heads(home), names), since)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathering:
    """One TableId: its exports, and what a catalog notes of it; ``None`` if there is no catalog."""

    table: Table
    exports: Sequence[ArchivedExport]
    loose: Sequence[Unjoined]
    since: datetime
    where: str
    reading: Reading | None

    def result(self) -> TableEvidence:
        """All of it."""
        reading, home = self.reading, Home.of(self.table)
        unknown = {"retention": _SETTINGS, "pause": _SETTINGS}
        if reading is None:
            unknown |= dict.fromkeys(("ended", *NOTED), f"no catalog in {self.where}")
            noted: dict[str, Any] = dict.fromkeys(NOTED, ())
        else:
            noted = reading.noted()
            if not reading.knows_exports:
                # There are verifications and drills perhaps: somebody noted them here.
                why = f"the catalog in {self.where} knows no export of it"
                unknown |= dict.fromkeys(("incidents", "holds", "expirations"), why)
        known = _timeline(self.exports)
        return TableEvidence(
            name=self.table.name,
            table_id=self.table.table_id,
            account=home.account,
            region=home.region,
            archive=self.where,
            ended=reading is not None and reading.ended,
            restorable=[
                {"from": exact_iso(c.start), "to": exact_iso(c.stop)} for c in known.coverage
            ],
            gaps=list(self._gaps(known, noted["expirations"])),
            exports=self._exports(),
            retention="",
            pause=None,
            unknown=unknown,
            **noted,
        )

    def _exports(self) -> list[dict[str, Any]]:
        noted = {e["exportId"]: e for e in (self.reading.exports() if self.reading else ())}
        bad = self.reading.bad if self.reading else {}
        found = [
            {**_found(export), "bad": bad.get(export.export_id)}
            | {k: v for k, v in noted.get(export.export_id, {}).items() if v is not None}
            for export in self.exports
            if export.stop >= self.since
        ]
        there = {e["exportId"] for e in found}
        found += [
            one
            for one in noted.values()
            if one["state"] in _CAME_TO_NOTHING and one["exportId"] not in there
        ]
        return sorted(found, key=lambda e: (e["from"], e["to"], e["exportId"]))

    def _gaps(
        self, known: Timeline, expired: Sequence[Mapping[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """What lies between restorable times, and what follows them and joins on to nothing.

        Full exports alone have none: each is one moment.
        """
        if all(export.is_full for export in self.exports):
            return
        for gap in known.gaps:
            yield from self._gap(gap.start, gap.stop, expired)
        last = known.coverage[-1].stop if known.coverage else None
        late = [u.export.start for u in self.loose if last is None or u.export.start >= last]
        if late:
            yield from self._gap(last or min(late), None, expired)

    def _gap(
        self, start: datetime, stop: datetime | None, expired: Sequence[Mapping[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        if (stop or start) < self.since:
            return
        after = (u for u in self.loose if u.export.start >= start)
        loose = next((u for u in after if stop is None or u.export.start < stop), None)
        noted = self.reading.reasons.get(exact_iso(start)) if self.reading else None
        gap = {
            "from": exact_iso(start),
            "to": exact_iso(stop) if stop else None,
            "cause": None,
            "reason": loose.reason if loose else None,
            "notedAt": None,
        }
        if any(e["from"] < (gap["to"] or "~") and e["to"] > str(gap["from"]) for e in expired):
            gap |= {"cause": "expired", "reason": "retention removed what was there"}
        yield gap | {k: v for k, v in (noted or {}).items() if k not in ("from", "to") and v}


def _timeline(exports: Sequence[ArchivedExport]) -> Timeline:
    found = chains(exports)
    runs = (
        Run(window=Window(start=one.base.stop, stop=one.stop), count=len(one.increments))
        for one in found
        if one.increments
    )
    return timeline((one.base.stop for one in found), runs)


def _found(export: ArchivedExport) -> dict[str, Any]:
    """An export as its summary tells it, in the fields of ``ops.report``."""
    manifest = export.manifest
    return {
        "exportId": export.export_id,
        "kind": "full" if export.is_full else "window",
        "from": exact_iso(export.start),
        "to": exact_iso(export.stop),
        "attempt": None,
        "state": "found",
        "notedAt": None,
        "reason": None,
        "prefix": manifest.prefix,
        "manifest": export.summary_key,
        "items": manifest.items,
        "files": None,
        "bytes": None,
        "billedBytes": manifest.billed_bytes,
        "startedAt": exact_iso(manifest.started) if manifest.started else None,
        "endedAt": exact_iso(manifest.ended) if manifest.ended else None,
    }
