"""``coldtable restore``: a table from the archive, as it was at an instant that it covers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from coldtable.cli.archive import Place, find_archive, open_archive
from coldtable.cli.context import Context
from coldtable.cli.instant import parse_instant
from coldtable.cli.restore_answer import SCHEMA, answer, say_plan
from coldtable.cli.retrieval import parse_asked, retrieval_of
from coldtable.core.definition import parse_key
from coldtable.core.pace import parse_rate
from coldtable.core.retrieval import Tier
from coldtable.errors import UsageError
from coldtable.model_restore import Compare, Merging, Parts, Way
from coldtable.ops.crew import Crew, cores_here
from coldtable.ops.fold_limits import DEFAULT_MEGABYTES, Limits, limits
from coldtable.ops.restore import restore_table
from coldtable.ops.restore_plan import Progress, RestoreWish, plan_table
from coldtable.ops.restore_windows import RestoreWindows

# As in verify: a bucket keeps one waiting, and so many bytes are not worth another process.
_THREADS, _ALONE = 8, 48 * 1024 * 1024


def restore(
    table: str,
    /,
    *,
    at: str,
    to: str,
    archive: str | None = None,
    parameter_path: str = "/coldtable/prod",
    way: Way | None = None,
    merge: bool = False,
    newer_by: str | None = None,
    overwrite: bool = False,
    keys: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    key: list[str] | None = None,
    without_indexes: bool = False,
    without_ttl: bool = False,
    without_tags: bool = False,
    without_streams: bool = False,
    without_pitr: bool = False,
    rate: str | None = None,
    compare: Compare = Compare.SAMPLE,
    allow_gap: bool = False,
    into_source: bool = False,
    unproven: bool = False,
    scratch: str | None = None,
    memory: int = DEFAULT_MEGABYTES,
    retrieve: Tier | None = None,
    retrieve_days: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Make a table again as it was at an instant that the archive covers.

    Without --yes it only shows what it would do, how long that takes and what it costs. Every byte
    that is restored is checked before anything is written, and the table is held against the
    archive when it is done. Run again after any interruption, the same command goes on where it
    was.

    Examples:

    `coldtable restore orders --at latest --to orders-copy`

    `coldtable restore orders --at 2026-11-01T03:00+09:00 --to orders-copy --yes`

    `coldtable restore orders --at latest --to orders-copy --keys 'user#42' --yes`

    `coldtable restore orders --at latest --to orders --into-source --merge --yes`

    `coldtable restore orders --at latest --to copy --archive ./copied --key pk:S --key sk:N --yes`

    `coldtable restore orders --at 2024-11-01T03:00Z --to orders-2024 --retrieve bulk --yes`

    Exit codes: 0; 1 if an import failed or the table is not what the archive holds; 4 if the
    archive does not cover the instant; 5 if anything is damaged or missing; 10 if the key schema
    is not known; 11 without the rights; 12 if there is no such table or bucket; 13 if the table
    must not be written to, or if S3 has archived what is read and has no copies yet.

    IAM: `dynamodb:DescribeTable`, `dynamodb:CreateTable`, `dynamodb:UpdateTable`,
    `dynamodb:UpdateTimeToLive`, `dynamodb:TagResource`, `dynamodb:UpdateContinuousBackups`,
    `dynamodb:BatchGetItem` and `dynamodb:Scan` on the new table; to write
    `dynamodb:BatchWriteItem` (with --merge `dynamodb:PutItem`); to import `dynamodb:ImportTable`,
    `dynamodb:DescribeImport`, `dynamodb:ListImports`, `logs:GetLogEvents`, and what ImportTable
    itself asks for: `logs:CreateLogGroup`, `logs:CreateLogStream`, `logs:DescribeLogGroups`,
    `logs:DescribeLogStreams`, `logs:PutLogEvents`, `logs:PutRetentionPolicy`. `s3:ListBucket` on
    the archive's bucket, `s3:GetObject` on its objects, and to know of filters
    `dynamodb:DescribeExport` on the exports; for the checkpoint and for what increments
    are folded into (see --scratch) `s3:PutObject`, `s3:AbortMultipartUpload` and
    `s3:DeleteObject`; with --retrieve `s3:RestoreObject` on its objects; without --archive
    `ssm:GetParametersByPath`.

    Parameters
    ----------
    table
        The table whose exports are restored: its name or ARN. It need not exist any more.
    at
        The instant, with its offset (2026-11-01T03:00+09:00), or `latest`.
    to
        The table to make or to fill.
    archive
        The exports: s3://BUCKET/PREFIX, or a folder. Default: the bucket of the settings.
    parameter_path
        Where the settings are in SSM Parameter Store; only for their bucket.
    way
        `import` lets DynamoDB import from S3: no write capacity, new tables only. `write` puts
        the items with BatchWriteItem. Default: import where it applies.
    merge
        Fill in what a table that has items lacks. What is there stays: in the source or a copy of
        it that is at least as new as the archive.
    newer_by
        With --merge: an item that is there is replaced if it has less of this attribute (a number
        or a string like 2026-11-01T03:00Z) than the archive's.
    overwrite
        With --merge: items that are there are replaced.
    keys
        Only the items of these partition keys; or whole keys as JSON.
    key
        The key schema, where the archive does not know it: --key pk:S --key sk:N.
    without_indexes
        Make no secondary indexes.
    without_ttl
        Leave time to live off.
    without_tags
        Set no tags.
    without_streams
        Leave the stream off.
    without_pitr
        Leave point-in-time recovery off.
    rate
        How fast to write: 500 for items a second, 50% for a share of the write capacity. Default:
        as fast as the table takes it, and 50% with --merge.
    compare
        How to hold the new table against the archive: `none`, `sample` (up to 1,000 items) or
        `full` (every item; reads the whole table). After a merge it is a sample at the most.
    allow_gap
        Restore over a gap between exports, and say what may be missing.
    into_source
        Write even if TO is the table that the exports are of.
    unproven
        Do not read everything before anything is written: damage is then found on the way only.
    scratch
        Where to keep how far it is, and what incremental exports are folded into:
        s3://BUCKET/PREFIX or a folder. Default: the archive.
    memory
        How many megabytes the folding may take.
    retrieve
        What S3 has archived (GLACIER, DEEP_ARCHIVE) is asked for first: `bulk`, `standard` or
        `expedited`. With --yes it is asked for, and the same command goes on once it is there.
    retrieve_days
        For how many days the retrieved copies stay: 7.
    dry_run
        Only show the plan, also with --yes.
    yes
        Really do it.
    """
    merging = _merging(merge=merge, newer_by=newer_by, overwrite=overwrite)
    asked = parse_asked(retrieve, retrieve_days)
    wish = RestoreWish(
        table=table,
        at=parse_instant(at),
        to=to,
        way=way,
        merging=merging,
        newer_by=newer_by,
        keys=tuple(keys or ()),
        parts=Parts(
            indexes=not without_indexes,
            ttl=not without_ttl,
            tags=not without_tags,
            streams=not without_streams,
            pitr=not without_pitr,
        ),
        rate=parse_rate(rate or "50%") if rate or merging else None,
        key=parse_key(key) if key else None,
        allow_gap=allow_gap,
        into_source=into_source,
        prove=not unproven,
        compare=compare,
    )
    place = find_archive(context, archive, parameter_path, table)
    windows = restore_windows(context, place, scratch, limits(memory))
    retrieval = retrieval_of(context, SCHEMA, windows, table, asked, yes=yes and not dry_run)
    plan = retrieval.plan(lambda: plan_table(wish, windows))
    if plan is None:
        return 0
    retrieval.keep(plan.need)
    if dry_run or not yes:
        answer(context, plan, None)
        context.note("Nothing was restored. To do it, add --yes")
        return 0
    say_plan(context, plan)
    with shown(context) as show:
        report = restore_table(plan, windows, show)
    answer(context, plan, report)
    return 0


def _merging(*, merge: bool, newer_by: str | None, overwrite: bool) -> Merging | None:
    if (newer_by or overwrite) and not merge:
        raise UsageError("--newer-by and --overwrite go with --merge")
    if newer_by and overwrite:
        raise UsageError("--newer-by and --overwrite exclude each other")
    if not merge:
        return None
    return Merging.NEWER if newer_by else Merging.REPLACE if overwrite else Merging.MISSING


def restore_windows(
    context: Context, place: Place, scratch: str | None, bounds: Limits | None = None
) -> RestoreWindows:
    """Everything that a restore asks and changes, with the SDK behind it."""
    from coldtable.aws.imports import DynamoDbImports
    from coldtable.aws.table_reader import DynamoDbReader
    from coldtable.aws.table_writer import DynamoDbWriter
    from coldtable.aws.tables import DynamoDbTables
    from coldtable.aws.wire import Wire

    aside = open_archive(context, scratch) if scratch else place
    dynamodb = context.session.client("dynamodb")
    wire = Wire(context.session.signer("dynamodb"))
    return RestoreWindows(
        store=place.store,
        open_store=place.open,
        crew=Crew(cores=cores_here(), threads=_THREADS if place.waits else 1, alone=_ALONE),
        prefix=place.prefix,
        bucket=place.open.bucket,
        owner=place.open.owner,
        scratch=aside.store,
        scratch_prefix=aside.prefix,
        scratch_bucket=aside.open.bucket,
        scratch_owner=aside.open.owner,
        region=dynamodb.meta.region_name,
        tables=DynamoDbTables(dynamodb),
        writer=DynamoDbWriter(wire),
        reader=DynamoDbReader(wire),
        importer=DynamoDbImports(dynamodb, context.session.client("logs")),
        ion=_read_ion,
        bounds=bounds or limits(),
        now=lambda: datetime.now(UTC),
        pause=time.sleep,
        say=context.note,
        retriever=place.open.retriever(),
        witness=place.open.witness(),
    )


def _read_ion(line: bytes) -> dict[str, Any]:
    from coldtable.ion import read_line

    return read_line(line)


@contextmanager
def shown(context: Context) -> Iterator[Callable[[Progress], None]]:
    """Shows how far it is on a terminal; whoever interrupts it is told how to go on."""
    try:
        if context.verbosity < 0:
            yield lambda _: None
            return
        with context.err.status("") as status:
            yield lambda now: status.update(escape(f"{now.done:,} of {now.total:,} {now.what}"))
    except (KeyboardInterrupt, SystemExit):
        context.note("To go on where it was, run the same command again")
        raise
