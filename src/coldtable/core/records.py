"""The catalog's records: their keys, which carry the facts, and their JSON. docs/format.md.

A tick needs only the listing: what was wanted, started, verified, failed or lost, and which time
it covers, is in the keys. Two ticks that want the same export want the same key, so that the
conditional write of it decides which of them asks AWS, and for what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coldtable.errors import DamagedError
from coldtable.model import (
    Destination,
    ExportRequest,
    Snapshot,
    Span,
    Table,
    View,
    Window,
)
from coldtable.model_archive import Attempt, IncidentKind, Outcome, Slot, SlotKind

ROOT = "coldtable/v1"
SCHEMA = "coldtable.record/1"

# Milliseconds only of a full export whose moment nobody chose, so never of one of ours [REAL-G].
_TIME = r"\d{8}T\d{6}(?:\.\d{3})?Z"
_ATTEMPT = (
    r"a(?P<attempt>\d+)\.(?P<state>intent|started|verified|failed|damaged|cleared|expired|removed)"
    rf"(?:\.(?P<until>{_TIME})\.(?P<export>[\w-]+)(?:\.(?P<ended>{_TIME})\.(?P<code>\w+))?)?"
)
_LOG_NAME = re.compile(
    rf"(?P<name>{_TIME})\.(?P<kind>window|snapshot)\.(?:(?P<gap>gap)|(?P<definition>definition)|{_ATTEMPT})\.json"
)
_BASE_NAME = re.compile(rf"(?P<name>\d{{6}})\.(?:(?P<definition>definition)|{_ATTEMPT})\.json")
_INCIDENT_NAME = re.compile(
    r"(?P<kind>trouble|loss|damage|drill)\.(?P<name>[0-9TZ.]+)\.(?P<state>open|told|over|overtold)\.json"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where the records of a table name live; ``name`` is the table's."""

    account: str
    region: str
    name: str

    @classmethod
    def of(cls, table: Table) -> Home:
        """The home of a table's records."""
        _, _, _, region, account, _ = table.arn.split(":", 5)
        return cls(account=account, region=region, name=table.name)

    @property
    def table(self) -> str:
        """The folder of bases and incidents of every table that had this name."""
        return f"{ROOT}/table/{self.account}/{self.region}/{self.name}/"

    def base(self, table_id: str) -> str:
        """The folder of one table's bases."""
        return f"{self.table}base/{table_id}/"

    @property
    def incident(self) -> str:
        """The folder of incidents."""
        return f"{self.table}incident/"

    def log(self, table_id: str) -> str:
        """The folder of one table's windows and snapshots."""
        return f"{ROOT}/log/{self.account}/{self.region}/{self.name}/{table_id}/"

    def index(self, table_id: str) -> str:
        """The folder of one table's monthly indexes."""
        return f"{ROOT}/index/{self.account}/{self.region}/{self.name}/{table_id}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one key of a log or base folder says."""

    slot: Slot
    attempt: Attempt | None = None
    gap: bool = False
    definition: bool = False


def stamp(moment: datetime) -> str:
    """``20261125T100000Z``: a moment in a key; with milliseconds if it has any."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}{_milliseconds(moment)}Z"


def unstamp(text: str) -> datetime:
    """The moment of a stamp."""
    return datetime.fromisoformat(text)


def slot_of(kind: SlotKind, moment: datetime) -> Slot:
    """The slot of a snapshot at ``moment``, or of the window that starts then."""
    return Slot(kind=kind, name=stamp(moment))


def base_slot(number: int) -> Slot:
    """The slot of the table's base of that number; the first is 1."""
    return Slot(kind=SlotKind.BASE, name=f"{number:06}")


def record_key(home: Home, table_id: str, slot: Slot, attempt: Attempt) -> str:
    """The key of the record that says what ``attempt`` says."""
    parts = [f"a{attempt.number}"]
    if attempt.export_id is None:
        parts.append("intent")
    else:
        state = str(attempt.outcome) if attempt.outcome else "started"
        parts += [state, stamp(_until(attempt.span)), attempt.export_id]
        if (attempt.spoilt or attempt.expired) and attempt.ended:
            parts += [
                stamp(attempt.ended.replace(microsecond=0)),
                re.sub(r"\W", "", attempt.reason) or "Unknown",
            ]
    return _place(home, table_id, slot) + ".".join(parts) + ".json"


def gap_key(home: Home, table_id: str, start: datetime) -> str:
    """The key of the record that nothing after ``start`` can be rebuilt until the next base."""
    return f"{home.log(table_id)}{stamp(start)}.window.gap.json"


def definition_key(home: Home, table_id: str, slot: Slot) -> str:
    """The key of the table's definition as it was when the slot's full export was wanted."""
    return f"{_place(home, table_id, slot)}definition.json"


def ended_key(home: Home, table_id: str) -> str:
    """The key of the record that this table is gone and another one has its name."""
    return f"{home.base(table_id)}ended.json"


def incident_key(home: Home, kind: IncidentKind, name: str, state: str) -> str:
    """The key of an incident's record: open, told, over or overtold."""
    return f"{home.incident}{kind}.{name}.{state}.json"


def parse_log_name(name: str) -> Fact | None:
    """What the last part of a key in a log folder says; ``None`` for a name that is not ours."""
    found = _LOG_NAME.fullmatch(name)
    if not found:
        return None
    slot = Slot(kind=SlotKind(found["kind"]), name=found["name"])
    if found["gap"] or found["definition"]:
        return Fact(slot=slot, gap=bool(found["gap"]), definition=bool(found["definition"]))
    return Fact(slot=slot, attempt=_attempt(slot, found))


def parse_base_name(name: str) -> Fact | None:
    """What the last part of a key in a base folder says; ``None`` for a name that is not ours."""
    found = _BASE_NAME.fullmatch(name)
    if not found:
        return None
    slot = Slot(kind=SlotKind.BASE, name=found["name"])
    if found["definition"]:
        return Fact(slot=slot, definition=True)
    return Fact(slot=slot, attempt=_attempt(slot, found))


def parse_incident_name(name: str) -> tuple[IncidentKind, str, str] | None:
    """Kind, name and state of an incident's record; ``None`` for a name that is not ours."""
    found = _INCIDENT_NAME.fullmatch(name)
    return (IncidentKind(found["kind"]), found["name"], found["state"]) if found else None


def body(kind: str, at: datetime, **fields: Any) -> bytes:
    """A record's JSON: one object, with the schema's name and when it was written."""
    record = {"schema": SCHEMA, "kind": kind, "at": iso_z(at), **fields}
    return json.dumps(record, indent=1).encode() + b"\n"


def iso_z(moment: datetime) -> str:
    """``2026-11-25T10:00:00Z``: a moment in a record."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def request_fields(slot: Slot, attempt: int, request: ExportRequest) -> dict[str, Any]:
    """The fields of an intent: enough to ask for exactly the same export again."""
    table, to = request.table, request.to
    return {
        "table": {"name": table.name, "arn": table.arn, "id": table.table_id},
        "slot": {"kind": str(slot.kind), "name": slot.name},
        "attempt": attempt,
        "request": {
            "span": span_fields(request.span),
            "view": str(request.view) if request.view else None,
            "bucket": to.bucket,
            "owner": to.owner,
            "key": to.key,
            "prefix": request.prefix,
            "token": request.token,
        },
    }


def span_fields(span: Span) -> dict[str, str]:
    """A span in a record."""
    match span:
        case Snapshot(moment=moment):
            return {"moment": iso_z(moment).replace("Z", f"{_milliseconds(moment)}Z")}
        case Window(start=start, stop=stop):
            return {"from": iso_z(start), "to": iso_z(stop)}


def parse_record(key: str, raw: bytes) -> dict[str, Any]:
    """A record's fields; ``DamagedError`` if it is not one of ours."""
    try:
        found = json.loads(raw)
        if found["schema"] != SCHEMA:
            raise ValueError(f"its schema is {found['schema']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"The catalog's record {key} cannot be read: {error}",
            hint="If it is from a newer coldtable, update this one; if it is spoilt, move it away "
            "and run: coldtable catalog rebuild",
        ) from None
    record: dict[str, Any] = found
    return record


def parse_request(key: str, record: Mapping[str, Any]) -> ExportRequest:
    """The request of an intent's record."""
    try:
        asked, table = record["request"], record["table"]
        return ExportRequest(
            table=Table(name=table["name"], arn=table["arn"], table_id=table["id"]),
            span=parse_span(asked["span"]),
            view=View(asked["view"]) if asked["view"] else None,
            to=Destination(bucket=asked["bucket"], owner=asked["owner"], key=asked["key"]),
            prefix=asked["prefix"],
            token=asked["token"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"The catalog's record {key} lacks its request: {error!r}") from None


def parse_span(found: Mapping[str, str]) -> Span:
    """The span that ``span_fields`` wrote."""
    if "moment" in found:
        return Snapshot(moment=datetime.fromisoformat(found["moment"]))
    return Window(
        start=datetime.fromisoformat(found["from"]), stop=datetime.fromisoformat(found["to"])
    )


def _milliseconds(moment: datetime) -> str:
    return f".{moment.microsecond // 1000:03}" if moment.microsecond >= 1000 else ""


def _place(home: Home, table_id: str, slot: Slot) -> str:
    if slot.kind is SlotKind.BASE:
        return f"{home.base(table_id)}{slot.name}."
    return f"{home.log(table_id)}{slot.name}.{slot.kind}."


def _until(span: Span | None) -> datetime:
    match span:
        case Snapshot(moment=moment):
            return moment
        case Window(stop=stop):
            return stop
    raise AssertionError("an attempt with an export has a span")


def _attempt(slot: Slot, found: re.Match[str]) -> Attempt | None:
    if (found["state"] == "intent") != (found["until"] is None):
        return None
    ended = found["ended"]
    return Attempt(
        number=int(found["attempt"]),
        span=_span(slot, unstamp(found["until"])) if found["until"] else None,
        export_id=found["export"],
        outcome=None if found["state"] in ("intent", "started") else Outcome(found["state"]),
        ended=unstamp(ended) if ended else None,
        reason=found["code"] or "",
    )


def _span(slot: Slot, until: datetime) -> Span:
    if slot.kind is SlotKind.WINDOW:
        return Window(start=unstamp(slot.name), stop=until)
    return Snapshot(moment=until)
