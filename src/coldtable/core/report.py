"""What a person is asked to prove of an archive: one report of what was noted, and its Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "coldtable.report/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvidence:
    """What is noted of one TableId, each as it is written in the JSON report."""

    name: str
    table_id: str
    archive: str
    ended: bool
    restorable: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]
    exports: Sequence[Mapping[str, Any]]
    verifications: Sequence[Mapping[str, Any]]
    drills: Sequence[Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    holds: Sequence[Mapping[str, Any]]
    expirations: Sequence[Mapping[str, Any]]
    retention: str
    pause: Mapping[str, Any] | None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON report's part about it."""
        return {
            "tableName": self.name,
            "tableId": self.table_id,
            "archive": self.archive,
            "ended": self.ended,
            "retention": self.retention,
            "pause": self.pause,
            "restorable": list(self.restorable),
            "gaps": list(self.gaps),
            "exports": list(self.exports),
            "verifications": list(self.verifications),
            "drills": list(self.drills),
            "incidents": list(self.incidents),
            "holds": list(self.holds),
            "expirations": list(self.expirations),
        }


def markdown(tables: Iterable[TableEvidence], since: str, until: str) -> str:
    """The report for people: of exports a line a month, of everything else a line each."""
    lines = ["# Evidence of the archive", "", f"From {since} to {until} (UTC)."]
    for table in tables:
        lines += ["", f"## {table.name}", "", f"TableId {table.table_id}, in {table.archive}."]
        if table.ended:
            lines.append("This table is gone, and another one has its name.")
        if table.pause:
            lines.append(
                f"Paused since {table.pause['since']} by {table.pause['by'] or '?'}: "
                f"{table.pause['reason']}."
            )
        lines += [f"Retention: {table.retention}.", ""]
        for title, columns, rows in _sections(table):
            lines += [f"### {title}", "", *_grid(columns, list(rows)), ""]
    return "\n".join(lines).rstrip() + "\n"


_Section = tuple[str, Sequence[str], Iterable[Sequence[object]]]


def _sections(table: TableEvidence) -> Iterator[_Section]:
    yield "Restorable", ["from", "to"], ([r["from"], r["to"]] for r in table.restorable)
    yield (
        "Gaps",
        ["from", "to", "cause", "reason"],
        ([g["from"], g["to"], g["cause"], g["reason"]] for g in table.gaps),
    )
    columns = ["month", "verified", "failed", "damaged", "other", "items", "bytes"]
    yield "Exports", columns, _months(table.exports)
    for title, found in (("Verifications", table.verifications), ("Drills", table.drills)):
        yield (
            title,
            ["at", "result", "summary"],
            ([f["at"], f["result"], f["summary"]] for f in found),
        )
    yield (
        "Incidents",
        ["since", "cause", "what", "told", "over"],
        ([i["since"], i["cause"], i["what"], i["toldAt"], i["overAt"]] for i in table.incidents),
    )
    yield (
        "Holds",
        ["number", "what", "since", "by", "reason", "released"],
        (
            [h["number"], h["scope"], h["at"], h["by"], h["reason"], h["releasedAt"]]
            for h in table.holds
        ),
    )
    yield (
        "Expirations",
        ["at", "export", "from", "to", "bytes", "removed"],
        (
            [e["at"], e["exportId"], e["from"], e["to"], e["bytes"], e["removedAt"]]
            for e in table.expirations
        ),
    )


_STATES = ("verified", "failed", "damaged")


def _months(exports: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[object]]:
    counts: dict[str, Counter[str]] = {}
    for export in exports:
        month = counts.setdefault(str(export["to"])[:7], Counter())
        # What has expired since was verified, and another list says that it is gone.
        state = "verified" if export["state"] in ("expired", "removed") else export["state"]
        month[state if state in _STATES else "other"] += 1
        month["items"] += export["items"] or 0
        month["bytes"] += export["bytes"] or 0
    for name, count in sorted(counts.items()):
        yield [name, *(count[key] for key in (*_STATES, "other", "items", "bytes"))]


def _grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    if not rows:
        yield "None."
        return
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(_cell(value) for value in row) + " |"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
