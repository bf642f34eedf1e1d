"""``coldtable pause`` and ``coldtable resume``: nothing new of a table for a while, and again."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from coldtable.cli.context import Context
from coldtable.core.policy import paused_text
from coldtable.core.policy_text import check_line
from coldtable.core.settings import parse_path
from coldtable.ops.pause import PauseReport, Wish, set_paused

_LONGEST = 256

_Table = Annotated[str, Parameter(help="The table.")]
_Reason = Annotated[
    str, Parameter(help="Why, for whoever looks at it later (`coldtable config show TABLE`).")
]
_By = Annotated[str | None, Parameter(help="Who wants it. Default: the ARN of the caller.")]
_Path = Annotated[str, Parameter(help="Where the settings are in SSM Parameter Store.")]


def pause(
    table: _Table,
    /,
    *,
    reason: _Reason,
    by: _By = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Export nothing new of a table until it is resumed. What runs already goes on.

    Its chain can be continued as long as DynamoDB's history reaches back to its end: resume within
    the recovery period (35 days, unless the table has a shorter one), or there will be a gap.

    Examples:

    `coldtable pause orders --reason "it moves to another account"`

    Exit codes: 0, also if it was paused already; 10 if the configuration is wrong; 11 without the
    rights; 12 if the table is not kept at all.

    IAM: `ssm:GetParametersByPath` on the path, `ssm:PutParameter` on the path's `policies/TABLE`;
    `tag:GetResources`, where tags count.
    """
    return _set(context, table, reason, by, parameter_path, paused=True)


def resume(
    table: _Table,
    /,
    *,
    reason: _Reason,
    by: _By = None,
    parameter_path: _Path = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Export a table again that was paused.

    The next tick goes on where the chain ended, if DynamoDB's history still reaches back to there;
    else it records the gap and begins a new chain.

    Examples:

    `coldtable resume orders --reason "it has moved"`

    Exit codes: 0, also if it was not paused; 10 if the configuration is wrong; 11 without the
    rights; 12 if the table is not kept at all.

    IAM: `ssm:GetParametersByPath` on the path, `ssm:PutParameter` on the path's `policies/TABLE`;
    `tag:GetResources`, where tags count.
    """
    return _set(context, table, reason, by, parameter_path, paused=False)


def _set(
    context: Context, table: str, reason: str, by: str | None, path: str, *, paused: bool
) -> int:
    from coldtable.aws.directory import DynamoDbDirectory
    from coldtable.aws.parameters import SsmParameters

    reason, path = check_line("--reason", reason), parse_path(path)
    by = by and check_line("--by", by)
    client = context.session.client
    parameters = SsmParameters(client("ssm"))
    directory = DynamoDbDirectory(client("dynamodb"), lambda: client("resourcegroupstaggingapi"))
    # An ARN with a long path is cut at its front: its end says who it is.
    by = by or context.session.caller()[-_LONGEST:]
    wish = Wish(table=table, paused=paused, reason=reason, by=by)
    report = set_paused(wish, path, datetime.now(UTC), parameters, parameters, directory)
    _answer(context, wish, report)
    return 0


def _answer(context: Context, wish: Wish, report: PauseReport) -> None:
    pause = report.pause
    body = {
        "table": report.table,
        "parameter": report.parameter,
        "paused": wish.paused,
        "changed": report.changed,
        "pause": pause
        and {
            "since": f"{pause.since:%Y-%m-%dT%H:%M:%SZ}",
            "reason": pause.reason,
            "by": pause.by or None,
        },
    }

    def table() -> None:
        if pause:
            said = f"{'' if report.changed else 'Nothing changed: '}{paused_text(pause)}"
        else:
            said = "it is resumed" if report.changed else "Nothing changed: it is not paused"
        sys.stdout.write(f"{report.table}: {said}\n")

    context.answer("coldtable.pause/1", body, table)
