"""From a table and a moment to the one request that exports it, the same every time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from coldtable.core.prefix import render_prefix
from coldtable.errors import MomentNotRestorable, PitrDisabled
from coldtable.model import ExportRequest, Pitr, Settings, Snapshot, Table, Window


def export_request(
    settings: Settings, table: Table, moment: datetime, attempt: int = 1
) -> ExportRequest:
    """The full export of ``table`` at ``moment`` (UTC, whole second) to where the settings say.

    ``attempt`` counts the exports of this very state that AWS accepted and then failed: a replay
    of a failed one's token only returns the failed one [QUIRKS].
    """
    to, template = settings.place_of(table.name)
    prefix = prefix_of(template, table, moment.astimezone(settings.rule.zone))
    return with_token(
        ExportRequest(
            table=table,
            span=Snapshot(moment=moment),
            to=to,
            prefix=prefix,
            token="",
        ),
        attempt,
    )


def prefix_of(template: str, table: Table, moment: datetime) -> str:
    """The template's prefix for ``table``; ``moment`` is in the zone whose date counts."""
    _, _, _, region, account, _ = table.arn.split(":", 5)
    return render_prefix(template, moment=moment, table=table.name, account=account, region=region)


def restorable_moment(table: Table, pitr: Pitr, wanted: datetime | None) -> datetime:
    """``wanted`` (the latest moment there is, when ``None``), or an error if PITR lacks it.

    Raises ``PitrDisabled``, or ``MomentNotRestorable`` with both ends of the history.
    """
    if not pitr.enabled or pitr.earliest is None or pitr.latest is None:
        raise PitrDisabled(
            f"Point-in-time recovery is off for table {table.name}: nothing can be exported",
            hint="Turn it on: aws dynamodb update-continuous-backups --table-name "
            f"{table.name} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        )
    moment = wanted or pitr.latest
    if moment < pitr.earliest:
        raise MomentNotRestorable(
            f"Table {table.name} cannot be exported at {iso(moment)}: its history begins at "
            f"{iso(pitr.earliest)} and ends at {iso(pitr.latest)}",
            hint="Point-in-time recovery was enabled later, or its recovery period is shorter. "
            f"Choose a moment from {iso(pitr.earliest)} on, or wait for the next run",
        )
    if moment > pitr.latest:
        raise MomentNotRestorable(
            f"Table {table.name} cannot be exported at {iso(moment)} yet: its history ends at "
            f"{iso(pitr.latest)} (it began at {iso(pitr.earliest)})",
            hint="DynamoDB is about 5 minutes behind. Run the schedule at least 10 minutes after "
            "the moment (BACKUP_HOUR_STR, BACKUP_MINUTE_STR, BACKUP_SECOND_STR), or try again",
        )
    return moment


def iso(moment: datetime) -> str:
    """``2026-11-01T03:00:00+00:00``: how a moment is shown to people and in reports."""
    return moment.isoformat(timespec="seconds")


def exact_iso(moment: datetime) -> str:
    """The same with milliseconds (or microseconds) where there are any."""
    whole = "seconds" if not moment.microsecond else "milliseconds"
    return moment.isoformat(timespec=whole if moment.microsecond % 1000 == 0 else "microseconds")


def with_token(request: ExportRequest, attempt: int) -> ExportRequest:
    """The request with the ClientToken that is the same if and only if all of it is the same."""
    table, to = request.table, request.to
    match request.span:
        case Snapshot(moment=moment):
            parts = ["full", int(moment.timestamp()), ""]
        case Window(start=start, stop=stop):
            parts = ["incremental", int(start.timestamp()), int(stop.timestamp())]
    parts += ["DYNAMODB_JSON", str(request.view or ""), table.arn, table.table_id]
    parts += [to.bucket, to.owner or "", to.key or "", request.prefix, attempt]
    text = json.dumps(parts, separators=(",", ":"))
    token = str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))
    return replace(request, token=token)
