"""Recreate a catalog from AWS's manifests alone: what they prove is recorded, the rest is told.

Nothing is ever changed or removed by it, and a second run finds nothing to do. What is missing of
a log is written before the bases: a tick that comes between finds no chain to go on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from coldtable.core.archive import ArchivedExport, by_table
from coldtable.core.index import month_of
from coldtable.core.ledger import fold
from coldtable.core.rebuild import (
    REMEMBERED,
    Desk,
    Left,
    Recovered,
    Whole,
    held_text,
    in_turn,
    left_out,
    outlived,
    own_attempt,
    proof_fields,
    span_of,
    unrecoverable,
)
from coldtable.core.records import Home, body, ended_key, record_key, request_fields, slot_of
from coldtable.core.timeline import ledger_timeline
from coldtable.core.verdict import SMALLEST
from coldtable.errors import AccessDenied, NotFound, ParameterInvalid, TableNotFound
from coldtable.model import Export, ExportStatus, Snapshot, Table
from coldtable.model_archive import Attempt, Slot, SlotKind, Timeline
from coldtable.model_policy import Policy
from coldtable.ops.apply import request_for
from coldtable.ops.archive import find_exports
from coldtable.ops.catalog import Catalog
from coldtable.ops.compact import compact, revise
from coldtable.ops.history import History, index_names
from coldtable.ops.hold import hold_after_rebuild
from coldtable.ops.rebuild_report import RebuildReport, TableRebuilt
from coldtable.ops.survey import Survey
from coldtable.ports import Exporter, ObjectStore

_AT_A_TIME = 16
# No export that was heard of takes a day [QUIRKS, REAL-G]; what is older is settled.
_UNDER_WAY = timedelta(days=3)
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An archive, and who may be asked about it.

    ``prefix`` is where exports are looked for, and ``catalog`` where the records belong. Without
    ``exporter`` AWS is not asked; ``policies`` (by table) tell coldtable's own snapshots.
    """

    store: ObjectStore
    prefix: str
    catalog: Catalog
    exporter: Exporter | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)


def rebuild(source: Source, now: datetime, *, dry_run: bool = False) -> RebuildReport:
    """Look at every manifest of the archive and add the records that the catalog lacks."""
    archive = find_exports(source.store, source.prefix)
    survey = Survey(source.store, source.prefix, archive, archive.exports, now)
    survey.carry_out()
    groups = by_table(archive.exports)
    lines, indexes, held = list[TableRebuilt](), list[str](), dict[Home, tuple[int, ...]]()
    lives = _lives(archive.exports)
    living = _living(source)
    for table in dict.fromkeys((*groups, *living.values())):
        home = Home.of(table)
        outlasted = table.table_id in outlived(lives.get(home, {}))
        gone = outlasted or living.get(home, table) != table
        work = _Work(source=source, table=table, now=now, gone=gone, outlasted=outlasted)
        line = work.look(survey, groups.get(table, ()))
        lines.append(line)
        if line.added and home not in held:
            # Before the first record: what is not known cannot expire.
            held[home] = hold_after_rebuild(source.catalog, home, now, dry_run=dry_run)
        if not dry_run and line.records:
            work.write(line)
            indexes += work.index(line)
    return RebuildReport(
        tables=tuple(lines),
        unreadable=tuple(
            Left(
                export_id=_id_of(u.summary_key),
                key=u.summary_key,
                why=u.reason,
                damaged=not u.archived,
            )
            for u in archive.unreadable
        ),
        unfinished=len(archive.unfinished),
        lost=(
            *unrecoverable(
                [one for line in lines for one in line.added],
                [slot for line in lines for slot, _ in line.under_way],
            ),
            *held_text(held),
        ),
        indexes=tuple(indexes),
        held=held,
    )


def _living(source: Source) -> dict[Home, Table]:
    """The tables that are kept, as they are now: of some nothing has arrived yet."""
    found: dict[Home, Table] = {}
    if source.exporter is not None:
        for name in source.policies:
            try:
                table = source.exporter.table(name)
            except TableNotFound:
                continue
            found[Home.of(table)] = table
    return found


def _lives(exports: Iterable[ArchivedExport]) -> dict[Home, dict[str, tuple[datetime, datetime]]]:
    """From when to when each TableId of a name was exported."""
    lives: dict[Home, dict[str, tuple[datetime, datetime]]] = {}
    for export in exports:
        ids = lives.setdefault(Home.of(export.table), {})
        first, last = ids.get(export.table.table_id, (export.start, export.stop))
        ids[export.table.table_id] = min(first, export.start), max(last, export.stop)
    return lives


class _Work:
    """One table's part. ``gone`` tells that another table has its name, so that no tick follows
    it any more; ``outlasted`` that the other has been exported since, so that people know."""

    def __init__(
        self, *, source: Source, table: Table, now: datetime, gone: bool, outlasted: bool
    ) -> None:
        self._source = source
        self._table = table
        self._now = now
        self._gone = gone
        self._outlasted = outlasted
        self._home = Home.of(table)
        self._heads = source.catalog.heads(self._home)
        self._logged = sorted({*self._history().names(), *self._loose()})
        self._desk = Desk(self._base_names, self._logged)
        self._records: list[tuple[str, bytes]] = []
        self._asks = source.exporter is not None

    def look(self, survey: Survey, exports: Sequence[ArchivedExport]) -> TableRebuilt:
        """What the archive has of the table, and what of it the catalog lacks."""
        whole, broken = self._sorted_out(survey, exports)
        known, added, left = 0, list[Recovered](), list[Left]()
        for one in in_turn(whole):
            if self._desk.settles(one, None if self._gone else self._now):
                known += 1
                continue
            found = self._desk.recover(self._judged(one))
            if isinstance(found, Left):
                left.append(found)
                continue
            added.append(found)
            self._add(found.attempt, found, body("verified", self._now, **proof_fields(found)))
        under_way = tuple(self._under_way())
        left += [
            replace(
                left_out(export, why),
                damaged=not (self._desk.replaces(export) or survey.is_archived(export)),
            )
            for export, why in broken
        ]
        return TableRebuilt(
            table=self._table,
            found=len(exports),
            known=known,
            added=tuple(added),
            under_way=under_way,
            left=tuple(left),
            ended=self._outlasted and self._is_to_be_ended(),
            timeline=self._timeline(),
        )

    def write(self, line: TableRebuilt) -> None:
        """Add the records: those of the log before the bases."""
        note = self._source.catalog.note
        if line.ended:
            fields = {"table": _fields(self._table), "reason": "another table has its name"}
            note(ended_key(self._home, self._table.table_id), body("ended", self._now, **fields))
        of_log = [r for r in self._records if "/base/" not in r[0]]
        of_base = [r for r in self._records if "/base/" in r[0]]
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            for some in (of_log, of_base):
                list(threads.map(lambda record: note(*record), some))

    def index(self, line: TableRebuilt) -> list[str]:
        """Bring the indexes up to date: of a table that is gone to its end."""
        months = {month_of(key.rsplit("/", 1)[-1]) for key, _ in self._records}
        written = revise(self._history(), filter(None, months))
        chains = line.timeline.chains
        head = _FOREVER if self._gone else chains[-1].end if chains else None
        while key := compact(self._history(), head, self._now):
            written.append(key)
        return written

    def _is_to_be_ended(self) -> bool:
        """It gets a base by this, and would be taken for a table that has just gone."""
        based = any("/base/" in key for key, _ in self._records)
        return based and "ended.json" not in self._base_names

    def _sorted_out(
        self, survey: Survey, exports: Sequence[ArchivedExport]
    ) -> tuple[list[Whole], list[tuple[ArchivedExport, str]]]:
        whole: dict[str, Whole] = {}
        broken: dict[str, tuple[ArchivedExport, str]] = {}
        for export in exports:
            found = self._whole(survey, export)
            if isinstance(found, Whole):
                whole.setdefault(export.export_id, found)
            else:
                broken[export.export_id] = export, found
        # An export may have been copied: one whole copy is enough.
        return list(whole.values()), [b for name, b in broken.items() if name not in whole]

    def _whole(self, survey: Survey, export: ArchivedExport) -> Whole | str:
        if problem := survey.broken.get(export.summary_key):
            return problem.reason
        total, files = 0, survey.files(export).files
        for file in files:
            size = survey.inventory.size(file.key)
            if size is None:
                return f"its data file {file.key} is not there"
            if size < SMALLEST:
                return f"its data file {file.key} has only {size} bytes"
            total += size
        return Whole(
            export=export, files=len(files), bytes=total, own=self._is_own(export), filtered=None
        )

    def _is_own(self, export: ArchivedExport) -> bool:
        """Whether its prefix is one that coldtable gives to an export of just this span."""
        prefix, span = (export.manifest.prefix or "").rstrip("/"), span_of(export)
        if own_attempt(prefix, span) is not None:
            return True
        policy = self._source.policies.get(self._table.name)
        if policy is None or not isinstance(span, Snapshot) or span.moment.microsecond:
            return False
        slot = slot_of(SlotKind.SNAPSHOT, span.moment)
        return prefix == request_for(self._table, policy, slot, 1, span).prefix

    def _judged(self, whole: Whole) -> Whole:
        """With the answer to whether it was filtered. coldtable never filters."""
        if whole.own:
            return replace(whole, filtered=False)
        if whole.export.stop < self._now - REMEMBERED:
            return whole
        described = self._describe(whole.export.manifest.export_arn)
        return replace(whole, filtered=described.filtered) if described else whole

    def _describe(self, arn: str) -> Export | None:
        if self._source.exporter is None or not self._asks:
            return None
        try:
            return self._source.exporter.describe(arn)
        except NotFound:
            return None
        except (AccessDenied, ParameterInvalid):
            # Another account's or region's: it would not tell of any other either.
            self._asks = False
            return None

    def _under_way(self) -> Iterator[tuple[Slot, str]]:
        """Exports of ours that have not been settled: without a record each would be made again."""
        for arn in self._recent():
            export_id = arn.rsplit("/", 1)[-1]
            if self._desk.knows(export_id):
                continue
            export = self._describe(arn)
            if export is None or export.status is ExportStatus.FAILED or self._is_removed(export):
                continue
            if found := self._desk.under_way(self._table, export):
                slot, attempt, request = found
                fields = request_fields(slot, attempt.number, request)
                intent = Attempt(number=attempt.number)
                for state, one, more in (
                    ("intent", intent, {}),
                    ("started", attempt, {"exportArn": arn}),
                ):
                    key = record_key(self._home, self._table.table_id, slot, one)
                    self._records.append((key, body(state, self._now, **fields, **more)))
                yield slot, export_id

    def _is_removed(self, export: Export) -> bool:
        """Completed, and nothing of it is there: it has expired since. Where somebody else removed
        it, the tick asks for what it still needs by itself."""
        if export.status is not ExportStatus.COMPLETED or export.manifest_key is None:
            return False
        folder = export.manifest_key.rpartition("/")[0]
        return next(iter(self._source.store.keys(f"{folder}/")), None) is None

    def _recent(self) -> Iterator[str]:
        if self._source.exporter is None or not self._asks:
            return
        try:
            for arn in self._source.exporter.exports(self._table):
                millis = int(arn.rsplit("/", 1)[-1].split("-")[0])
                started = datetime.fromtimestamp(millis / 1000, UTC)
                if started < self._now - _UNDER_WAY:
                    return
                yield arn
        except (AccessDenied, ParameterInvalid, NotFound):
            self._asks = False

    def _add(self, attempt: Attempt, found: Recovered, record: bytes) -> None:
        key = record_key(self._home, self._table.table_id, found.slot, attempt)
        self._records.append((key, record))

    def _timeline(self) -> Timeline:
        keys = [key for key, _ in self._records]
        log, base = self._home.log(self._table.table_id), self._home.base(self._table.table_id)
        logged = {key.removeprefix(log) for key in keys if key.startswith(log)}
        bases = {key.removeprefix(base) for key in keys if key.startswith(base)}
        ledger = fold(
            self._table.table_id,
            [*self._base_names, *bases],
            sorted({*self._logged, *logged}),
        )
        return ledger_timeline(ledger)

    def _history(self) -> History:
        home = self._home
        names = index_names(self._source.catalog, home.account, home.region, home.name)
        return History(
            catalog=self._source.catalog,
            home=home,
            table_id=self._table.table_id,
            indexes=tuple(names.get((home, self._table.table_id), ())),
        )

    def _loose(self) -> Iterator[str]:
        folder = self._home.log(self._table.table_id)
        return (key.removeprefix(folder) for key in self._source.catalog.store.keys(folder))

    @property
    def _base_names(self) -> list[str]:
        return self._heads.bases.get(self._table.table_id, [])


def _id_of(summary_key: str) -> str:
    return summary_key.rpartition("/")[0].rpartition("/")[2]


def _fields(table: Table) -> dict[str, str]:
    return {"name": table.name, "arn": table.arn, "id": table.table_id}
