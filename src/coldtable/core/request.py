"""From a table and a moment to the one request that exports it, the same every time."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from uuid import UUID

from coldtable.core.prefix import render_prefix
from coldtable.errors import MomentNotRestorable, PitrDisabled
from coldtable.model import ExportRequest, Pitr, Settings, Table


def export_request(
    settings: Settings, table: Table, moment: datetime, attempt: int = 1
) -> ExportRequest:
    """The full export of ``table`` at ``moment`` (UTC, whole second) into the settings' bucket.

    ``attempt`` counts the exports of this very state that AWS accepted and then failed: a replay
    of a failed one's token only returns the failed one [QUIRKS].
    """
    _, _, _, region, account, _ = table.arn.split(":", 5)
    prefix = render_prefix(
        settings.prefix_template,
        moment=moment.astimezone(settings.rule.zone),
        table=table.name,
        account=account,
        region=region,
    )
    token = _token(table, moment, settings.bucket, prefix, attempt)
    return ExportRequest(
        table=table, moment=moment, bucket=settings.bucket, prefix=prefix, token=token
    )


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


def _token(table: Table, moment: datetime, bucket: str, prefix: str, attempt: int) -> str:
    """A ClientToken that is the same if and only if the whole request is the same."""
    parts = ["full", "DYNAMODB_JSON", table.arn, table.table_id, int(moment.timestamp())]
    text = json.dumps([*parts, bucket, prefix, attempt], separators=(",", ":"))
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))
