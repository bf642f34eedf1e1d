"""Look before deploying: everything that can be known to go wrong, told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import time, timedelta
from typing import TypeVar

from coldtable.core import settings as names
from coldtable.core.expression import check_expression, daily_time
from coldtable.core.prefix import check_template
from coldtable.core.settings import parse_path, parse_settings, parse_table_names, parse_zone
from coldtable.errors import (
    BucketNotFound,
    ColdtableError,
    ConfigError,
    Conflict,
    LimitReached,
    NoCredentials,
    ParameterInvalid,
    PitrDisabled,
    ServiceFailed,
    UsageError,
    all_together,
)
from coldtable.model import MomentRule, Pitr, Settings, Table
from coldtable.model_stack import Stack, Wish
from coldtable.ports import Buckets, Exporter, ParameterStore

# "-export" is appended, and a function's or a schedule's name has 64 characters at most [MODEL].
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,56}")
# The same as the template's patterns, which would speak only after the code was uploaded.
EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
KMS_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)

# DynamoDB's newest restorable time is typically 5 minutes old [DOC-PITR].
_SETTLED = timedelta(minutes=6)

# A parameter of a stack, and a standard parameter of SSM, hold 4,096 bytes.
LONGEST_VALUE = 4096
# A role's inline policies together, without white space (IAM quotas).
LONGEST_POLICY = 10_240
# What the template's policy takes without the tables' ARNs, at the longest names of everything;
# a test holds it against the template.
POLICY_FRAME = 2_700

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is there, and good enough to deploy on.

    ``wish`` is complete: its tables, bucket and time zone are those that will count.
    ``unprotected`` are the tables whose PITR is to be turned on, or its period lengthened.
    """

    wish: Wish
    tables: tuple[Table, ...]
    unprotected: tuple[Table, ...]
    account: str
    region: str


def survey(
    wish: Wish,
    stack: Stack | None,
    exporter: Exporter,
    parameters: ParameterStore,
    buckets: Buckets,
) -> Ground:
    """Look at everything that the deployment stands on.

    Raises the one problem that there is, or a ``ConfigError`` that lists all of them.
    """
    problems = _Problems()
    for problem in _misspelled(wish):
        problems.add(problem)
    path = problems.attempt(lambda: parse_path(wish.parameter_path))
    named = problems.attempt(lambda: parse_table_names(",".join(wish.tables))) or ()
    wish = replace(wish, tables=named, parameter_path=path or wish.parameter_path)
    found = path and problems.attempt(lambda: _stored(wish, stack, parameters))
    if found:
        problems.attempt(lambda: _agree(wish, found))
        wish = replace(wish, tables=found.tables, bucket=found.bucket)
    wish = replace(wish, timezone=wish.timezone or (found.rule.zone.key if found else "UTC"))
    problems.attempt(lambda: _check_moment(wish, found.rule if found else None))
    tables = [t for name in wish.tables if (t := problems.attempt(_look_up(exporter, name)))]
    pitr = {
        table.arn: state
        for table in tables
        if (state := problems.attempt(_look_at_pitr(exporter, wish, table)))
    }
    for bucket in (wish.bucket, wish.code_bucket):
        if bucket and re.fullmatch(BUCKET, bucket):
            problems.attempt(_look_for_bucket(bucket, buckets))
    problems.attempt(lambda: check_sizes(tables))
    problems.raise_them()
    _, _, _, region, account, _ = tables[0].arn.split(":", 5)
    return Ground(
        wish=wish,
        tables=tuple(tables),
        unprotected=tuple(t for t in tables if needs_pitr(wish, pitr[t.arn])),
        account=account,
        region=region,
    )


def needs_pitr(wish: Wish, pitr: Pitr) -> bool:
    """Whether PITR is off, or its period shorter than wanted. It is never shortened: that would
    throw history away at once [DOC-PITR]."""
    wanted = wish.recovery_days or 0
    return not pitr.enabled or (pitr.recovery_days or wanted) < wanted


def pack_arns(tables: Sequence[Table]) -> tuple[str, str]:
    """The ARNs, joined with commas, over the template's two parameters for them."""
    arns = sorted(t.arn for t in tables)
    fits = len(arns)
    while fits > 1 and len(",".join(arns[:fits])) > LONGEST_VALUE:
        fits -= 1
    return ",".join(arns[:fits]), ",".join(arns[fits:])


def check_sizes(tables: Sequence[Table]) -> None:
    """Raise ``LimitReached`` if the tables do not fit into one stack and one role."""
    if not tables:
        return
    first, rest = pack_arns(tables)
    listed = len(",".join(t.name for t in tables))
    policy = POLICY_FRAME + sum(len(f'"{t.arn}",') for t in tables)
    too_long = [
        f"{what} would take {size} characters of {limit}"
        for what, size, limit in (
            ("the ARNs", max(len(first), len(rest)), LONGEST_VALUE),
            ("the names", listed, LONGEST_VALUE),
            ("the role's policy", policy, LONGEST_POLICY),
        )
        if size > limit
    ]
    if too_long:
        raise LimitReached(
            f"{len(tables)} tables are too many for one stack: " + "; ".join(too_long),
            hint="Deploy them as several stacks, each with its own --stack-name, "
            "--parameter-path and part of the tables; one --bucket can serve all",
        )


def _misspelled(wish: Wish) -> Iterator[ColdtableError]:
    """Whatever can be said of the options without asking AWS."""
    if not _STACK_NAME.fullmatch(wish.stack_name):
        yield UsageError(
            f"{wish.stack_name!r} cannot be the stack's name",
            hint="Use a letter, and then up to 56 letters, digits and dashes",
        )
    if not wish.tables and not wish.existing_parameters:
        yield UsageError(
            "No table is named", hint="Name each with --table, or use --existing-parameters"
        )
    if wish.recovery_days is not None and not wish.enable_pitr:
        yield UsageError("--recovery-days goes with --enable-pitr")
    if wish.log_days not in LOG_DAYS:
        days = ", ".join(map(str, LOG_DAYS))
        yield UsageError(
            f"CloudWatch cannot keep logs for {wish.log_days} days", hint=f"Use {days}"
        )
    for parse, text in (
        (check_expression, wish.schedule),
        (parse_zone, wish.timezone or "UTC"),
        (check_template, wish.prefix_template),
    ):
        try:
            parse(text)
        except ParameterInvalid as problem:
            yield problem
    for option, value, pattern, example in (
        ("--bucket", wish.bucket, BUCKET, "the name of a bucket, not its ARN"),
        ("--code-bucket", wish.code_bucket, BUCKET, "the name of a bucket, not its ARN"),
        ("--email", wish.email, EMAIL, "one address, like oncall@example.com"),
        ("--bucket-kms-key", wish.bucket_key, KMS_KEY, "the ARN of a key, not of an alias"),
        ("--parameter-kms-key", wish.parameter_key, KMS_KEY, "the ARN of a key, not of an alias"),
    ):
        if value and not re.fullmatch(pattern, value):
            yield UsageError(f"{option} {value!r} cannot be used", hint=f"Give it {example}")


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


def _stored(wish: Wish, stack: Stack | None, parameters: ParameterStore) -> Settings | None:
    """The settings that exist already, with ``--existing-parameters``; else nobody's may exist."""
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
        return parse_settings(wish.parameter_path, parameters.read(wish.parameter_path))
    if not is_ours and (taken := _taken(parameters.read(wish.parameter_path))):
        raise Conflict(
            f"{', '.join(taken)} exist already below {wish.parameter_path}",
            hint="Use them with --existing-parameters, or choose another --parameter-path",
        )
    return None


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
    )
    return [name for name in ours if name in found]


def _agree(wish: Wish, found: Settings) -> None:
    """The options may repeat what the parameters say, and not contradict it: the run reads those,
    and the role is made from these."""
    if wish.tables and set(wish.tables) != set(found.tables):
        raise ConfigError(
            f"The parameters below {found.path} name the tables {', '.join(found.tables)}, "
            f"and --table names {', '.join(wish.tables)}",
            hint="Leave --table away, or correct TABLE_NAMES",
        )
    if wish.bucket and wish.bucket != found.bucket:
        raise ConfigError(
            f"{found.path}/{names.BUCKET} is {found.bucket}, and --bucket {wish.bucket}",
            hint=f"Leave --bucket away, or correct {names.BUCKET}",
        )


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


def _look_for_bucket(bucket: str, buckets: Buckets) -> Callable[[], None]:
    def look() -> None:
        if not buckets.exists(bucket):
            raise BucketNotFound(
                f"The bucket {bucket} does not exist",
                hint="Create it, correct the name, or leave the option away to have one created",
            )

    return look


class _Problems:
    """Keeps the problems that a person can mend for the end; the others end everything."""

    def __init__(self) -> None:
        self._found: list[ColdtableError] = []

    def add(self, problem: ColdtableError) -> None:
        # Two checks can find the same fault, for example a name that is no name.
        if problem.message not in {p.message for p in self._found}:
            self._found.append(problem)

    def attempt(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except (NoCredentials, ServiceFailed):
            raise
        except ColdtableError as problem:
            self.add(problem)
            return None

    def raise_them(self) -> None:
        if self._found:
            raise all_together(self._found, "things are in the way, and nothing was changed")
