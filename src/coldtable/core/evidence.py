"""What was done with an archive to see what it is worth: its verifications and drills, as records.

One for each table and run, in ``evidence_folder``. The keys tell when a run ended and what came of
it, so that a listing alone shows a table that nothing was ever found wrong with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from coldtable.core.records import ROOT, Home, iso_z, stamp, unstamp
from coldtable.core.request import exact_iso
from coldtable.core.verification import Checked, Fault, Level, Problem, Report, Subset, Verdict
from coldtable.model import Table

_NAME = re.compile(
    r"(?P<at>\d{8}T\d{6}Z)\.(?P<kind>verification|drill)"
    r"(?:\.(?P<result>[a-z]+))?(?:\.(?P<number>\d+))?\.json"
)
# A record stays small enough to be read at once, whatever the archive holds: so many exports are
# listed, so many of an export's problems, so many increments that join on to nothing.
MOST_EXPORTS, MOST_PROBLEMS, MOST_UNJOINED = 2000, 10, 100
_BAD = (Verdict.DAMAGED, Verdict.INCOMPLETE)
_WHOLE = Subset(number=1, of=1)


class Kind(StrEnum):
    """What was done with the archive to see what it is worth."""

    VERIFICATION = "verification"
    DRILL = "drill"


class Result(StrEnum):
    """What a verification came to for one table: the worst of its exports' verdicts."""

    VERIFIED = "verified"
    UNREAD = "unread"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the key of a record says; ``result`` is empty where it says none."""

    at: datetime
    kind: Kind
    result: str = ""
    number: int = 1

    @property
    def found_damage(self) -> bool:
        """Whether it was a verification that found bytes missing or wrong."""
        bad = (Result.DAMAGED, Result.INCOMPLETE, "")
        return self.kind is Kind.VERIFICATION and self.result in bad


def evidence_folder(home: Home, table_id: str) -> str:
    """The folder of one table's verifications and drills."""
    return f"{ROOT}/evidence/{home.account}/{home.region}/{home.name}/{table_id}/"


def evidence_key(
    home: Home, table_id: str, at: datetime, kind: Kind, result: str = "", number: int = 1
) -> str:
    """Where what ended ``at`` that time is noted: a record (``records.body``) of that kind.

    ``result`` is one word in small letters. ``number`` tells runs of the same second apart.
    """
    parts = [stamp(at.replace(microsecond=0)), str(kind), *([result] if result else [])]
    parts += [str(number)] if number > 1 else []
    return evidence_folder(home, table_id) + ".".join(parts) + ".json"


def parse_evidence(name: str) -> Noted | None:
    """What the last part of a key says; ``None`` for a name that is not ours."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return Noted(
        at=unstamp(found["at"]),
        kind=Kind(found["kind"]),
        result=found["result"] or "",
        number=int(found["number"] or 1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a verification was made: the part of the archive that it looked at, and when."""

    prefix: str
    began: datetime
    ended: datetime
    since: datetime | None = None
    subset: Subset | None = None


def result_of(checked: Iterable[Checked]) -> Result:
    """The worst of the verdicts; an export of which not all could be read makes it unread."""
    verdicts = {one.verdict for one in checked}
    if Verdict.DAMAGED in verdicts:
        return Result.DAMAGED
    if Verdict.INCOMPLETE in verdicts:
        return Result.INCOMPLETE
    return Result.UNREAD if Verdict.UNKNOWN in verdicts else Result.VERIFIED


def verification_fields(
    table: Table,
    checked: Sequence[Checked],
    report: Report,
    run: Run,
    *,
    known: Iterable[str] = (),
    unattributed: Sequence[Checked] = (),
) -> dict[str, Any]:
    """The fields of one table's record; ``checked`` are its exports out of ``report``.

    Of a subset only the exports are listed of which anything was read. Those in ``known`` are
    listed in any case: they were bad before, and whoever asks what became of them looks here.
    """
    known = frozenset(known)
    shown = _in_order_of_weight(
        (one for one in checked if _has_told(one, report.level, run) or one.export_id in known),
        known,
    )
    loose = [u for u in report.unjoined if u.export.table == table]
    counts = Counter(str(one.verdict) for one in checked)
    result = result_of(checked)
    part = None
    if run.subset and report.level.reads_objects:
        part = f"{run.subset.number}/{run.subset.of}"
    return {
        "table": {"name": table.name, "arn": table.arn, "id": table.table_id},
        "result": str(result),
        "summary": _summary(
            shown, len(checked), counts, f"{report.level} {part or ''}", len(loose)
        ),
        "level": str(report.level),
        "subset": part,
        "since": iso_z(run.since) if run.since else None,
        "prefix": run.prefix,
        "beganAt": iso_z(run.began),
        "endedAt": iso_z(run.ended),
        "counts": dict(counts),
        "objects": sum(one.objects for one in checked),
        "objectsRead": sum(one.read for one in checked),
        "bytes": sum(one.compressed for one in checked),
        "bytesRead": sum(one.read_bytes for one in checked),
        "exports": [_export(one) for one in shown[:MOST_EXPORTS]],
        "moreExports": max(0, len(shown) - MOST_EXPORTS),
        "unjoined": [
            {
                "exportId": u.export.export_id,
                "from": _iso(u.export.start),
                "gapFrom": _iso(u.seam.end) if u.seam else None,
                "reason": u.reason,
            }
            for u in loose[:MOST_UNJOINED]
        ],
        "moreUnjoined": max(0, len(loose) - MOST_UNJOINED),
        "unattributed": [_export(one) for one in unattributed[:MOST_UNJOINED]],
    }


def _has_told(one: Checked, level: Level, run: Run) -> bool:
    """Whether the run says anything of that export but that its manifests are right."""
    partial = run.subset is not None and level.reads_objects
    return not partial or one.read > 0 or one.verdict is not Verdict.VERIFIED


def _in_order_of_weight(checked: Iterable[Checked], known: frozenset[str]) -> list[Checked]:
    """What must not fall off the end of a list comes first: what is bad, then what was bad."""
    found = sorted(checked, key=lambda one: one.stop.timestamp() if one.stop else 0, reverse=True)
    return sorted(
        found,
        key=lambda one: (
            not one.is_bad,
            one.verdict is Verdict.VERIFIED,
            one.export_id not in known,
        ),
    )


def _export(one: Checked) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "exportId": one.export_id,
        "folder": one.key.rpartition("/")[0],
        "from": _iso(one.start) if one.start else None,
        "to": _iso(one.stop) if one.stop else None,
        "verdict": str(one.verdict),
        "objects": one.objects,
        "objectsRead": one.read,
        "problems": [_problem(problem) for problem in _worst(one.problems)],
    }
    if (more := len(one.problems) - MOST_PROBLEMS) > 0:
        fields["moreProblems"] = more
    if one.notes:
        fields["notes"] = list(one.notes)
    return fields


def _worst(problems: Sequence[Problem]) -> Sequence[Problem]:
    """As many as are listed; that it was filtered is among them in any case."""
    return sorted(problems, key=lambda p: p.fault is not Fault.FILTERED)[:MOST_PROBLEMS]


def _iso(moment: datetime) -> str:
    return exact_iso(moment).replace("+00:00", "Z")


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "object": problem.key,
        "line": problem.line,
        "fault": str(problem.fault),
        "reason": problem.reason,
    }


def _summary(
    shown: Sequence[Checked], total: int, counts: Mapping[str, int], how: str, loose: int
) -> str:
    """One line for people: ``objects 3/20: 11 of 12 exports verified, 1 damaged. <the first>``."""
    good = counts.get(str(Verdict.VERIFIED), 0)
    text = f"{how.strip()}: {good} of {total} exports verified"
    names = {
        Verdict.DAMAGED: "damaged",
        Verdict.INCOMPLETE: "incomplete",
        Verdict.UNKNOWN: "unread",
    }
    text += "".join(f", {counts[v]} {name}" for v, name in names.items() if counts.get(v))
    if loose:
        text += f", {loose} join on to nothing"
    if bad := next((one for one in shown if one.problems), None):
        problem = bad.problems[0]
        where = f", line {problem.line}" if problem.line else ""
        text += f". {problem.key}{where}: {problem.reason}"
    return text


@dataclass(frozen=True, slots=True)
class _Look:
    """How closely one run looked, and at what: every export of the table below ``prefix``."""

    depth: int
    part: Subset
    prefix: str

    def covers(self, folder: str, other: _Look, folders: frozenset[str]) -> bool:
        """Whether it has seen all that ``other`` saw of the export in ``folder``.

        Slices are by the hash of whole keys, so that they say nothing of a place whose export
        lies somewhere else now; ``folders`` are those where it lies.
        """
        return (
            self.depth >= other.depth
            and folder.startswith(self.prefix)
            and self.part.covers(other.part)
            and (self.part.of == 1 or folder in folders)
        )


@dataclass(frozen=True, slots=True)
class _Finding:
    folder: str
    look: _Look
    reason: str
    final: bool = False


def bad_exports(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The exports of one TableId that are known to be bad now, each with why, by their ids.

    ``records`` are its verifications, in any order; other records are passed over. What a run
    found stands until one that saw at least the same found nothing wrong: at the same level or a
    deeper one, in the same part of the archive or a larger one. That an export is not mentioned
    says nothing. One that was filtered is bad for good.
    """
    found: dict[str, tuple[_Finding, ...]] = {}
    for record in sorted(records, key=_age):
        for export_id, told in _by_export(record):
            found[export_id] = _judged(found.get(export_id, ()), record, told)
    return {export_id: finds[-1].reason for export_id, finds in found.items() if finds}


def ever_bad(records: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The ids of the exports that any of these records found bad."""
    lines = (line for record in records for line in record.get("exports", ()))
    return frozenset(str(line["exportId"]) for line in lines if line["verdict"] in _BAD)


def only_about(record: Mapping[str, Any], exports: Collection[str]) -> dict[str, Any]:
    """The record with no more than what it says of these exports, by their ids."""
    lines = [line for line in record.get("exports", ()) if str(line["exportId"]) in exports]
    return {**record, "exports": lines}


def _age(record: Mapping[str, Any]) -> tuple[str, bool]:
    # Of two runs that ended in the same second, the one that found something counts.
    return str(record.get("endedAt", "")), record.get("result") != Result.VERIFIED


def _by_export(
    record: Mapping[str, Any],
) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    """What a record says of each export: one line, or more if copies of it lie in the archive."""
    if record.get("kind") != Kind.VERIFICATION or record.get("level") not in list(Level):
        return
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for line in record.get("exports", ()):
        lines.setdefault(str(line["exportId"]), []).append(line)
    yield from lines.items()


def _judged(
    before: tuple[_Finding, ...], record: Mapping[str, Any], told: Sequence[Mapping[str, Any]]
) -> tuple[_Finding, ...]:
    """The findings about an export after what one record says of it."""
    new = tuple(
        _Finding(str(line["folder"]), _look(record, line), _reason(record, line), _is_final(line))
        for line in told
        if line["verdict"] in _BAD
    )
    if any(line["verdict"] not in (*_BAD, Verdict.VERIFIED) for line in told):
        return (*before, *new)
    folders = frozenset(str(line["folder"]) for line in told)
    looks = [_look(record, line) for line in told]
    stands = tuple(
        finding
        for finding in before
        if finding.final
        or not all(look.covers(finding.folder, finding.look, folders) for look in looks)
    )
    return (*stands, *new)


def _look(record: Mapping[str, Any], line: Mapping[str, Any]) -> _Look:
    level = Level(record["level"])
    if level is Level.ITEMS and line.get("notes"):
        # Its keys could not be compared.
        level = Level.OBJECTS
    part = _WHOLE
    if record.get("subset"):
        number, of = str(record["subset"]).split("/")
        part = Subset(number=int(number), of=int(of))
    return _Look(list(Level).index(level), part, str(record.get("prefix", "")))


def _is_final(line: Mapping[str, Any]) -> bool:
    """What was filtered stays so, and after 90 days nobody can be asked any more."""
    return any(problem.get("fault") == Fault.FILTERED for problem in line.get("problems", ()))


def _reason(record: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    """``damaged: <object>: <why> (verified at <time>, level objects)``."""
    found = f"verified {record.get('endedAt')}, level {record['level']}"
    first = next(iter(line.get("problems", ())), None)
    why = f": {first['object']}: {first['reason']}" if first else ""
    return f"{line['verdict']}{why} ({found})"
