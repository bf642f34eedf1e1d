"""``coldtable revert``: undo what happened to a table between two instants."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.archive import find_archive
from coldtable.cli.context import Context, print_table
from coldtable.cli.instant import parse_instant
from coldtable.cli.restore import restore_windows
from coldtable.cli.retrieval import parse_asked, retrieval_of
from coldtable.core.pace import parse_rate
from coldtable.core.request import exact_iso
from coldtable.core.retrieval import Tier
from coldtable.errors import PartialError, UsageError
from coldtable.ops.revert import Fate, RevertPlan, RevertWish, revert_window

SCHEMA = "coldtable.revert/1"
_SHOWN = 20


def revert(
    table: str,
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    to: str,
    in_: Annotated[str | None, Parameter(name="--in")] = None,
    keys: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    archive: str | None = None,
    rate: str = "50%",
    retrieve: Tier | None = None,
    retrieve_days: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Undo in a live table what happened to it between two instants.

    Each item that is still what that time left becomes again what it was before: changed items
    get their old values back, deleted ones come back, and new ones go. Items that were written
    since are conflicts: they are named and left alone. Without --yes nothing is written.

    It takes incremental exports with old images (NEW_AND_OLD_IMAGES), whose windows begin at
    --from and end at --to. Run again after an interruption, it does the rest.

    Examples:

    `coldtable revert orders --from 2026-11-01T03:00Z --to 2026-11-01T04:00Z`

    `coldtable revert orders --from 2026-11-01T03:00Z --to latest --keys 'user#42' --yes`

    Exit codes: 0; 3 if there were conflicts; 4 if no windows join between the instants; 5 if
    anything is damaged; 10 if the exports have no old images; 11 without the rights; 12 if there
    is no such table; 13 if the table was made again since, or if S3 has archived what is read and
    has no copies yet.

    IAM: `dynamodb:DescribeTable`, `dynamodb:BatchGetItem`, `dynamodb:PutItem` and
    `dynamodb:DeleteItem` on the table; `s3:ListBucket` on the archive's bucket and `s3:GetObject`
    on its objects, and to know of filters `dynamodb:DescribeExport` on the exports; with --retrieve
    `s3:RestoreObject` and `s3:PutObject`; without --archive `ssm:GetParametersByPath`.

    Parameters
    ----------
    table
        The table whose exports are read: its name or ARN.
    from_
        Where the time to undo begins, with its offset (2026-11-01T03:00+09:00).
    to
        Where it ends, or `latest`.
    in_
        The table to write to, if it is another one: a restored copy.
    keys
        Only the items of these partition keys; or whole keys as JSON.
    archive
        The exports: s3://BUCKET/PREFIX, or a folder. Default: the bucket of the settings.
    rate
        How fast to write: 500 for items a second, 50% for a share of the write capacity.
    retrieve
        What S3 has archived (GLACIER, DEEP_ARCHIVE) is asked for first: `bulk`, `standard` or
        `expedited`. With --yes it is asked for, and the same command goes on once it is there.
    retrieve_days
        For how many days the retrieved copies stay: 7.
    dry_run
        Only show what would be done, also with --yes.
    yes
        Really do it.
    parameter_path
        Where the settings are in SSM Parameter Store; only for their bucket.
    """
    start, stop = parse_instant(from_), parse_instant(to)
    asked = parse_asked(retrieve, retrieve_days)
    if start is None:
        raise UsageError("--from latest makes no sense", hint="Name the instant to go back to")
    if stop is not None and stop <= start:
        raise UsageError("--to must be after --from")
    place = find_archive(context, archive, parameter_path, table)
    wish = RevertWish(
        table=table, start=start, stop=stop, to=in_, keys=tuple(keys or ()), rate=parse_rate(rate)
    )
    windows = restore_windows(context, place, None)
    retrieval = retrieval_of(context, SCHEMA, windows, table, asked, yes=yes and not dry_run)
    with _shown(context) as show:
        plan = retrieval.plan(
            lambda: revert_window(wish, windows, apply=yes and not dry_run, tell=show)
        )
    if plan is None:
        return 0
    _answer(context, plan)
    conflicts = plan.counts.fates[Fate.CONFLICT]
    if plan.done and conflicts:
        raise PartialError(
            f"{conflicts} items were written since and are left alone, the first: "
            f"{plan.counts.conflicts[0][0]}",
            hint="Look at each, or restore to another table and compare",
        )
    if not plan.done:
        context.note("Nothing was written. To do it, add --yes")
    return 0


@contextmanager
def _shown(context: Context) -> Iterator[Callable[[int], None]]:
    """Shows on a terminal how far it is."""
    if context.verbosity < 0:
        yield lambda _: None
        return
    with context.err.status("Reading the changes") as status:
        yield lambda done: status.update(f"{done:,} items looked at")


def _answer(context: Context, plan: RevertPlan) -> None:
    fates, conflicts = plan.counts.fates, plan.counts.conflicts
    body: dict[str, Any] = {
        "done": plan.done,
        "table": plan.table.arn,
        "from": exact_iso(plan.wish.start),
        "to": exact_iso(plan.stop),
        "exports": [export.manifest.export_arn for export in plan.windows],
        "putBack": fates[Fate.PUT],
        "deleted": fates[Fate.DELETE],
        "alreadySo": fates[Fate.ALREADY],
        "conflictCount": fates[Fate.CONFLICT],
        "conflicts": [{"key": key, "reason": why} for key, why in conflicts],
    }

    def table() -> None:
        done = plan.done
        rows = [
            ("table", plan.table.name),
            ("time", f"{exact_iso(plan.wish.start)} to {exact_iso(plan.stop)}"),
            ("exports", f"{len(plan.windows)} incremental exports"),
            ("put back" if done else "to put back", f"{fates[Fate.PUT]:,} items"),
            ("deleted" if done else "to delete", f"{fates[Fate.DELETE]:,} items"),
            ("already so", f"{fates[Fate.ALREADY]:,} items"),
            ("conflicts", f"{fates[Fate.CONFLICT]:,} items, left as they are"),
        ]
        print_table(["", "REVERT"], [list(row) for row in rows])
        for key, why in conflicts[:_SHOWN]:
            sys.stdout.write(f"conflict: {key}: {why}\n")
        if fates[Fate.CONFLICT] > _SHOWN:
            sys.stdout.write(f"and {fates[Fate.CONFLICT] - _SHOWN:,} more (--output json)\n")

    context.answer(SCHEMA, body, table)
