"""What a person is asked to prove of an archive: one report of what was noted, and its Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "coldtable.report/1"


# What only a catalog tells.
NOTED = ("verifications", "drills", "incidents", "holds", "expirations")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvidence:
    """What is known of one TableId, each as it is written in the JSON report.

    ``unknown`` says of fields why nothing is known of them: that is not the same as none.
    """

    name: str
    table_id: str
    account: str
    region: str
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
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON report's part about it; ``null`` for what is not known."""
        known = {
            "tableName": self.name,
            "tableId": self.table_id,
            "account": self.account,
            "region": self.region,
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
        nothing = dict.fromkeys(self.unknown, None)
        return {**known, **nothing, "unknown": dict(self.unknown)}


def markdown(
    tables: Iterable[TableEvidence], since: str, until: str, left: Sequence[str] = ()
) -> str:
    """The report for people: of exports a line a month, of everything else a line each.

    ``left`` are lines about what was found and is of no table.
    """
    lines = ["# Evidence of the archive", "", f"From {since} to {until} (UTC)."]
    if left:
        lines += ["", "## Found, and of no table", "", *(f"- {_cell(line)}" for line in left)]
    for table in tables:
        lines += ["", f"## {table.name}", ""]
        lines.append(
            f"TableId {table.table_id} of account {table.account} in {table.region}, "
            f"in {table.archive}."
        )
        if table.ended:
            lines.append("This table is gone, and another one has its name.")
        if table.pause:
            lines.append(
                f"Paused since {table.pause['since']} by {table.pause['by'] or '?'}: "
                f"{table.pause['reason']}."
            )
        why = table.unknown.get("retention")
        lines += [f"Retention: {f'not known: {why}' if why else table.retention}.", ""]
        for title, columns, rows in _sections(table):
            field_name = "verifications" if title == _BAD else title.lower()
            why = table.unknown.get(field_name)
            shown = [f"Not known: {why}."] if why else _grid(columns, list(rows))
            lines += [f"### {title}", "", *shown, ""]
    return "\n".join(lines).rstrip() + "\n"


_Section = tuple[str, Sequence[str], Iterable[Sequence[object]]]


def _sections(table: TableEvidence) -> Iterator[_Section]:
    yield "Restorable", ["from", "to"], ([r["from"], r["to"]] for r in table.restorable)
    yield (
        "Gaps",
        ["from", "to", "cause", "reason"],
        ([g["from"], g["to"], g["cause"], g["reason"]] for g in table.gaps),
    )
    states = list(_STATES) + (["found"] if any(map(_is_found, table.exports)) else [])
    columns = ["month", *states, "other", "items", "bytes", "billed"]
    yield "Exports", columns, _months(table.exports, states)
    yield (
        _BAD,
        ["export", "from", "to", "why"],
        ([e["exportId"], e["from"], e["to"], e["bad"]] for e in table.exports if e["bad"]),
    )
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
# What an export was, before it was removed.
_BEFORE = {"expired": "verified", "removed": "verified", "cleared": "damaged"}
# It follows from the verifications.
_BAD = "Known to be bad"


def _is_found(export: Mapping[str, Any]) -> bool:
    return bool(export["state"] == "found")


def _months(
    exports: Iterable[Mapping[str, Any]], states: Sequence[str]
) -> Iterator[Sequence[object]]:
    counts: dict[str, Counter[str]] = {}
    for export in exports:
        month = counts.setdefault(str(export["to"])[:7], Counter())
        # What has expired since was verified, and another list says that it is gone.
        state = _BEFORE.get(export["state"], export["state"])
        state = "damaged" if export["bad"] else state
        month[state if state in states else "other"] += 1
        month["items"] += export["items"] or 0
        for size in ("bytes", "billedBytes"):
            # Of an archive without a catalog nobody has added up the bytes.
            if export[size] is not None:
                month[size] += export[size]
    for name, count in sorted(counts.items()):
        numbers = (count[key] for key in (*states, "other", "items"))
        yield [name, *numbers, count.get("bytes"), count.get("billedBytes")]


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
