"""Carry out a plan for one table. Each step can be repeated: a crash between any two loses nothing
and pays for nothing twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from coldtable.core.chain import REFUSED
from coldtable.core.records import (
    Home,
    body,
    definition_key,
    ended_key,
    gap_key,
    iso_z,
    record_key,
    request_fields,
    span_fields,
    stamp,
)
from coldtable.core.request import prefix_of, with_token
from coldtable.core.verdict import check_answer, check_manifest, check_objects, settled_since
from coldtable.errors import DamagedError, Deferred, MomentNotRestorable, NotFound
from coldtable.model import Export, ExportRequest, ExportStatus, Snapshot, Span, Table, Window
from coldtable.model_archive import (
    Action,
    Adopt,
    Attempt,
    EndTable,
    MarkGap,
    Outcome,
    Resume,
    Settle,
    Slot,
    SlotKind,
    Start,
)
from coldtable.model_policy import Policy
from coldtable.ops.catalog import Catalog
from coldtable.ops.find import TOKEN_LIFE, find_export
from coldtable.ops.proof import read_manifest
from coldtable.ports import Exporter, ObjectStore, TableDirectory

log = logging.getLogger("coldtable.tick")

# A manifest that is missing so soon after its export's end may still come.
_MANIFEST_GRACE = timedelta(minutes=10)
# The nightly run tries a failed moment again by itself, with further tokens (ops/export.py).
_NIGHTLY_ATTEMPTS = 5


class Room:
    """How many more exports may be started: AWS allows 300 at once in an account and region."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._lock = Lock()

    def take(self) -> None:
        """Take a place; ``Deferred`` if there is none."""
        with self._lock:
            if self._free <= 0:
                raise Deferred(
                    "As many exports are running as AWS allows at once",
                    hint="The next tick goes on with it",
                )
            self._free -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What applying a plan for one table needs."""

    table: Table
    policy: Policy
    now: datetime
    catalog: Catalog
    exporter: Exporter
    directory: TableDirectory
    objects: Callable[[], ObjectStore]
    room: Room

    @property
    def home(self) -> Home:
        """Where the table's records live."""
        return Home.of(self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one action came to. ``kind`` is started, verified, failed, damaged, gap, ended, adopted
    or waiting; ``arn`` the export's, if it is about one."""

    kind: str
    text: str
    arn: str = ""
    action: Action | None = None


def apply(action: Action, bench: Bench) -> Step:
    """Carry out one action; raises what keeps it from being done."""
    return replace(_apply(action, bench), action=action)


def _apply(action: Action, bench: Bench) -> Step:
    match action:
        case Start():
            return _start(bench, action.slot, action.attempt, action.span)
        case Resume():
            return _resume(bench, action)
        case Adopt():
            return _adopt(bench, action)
        case Settle():
            return _settle(bench, action)
        case MarkGap():
            return _mark_gap(bench, action)
        case EndTable():
            gone = {**_table_fields(bench.table), "id": action.table_id}
            fields = {"table": gone, "reason": action.reason}
            bench.catalog.note(
                ended_key(bench.home, action.table_id), body("ended", bench.now, **fields)
            )
            return Step(kind="ended", text=f"the table {action.table_id} is noted as gone")


def request_for(
    table: Table, policy: Policy, slot: Slot, attempt: int, span: Span
) -> ExportRequest:
    """The request of a slot's attempt. A snapshot's is the nightly schedule's own, so that both
    are one export; every other has a prefix of its own, because incrementals below the same prefix
    share their data folder [REAL-G]."""
    day = span.moment if isinstance(span, Snapshot) else span.start
    prefix = prefix_of(policy.prefix_template, table, day.astimezone(policy.rule.zone))
    if slot.kind is not SlotKind.SNAPSHOT:
        name = f"full-{stamp(day)}"
        if isinstance(span, Window):
            name = f"inc-{stamp(span.start)}-{stamp(span.stop)}"
        prefix = f"{prefix}/{name}" + (f"-a{attempt}" if attempt > 1 else "")
    view = policy.view if isinstance(span, Window) else None
    request = ExportRequest(
        table=table, span=span, view=view, to=policy.to, prefix=prefix, token=""
    )
    return with_token(request, attempt)


def _start(bench: Bench, slot: Slot, attempt: int, span: Span) -> Step:
    bench.room.take()
    request = request_for(bench.table, bench.policy, slot, attempt, span)
    if isinstance(span, Snapshot) and attempt == 1:
        _define(bench, slot)
    key = record_key(bench.home, bench.table.table_id, slot, Attempt(number=attempt))
    intent = body("intent", bench.now, **request_fields(slot, attempt, request))
    if not bench.catalog.note(key, intent):
        # Another tick was first: its request counts, whatever our clock would have chosen. One that
        # is under way or over is not asked for: AWS forgets its token, and would start it anew.
        if bench.catalog.has_started(bench.home, bench.table.table_id, slot, attempt):
            return Step(kind="waiting", text="another tick has started it")
        request = bench.catalog.request(bench.home, bench.table.table_id, slot, attempt)
    return _ask(bench, slot, attempt, request)


def _resume(bench: Bench, action: Resume) -> Step:
    bench.room.take()
    home, table_id = bench.home, bench.table.table_id
    request, at = bench.catalog.intent(home, table_id, action.slot, action.attempt)
    if bench.now - at > TOKEN_LIFE:
        found = find_export(bench.exporter, bench.table, {request.token}, at)
        if found is not None:
            return _note_started(bench, action.slot, action.attempt, request, found)
    return _ask(bench, action.slot, action.attempt, request)


def _adopt(bench: Bench, action: Adopt) -> Step:
    assert isinstance(action.span, Snapshot)  # noqa: S101  the planner adopts nothing else
    wanted = {
        (request := request_for(bench.table, bench.policy, action.slot, n, action.span)).token: (
            n,
            request,
        )
        for n in range(1, _NIGHTLY_ATTEMPTS + 1)
    }
    found = find_export(bench.exporter, bench.table, wanted.keys(), action.span.moment)
    if found is None or found.token is None:
        return Step(kind="waiting", text="the schedule has not started it yet")
    number, request = wanted[found.token]
    _define(bench, action.slot)
    key = record_key(bench.home, bench.table.table_id, action.slot, Attempt(number=number))
    bench.catalog.note(
        key, body("intent", bench.now, **request_fields(action.slot, number, request))
    )
    step = _note_started(bench, action.slot, number, request, found)
    return replace(step, kind="adopted", text="the schedule has started it")


def _ask(bench: Bench, slot: Slot, attempt: int, request: ExportRequest) -> Step:
    try:
        export = bench.exporter.start(request)
    except MomentNotRestorable as refusal:
        # AWS will refuse it again; noted as failed, so that another moment or a gap can follow.
        ended = Attempt(
            number=attempt,
            span=request.span,
            export_id="none",
            outcome=Outcome.FAILED,
            ended=bench.now,
            reason=REFUSED,
        )
        fields = {**request_fields(slot, attempt, request), "message": refusal.message}
        _note(bench, slot, ended, "failed", fields)
        raise
    return _note_started(bench, slot, attempt, request, export)


def _note_started(
    bench: Bench, slot: Slot, attempt: int, request: ExportRequest, export: Export
) -> Step:
    started = Attempt(number=attempt, span=request.span, export_id=export.export_id)
    fields = {**request_fields(slot, attempt, request), "exportArn": export.arn}
    _note(bench, slot, started, "started", fields)
    log.info(
        "export started",
        extra={"table": bench.table.name, "exportArn": export.arn, "prefix": request.prefix},
    )
    return Step(kind="started", text=f"{_what(request.span)} is under way", arn=export.arn)


def _settle(bench: Bench, action: Settle) -> Step:
    attempt, slot = action.attempt, action.slot
    arn = f"{bench.table.arn}/export/{attempt.export_id}"
    export = action.export
    if export is None:
        return _spoil(bench, slot, attempt, Outcome.FAILED, "Forgotten", "AWS forgot the export")
    if export.status is ExportStatus.FAILED:
        return _spoil(
            replace(bench, now=export.ended or bench.now),
            slot,
            attempt,
            Outcome.FAILED,
            export.failure_code or "Unknown",
            export.failure_message or "",
        )
    request = bench.catalog.request(bench.home, bench.table.table_id, slot, attempt.number)
    try:
        fields = prove(request, export, bench.objects())
    except (DamagedError, NotFound) as problem:
        if settled_since(export, bench.now) < _MANIFEST_GRACE and isinstance(problem, NotFound):
            return Step(kind="waiting", text="its manifest is not there yet", arn=arn)
        return _spoil(bench, slot, attempt, Outcome.DAMAGED, "Damaged", problem.message)
    good = replace(attempt, outcome=Outcome.VERIFIED)
    _note(
        bench, slot, good, "verified", {**request_fields(slot, attempt.number, request), **fields}
    )
    return Step(kind="verified", text=f"{_what(request.span)} is proven whole", arn=arn)


def prove(request: ExportRequest, export: Export, store: ObjectStore) -> dict[str, Any]:
    """Prove a completed export whole, short of its data's bytes, and return what to remember.

    Both manifests match their MD5s, the counts agree with each other and with DescribeExport,
    every listed object is there with a size, and nothing of the request was changed.
    Raises ``DamagedError``, or ``NotFound`` if the manifest is not there.
    """
    check_answer(request, export)
    manifest = read_manifest(export, store)
    check_manifest(request, manifest)
    folder = request.prefix.rstrip("/") + "/"
    sizes = {entry.key: entry.size for entry in store.entries(folder)}
    size = check_objects(manifest, sizes)
    return {
        "exportArn": export.arn,
        "manifestFilesKey": manifest.files_key,
        "items": manifest.items,
        "files": len(manifest.files),
        "bytes": size,
        "billedBytes": manifest.billed_bytes,
        "format": manifest.output_format,
        "startedAt": iso_z(export.started) if export.started else None,
        "endedAt": iso_z(export.ended) if export.ended else None,
    }


def _spoil(
    bench: Bench, slot: Slot, attempt: Attempt, outcome: Outcome, code: str, message: str
) -> Step:
    ended = replace(attempt, outcome=outcome, ended=bench.now, reason=code)
    arn = f"{bench.table.arn}/export/{attempt.export_id}"
    fields = {
        "table": _table_fields(bench.table),
        "slot": {"kind": str(slot.kind), "name": slot.name},
        "attempt": attempt.number,
        "span": span_fields(attempt.span) if attempt.span else None,
        "exportArn": arn,
        "code": code,
        "message": message,
    }
    _note(bench, slot, ended, str(outcome), fields)
    log.error(
        "export %s",
        outcome,
        extra={"table": bench.table.name, "exportArn": arn, "code": code, "failure": message},
    )
    return Step(kind=str(outcome), text=f"{code}: {message}", arn=arn)


def _mark_gap(bench: Bench, action: MarkGap) -> Step:
    fields = {
        "table": {**_table_fields(bench.table), "id": action.table_id},
        "from": iso_z(action.start),
        "cause": action.cause,
        "reason": action.reason,
    }
    bench.catalog.note(
        gap_key(bench.home, action.table_id, action.start), body("gap", bench.now, **fields)
    )
    log.error(
        "gap",
        extra={"table": bench.table.name, "from": fields["from"], "reason": action.reason},
    )
    return Step(kind="gap", text=f"a gap from {iso_z(action.start)} on")


def _define(bench: Bench, slot: Slot) -> None:
    """The table's definition beside its full export: exports carry none, and a restore needs it."""
    key = definition_key(bench.home, bench.table.table_id, slot)
    definition = bench.directory.definition(bench.table)
    fields = {"table": _table_fields(bench.table), "definition": definition}
    bench.catalog.note(key, body("definition", bench.now, **fields))


def _note(bench: Bench, slot: Slot, attempt: Attempt, kind: str, fields: dict[str, Any]) -> None:
    key = record_key(bench.home, bench.table.table_id, slot, attempt)
    bench.catalog.note(key, body(kind, bench.now, **fields))


def _table_fields(table: Table) -> dict[str, str]:
    return {"name": table.name, "arn": table.arn, "id": table.table_id}


def _what(span: Span) -> str:
    match span:
        case Snapshot(moment=moment):
            return f"the full export of {iso_z(moment)}"
        case Window(start=start, stop=stop):
            return f"the window from {iso_z(start)} to {iso_z(stop)}"
