"""Look before deploying: everything that can be known to go wrong, told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import time, timedelta

from coldtable.core import settings as names
from coldtable.core.bucket_rules import rule_problems
from coldtable.core.configuration import (
    DRILL_DAYS,
    HEARTBEAT,
    POLICIES,
    POLICY,
    VERIFY_DAYS,
    parse_configuration,
)
from coldtable.core.expression import daily_time
from coldtable.core.policy import expected_tables, values_for
from coldtable.core.settings import parse_path
from coldtable.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigError,
    Conflict,
    PitrDisabled,
)
from coldtable.model import MomentRule, Pitr, Table
from coldtable.model_policy import Configuration
from coldtable.model_stack import Stack, Wish
from coldtable.ops.cover import cover
from coldtable.ops.ground import Ground, check_sizes, needs_pitr
from coldtable.ops.options import BUCKET, KMS_KEY, OWNER, misspelled
from coldtable.ops.problems import Problems
from coldtable.ops.wanted import A_BUCKET, complete, configuration
from coldtable.ports import Buckets, Exporter, ParameterStore, TableDirectory

# DynamoDB's newest restorable time is typically 5 minutes old [DOC-PITR].
_SETTLED = timedelta(minutes=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a survey looks through. ``table_arns`` tells what the ARN of each table of the account
    and region begins with, up to and including ``table/``."""

    exporter: Exporter
    directory: TableDirectory
    parameters: ParameterStore
    buckets: Buckets
    table_arns: Callable[[], str]


def survey(wish: Wish, stack: Stack | None, sight: Sight) -> Ground:
    """Look at everything that the deployment stands on.

    Raises the one problem that there is, or a ``ConfigError`` that lists all of them.
    """
    problems = Problems()
    for problem in misspelled(wish):
        problems.add(problem)
    wish, meant = _settle(wish, stack, sight, problems)
    before = stack.parameters if stack else {}
    templates = _templates(wish, meant)
    for problem in rule_problems(wish.bucket_rules, templates, wish.bucket, before):
        problems.add(problem)
    tables = [t for name in wish.tables if (t := problems.attempt(_look_up(sight.exporter, name)))]
    others = _others(meant, sight, problems) if meant else []
    pitr = {
        table.arn: state
        for table in (*tables, *others)
        if (state := problems.attempt(_look_at_pitr(sight.exporter, wish, table)))
    }
    owner = _owner(meant or None)
    refusal = problems.attempt(_look_for_bucket(wish.bucket, owner, sight.buckets))
    problems.attempt(_look_for_bucket(wish.code_bucket, None, sight.buckets))
    problems.raise_them()
    seen = (*tables, *others)
    arns = seen[0].arn.removesuffix(seen[0].name) if seen else sight.table_arns()
    patterns = tuple(f"{arns}{name}" for name in _patterns(meant)) if meant else ()
    check_sizes(tables, patterns, wish.parameter_path)
    _, _, _, region, account, _ = arns.split(":", 5)
    if refusal and owner == account:
        raise refusal
    return Ground(
        wish=wish,
        tables=tuple(tables),
        others=tuple(others),
        patterns=patterns,
        tagged=bool(meant and meant.selection.tagged),
        unseen_owner=owner if refusal else None,
        unprotected=tuple(t for t in seen if needs_pitr(wish, pitr[t.arn])),
        account=account,
        region=region,
        templates=templates,
    )


def _settle(
    wish: Wish, stack: Stack | None, sight: Sight, problems: Problems
) -> tuple[Wish, Configuration | None]:
    """The complete wish, and the configuration that it comes to, as far as there is one."""
    path = problems.attempt(lambda: parse_path(wish.parameter_path))
    wish = replace(
        wish,
        parameter_path=path or wish.parameter_path,
        # What is misspelled need not be found wrong in POLICY once more.
        bucket_owner=_if_like(OWNER, wish.bucket_owner),
        bucket_key=_if_like(KMS_KEY, wish.bucket_key),
    )
    wish = problems.attempt(lambda: complete(wish)) or replace(wish, tables=(), policy="")
    stored = problems.attempt(lambda: sight.parameters.read(path)) if path else None
    meant = None
    if stored is not None:
        meant = problems.attempt(lambda: _configured(wish, stack, stored))
    if meant:
        wish = problems.attempt(lambda: _agree(wish, meant)) or wish
    rule = meant.rule if meant and wish.existing_parameters else None
    wish = replace(wish, timezone=wish.timezone or (rule.zone.key if rule else "UTC"))
    problems.attempt(lambda: _check_moment(wish, rule))
    return wish, meant


def _check_moment(wish: Wish, rule: MomentRule | None) -> None:
    """A run that asks for a moment of a few minutes ago asks for what DynamoDB has not got yet."""
    fires = daily_time(wish.schedule)
    at = rule.at if rule else wish.at
    if fires is None or (rule and wish.timezone and rule.zone.key != wish.timezone):
        return
    if (_of_day(fires) - _of_day(at)) % timedelta(days=1) < _SETTLED:
        raise ConfigError(
            f"The schedule fires at {fires:%H:%M}, too soon after the moment that it exports, "
            f"{at}: DynamoDB's history ends about 5 minutes ago, so every run would fail",
            hint="Let --schedule fire at least 6 minutes after --at, or --at be later than it "
            "(then each run exports the day before)",
        )


def _of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def _configured(wish: Wish, stack: Stack | None, stored: Mapping[str, str]) -> Configuration | None:
    """What the functions will read: what is ``stored``, with ``--existing-parameters``; else what
    will be written, with the policies that somebody has written beside it. ``None`` if the wish
    names no table."""
    owned = stack.parameters if stack else {}
    is_ours = (
        owned.get("ManageParameters") == "true"
        and owned.get("ParameterPath") == wish.parameter_path
    )
    if wish.existing_parameters:
        if is_ours:
            raise Conflict(
                f"The parameters below {wish.parameter_path} belong to the stack "
                f"{wish.stack_name}: with --existing-parameters it would delete them",
                hint="Leave --existing-parameters away, or copy them to another --parameter-path",
            )
        return parse_configuration(wish.parameter_path, stored)
    if not is_ours and (taken := _taken(stored)):
        raise Conflict(
            f"{', '.join(taken)} exist already below {wish.parameter_path}",
            hint="Use them with --existing-parameters, or choose another --parameter-path",
        )
    kept = {name: text for name, text in stored.items() if name.startswith(POLICIES)}
    if POLICY in stored and not owned.get("Policy"):
        if wish.policy:
            raise Conflict(
                f"{wish.parameter_path}/{POLICY} exists already and is not the stack's",
                hint="Write what it says into the file for --policy and delete it, or leave "
                "--policy, --continuous, --tagged and wildcards away to let it count",
            )
        kept[POLICY] = stored[POLICY]
    if not (wish.tables or wish.policy or kept):
        return None
    known = wish.bucket if re.fullmatch(BUCKET, wish.bucket or "") else None
    return configuration(replace(wish, bucket=known), kept)


def _taken(found: Mapping[str, str]) -> list[str]:
    ours = (
        names.BUCKET,
        names.DAY,
        names.HOUR,
        names.MINUTE,
        names.SECOND,
        names.TABLES,
        names.ZONE,
        names.PREFIX,
        POLICY,
        HEARTBEAT,
        VERIFY_DAYS,
        DRILL_DAYS,
    )
    return [name for name in ours if name in found]


def _agree(wish: Wish, found: Configuration) -> Wish:
    """The options may repeat what the parameters say, and not contradict it: the functions read
    those, and the roles are made from these. The wish with what the parameters alone say."""
    if wish.tables and set(wish.tables) != set(found.scheduled):
        raise ConfigError(
            f"The parameters below {found.path} name the tables {', '.join(found.scheduled)}, "
            f"and --table names {', '.join(wish.tables)}",
            hint="Leave --table away, or correct TABLE_NAMES",
        )
    bucket, origin = str(found.defaults["bucket"].value), found.defaults["bucket"].origin
    if bucket == A_BUCKET:
        bucket = wish.bucket or ""
    if wish.bucket and wish.bucket != bucket:
        raise ConfigError(
            f"{origin} has the bucket {bucket}, and --bucket is {wish.bucket}",
            hint="Leave --bucket away, or correct the other",
        )
    key = found.defaults.get("kms_key")
    if key and not wish.bucket_key and not re.fullmatch(KMS_KEY, str(key.value)):
        raise ConfigError(
            f"{key.origin} has a KMS key without its ARN, which the roles need",
            hint="Give its ARN there, or to --bucket-kms-key",
        )
    if key and wish.bucket_key and not wish.bucket_key.endswith(str(key.value)):
        raise ConfigError(
            f"{key.origin} has the KMS key {key.value}, and --bucket-kms-key is {wish.bucket_key}",
            hint="The roles may use one key: leave --bucket-kms-key away, or correct the other",
        )
    return replace(
        wish,
        tables=found.scheduled,
        bucket=bucket or None,
        bucket_key=wish.bucket_key or (str(key.value) if key else None),
        # Of parameters that exist the function reads the days; the stack only has to have it.
        verify_days=found.verify_days or wish.verify_days,
        drill_days=found.drill_days or wish.drill_days,
    )


def _templates(wish: Wish, found: Configuration | None) -> tuple[str, ...]:
    """The prefix templates of what is exported into the bucket that the stack creates."""
    own = [values_for(found, name) for name in sorted(found.tables)] if found else []
    places = {
        str(values["prefix"].value)
        # In the configuration of a wish the usual template is only a place holder.
        if not values["prefix"].origin.endswith(names.PREFIX)
        else wish.prefix_template
        for values in ([found.defaults, *own] if found else [])
        if values["bucket"].value == A_BUCKET
    }
    return tuple(sorted(places)) or (wish.prefix_template,)


def _others(found: Configuration, sight: Sight, problems: Problems) -> list[Table]:
    """The tables besides those of ``TABLE_NAMES`` that a tick would go over now."""
    covered = cover(found, sight.directory, uncovered=False)
    if covered.problem:
        problems.add(covered.problem)
    further = (name for name in covered.policies if name not in found.scheduled)
    return [t for name in further if (t := problems.attempt(_look_up(sight.exporter, name)))]


def _patterns(found: Configuration) -> tuple[str, ...]:
    """All names and globs besides those of ``TABLE_NAMES``."""
    named = {*found.selection.names, *expected_tables(found)}
    return tuple(sorted(named - set(found.scheduled)))


def _look_up(exporter: Exporter, name: str) -> Callable[[], Table]:
    return lambda: exporter.table(name)


def _look_at_pitr(exporter: Exporter, wish: Wish, table: Table) -> Callable[[], Pitr]:
    def look() -> Pitr:
        pitr = exporter.pitr(table)
        if not pitr.enabled and not wish.enable_pitr:
            raise PitrDisabled(
                f"Point-in-time recovery is off for table {table.name}: nothing can be exported",
                hint="Add --enable-pitr to turn it on (it costs by the table's size)",
            )
        return pitr

    return look


def _if_like(pattern: str, value: str | None) -> str | None:
    return value if value and re.fullmatch(pattern, value) else None


def _owner(found: Configuration | None) -> str | None:
    """The account of the bucket, if the settings name one."""
    named = found.defaults.get("bucket_owner") if found else None
    return str(named.value) if named else None


def _look_for_bucket(
    bucket: str | None, owner: str | None, buckets: Buckets
) -> Callable[[], AccessDenied | None]:
    """Whether it is there; returns AWS's refusal to say so, where another account may owe it."""

    def look() -> AccessDenied | None:
        if not bucket or not re.fullmatch(BUCKET, bucket):
            return None
        try:
            there = buckets.exists(bucket, owner=owner)
        except AccessDenied as refusal:
            if owner is None:
                raise
            return refusal
        if not there:
            raise BucketNotFound(
                f"The bucket {bucket} does not exist",
                hint="Create it, correct the name, or leave the option away to have one created",
            )
        return None

    return look
