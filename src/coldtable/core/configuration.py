"""The configuration that the parameters under a path spell: every value with where it is from.

``core.policy`` tells what it means for a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from coldtable.core.policy import DEFAULT, number
from coldtable.core.policy_fields import FIELDS, TABLE_NAME, read_fields
from coldtable.core.prefix import DEFAULT_TEMPLATE, check_template
from coldtable.core.settings import (
    BUCKET,
    POLICY_NAMES,
    PREFIX,
    TABLE,
    TABLES,
    Reader,
    parse_bucket,
)
from coldtable.errors import ParameterInvalid, ParameterMissing
from coldtable.model_policy import Configuration, Mode, Selection, Value

POLICY = "POLICY"
POLICIES = "policies/"
HEARTBEAT = "HEARTBEAT_URL"
VERIFY_DAYS, DRILL_DAYS = "VERIFY_DAYS", "DRILL_DAYS"

# Ten years: whoever wants less does not want it.
MOST_DAYS = 3650

_FIELDS_ARE = (
    "docs/configuration.md lists the fields; to check a file before it is uploaded: "
    "coldtable config validate --file FILE"
)


def parse_configuration(path: str, parameters: Mapping[str, str]) -> Configuration:
    """The configuration that ``parameters`` (name below ``path`` to value) spell.

    Without ``POLICY`` and ``policies/…`` it is the plain snapshot of the simple parameters, with
    the same demands as ``parse_settings``. Raises ``ParameterMissing`` or ``ParameterInvalid`` for
    one problem, ``ConfigError`` that lists them for several.
    """
    found = Reader(path, parameters)
    read = _read_policies(found, path, parameters)
    selection = Selection(
        names=_strings(read.policy, "tables"),
        exclude=_strings(read.policy, "exclude"),
        tagged=read.policy.get("tagged") is True,
    )
    rule = found.rule(needed=read.good and (selection.tagged or _may_be_snapshot(read)))
    scheduled = _scheduled(found, read, selection)
    defaults = _defaults(found, read)
    url = found.read(HEARTBEAT, _parse_url, "") if HEARTBEAT in parameters else None
    days = {
        name: found.read(name, _parse_days, 1) if name in parameters else None
        for name in (VERIFY_DAYS, DRILL_DAYS)
    }
    found.raise_problems()
    return Configuration(
        path=path,
        selection=selection,
        defaults=defaults,
        tables={
            table: {
                field: Value(value=value, origin=f"{path}/{POLICIES}{table}")
                for field, value in own.items()
            }
            for table, own in read.tables.items()
        },
        rule=rule,
        scheduled=scheduled,
        heartbeat_url=url,
        verify_days=days[VERIFY_DAYS],
        drill_days=days[DRILL_DAYS],
        attempts=number(defaults, "failures_before_alert"),
    )


class _Read(NamedTuple):
    """What the policies' JSON says. When it is not ``good``, no parameter is called missing that
    a better JSON might have made needless."""

    path: str
    parameters: Mapping[str, str]
    policy: Mapping[str, object]
    tables: Mapping[str, Mapping[str, object]]
    good: bool


def _read_policies(found: Reader, path: str, parameters: Mapping[str, str]) -> _Read:
    policy, tables, good = dict[str, object](), dict[str, Mapping[str, object]](), True
    for name in sorted(parameters):
        if problem := _misnamed(name):
            found.add(ParameterInvalid(f"{path}/{name}: {problem}", hint="Rename or delete it"))
            good = False
        elif name == POLICY or name.startswith(POLICIES):
            fields, problems = read_fields(parameters[name], in_policy=name == POLICY)
            for problem in problems:
                found.add(ParameterInvalid(f"{path}/{name}: {problem}", hint=_FIELDS_ARE))
            good = good and not problems
            if name == POLICY:
                policy = fields
            else:
                tables[name.removeprefix(POLICIES)] = fields
    return _Read(path, parameters, policy, tables, good)


def _misnamed(name: str) -> str | None:
    """What is wrong with a name that looks as if it meant a policy."""
    first, _, table = name.partition("/")
    if first.lower() not in POLICY_NAMES or name == POLICY:
        return None
    if f"{first}/" != POLICIES or not table:
        return f"nobody reads it: the names are {POLICY} and {POLICIES}<table>"
    return None if re.fullmatch(TABLE_NAME, table) else f"{table!r} cannot be a table name"


def _may_be_snapshot(read: _Read) -> bool:
    modes = {own.get("mode") for own in read.tables.values()}
    return Mode.SNAPSHOT in modes | {read.policy.get("mode", Mode.SNAPSHOT)}


def _scheduled(found: Reader, read: _Read, selection: Selection) -> tuple[str, ...]:
    """The tables of the nightly schedule; they are needed if nothing else says what is kept."""
    selects = (
        selection.names or selection.tagged or any("mode" in own for own in read.tables.values())
    )
    needed = read.good and not selects
    if needed and POLICY in read.parameters and not {TABLES, TABLE} & read.parameters.keys():
        found.add(
            ParameterMissing(
                f"Nothing below {read.path} says which tables are kept",
                hint=f"Name them in {TABLES} or in the tables of {POLICY}, set tagged there, or "
                f"give a table its mode in {POLICIES}<table>",
            )
        )
        needed = False
    return found.table_names(needed=needed)


def _defaults(found: Reader, read: _Read) -> dict[str, Value]:
    """What counts for a table that says nothing itself."""
    path, simple = read.path, dict[str, Value]()
    if BUCKET in read.parameters or (read.good and "bucket" not in read.policy):
        bucket = found.read(BUCKET, parse_bucket, "")
        simple["bucket"] = Value(value=bucket, origin=f"{path}/{BUCKET}")
    template = found.read(PREFIX, check_template, "", default=DEFAULT_TEMPLATE)
    origin = f"{path}/{PREFIX}" if PREFIX in read.parameters else DEFAULT
    simple["prefix"] = Value(value=template, origin=origin)
    built_in = {
        field.name: Value(value=field.value, origin=DEFAULT)
        for field in FIELDS
        if field.value is not None and not field.in_policy
    }
    stated = {
        field.name: Value(value=read.policy[field.name], origin=f"{path}/{POLICY}")
        for field in FIELDS
        if field.name in read.policy and not field.in_policy
    }
    return {**built_in, **simple, **stated}


def _parse_url(text: str) -> str:
    """An address that can be called. It is as good as a password, so no error shows it."""
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise ParameterInvalid(
            "the value is not a web address", hint="It looks like https://example.com/ping/me"
        )
    return text.strip()


def _parse_days(text: str) -> int:
    days = text.strip()
    if not days.isdecimal() or not 1 <= int(days) <= MOST_DAYS:
        raise ParameterInvalid(
            f"{text!r} is not a whole number from 1 to {MOST_DAYS}",
            hint="It says how often something is done; delete it for never",
        )
    return int(days)


def _strings(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = fields.get(name)
    return tuple(map(str, found)) if isinstance(found, list) else ()
