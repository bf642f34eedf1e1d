"""Report: gather what the catalog says of a table since a day, for whoever asks for evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import Any

from coldtable.core.evidence import Kind
from coldtable.core.holds import scope_text
from coldtable.core.records import gap_key, incident_key, iso_z, record_key
from coldtable.core.report import TableEvidence
from coldtable.core.request import exact_iso
from coldtable.core.retention import Piece
from coldtable.core.timeline import ledger_timeline
from coldtable.errors import NotFound
from coldtable.model_archive import Attempt, Outcome, Slot
from coldtable.ops.evidence import known_bad, noted
from coldtable.ops.hold import all_holds
from coldtable.ops.shelf import Shelf

_AT_A_TIME = 16


def gather_evidence(
    shelf: Shelf, archive: str, since: datetime, retention: str, pause: Mapping[str, Any] | None
) -> TableEvidence:
    """All that is noted of one TableId: exports of states since then, and what happened since."""
    return Reading(shelf, since).gather(archive, retention, pause)


class Reading:
    """What the catalog notes of one TableId since a day, part by part."""

    def __init__(self, shelf: Shelf, since: datetime) -> None:
        self._shelf = shelf
        self._since = since
        self._catalog = shelf.history.catalog

    def gather(
        self, archive: str, retention: str, pause: Mapping[str, Any] | None
    ) -> TableEvidence:
        """All of it."""
        shelf = self._shelf
        timeline = ledger_timeline(shelf.ledger)
        return TableEvidence(
            name=shelf.home.name,
            table_id=shelf.table_id,
            account=shelf.home.account,
            region=shelf.home.region,
            archive=archive,
            ended=shelf.ledger.ended,
            restorable=[
                {"from": exact_iso(c.start), "to": exact_iso(c.stop)} for c in timeline.coverage
            ],
            gaps=list(self._gaps()),
            exports=self.exports(),
            retention=retention,
            pause=pause,
            **self.noted(),
        )

    def noted(self) -> dict[str, Any]:
        """What only a catalog tells: the fields of ``TableEvidence`` that ``NOTED`` names."""
        done = list(self._evidence())
        return {
            "verifications": [one for kind, one in done if kind is Kind.VERIFICATION],
            "drills": [one for kind, one in done if kind is Kind.DRILL],
            "incidents": list(self._incidents()),
            "holds": list(self._holds()),
            "expirations": self._expirations(),
        }

    @property
    def knows_exports(self) -> bool:
        """Whether any export of it is noted."""
        return bool(self._shelf.attempts)

    @property
    def ended(self) -> bool:
        """Whether it is noted that the table is gone."""
        return self._shelf.ledger.ended

    def exports(self) -> list[dict[str, Any]]:
        """Each export that was asked for, of states since then, in order of time."""
        wanted = [
            (slot, attempt)
            for slot, attempt in self._shelf.attempts
            if attempt.export_id and attempt.span
            and Piece(slot=slot, attempt=attempt).stop >= self._since
        ]  # fmt: skip
        # Known before the threads that ask for it.
        _ = self.bad
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            found = list(threads.map(lambda one: self._export(*one), wanted))
        return sorted(found, key=lambda e: (e["from"], e["to"], e["exportId"]))

    def _export(self, slot: Slot, attempt: Attempt) -> dict[str, Any]:
        piece = Piece(slot=slot, attempt=attempt)
        record = self._record(slot, attempt)
        request = record.get("request") or {}
        return {
            "exportId": attempt.export_id,
            "kind": str(slot.kind),
            "from": exact_iso(piece.start),
            "to": exact_iso(piece.stop),
            "attempt": attempt.number,
            "state": str(attempt.outcome or "started"),
            "notedAt": record.get("at"),
            "reason": attempt.reason if attempt.spoilt else None,
            "prefix": request.get("prefix"),
            "items": record.get("items"),
            "files": record.get("files"),
            "bytes": record.get("bytes"),
            "billedBytes": record.get("billedBytes"),
            "startedAt": record.get("startedAt"),
            "endedAt": record.get("endedAt"),
            "bad": self.bad.get(attempt.export_id or ""),
        }

    @cached_property
    def bad(self) -> Mapping[str, str]:
        """The exports that are known to be bad, by their ids, with why."""
        return known_bad(self._catalog, self._shelf.home, self._shelf.table_id)

    @cached_property
    def reasons(self) -> Mapping[str, Mapping[str, Any]]:
        """The gaps, by where they begin."""
        return {gap["from"]: gap for gap in self._gaps()}

    def _record(self, slot: Slot, attempt: Attempt) -> dict[str, Any]:
        if attempt.outcome is Outcome.VERIFIED or attempt.expired:
            return self._shelf.record(Piece(slot=slot, attempt=attempt))
        key = record_key(self._shelf.home, self._shelf.table_id, slot, attempt)
        return self._catalog.read(key)

    def _expirations(self) -> list[dict[str, Any]]:
        """What has expired since, however old it was."""
        found = [
            (slot, attempt)
            for slot, attempt in self._shelf.attempts
            if (attempt.expired or attempt.outcome is Outcome.CLEARED)
            and attempt.ended
            and attempt.ended >= self._since
        ]
        lines = []
        for slot, attempt in found:
            piece = Piece(slot=slot, attempt=attempt)
            key = record_key(self._shelf.home, self._shelf.table_id, slot, attempt)
            record = self._catalog.read(key)
            ended = iso_z(attempt.ended) if attempt.ended else None
            lines.append(
                {
                    "exportId": attempt.export_id,
                    "from": exact_iso(piece.start),
                    "to": exact_iso(piece.stop),
                    "at": ended,
                    "removedAt": None if attempt.outcome is Outcome.EXPIRED else ended,
                    "reason": record.get("reason"),
                    "items": record.get("items"),
                    "bytes": record.get("bytes"),
                }
            )
        return sorted(lines, key=lambda line: (line["at"] or "", line["from"], line["exportId"]))

    def _gaps(self) -> Iterator[dict[str, Any]]:
        shelf = self._shelf
        known = {gap.start: gap.stop for gap in ledger_timeline(shelf.ledger).gaps}
        for start in sorted({*known, *shelf.ledger.gaps}):
            stop = known.get(start)
            if (stop or start) < self._since:
                continue
            record: dict[str, Any] = {}
            if start in shelf.ledger.gaps:
                record = self._catalog.read(gap_key(shelf.home, shelf.table_id, start))
            yield {
                "from": exact_iso(start),
                "to": exact_iso(stop) if stop else None,
                "cause": record.get("cause"),
                "reason": record.get("reason"),
                "notedAt": record.get("at"),
            }

    def _incidents(self) -> Iterator[dict[str, Any]]:
        """Those of the table's name that were not over before; a former table's are among them."""
        home = self._shelf.home
        for incident in self._catalog.heads(home).incidents:
            opened, told, over = (
                self._read(incident_key(home, incident.kind, incident.name, state))
                for state in ("open", "told", "over")
            )
            if incident.over and over.get("at", "") < iso_z(self._since):
                continue
            yield {
                "kind": str(incident.kind),
                "since": opened.get("since"),
                "cause": opened.get("cause"),
                "what": opened.get("what"),
                "openedAt": opened.get("at"),
                "toldAt": told.get("at"),
                "overAt": over.get("at"),
            }

    def _holds(self) -> Iterator[dict[str, Any]]:
        for hold, released, why in all_holds(self._catalog, self._shelf.home):
            if released and released < self._since:
                continue
            yield {
                "number": hold.number,
                "scope": scope_text(hold),
                "moment": iso_z(hold.moment) if hold.moment else None,
                "exportId": hold.export_id,
                "reason": hold.reason,
                "by": hold.by,
                "at": iso_z(hold.at) if hold.at else None,
                "releasedAt": iso_z(released) if released else None,
                "releasedWhy": why or None,
            }

    def _evidence(self) -> Iterator[tuple[Kind, dict[str, Any]]]:
        for key, found in noted(self._catalog, self._shelf.home, self._shelf.table_id):
            if found.at < self._since:
                continue
            record = self._catalog.read(key)
            shown = {k: v for k, v in record.items() if k not in ("schema", "kind", "table")}
            if "exports" in shown:
                # What is well is counted, and its record has it: there may be thousands.
                shown["exports"] = [e for e in shown["exports"] if e["verdict"] != "verified"]
            yield found.kind, {"result": found.result or None, "summary": None, **shown}

    def _read(self, key: str) -> dict[str, Any]:
        try:
            return self._catalog.read(key)
        except NotFound:
            return {}
