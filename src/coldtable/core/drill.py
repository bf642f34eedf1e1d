"""A drill: what is known of one that is under way, what comes of it, and when the next is due.

A drill restores a table into one of its own, compares, and throws that table away. It may be
interrupted at any point and gone on with by somebody else, so that all that is known of it is one
object in the bucket.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from coldtable.core.creation import is_on_demand
from coldtable.core.prices import read_price
from coldtable.core.records import ROOT, Home, iso_z, span_fields
from coldtable.core.request import exact_iso
from coldtable.errors import DamagedError
from coldtable.model import Snapshot, Table
from coldtable.model_policy import DRILL_PREFIX
from coldtable.model_restore import Compare, Comparison, Definition, Estimate, Import

SCHEMA = "coldtable.drill-state/1"
# By the first of them a table is known as a drill's own; the other one is for people.
TAG, SOURCE_TAG = "coldtable:drill", "coldtable:source"
# A table name's most letters [MODEL].
_LONGEST = 255
# Every item is read and hashed on both sides, some ten thousand a second.
_MOST_ITEMS = 10_000_000
# So long a table of little read capacity may be read.
_MOST_SECONDS = 1800
# A table is looked at once a day, and its last drill has ended some hours after that.
_SLACK = timedelta(hours=12)
# A consistent read of so many bytes is one unit [MODEL].
_UNIT = 4096


class Result(StrEnum):
    """How a drill ended."""

    PASSED = "passed"
    FAILED = "failed"


class RtoBy(StrEnum):
    """What an RTO was measured by: the clock of the one run that did it all, or the end that
    DynamoDB tells of an import that nothing interrupted."""

    RUN = "run"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill. ``asked`` is its instant as somebody asked for it, ``moment`` what that was.

    ``exports`` are the ARNs of all that is read, and ``folder`` where the only one of them lies, if
    nothing else of the archive is looked at. ``name`` is the table that it makes, ``table_id`` that
    table's, once it is known, and ``facts`` is what was planned, for its record. ``seconds`` is
    what each part took, ``rto_seconds`` how long it was from the beginning until all items were
    there, by ``rto_by``: only if nothing interrupted that. ``resumed_at`` is when it was gone on
    with for the first time. ``kept`` tells that the table stays when it has ``ended``, and ``over``
    that nothing is left to be done: it has failed, and is remembered for its table.
    """

    drill_id: str
    source: Table
    asked: str
    moment: datetime
    exports: tuple[str, ...]
    allow_gap: bool
    name: str
    began: datetime
    folder: str = ""
    runs: int = 1
    resumed_at: datetime | None = None
    table_id: str = ""
    filled: datetime | None = None
    rto_seconds: float | None = None
    rto_by: RtoBy | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    comparison: Comparison | None = None
    result: Result | None = None
    error: str = ""
    exit_code: int = 0
    ended: datetime | None = None
    kept: bool = False
    over: bool = False

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """The tags of its table."""
        return ((TAG, self.drill_id), (SOURCE_TAG, self.source.name))

    @property
    def resumed(self) -> bool:
        """Whether more than one run has worked on it."""
        return self.runs > 1

    def measured(self, *, now: datetime, seconds: float, imported: Import | None) -> Drill:
        """With when it was filled, and the RTO if there is an honest one.

        ``seconds`` is how long this run has worked on it, and ``now`` when its table was seen
        to be ready. Of a drill that was gone on with only an import's own times are honest, and
        only if that had begun before: DynamoDB goes on without us.
        """
        if not self.resumed:
            return replace(self, filled=now, rto_seconds=round(seconds, 3), rto_by=RtoBy.RUN)
        ended = imported.ended if imported else None
        if imported is None or imported.started is None or ended is None or ended < self.began:
            return replace(self, filled=now)
        if self.resumed_at is None or imported.started > self.resumed_at:
            return replace(self, filled=ended)
        took = round((ended - self.began).total_seconds(), 3)
        parts = {**self.seconds, "fill": round((ended - imported.started).total_seconds(), 3)}
        return replace(self, filled=ended, rto_seconds=took, rto_by=RtoBy.IMPORT, seconds=parts)


def drill_of(
    source: Table,
    asked: str,
    moment: datetime,
    exports: Sequence[str],
    *,
    began: datetime,
    allow_gap: bool = False,
    prefix: str = DRILL_PREFIX,
    folder: str = "",
) -> Drill:
    """A new drill. No other one has its id, and so none has its table's name: an import's token
    that was used is not good for another."""
    text = json.dumps([source.arn, source.table_id, list(exports), exact_iso(moment)])
    drill_id = hashlib.sha256(f"{text} {began.isoformat()}".encode()).hexdigest()[:16]
    return Drill(
        drill_id=drill_id,
        source=source,
        asked=asked,
        moment=moment,
        exports=tuple(exports),
        allow_gap=allow_gap,
        name=scratch_name(prefix, source.name, drill_id),
        began=began,
        folder=folder,
    )


def scratch_name(prefix: str, table: str, drill_id: str) -> str:
    """The name of the table that a drill makes; a long one loses its middle."""
    ending = f"-{drill_id[:8]}"
    return f"{prefix}{table}"[: _LONGEST - len(ending)] + ending


def remove_command(name: str) -> str:
    """How a person removes a drill's table."""
    return f"aws dynamodb delete-table --table-name {name}"


def drills_folder(home: Home | None = None) -> str:
    """The folder of what is known of one table's drills under way; of all tables'."""
    folder = f"{ROOT}/drill/"
    return f"{folder}{home.account}/{home.region}/{home.name}/" if home else folder


def drill_key(drill: Drill) -> str:
    """Where what is known of this drill lies, below the scratch place's prefix.

    Of two that read the same for the same instant there is one at a time.
    """
    text = json.dumps([drill.source.table_id, sorted(drill.exports), exact_iso(drill.moment)])
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{drills_folder(Home.of(drill.source))}{name}.json"


def compare_level(
    wanted: Compare | None, found: Estimate, definition: Definition
) -> tuple[Compare, str]:
    """How to compare, and why: every item, unless that would take hours."""
    if wanted is not None:
        return wanted, "it was asked for"
    if found.items > _MOST_ITEMS:
        return Compare.SAMPLE, f"it has more than {_MOST_ITEMS:,} items"
    if not is_on_demand(definition):
        throughput = definition.table.get("ProvisionedThroughput") or {}
        units = throughput.get("ReadCapacityUnits") or 1
        if (found.json_bytes or 0) / _UNIT / units > _MOST_SECONDS:
            return Compare.SAMPLE, f"to read all of it takes long with {units} read units"
    return Compare.FULL, "it is not too much to read all of it"


def drill_price(found: Estimate, level: Compare, definition: Definition) -> float | None:
    """USD for the restore and for reading all of it again; ``None`` where nobody can tell."""
    if found.dollars is None:
        return None
    if level is not Compare.FULL or not is_on_demand(definition):
        return found.dollars
    return found.dollars + read_price((found.json_bytes or 0) / _UNIT)


def due_for_drill(
    last: Mapping[str, datetime | None], now: datetime, every: timedelta
) -> tuple[str, ...]:
    """Which tables to drill now, the one that waits longest first.

    ``last`` is when each table's last drill ended, however it did (``None``: it has had none). A
    time in the future is not due (``ops.drill_plan.last_drill`` leaves such out): else a clock that
    jumped would have it drilled again and again. Half a day too early is: whoever looks once a day
    would else wait for another day, because the last one took some hours.
    """
    soon = now + _SLACK
    waiting = {table: at for table, at in last.items() if at is None or soon - at >= every}
    return tuple(sorted(waiting, key=lambda table: (_timestamp(waiting[table]), table)))


def _timestamp(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def encode(drill: Drill) -> bytes:
    """The drill as JSON."""
    record = {
        "schema": SCHEMA,
        "drillId": drill.drill_id,
        "table": {
            "name": drill.source.name,
            "arn": drill.source.arn,
            "id": drill.source.table_id,
        },
        "asked": drill.asked,
        "moment": drill.moment.isoformat(),
        "exports": list(drill.exports),
        "allowGap": drill.allow_gap,
        "scratchTable": drill.name,
        "scratchTableId": drill.table_id,
        "began": drill.began.isoformat(),
        "folder": drill.folder,
        "runs": drill.runs,
        "resumedAt": drill.resumed_at.isoformat() if drill.resumed_at else None,
        "filled": drill.filled.isoformat() if drill.filled else None,
        "rtoSeconds": drill.rto_seconds,
        "rtoBy": str(drill.rto_by) if drill.rto_by else None,
        "seconds": dict(drill.seconds),
        "comparison": comparison_body(drill.comparison) if drill.comparison else None,
        "result": str(drill.result) if drill.result else None,
        "error": drill.error,
        "exitCode": drill.exit_code,
        "facts": dict(drill.facts),
        "ended": drill.ended.isoformat() if drill.ended else None,
        "kept": drill.kept,
        "over": drill.over,
    }
    return json.dumps(record, indent=1).encode() + b"\n"


def decode(name: str, body: bytes) -> Drill:
    """What ``encode`` wrote; ``DamagedError`` naming it if it is anything else."""
    try:
        record: dict[str, Any] = json.loads(body)
        if record["schema"] != SCHEMA:
            raise ValueError(f"its schema is {record['schema']!r}")
        table, compared = record["table"], record["comparison"]
        return Drill(
            drill_id=record["drillId"],
            source=Table(name=table["name"], arn=table["arn"], table_id=table["id"]),
            asked=record["asked"],
            moment=datetime.fromisoformat(record["moment"]),
            exports=tuple(record["exports"]),
            allow_gap=bool(record["allowGap"]),
            name=record["scratchTable"],
            table_id=record["scratchTableId"],
            began=datetime.fromisoformat(record["began"]),
            folder=record.get("folder", ""),
            runs=int(record["runs"]),
            resumed_at=_moment(record.get("resumedAt")),
            filled=_moment(record["filled"]),
            rto_seconds=record["rtoSeconds"],
            rto_by=RtoBy(record["rtoBy"]) if record.get("rtoBy") else None,
            seconds=dict(record["seconds"]),
            comparison=_comparison(compared) if compared else None,
            result=Result(record["result"]) if record["result"] else None,
            error=record["error"],
            exit_code=int(record["exitCode"]),
            facts=dict(record["facts"]),
            ended=_moment(record["ended"]),
            kept=bool(record["kept"]),
            over=bool(record["over"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(
            f"What is known of a drill cannot be read: {name}: {error}",
            hint="Look for its table (its name begins with the prefix), remove both, drill again",
        ) from None


def evidence_fields(drill: Drill) -> dict[str, Any]:
    """The record of a drill that has ended: what ``coldtable report`` shows of it."""
    table = drill.source
    return {
        "table": {"name": table.name, "arn": table.arn, "id": table.table_id},
        "result": str(drill.result),
        "summary": summary(drill),
        **outcome(drill),
    }


def outcome(drill: Drill) -> dict[str, Any]:
    """What was measured and found, for records and for the JSON answer."""
    return {
        "drillId": drill.drill_id,
        "moment": _shown(drill.moment),
        "exportIds": [arn.rpartition("/")[2] for arn in drill.exports],
        **drill.facts,
        "beganAt": iso_z(drill.began),
        "endedAt": iso_z(drill.ended) if drill.ended else None,
        "lagSeconds": _seconds_since(drill.moment, drill.began),
        "resumed": drill.resumed,
        "rtoSeconds": drill.rto_seconds,
        "rtoBy": str(drill.rto_by) if drill.rto_by else None,
        # Interruptions included: no RTO, and never less than one.
        "filledAfterSeconds": _seconds_since(drill.began, drill.filled),
        "seconds": dict(drill.seconds),
        "comparison": comparison_body(drill.comparison) if drill.comparison else None,
        "scratchTable": drill.name,
        "kept": drill.kept,
        "error": drill.error or None,
    }


def summary(drill: Drill) -> str:
    """One line for people."""
    moment = _shown(drill.moment)
    if drill.result is Result.FAILED:
        return f"the restore of {moment} failed: {drill.error}"
    found = drill.comparison
    took = "in several runs"
    if drill.rto_seconds is not None:
        took = f"in {timedelta(seconds=round(drill.rto_seconds))}"
    compared = "compared nothing"
    if found and found.level is not Compare.NONE:
        every = "all" if found.level is Compare.FULL else "a sample of"
        compared = f"{every} {found.checked:,} items are the same"
    return f"{moment} was restored {took} (by {drill.facts.get('way', '?')}): {compared}"


def _shown(moment: datetime) -> str:
    return span_fields(Snapshot(moment=moment))["moment"]


def _seconds_since(began: datetime, then: datetime | None) -> float | None:
    return round((then - began).total_seconds(), 3) if then else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def comparison_body(found: Comparison) -> dict[str, Any]:
    """A comparison in a record."""
    return {
        "level": str(found.level),
        "checked": found.checked,
        "wanted": found.wanted,
        "found": found.found,
        "same": found.same,
        "missing": list(found.missing),
        "different": list(found.different),
    }


def _comparison(record: Mapping[str, Any]) -> Comparison:
    return Comparison(
        level=Compare(record["level"]),
        checked=record["checked"],
        wanted=record["wanted"],
        found=record["found"],
        missing=tuple(record["missing"]),
        different=tuple(record["different"]),
    )
