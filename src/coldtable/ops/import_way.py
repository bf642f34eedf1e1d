"""Import a full export with ImportTable: started once, followed to its end, and judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from coldtable.core.checkpoint import Checkpoint
from coldtable.errors import ImportFailed, NotFound
from coldtable.model_restore import Import
from coldtable.ports_restore import Importer

# AWS's own waiter asks every 20 s [MODEL]; whoever waits for little need not wait for that.
_SHORTEST, _LONGEST = 1.0, 20.0
_PROBLEMS = 10


def import_request(
    restore_id: str,
    attempt: int,
    *,
    bucket: str,
    owner: str | None,
    folder: str,
    output_format: str,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """The ImportTable request of one attempt. ``folder`` ends with a slash: S3 takes it as a mere
    beginning of keys, and ``data`` would match ``data2/`` too [QUIRKS]."""
    text = f"{restore_id} {attempt} {bucket} {folder}"
    return {
        "ClientToken": hashlib.sha256(text.encode()).hexdigest()[:36],
        "S3BucketSource": {
            "S3Bucket": bucket,
            "S3KeyPrefix": folder,
            **({"S3BucketOwner": owner} if owner else {}),
        },
        "InputFormat": output_format,
        "InputCompressionType": "GZIP",
        "TableCreationParameters": dict(parameters),
    }


def begun_import(importer: Importer, request: Mapping[str, Any], checkpoint: Checkpoint) -> Import:
    """The import of this attempt: the one that is known or can be found, else a new one.

    Whoever died between asking for it and noting its ARN left one that only AWS knows of.
    """
    if checkpoint.import_arn:
        return importer.describe(checkpoint.import_arn)
    table = request["TableCreationParameters"]["TableName"]
    found = importer.find(table, request["ClientToken"])
    return found or importer.start(request)


def is_over(importer: Importer, checkpoint: Checkpoint) -> bool:
    """Whether the import that the checkpoint knows has ended, however it did."""
    if not checkpoint.import_arn:
        return False
    try:
        return not importer.describe(checkpoint.import_arn).running
    except NotFound:
        # AWS forgets them after 90 days.
        return True


def follow_import(
    importer: Importer,
    started: Import,
    pause: Callable[[float], None],
    progress: Callable[[Import], None],
) -> Import:
    """The import once it has ended, however it did."""
    now, seconds = started, _SHORTEST
    while now.running:
        progress(now)
        pause(seconds)
        seconds = min(_LONGEST, seconds * 1.5)
        now = importer.describe(now.arn)
    progress(now)
    return now


def judge_import(importer: Importer, ended: Import, wanted: int) -> None:
    """Raise ``ImportFailed`` unless the import completed with ``wanted`` items.

    A wrong folder imports nothing and completes [SCYLLA], a FAILED import leaves an active table
    with a part of the items [DOC-IMP]: neither may pass for a restore.
    """
    name = ended.table_name
    partial = (
        f"The table {name} may exist with a part of the items: delete it before you try again, "
        f"aws dynamodb delete-table --table-name {name}"
    )
    if ended.status != "COMPLETED":
        lines = [
            f"  {problem.key or 'the log says'}"
            + (f", item {problem.index}" if problem.index >= 0 else "")
            + f": {'; '.join(problem.messages)}"
            for problem in importer.problems(ended, _PROBLEMS)
        ]
        raise ImportFailed(
            "\n".join(
                [
                    f"The import {ended.arn} is {ended.status}: {ended.failure_code or 'no code'}: "
                    f"{ended.failure_message or 'no message'} ({ended.imported_items or 0} of "
                    f"{wanted} items were imported)",
                    *lines,
                ]
            ),
            hint=partial,
        )
    if ended.imported_items != wanted:
        raise ImportFailed(
            f"The import {ended.arn} is COMPLETED with {ended.imported_items} items, and the "
            f"export has {wanted}",
            hint=partial,
        )


def noted(checkpoint: Checkpoint, found: Import) -> Checkpoint:
    """The checkpoint with what is known of its import now."""
    return replace(
        checkpoint, import_arn=found.arn, table_id=found.table_id or checkpoint.table_id, made=True
    )
