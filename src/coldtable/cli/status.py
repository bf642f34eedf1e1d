"""``coldtable status``: what can be restored of each table, and what is amiss."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.cli.tick import chosen, read_configuration
from coldtable.core.bar import BLOCKS, LEGEND, PLAIN, Share, draw
from coldtable.core.policy import paused_text
from coldtable.core.records import iso_z
from coldtable.core.request import exact_iso
from coldtable.core.settings import parse_path
from coldtable.core.standing import Failure, Flying, Gap, Standing
from coldtable.errors import ColdtableError, DamagedError, StaleError, in_part
from coldtable.model import Destination, Snapshot, Span
from coldtable.ops.cover import cover
from coldtable.ops.status import StatusReport, TableStatus, Verified, status

SCHEMA = "coldtable.status/1"
# More gaps, and more bad exports, are told in JSON alone.
_MOST_GAPS = _MOST_BAD = 5

_Tables = Annotated[
    str, Parameter(help="Only these tables; without any, all that the configuration covers.")
]
_Path = Annotated[str, Parameter(help="Where the settings are in SSM Parameter Store.")]


def show_status(
    *tables: _Tables,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Show how each table stands: what can be restored, how far behind that is, what is amiss.

    Reads the catalog, and asks DynamoDB nothing but which table it is: what is under way is what
    the last tick saw. The bars show how much of each of the last 35 days and 12 months can be
    restored, in the zone of the configuration; today counts up to now less the objective. An export
    that `coldtable verify` found bad is named until a verification finds it whole.

    Examples:

    `coldtable status`

    `coldtable status orders --output json`

    Exit codes: 0 if every table is within its objective; 3 if of some tables nothing could be
    learnt; 4 if a table is stale; 5 if an export is known to be bad; 10 if the configuration is
    wrong; 11 without the rights; 12 if there is no such table or bucket.

    IAM: `ssm:GetParametersByPath` on the path, `dynamodb:DescribeTable` and `dynamodb:ListTables`,
    `tag:GetResources` where tags count, `s3:ListBucket` on the bucket and `s3:GetObject` on its
    objects below `coldtable/`.
    """
    path = parse_path(parameter_path)
    configuration = read_configuration(context, path)
    client = context.session.client
    from coldtable.aws.directory import DynamoDbDirectory
    from coldtable.aws.exporter import DynamoDbExporter
    from coldtable.aws.objects import S3Objects

    dynamodb, s3 = client("dynamodb"), client("s3")

    def objects(to: Destination) -> S3Objects:
        return S3Objects(s3, to.bucket, owner=to.owner)

    directory = DynamoDbDirectory(dynamodb, lambda: client("resourcegroupstaggingapi"))
    covered = cover(configuration, directory, uncovered=not tables)
    if covered.problem and not tables:
        context.note(f"Not every table could be found: {covered.problem.message}")
    report = status(
        chosen(covered, tables, path),
        DynamoDbExporter(dynamodb),
        objects,
        datetime.now(UTC),
        uncovered=covered.uncovered,
    )
    context.answer(SCHEMA, status_body(report), lambda: show(report))
    if problem := problem_of(report):
        raise problem
    return 0


def status_body(report: StatusReport) -> dict[str, Any]:
    """The report, fit for JSON; times in UTC, spans of time in seconds, shares from 0 to 1."""
    return {
        "at": iso_z(report.at),
        "stale": list(report.stale),
        "damaged": list(report.damaged),
        "uncovered": list(report.uncovered),
        "tables": [_table_body(line) for line in report.tables],
    }


def _table_body(line: TableStatus) -> dict[str, Any]:
    policy, found = line.policy, line.standing
    body: dict[str, Any] = {
        "table": line.name,
        "tableId": line.table.table_id if line.table else None,
        "mode": str(policy.mode),
        "zone": policy.rule.zone.key,
        "bucket": policy.to.bucket,
        "rpoSeconds": int(policy.rpo.total_seconds()),
        "pause": policy.pause
        and {
            "since": iso_z(policy.pause.since),
            "reason": policy.pause.reason,
            "by": policy.pause.by or None,
        },
        "error": line.error and line.error.told,
    }
    if found is None:
        return body
    newest, chain = found.timeline.newest, found.chain
    return body | {
        "newest": _iso(newest) if newest else None,
        "lagSeconds": int(found.lag.total_seconds()) if found.lag is not None else None,
        "stale": found.stale,
        "chain": chain
        and {"base": _iso(chain.base), "end": _iso(chain.end), "windows": chain.windows},
        "inFlight": [_flying_body(one) for one in found.flying],
        "lastFailure": found.failure and _failure_body(found.failure, line.failure_text),
        "gaps": [_gap_body(gap, line.reasons.get(gap.start)) for gap in found.gaps],
        "incidents": [
            {"kind": str(i.kind), "name": i.name, "since": i.since, "what": i.what}
            for i in line.incidents
        ],
        "lastVerified": line.verified
        and {
            "at": line.verified.at,
            "level": line.verified.level,
            "subset": line.verified.subset,
            "result": line.verified.result,
        },
        "badExports": [{"exportId": one, "reason": why} for one, why in line.bad.items()],
        "days": [_rounded(share) for share in found.days],
        "months": [_rounded(share) for share in found.months],
    }


def _flying_body(one: Flying) -> dict[str, Any]:
    return {
        "exportId": one.attempt.export_id,
        "kind": str(one.slot.kind),
        "attempt": one.attempt.number,
        **_span_body(one.attempt.span),
    }


def _failure_body(one: Failure, text: str) -> dict[str, Any]:
    attempt = one.attempt
    return {
        "exportId": attempt.export_id,
        "kind": str(one.slot.kind),
        "attempt": attempt.number,
        **_span_body(attempt.span),
        "outcome": str(attempt.outcome),
        "at": _iso(attempt.ended) if attempt.ended else None,
        "code": attempt.reason,
        "message": text,
        "mended": one.mended,
    }


def _gap_body(gap: Gap, reason: str | None) -> dict[str, Any]:
    return {
        "from": _iso(gap.start),
        "to": _iso(gap.stop) if gap.stop else None,
        "noted": gap.noted,
        "reason": reason,
    }


def _span_body(span: Span | None) -> dict[str, Any]:
    match span:
        case None:
            return {}
        case Snapshot(moment=moment):
            return {"moment": _iso(moment), "from": None, "to": None}
    return {"moment": None, "from": _iso(span.start), "to": _iso(span.stop)}


def show(report: StatusReport) -> None:
    """Print the report for people: a table, the bars, and what is amiss."""
    columns = ["TABLE", "MODE", "NEWEST", "LAG", "RPO", "CHAIN", "IN FLIGHT", "VERIFIED", "STATE"]
    print_table(columns, [_row(line) for line in report.tables])
    known = [(line, line.standing) for line in report.tables if line.standing]
    characters = BLOCKS if _can_draw() else PLAIN
    if known:
        bars = [
            [line.name, draw(found.days, characters), draw(found.months, characters)]
            for line, found in known
        ]
        sys.stdout.write("\n")
        print_table(["TABLE", "LAST 35 DAYS", "LAST 12 MONTHS"], bars)
        sys.stdout.write(LEGEND.format(*characters) + "\n")
    told = [text for line, found in known for text in _told(line, found)]
    told += [f"{line.name}: {line.error.message}" for line in report.tables if line.error]
    told += [f"{name}: no policy covers this table" for name in report.uncovered]
    if told:
        sys.stdout.write("\n" + "".join(f"{text}\n" for text in told))


def _row(line: TableStatus) -> list[str]:
    policy, found = line.policy, line.standing
    fixed = [line.name, str(policy.mode)]
    if found is None:
        return [*fixed, "", "", _length(policy.rpo), "", "", "", "unknown"]
    newest, chain = found.timeline.newest, found.chain
    state = "paused" if policy.pause else "stale" if found.stale else "ok"
    if newest is None and state == "ok":
        state = "beginning"
    if line.bad:
        state = "damaged"
    return [
        *fixed,
        _iso(newest) if newest else "none",
        _length(found.lag) if found.lag is not None else "",
        _length(policy.rpo),
        f"1 + {chain.windows}" if chain else "",
        str(len(found.flying)),
        _verified(line.verified),
        state,
    ]


def _verified(newest: Verified | None) -> str:
    """``2026-11-25 objects 3/20``."""
    return " ".join(filter(None, (newest.at[:10], newest.level, newest.subset))) if newest else ""


def _told(line: TableStatus, found: Standing) -> list[str]:
    """What a person should read of one table, a line each."""
    name, told = line.name, list[str]()
    if line.policy.pause:
        told.append(f"{name}: {paused_text(line.policy.pause)}")
    told += [f"{name}: since {i.since}: {i.what}" for i in line.incidents]
    told += [f"{name}: export {one} is {why}" for one, why in list(line.bad.items())[:_MOST_BAD]]
    if (more := len(line.bad) - _MOST_BAD) > 0:
        told.append(f"{name}: {more} more exports are bad: --output json has them")
    if failure := found.failure:
        attempt = failure.attempt
        ended = _iso(attempt.ended) if attempt.ended else ""
        then = "; it has come since" if failure.mended else ""
        text = f": {line.failure_text}" if line.failure_text else ""
        told.append(
            f"{name}: attempt {attempt.number} for the {failure.slot.kind} "
            f"{_what(attempt.span)} {attempt.outcome} at {ended} with {attempt.reason}{text}{then}"
        )
    for gap in found.gaps[-_MOST_GAPS:]:
        reason = line.reasons.get(gap.start)
        told.append(f"{name}: {_gap(gap)}" + (f": {reason}" if reason else ""))
    if (more := len(found.gaps) - _MOST_GAPS) > 0:
        told.append(f"{name}: {more} earlier gaps: --output json has them")
    return told


def _gap(gap: Gap) -> str:
    until = f"to {_iso(gap.stop)}" if gap.stop else "on"
    return f"nothing can be restored from {_iso(gap.start)} {until}"


def _what(span: Span | None) -> str:
    match span:
        case None:
            return ""
        case Snapshot(moment=moment):
            return f"of {_iso(moment)}"
    return f"from {_iso(span.start)} to {_iso(span.stop)}"


def problem_of(report: StatusReport) -> ColdtableError | None:
    """Damage weighs most, then staleness; an error that all tables share is the error."""
    failed = [(line.name, line.error) for line in report.tables if line.error]
    if failed and len(failed) == len(report.tables) and len({e.code for _, e in failed}) == 1:
        return failed[0][1]
    if report.damaged:
        return DamagedError(
            f"Of {len(report.damaged)} of {len(report.tables)} tables exports are known to be bad: "
            + ", ".join(report.damaged),
            hint="Nothing can be restored through them. Copy them from elsewhere, or export again "
            "while the table's history reaches back; then: coldtable verify",
        )
    if report.stale:
        return StaleError(
            f"{len(report.stale)} of {len(report.tables)} tables are stale: "
            + ", ".join(report.stale),
            hint="To see what a tick would do: coldtable tick --dry-run",
        )
    if failed:
        total = len(report.tables)
        return in_part(failed, total, f"Nothing is known of {len(failed)} of {total} tables")
    return None


def _can_draw() -> bool:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _length(span: timedelta) -> str:
    """``1 d 2 h``: the two largest units."""
    minutes = int(span / timedelta(minutes=1))
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    shown = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(shown) or "0 min"


def _rounded(share: Share) -> Share:
    # Downwards, so that 1 means all of it.
    return None if share is None else int(share * 10_000) / 10_000


def _iso(moment: datetime) -> str:
    return exact_iso(moment).replace("+00:00", "Z")
