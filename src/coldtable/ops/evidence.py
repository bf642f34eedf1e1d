"""Note what came of a verification or a drill in the archive's catalog, and ask what was noted.

One record for each table and run, not for each export: an archive may hold hundreds of thousands,
and each would cost a PUT. Used by the command line and by the Lambda.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coldtable.core.evidence import (
    Kind,
    Noted,
    Run,
    bad_exports,
    ever_bad,
    evidence_folder,
    evidence_key,
    only_about,
    parse_evidence,
    result_of,
    verification_fields,
)
from coldtable.core.ledger import export_of
from coldtable.core.records import ROOT, Home, body
from coldtable.core.verification import Checked, Report
from coldtable.errors import Conflict
from coldtable.model import Table
from coldtable.ops.catalog import Catalog
from coldtable.ports import ObjectStore

_MOST_IN_A_SECOND = 100
_AT_A_TIME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was noted of a run: the records' keys. ``unattributed`` are the exports, with an
    unreadable manifest, of which nobody knows whose they are."""

    keys: tuple[str, ...]
    unattributed: tuple[Checked, ...] = ()


def has_catalog(store: ObjectStore) -> bool:
    """Whether there is a catalog in this bucket or folder: a few listings.

    Checkpoints and folds of restores and drills are none.
    """
    folders = ("table", "log", "evidence")
    return any(next(iter(store.keys(f"{ROOT}/{one}/")), None) is not None for one in folders)


def note_evidence(
    catalog: Catalog,
    table: Table,
    kind: Kind,
    at: datetime,
    result: str,
    fields: Mapping[str, Any],
) -> str:
    """Add a record of what ended ``at`` that time; its key.

    ``result`` is one word in small letters, for the key; ``fields`` hold it, too, with a
    ``summary``. Runs of the same second get numbers. Raises what keeps it from being written.
    """
    home = Home.of(table)
    written = body(kind, at, **fields)
    for number in range(1, _MOST_IN_A_SECOND):
        key = evidence_key(home, table.table_id, at, kind, result, number)
        # A write that was repeated because its answer got lost finds itself.
        if catalog.note(key, written) or b"".join(catalog.store.read(key)) == written:
            return key
    raise Conflict(f"Many records of table {table.name} are being written", hint="Try again")


def record_verification(catalog: Catalog, report: Report, run: Run) -> Recorded:
    """Note what a finished run found, a record for each table of which it saw an export.

    An export whose manifest cannot be read is counted to the table that the catalog noted it for;
    if it noted none, it is listed in all of the run's records.
    """
    groups: dict[Table, list[Checked]] = {}
    for one in report.checked:
        if one.table:
            groups.setdefault(one.table, []).append(one)
    loose = [one for one in report.checked if one.table is None and one.is_bad]
    owners = _owners(catalog, {one.export_id for one in loose})
    for one in loose:
        if owner := owners.get(one.export_id):
            groups.setdefault(owner, []).append(one)
    unattributed = tuple(one for one in loose if one.export_id not in owners)
    keys = []
    for table, checked in groups.items():
        known = known_bad(catalog, Home.of(table), table.table_id)
        fields = verification_fields(
            table, checked, report, run, known=known, unattributed=unattributed
        )
        result = result_of(checked)
        keys.append(
            note_evidence(catalog, table, Kind.VERIFICATION, run.ended, str(result), fields)
        )
    return Recorded(keys=tuple(keys), unattributed=unattributed)


def noted(catalog: Catalog, home: Home, table_id: str) -> Iterator[tuple[str, Noted]]:
    """The keys of what was noted of a TableId and what they say, the oldest first: one listing."""
    folder = evidence_folder(home, table_id)
    for key in catalog.store.keys(folder):
        if found := parse_evidence(key.removeprefix(folder)):
            yield key, found


def known_bad(catalog: Catalog, home: Home, table_id: str) -> dict[str, str]:
    """The exports of a TableId that verifying found bad and that nothing has cleared since, by
    their ids, with why (``core.evidence.bad_exports``).

    One listing; records are only read from the first one on that found anything.
    """
    return bad_of(catalog, list(noted(catalog, home, table_id)))


def bad_of(catalog: Catalog, listed: Sequence[tuple[str, Noted]]) -> dict[str, str]:
    """The same from what ``noted`` has listed.

    Of what found nothing only the lines are kept about exports that were ever bad: the records of
    years fit into no memory.
    """
    checks = [(key, found) for key, found in listed if found.kind is Kind.VERIFICATION]
    begin = min((found.at for _, found in checks if found.found_damage), default=None)
    if begin is None:
        return {}
    # Keys tell the second alone, and within one the order is not known.
    later = [(key, found) for key, found in checks if found.at >= begin and not found.found_damage]
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        records = list(threads.map(catalog.read, (k for k, found in checks if found.found_damage)))
        if exports := ever_bad(records):
            read = threads.map(lambda key: only_about(catalog.read(key), exports), dict(later))
            records += read
    return bad_exports(records)


def _owners(catalog: Catalog, wanted: set[str]) -> dict[str, Table]:
    """Whose exports these are, by what the catalog noted of them: a listing of all its records."""
    found: dict[str, Table] = {}
    if not wanted:
        return found
    for folder in (f"{ROOT}/table/", f"{ROOT}/log/"):
        for key in catalog.store.keys(folder):
            export_id = export_of(key.rpartition("/")[2])
            if export_id in wanted and export_id not in found:
                told = catalog.read(key)["table"]
                found[export_id] = Table(name=told["name"], arn=told["arn"], table_id=told["id"])
            if len(found) == len(wanted):
                return found
    return found
