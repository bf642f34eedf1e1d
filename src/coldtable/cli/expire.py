"""``coldtable expire``: remove what the retention rules do not keep, by whole chains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.cli.keeping import Bucket, Kept, open_kept
from coldtable.core.amounts import size_text
from coldtable.core.policy import retention_for
from coldtable.core.request import exact_iso
from coldtable.core.retention import Decision, Piece
from coldtable.core.spares import Spare
from coldtable.errors import ColdtableError, PartialError
from coldtable.model import Table
from coldtable.ops.expire import Expired, Ground, TableExpiry, expire, plan_expiry, problems
from coldtable.ops.gone import find_gone, reach
from coldtable.ops.orphans import Orphan, find_orphans, remove_orphan

SCHEMA = "coldtable.expire/1"


@dataclass(slots=True)
class _Work:
    """What is planned, what was done, and what stayed although it should not."""

    plans: list[tuple[Bucket, TableExpiry]] = field(default_factory=list)
    orphans: list[tuple[Bucket, Orphan]] = field(default_factory=list)
    done: list[Expired] = field(default_factory=list)
    gone: list[Orphan] = field(default_factory=list)
    problems: list[ColdtableError] = field(default_factory=list)
    unconfirmed: bool = False

    @property
    def size(self) -> int:
        """The bytes that would be freed."""
        return sum(p.size for _, p in self.plans) + sum(o.size for _, o in self.orphans)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.orphans and not any(p.removals or p.leaving for _, p in self.plans)


def run_expire(
    *tables: Annotated[str, Parameter(help="Only these tables; without any, all of the catalog.")],
    yes: bool = False,
    orphans: bool = False,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Remove the exports that no retention rule keeps, by whole chains.

    Prints what it keeps and what it removes, each with its reasons, and stops there; with --yes it
    removes. The rules are the `keep_…` fields of a policy; without any, every whole export is kept.
    Never removed is what is held, the newest chains, what S3 Object Lock protects, and anything at
    all while a clock seems wrong. A damaged export goes once another one stands in for it.

    Examples:

    `coldtable expire`

    `coldtable expire orders --yes`

    `coldtable expire --orphans`

    Exit codes: 0, also if nothing was removed; 3 if some objects could not be removed; 10 if the
    configuration is wrong; 11 without the rights; 12 if there is no such table or bucket; 13 if a
    hold was added meanwhile.

    IAM: `ssm:GetParametersByPath`; on the bucket `s3:ListBucket`, `s3:GetObject`,
    `s3:GetBucketVersioning`, `s3:GetBucketObjectLockConfiguration`; with Object Lock also
    `s3:GetObjectRetention` and `s3:GetObjectLegalHold`; with `keep_gone_days`
    `dynamodb:DescribeTable`; with --yes `s3:DeleteObject`, and `s3:PutObject` below `coldtable/`.

    Parameters
    ----------
    yes
        Do it.
    orphans
        Also what failed exports left behind more than a week ago: folders without a summary. With
        tables, only such as the catalog knows to be theirs. This lists the whole bucket.
    parameter_path
        Where the settings are in SSM Parameter Store.
    """
    from coldtable.aws.exporter import DynamoDbExporter

    now = datetime.now(UTC)
    kept = open_kept(context, parameter_path)
    exporter = DynamoDbExporter(context.session.client("dynamodb"))
    work = _plan(kept, tables, now, exporter.table, orphans=orphans)
    if yes:
        _carry_out(work, now, context)
    context.answer(SCHEMA, _body(work, yes=yes), lambda: _print(work))
    _say_more(context, work, yes=yes, orphans=orphans)
    if work.problems:
        raise _together(work)
    return 0


def _plan(
    kept: Kept,
    tables: tuple[str, ...],
    now: datetime,
    ask: Callable[[str], Table],
    *,
    orphans: bool,
) -> _Work:
    work = _Work()
    until = reach((shelf for bucket in kept.buckets for shelf in bucket.shelves), now)
    for bucket, shelf in kept.chosen(tables):
        retention = retention_for(kept.configuration, shelf.home.name)
        ground = Ground(store=bucket.store, vault=bucket.vault, now=now)
        gone = find_gone(shelf, retention, until, ask)
        work.plans.append((bucket, plan_expiry(shelf, retention, ground, gone=gone)))
    for bucket in kept.buckets if orphans else ():
        lost = any(h.rebuilt for b, p in work.plans if b is bucket for h in p.holds)
        work.unconfirmed |= lost
        mine = [s for s in bucket.shelves if not tables or s.home.name in tables]
        attempts = [attempt for shelf in mine for _, attempt in shelf.attempts]
        # What is on its way out is finished by its own table's plan.
        leaving = {p.attempt.export_id or "" for s in bucket.shelves for p in s.leaving}
        running = {export_id for s in bucket.shelves for export_id in s.running}
        only = lost or bool(tables)
        found = find_orphans(bucket.store, attempts, now, leaving | running, only=only)
        work.orphans += [(bucket, orphan) for orphan in found]
    return work


def _carry_out(work: _Work, now: datetime, context: Context) -> None:
    for bucket, plan in work.plans:
        if not plan.removals and not plan.leaving:
            continue
        ground = Ground(store=bucket.store, vault=bucket.vault, now=now, watch=context.detail)
        work.done.append(expire(plan, ground))
    work.problems += problems(work.done)
    for bucket, orphan in work.orphans:
        if refused := remove_orphan(bucket.store, orphan):
            work.problems.append(next(iter(refused.values())))
        else:
            work.gone.append(orphan)


def _say_more(context: Context, work: _Work, *, yes: bool, orphans: bool) -> None:
    if not orphans:
        context.detail("What failed exports left behind is not looked for: --orphans does")
    elif work.unconfirmed:
        context.note(
            "Only leftovers that the catalog knows are listed: it was rebuilt, and nobody has "
            "confirmed it (coldtable hold confirm)"
        )
    if work.is_empty:
        context.note("Nothing is to be removed")
        return
    if not yes:
        context.note("Nothing was removed. To remove what the list says: --yes")
    versioned = {b.to.bucket for b, p in work.plans if p.removals and b.vault.keeps_versions()}
    for name in sorted(versioned):
        context.note(
            f"Bucket {name} keeps versions: the bytes are freed when a lifecycle rule removes "
            "noncurrent versions"
        )


def _together(work: _Work) -> ColdtableError:
    """One error for all that stayed, with the code that they share."""
    first = work.problems[0]
    problem = PartialError(
        f"{len(work.problems)} exports could not be removed: {first.message}",
        hint=first.hint or "What is left of them is removed by the next run",
    )
    removed = any(one.removed for one in work.done) or work.gone
    codes = {error.exit_code for error in work.problems}
    if not removed and len(codes) == 1:
        problem.exit_code = codes.pop()
    return problem


def _body(work: _Work, *, yes: bool) -> dict[str, Any]:
    return {
        "dryRun": not yes,
        "bytes": work.size,
        "tables": [_table_body(bucket, plan) for bucket, plan in work.plans],
        "orphans": [
            {
                "folder": f"s3://{bucket.to.bucket}/{orphan.folder}/",
                "exportId": orphan.export_id,
                "startedAt": exact_iso(orphan.started),
                "objects": orphan.objects,
                "bytes": orphan.size,
                "reason": orphan.why,
                "removed": orphan in work.gone,
            }
            for bucket, orphan in work.orphans
        ],
        "removed": sum(len(one.removed) for one in work.done),
        "refused": [
            {"exportId": removal.piece.attempt.export_id, "object": refused.key,
             "code": refused.error.code, "error": refused.error.message}
            for one in work.done
            for removal, refused in one.refused
        ],
    }  # fmt: skip


def _table_body(bucket: Bucket, plan: TableExpiry) -> dict[str, Any]:
    return {
        "tableName": plan.shelf.home.name,
        "tableId": plan.shelf.table_id,
        "bucket": bucket.to.bucket,
        "chains": [
            {
                "keep": decision.keep,
                "reasons": list(decision.reasons),
                "from": exact_iso(decision.unit.start),
                "to": exact_iso(decision.unit.end),
                "exportIds": [p.attempt.export_id for p in decision.unit.pieces],
                "bytes": _size(plan, decision.keep, decision.unit.pieces),
            }
            for decision in plan.decisions
        ],
        "gone": plan.gone,
        "singles": [
            {
                "keep": spare.keep,
                "reasons": list(spare.reasons),
                "damaged": spare.damaged,
                "exportId": spare.piece.attempt.export_id,
                "from": exact_iso(spare.piece.start),
                "to": exact_iso(spare.piece.stop),
                "bytes": _size(plan, spare.keep, [spare.piece]),
            }
            for spare in plan.spares
        ],
        "unjoined": [piece.attempt.export_id for piece in plan.loose],
        "leaving": [removal.piece.attempt.export_id for removal in plan.leaving],
        "bytes": plan.size,
    }


def _size(plan: TableExpiry, keep: bool, pieces: Sequence[Piece]) -> int | None:
    """The bytes of what goes; of what stays nobody has looked."""
    return None if keep else sum(r.size for r in plan.removals_of(pieces))


def _print(work: _Work) -> None:
    rows = [row for _, plan in work.plans for row in _rows(plan)]
    rows += [
        ["", "remove", exact_iso(o.started), "", str(o.objects), size_text(o.size), o.why]
        for _, o in work.orphans
    ]
    print_table(["TABLE", "", "FROM", "TO", "EXPORTS", "SIZE", "WHY"], rows)
    removed = sum(len(one.removed) for one in work.done)
    if work.done or work.gone:
        sys.stdout.write(f"Removed: {removed} exports, {len(work.gone)} leftovers\n")
    else:
        sys.stdout.write(f"To be freed: {size_text(work.size)}\n")


def _rows(plan: TableExpiry) -> Iterator[Sequence[str]]:
    name = plan.shelf.home.name + (" (gone)" if plan.gone else "")

    def row(
        pieces: Sequence[Piece], start: datetime, stop: datetime, one: Decision | Spare
    ) -> Sequence[str]:
        size = _size(plan, one.keep, pieces)
        return [
            name,
            "keep" if one.keep else "remove",
            exact_iso(start),
            exact_iso(stop),
            str(len(pieces)),
            "" if size is None else size_text(size),
            "; ".join(one.reasons),
        ]

    for decision in plan.decisions:
        unit = decision.unit
        yield row(unit.pieces, unit.start, unit.end, decision)
    alike: dict[tuple[object, ...], list[Spare]] = {}
    for spare in plan.spares:
        alike.setdefault((spare.damaged, spare.keep, spare.reasons), []).append(spare)
    for spares in alike.values():
        pieces = [spare.piece for spare in spares]
        first, last = min(p.start for p in pieces), max(p.stop for p in pieces)
        yield row(pieces, first, last, spares[0])
    if plan.leaving:
        size = sum(r.size for r in plan.leaving)
        why = "noted as expired by a run that was interrupted"
        yield [name, "remove", "", "", str(len(plan.leaving)), size_text(size), why]
