"""``coldtable hold``: pin what must not expire, and release it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from coldtable.cli.context import Context, print_table
from coldtable.cli.keeping import Bucket, Kept, open_kept, parse_moment
from coldtable.core.holds import scope_text
from coldtable.core.policy_text import check_line
from coldtable.core.records import Home, iso_z
from coldtable.errors import NotFound, UsageError
from coldtable.model_archive import Hold
from coldtable.ops.catalog import Catalog
from coldtable.ops.hold import add_hold, confirm_holds, holds_of, release_hold

SCHEMA = "coldtable.hold/1"
_LONGEST = 256

hold = App(name="hold", help="Pin exports that retention must not remove.")

_Table = Annotated[str, Parameter(help="The table.")]
_Path = Annotated[str, Parameter(help="Where the settings are in SSM Parameter Store.")]
_By = Annotated[str | None, Parameter(help="Who wants it. Default: the ARN of the caller.")]


@hold.command(name="add")
def add(
    table: _Table,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why: a case, a law, a name.")],
    at: Annotated[
        str | None,
        Parameter(help="Hold whatever is needed for this moment: `2026-11-01T03:00Z`."),
    ] = None,
    export: Annotated[str | None, Parameter(help="Hold this export, with its chain.")] = None,
    by: _By = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Hold exports of a table until they are released: `coldtable expire` keeps them.

    Without --at and --export everything of the table is held, and what is still to come. A hold is
    a record of the catalog: what keeps others with the right to delete from it is Object Lock.

    Examples:

    `coldtable hold add orders --reason "case 7"`

    `coldtable hold add orders --at 2026-11-01T03:00Z --reason "audit of October"`

    Exit codes: 0; 2 if the command makes no sense; 4 if no chain reaches to that moment; 11 without
    the rights; 12 if there is no such table or export.

    IAM: `ssm:GetParametersByPath`; on the bucket `s3:ListBucket`, `s3:GetObject`, and
    `s3:PutObject` below `coldtable/`.
    """
    if at and export:
        raise UsageError("--at and --export are two holds", hint="Add one after the other")
    now = datetime.now(UTC)
    wanted = Hold(
        number=0,
        reason=check_line("--reason", reason),
        at=now,
        by=_who(context, by),
        moment=parse_moment("--at", at) if at else None,
        export_id=export,
    )
    kept = open_kept(context, parameter_path)
    found = list(kept.chosen((table,)))
    # A table may lie in two buckets, or have had two TableIds: the catalog that has it counts.
    units = {
        bucket.to.bucket: tuple(u for b, s in found if b is bucket for u in s.units(now).units)
        for bucket, _ in found
    }
    bucket, shelf = next(
        ((b, s) for b, s in found if any(u.is_held_by(wanted) for u in units[b.to.bucket])),
        found[0],
    )
    added = add_hold(shelf.history.catalog, shelf.home, wanted, units[bucket.to.bucket])
    body = {"tableName": table, "bucket": bucket.to.bucket, **_body(added)}
    context.answer(SCHEMA, body, lambda: _say(f"{table}: hold {added.number}: {_what(added)}"))
    return 0


@hold.command(name="remove")
def remove(
    table: _Table,
    number: Annotated[int, Parameter(help="Its number: `coldtable hold list`.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why it is not needed any more.")],
    by: _By = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Release a hold. Both stay recorded, and `coldtable report` shows them.

    Examples:

    `coldtable hold remove orders 1 --reason "case 7 is closed"`

    Exit codes: 0, also if it was released before; 11 without the rights; 12 if there is none.

    IAM: as for `coldtable hold add`.
    """
    reason, by = check_line("--reason", reason), _who(context, by)
    homes = _homes(open_kept(context, parameter_path), table)
    if not homes:
        raise NotFound(f"No catalog knows a table {table}", hint="coldtable hold list shows all")
    places = [(bucket, home, _catalog(bucket, home)) for bucket, home in homes]
    bucket, home, catalog = next(
        (p for p in places if number in {h.number for h in holds_of(p[2], p[1])}), places[0]
    )
    changed = release_hold(catalog, home, number, datetime.now(UTC), reason=reason, by=by)
    said = "released" if changed else "Nothing changed: it was released before"
    body = {"tableName": table, "bucket": bucket.to.bucket, "number": number, "changed": changed}
    context.answer(SCHEMA, body, lambda: _say(f"{table}: hold {number}: {said}"))
    return 0


@hold.command(name="confirm")
def confirm(
    *tables: Annotated[str, Parameter(help="Only of these tables; without any, of all.")],
    reason: Annotated[str, Parameter(help="How you know that no hold is missing.")],
    by: _By = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Say that no hold is missing after a catalog was rebuilt: retention counts again.

    Exports carry no holds. So `coldtable catalog rebuild` holds everything of each table whose
    records were lost. Look at `coldtable hold list`, place again what is missing, then confirm.

    Examples:

    `coldtable hold confirm --reason "there were no holds"`

    `coldtable hold confirm orders --reason "case 7 is held again, there was no other"`

    Exit codes: 0, also if there was nothing to confirm; 11 without the rights; 12 if there is no
    such table.

    IAM: as for `coldtable hold add`.
    """
    reason, by = check_line("--reason", reason), _who(context, by)
    kept = open_kept(context, parameter_path)
    places = {(b.to.bucket, s.home): s.history.catalog for b, s in kept.chosen(tables)}
    now = datetime.now(UTC)
    done = {
        place: confirm_holds(catalog, place[1], now, reason=reason, by=by)
        for place, catalog in places.items()
    }
    body = [
        {"tableName": home.name, "bucket": bucket, "number": number}
        for (bucket, home), numbers in done.items()
        for number in numbers
    ]
    said = [f"{one['tableName']}: hold {one['number']}: released" for one in body]
    context.answer(
        "coldtable.hold-confirm/1",
        {"released": body},
        lambda: _say("\n".join(said) or "No catalog was rebuilt, or all of it was confirmed"),
    )
    return 0


@hold.command(name="list")
def list_holds(
    *tables: Annotated[str, Parameter(help="Only of these tables.")],
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """List the holds that are not released.

    Examples:

    `coldtable hold list`

    `coldtable hold list orders --output json`

    Exit codes: 0; 11 without the rights; 12 if there is no such table.

    IAM: `ssm:GetParametersByPath`; on the bucket `s3:ListBucket` and `s3:GetObject`.
    """
    kept = open_kept(context, parameter_path)
    found: dict[tuple[str, Home], tuple[Hold, ...]] = {}
    for bucket, shelf in kept.chosen(tables):
        place = (bucket.to.bucket, shelf.home)
        if place not in found:
            found[place] = holds_of(shelf.history.catalog, shelf.home)
    body = {
        "holds": [
            {"tableName": home.name, "bucket": bucket, **_body(one)}
            for (bucket, home), holds in found.items()
            for one in holds
        ]
    }
    rows = [
        [home.name, str(one.number), scope_text(one), _since(one), one.by, one.reason]
        for (_, home), holds in found.items()
        for one in holds
    ]
    context.answer(
        "coldtable.holds/1",
        body,
        lambda: print_table(["TABLE", "HOLD", "WHAT", "SINCE", "BY", "WHY"], rows),
    )
    return 0


def _homes(kept: Kept, table: str) -> list[tuple[Bucket, Home]]:
    found = [(b, s.home) for b in kept.buckets for s in b.shelves if s.home.name == table]
    return list({(b.to.bucket, home): (b, home) for b, home in found}.values())


def _catalog(bucket: Bucket, home: Home) -> Catalog:
    return next(s.history.catalog for s in bucket.shelves if s.home == home)


def _who(context: Context, by: str | None) -> str:
    # An ARN with a long path is cut at its front: its end says who it is.
    return check_line("--by", by) if by else context.session.caller()[-_LONGEST:]


def _body(one: Hold) -> dict[str, Any]:
    return {
        "number": one.number,
        "moment": iso_z(one.moment) if one.moment else None,
        "exportId": one.export_id,
        "reason": one.reason,
        "by": one.by,
        "at": _since(one) or None,
    }


def _since(one: Hold) -> str:
    return iso_z(one.at) if one.at else ""


def _what(one: Hold) -> str:
    return f"{scope_text(one)} is held: {one.reason}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
