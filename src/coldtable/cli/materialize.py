"""``coldtable materialize``: a restore point as a full export of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from coldtable.cli.archive import find_archive
from coldtable.cli.context import Context, print_table
from coldtable.cli.instant import parse_instant
from coldtable.cli.retrieval import Retrieval, need_rows, parse_asked
from coldtable.core.archive import of_table
from coldtable.core.request import exact_iso
from coldtable.core.restore_point import RestorePlan
from coldtable.core.retrieval import Need, Tier
from coldtable.errors import UsageError
from coldtable.ops.archive import find_exports
from coldtable.ops.fold_limits import DEFAULT_MEGABYTES, limits
from coldtable.ops.retrieve import Gate, Notes

if TYPE_CHECKING:
    from coldtable.ops.materialize import Destination, Materialized

SCHEMA = "coldtable.materialize/1"


def materialize(
    table: str,
    /,
    *,
    at: str,
    to: str,
    archive: str | None = None,
    memory: int = DEFAULT_MEGABYTES,
    allow_gap: bool = False,
    retrieve: Tier | None = None,
    retrieve_days: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Write a table as it was at an instant as a new full export.

    Reads a full export and the increments after it, and writes what they come to in AWS's own
    layout: ImportTable, `coldtable verify` and other readers of exports take it. Lines of items
    that did not change keep their bytes. Every byte that is read is checked on the way.

    Run again after an interruption, it writes over its own files. If the archive is damaged, what
    was written is removed. If the export is there already,
    it says so and does nothing.

    Examples:

    `coldtable materialize orders --at latest --to s3://bucket/folded`

    `coldtable materialize orders --at 2026-11-01T03:00+09:00 --archive ./copied --to ./folded`

    `coldtable materialize orders --at latest --to ./folded --dry-run`

    Exit codes: 0; 4 if the archive does not cover the instant; 5 if anything is damaged or missing;
    10 without the extra `archive`; 11 without the rights; 12 if there is no such table or bucket;
    13 if other objects lie where the data would, or if S3 has archived what is read and has no
    copies yet.

    IAM: `s3:ListBucket` on both buckets, `s3:GetObject` on both buckets' objects, `s3:PutObject`
    and `s3:AbortMultipartUpload` on those of the new one (`kms:Decrypt` and `kms:GenerateDataKey`
    if they are encrypted with a key), `s3:DeleteObject` to take back what was written when the
    archive turns out to be damaged; to know of filters `dynamodb:DescribeExport` on the exports;
    with --retrieve `s3:RestoreObject`; without --archive `ssm:GetParametersByPath`.

    Parameters
    ----------
    table
        The table whose exports are read: its name or ARN. It need not exist any more.
    at
        The instant, with its offset (2026-11-01T03:00+09:00), or `latest`.
    to
        Where to write: `s3://BUCKET/PREFIX` or a folder. The export gets a folder of its own there.
    archive
        The exports: `s3://BUCKET/PREFIX` or a folder. Without it, the bucket that the settings
        name.
    memory
        How many megabytes the process may take, however large the archive is.
    allow_gap
        Go over gaps between exports; the result says so.
    retrieve
        What S3 has archived (GLACIER, DEEP_ARCHIVE) is asked for first: `bulk`, `standard` or
        `expedited`. With --yes it is asked for, and the same command goes on once it is there.
    retrieve_days
        For how many days the retrieved copies stay: 7.
    dry_run
        Only show what would be read and written.
    yes
        Really ask for what --retrieve costs. Nothing else needs it.
    parameter_path
        Where the settings are in SSM Parameter Store.
    """
    from coldtable.ops.materialize import is_made, plan_materialize
    from coldtable.ops.materialize import materialize as write_export

    instant, bounds = parse_instant(at), limits(memory)
    asked = parse_asked(retrieve, retrieve_days)
    target, shown = _target(context, to)
    place = find_archive(context, archive, parameter_path, table)
    store = place.store
    found = find_exports(store, place.prefix)
    for bad in found.unreadable:
        context.note(f"{place.name(bad.summary_key)} cannot be read: {bad.reason}")
    retrieval = Retrieval(
        context=context,
        schema=SCHEMA,
        retriever=place.open.retriever(),
        notes=Notes(store=target.store, prefix=f"{target.prefix}/".lstrip("/"), table=table),
        asked=asked,
        yes=yes and not dry_run,
    )
    gate = Gate(
        store=store,
        archive=found,
        retriever=retrieval.retriever,
        witness=place.open.witness(),
        say=context.note,
    )

    def planned() -> tuple[RestorePlan, Need]:
        plan = gate.choose(
            lambda: plan_materialize(of_table(found.exports, table), instant, allow_gap=allow_gap),
            instant,
            lambda found: found.moment,
        )
        # What is there already was made from copies that may have gone since.
        done = bool(found.cold) and is_made(plan, target)
        return plan, Need() if done else gate.admit((plan.base, *plan.increments))

    if (made_plan := retrieval.plan(planned)) is None:
        return 0
    plan, need = made_plan
    retrieval.keep(need)
    for name, value in need_rows(need):
        context.note(f"{name}: {value}")
    for seam in plan.seams:
        context.note(f"This is not exact: there is {seam}")
    made = None
    if not dry_run:
        with _progress(context) as tell:
            made = write_export(
                plan,
                store,
                target,
                now=lambda: datetime.now(UTC),
                bounds=bounds,
                archive=place.prefix,
                tell=tell,
            )
    _answer(context, plan, target, shown, made)
    return 0


def _target(context: Context, where: str) -> tuple[Destination, str]:
    """Where to write, and what its keys are shown after."""
    from coldtable.files import FileObjects
    from coldtable.ops.materialize import Destination

    scheme, colon, rest = where.partition("://")
    if not colon:
        path = Path(where).resolve()
        return Destination(store=FileObjects(path)), f"{path}/".replace("//", "/")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError(
            f"--to {where!r} is no place that coldtable can write to",
            hint="Write s3://BUCKET/PREFIX, or the path of a folder",
        )
    from coldtable.aws.objects import S3Objects

    store = S3Objects(context.session.client("s3"), bucket)
    return Destination(store=store, prefix=prefix.strip("/"), bucket=bucket), f"s3://{bucket}/"


@contextmanager
def _progress(context: Context) -> Iterator[Callable[[int, int], None]]:
    """Shows on a terminal how much was read."""
    if context.verbosity < 0:
        yield lambda _done, _all: None
        return
    with context.err.status("Reading the changes") as status:
        yield lambda done, every: status.update(escape(f"{done:,} of {every:,} lines read"))


def _answer(
    context: Context,
    plan: RestorePlan,
    target: Destination,
    shown: str,
    made: Materialized | None,
) -> None:
    from coldtable.core.manifest_text import made_id

    folder = shown + target.folder(made_id(plan))
    body: dict[str, Any] = {
        "done": made is not None,
        "table": plan.base.table.name,
        "restorePoint": exact_iso(plan.moment),
        "base": plan.base.manifest.export_arn,
        "increments": [export.manifest.export_arn for export in plan.increments],
        "seams": [str(seam) for seam in plan.seams],
        "location": folder,
    }
    if made is not None:
        body |= {
            "new": made.new,
            "itemCount": made.manifest.items,
            "files": len(made.manifest.files),
            "storedBytes": made.stored_bytes,
            "jsonBytes": made.json_bytes,
        }
    changes = sum(export.manifest.items for export in plan.increments)

    def table() -> None:
        rows = [
            ("table", f"{plan.base.table.name} at {exact_iso(plan.moment)}"),
            ("from", f"a full export of {plan.base.manifest.items:,} items"),
            ("with", f"{changes:,} changes in {len(plan.increments)} incremental exports"),
            ("to", folder),
        ]
        if made is not None:
            what = f"{made.manifest.items:,} items in {len(made.manifest.files)} files"
            rows.append(("wrote" if made.new else "there already", what))
        print_table(["", "MATERIALIZE"], [list(row) for row in rows])

    context.answer(SCHEMA, body, table)
    if made is None:
        context.note("Nothing was written. To do it, leave --dry-run out")
