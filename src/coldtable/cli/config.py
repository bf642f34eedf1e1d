"""``coldtable config``: is the configuration good, what does it come to, and why."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from coldtable.cli.context import Context, print_table
from coldtable.core.configuration import (
    DRILL_DAYS,
    HEARTBEAT,
    POLICIES,
    POLICY,
    VERIFY_DAYS,
    parse_configuration,
)
from coldtable.core.policy import DEFAULT, policy_for, values_for
from coldtable.core.policy_fields import read_fields
from coldtable.core.policy_text import check_storable
from coldtable.core.policy_warnings import value_warnings, warnings
from coldtable.core.settings import DAY, TABLE, TABLES, ZONE, parse_path, parse_table_names
from coldtable.errors import (
    ColdtableError,
    ConfigError,
    NotFound,
    ParameterInvalid,
    UsageError,
    all_together,
)
from coldtable.model_policy import Configuration, Value
from coldtable.ops.configuration import covered_policy, tag_of

config = App(name="config", help="Check the configuration, and show what it comes to.")


@config.command
def validate(
    *,
    file: Path | None = None,
    table: str | None = None,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Read every parameter below the path and tell all that is wrong, each with its place.

    What is allowed but may surprise, for example in what it costs, comes as a warning on stderr.
    With --file a policy's JSON is judged before it is uploaded, without AWS: by itself alone.

    Examples:

    - `coldtable config validate`
    - `coldtable config validate --file policy.json`
    - `coldtable config validate --file orders.json --table orders`

    Exit codes: 0 if it is good, warnings or not; 10 if anything is wrong; 11 without the rights;
    12 if there is no such file.

    IAM: `ssm:GetParametersByPath` on the path; with --file none.

    Parameters
    ----------
    file
        A file with the JSON for the parameter POLICY.
    table
        With --file: the JSON is for `policies/TABLE`.
    parameter_path
        Where the settings are in SSM Parameter Store.
    """
    if table and not file:
        raise UsageError("--table goes with --file", hint="To see one: coldtable config show TABLE")
    path = str(file) if file else parse_path(parameter_path)
    problems: Sequence[ColdtableError] = ()
    told: tuple[str, ...] = ()
    problem: ConfigError | None = None
    try:
        told = _check_file(file, table) if file else _check_stored(context, path)
    except ConfigError as error:
        problem, problems = error, error.problems or (error,)
    body = {
        "checked": path,
        "good": problem is None,
        "problems": [p.told for p in problems],
        "warnings": list(told),
    }

    def good() -> None:
        if problem is None:
            sys.stdout.write(f"{path}: good\n")

    context.answer("coldtable.config-validate/1", body, good)
    for text in told:
        context.note(f"warning: {text}")
    if problem:
        raise problem
    return 0


@config.command
def show(
    table: str | None = None,
    /,
    *,
    origin: bool = False,
    parameter_path: str = "/coldtable/prod",
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Show the configuration: what counts for all tables, or for one.

    Examples:

    - `coldtable config show`
    - `coldtable config show orders --origin`

    Exit codes: 0; 10 if the configuration is wrong; 11 without the rights; 12 if the table is not
    kept at all.

    IAM: `ssm:GetParametersByPath` on the path; `tag:GetResources` for a table, where tags count.

    Parameters
    ----------
    table
        Show what counts for this table; without it, what counts for all, and each table's own.
    origin
        Show where each value is from: a parameter, a tag, or the default.
    parameter_path
        Where the settings are in SSM Parameter Store.
    """
    path = parse_path(parameter_path)
    names = _stored(context, path)
    found = parse_configuration(path, names)
    lines = _of_table(context, found, table) if table else _of_all(found)
    lines = {**_of_schedule(found, names, table), **lines}
    body = {
        "path": found.path,
        "table": table,
        "values": {name: {"value": v.value, "origin": v.origin} for name, v in lines.items()},
    }

    def rows() -> None:
        columns = ["NAME", "VALUE", *(["ORIGIN"] if origin else [])]
        print_table(
            columns, [[n, _shown(v.value), v.origin][: len(columns)] for n, v in lines.items()]
        )

    context.answer("coldtable.config/1", body, rows)
    return 0


def _of_table(context: Context, found: Configuration, table: str) -> dict[str, Value]:
    from coldtable.aws.directory import DynamoDbDirectory

    client = context.session.client
    directory = DynamoDbDirectory(client("dynamodb"), lambda: client("resourcegroupstaggingapi"))
    tag = tag_of(found, table, directory)
    covered_policy(found, table, tag)
    return values_for(found, table, tag)


def _of_schedule(
    found: Configuration, names: Collection[str], table: str | None
) -> dict[str, Value]:
    """Which tables the nightly schedule has, and the moments of snapshots."""
    tables: object = list(found.scheduled)
    if table:
        tables = bool((policy := policy_for(found, table)) and policy.scheduled)
    from_tables = TABLES if TABLES in names else TABLE
    rule = found.rule
    day = f"day {rule.day} of the month" if rule.day else "every day"
    text = f"{day} at {rule.at:%H:%M:%S} {rule.zone.key}"
    from_rule = "BACKUP_…_STR" if DAY in names else DEFAULT
    from_zone = ZONE if ZONE in names else DEFAULT
    return {
        "nightly": Value(value=tables, origin=f"{found.path}/{from_tables}"),
        "rule": Value(value=text, origin=f"{from_rule}, zone: {from_zone}"),
    }


def _of_all(found: Configuration) -> dict[str, Value]:
    """What holds for all tables, and then each table's own values as ``policies/TABLE field``."""
    path, selection = found.path, found.selection
    stated = {
        "tables": Value(value=list(selection.names), origin=f"{path}/{POLICY}"),
        "exclude": Value(value=list(selection.exclude), origin=f"{path}/{POLICY}"),
        "tagged": Value(value=selection.tagged, origin=f"{path}/{POLICY}"),
        "heartbeat": Value(value=_host(found.heartbeat_url), origin=f"{path}/{HEARTBEAT}"),
        "verify_days": Value(value=found.verify_days, origin=f"{path}/{VERIFY_DAYS}"),
        "drill_days": Value(value=found.drill_days, origin=f"{path}/{DRILL_DAYS}"),
    }
    said = {
        name: line if line.value else Value(value=line.value, origin=DEFAULT)
        for name, line in stated.items()
    }
    own = {
        f"{POLICIES}{table} {name}": value
        for table, values in sorted(found.tables.items())
        for name, value in values.items()
    }
    return {**said, **found.defaults, **own}


def _host(url: str | None) -> str | None:
    """The host alone: the whole address is as good as a password."""
    return urlsplit(url).hostname if url else None


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "-"
        case None:
            return "-"
    return str(value)


def _stored(context: Context, path: str) -> Mapping[str, str]:
    from coldtable.aws.parameters import SsmParameters

    return SsmParameters(context.session.client("ssm")).read(path)


def _check_stored(context: Context, path: str) -> tuple[str, ...]:
    return warnings(parse_configuration(path, _stored(context, path)))


def _check_file(file: Path, table: str | None) -> tuple[str, ...]:
    """The warnings about a policy's JSON; raises all of its problems."""
    if table:
        parse_table_names(table)
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParameterInvalid(f"{file} is not UTF-8 text") from None
    fields, found = read_fields(text, in_policy=table is None)
    problems: list[ColdtableError] = [ParameterInvalid(f"{file}: {p}") for p in found]
    try:
        check_storable(str(file), text)
    except ParameterInvalid as problem:
        problems.append(problem)
    if problems:
        raise all_together(problems, f"things are wrong in {file}")
    return tuple(f"{file}: {told}" for told in value_warnings(fields))
