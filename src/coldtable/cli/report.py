"""``coldtable report``: the evidence that an auditor asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.archive import Place, open_archive
from coldtable.cli.context import Context
from coldtable.cli.keeping import open_kept, parse_moment
from coldtable.core.policy import policy_for, retention_for
from coldtable.core.records import iso_z
from coldtable.core.report import SCHEMA, markdown
from coldtable.core.retention import retention_text
from coldtable.model_policy import Configuration
from coldtable.ops.report import gather_evidence
from coldtable.ops.report_archive import gather_archive


def report(
    *tables: Annotated[str, Parameter(help="Only these tables; without any, all of the catalog.")],
    since: Annotated[str, Parameter(help="From then on: `2026-11-01`, or `2026-11-01T03:00Z`.")],
    archive: Annotated[
        str | None,
        Parameter(
            help="Report on these exports, `s3://BUCKET/PREFIX` or a folder, instead of the "
            "installation's."
        ),
    ] = None,
    parameter_path: Annotated[
        str, Parameter(help="Where the settings are in SSM Parameter Store.")
    ] = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Print the evidence: exports and their proof, gaps, incidents, holds, what has expired.

    Markdown for people, with a line a month for the exports; every export in JSON (--output json).
    It says what the catalog noted: `coldtable verify` reads the bytes again. With --archive it
    reads the manifests of any folder of exports, also one without a catalog: of what only a catalog
    tells it then says that it is not known.

    Examples:

    `coldtable report --since 2026-01-01 > evidence.md`

    `coldtable report orders --since 2026-11-01 --output json`

    `coldtable report --since 2026-11-01 --archive ./copied`

    Exit codes: 0; 2 if the time makes no sense; 10 if the configuration is wrong; 11 without the
    rights; 12 if there is no such table or bucket.

    IAM: `s3:ListBucket` on the bucket and `s3:GetObject` on its objects (`kms:Decrypt` if they are
    encrypted with a key); without --archive `ssm:GetParametersByPath`.
    """
    now, begin = datetime.now(UTC), parse_moment("--since", since)
    if archive is not None:
        return _of_archive(context, open_archive(context, archive), tables, begin, now)
    kept = open_kept(context, parameter_path)
    found = [
        gather_evidence(
            shelf,
            f"s3://{bucket.to.bucket}",
            begin,
            retention_text(retention_for(kept.configuration, shelf.home.name)),
            _pause(kept.configuration, shelf.home.name),
        )
        for bucket, shelf in kept.chosen(tables)
    ]
    body = {
        "since": iso_z(begin),
        "until": iso_z(now),
        "account": kept.account,
        "region": kept.region,
        "tables": [table.body for table in found],
    }
    context.answer(SCHEMA, body, lambda: _print(markdown(found, iso_z(begin), iso_z(now))))
    return 0


def _of_archive(
    context: Context, place: Place, tables: tuple[str, ...], begin: datetime, now: datetime
) -> int:
    """The same of a folder of exports, of whatever accounts and regions."""
    where = place.shown + place.prefix
    found = gather_archive(place.store, place.prefix, where, begin, tables)
    unreadable, unfinished = found.archive.unreadable, found.archive.unfinished
    body = {
        "since": iso_z(begin),
        "until": iso_z(now),
        "account": None,
        "region": None,
        "archive": where,
        "tables": [table.body for table in found.tables],
        "unreadable": [
            {"manifest": place.name(one.summary_key), "reason": one.reason} for one in unreadable
        ],
        "unfinished": [
            {
                "folder": place.name(one.folder),
                "exportId": one.export_id,
                "startedAt": iso_z(one.started),
            }
            for one in unfinished
        ],
    }
    left = [f"{place.name(one.summary_key)} cannot be read: {one.reason}" for one in unreadable]
    left += [
        f"{place.name(one.folder)} has no summary; the export began at {iso_z(one.started)}"
        for one in unfinished
    ]
    for line in left:
        context.note(line)
    text = markdown(found.tables, iso_z(begin), iso_z(now), left)
    context.answer(SCHEMA, body, lambda: _print(text))
    return 0


def _pause(configuration: Configuration, table: str) -> Mapping[str, Any] | None:
    policy = policy_for(configuration, table)
    if policy is None or policy.pause is None:
        return None
    pause = policy.pause
    return {"since": iso_z(pause.since), "reason": pause.reason, "by": pause.by or None}


def _print(text: str) -> None:
    sys.stdout.write(text)
