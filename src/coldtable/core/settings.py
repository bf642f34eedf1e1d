"""From the parameters under a path to checked ``Settings``: all problems at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import time
from typing import TypeVar
from zoneinfo import ZoneInfo

from coldtable.core.prefix import DEFAULT_TEMPLATE, check_template
from coldtable.errors import ConfigError, ParameterInvalid, ParameterMissing, all_together
from coldtable.model import MomentRule, Settings

BUCKET = "BACKUP_BUCKET_NAME"
DAY = "BACKUP_DAY_STR"
HOUR = "BACKUP_HOUR_STR"
MINUTE = "BACKUP_MINUTE_STR"
SECOND = "BACKUP_SECOND_STR"
TABLE = "TEST_TABLE_NAME"
TABLES = "TABLE_NAMES"
ZONE = "TIMEZONE"
PREFIX = "S3_PREFIX_TEMPLATE"

# The first part of every name that means a policy, or looks as if it did.
POLICY_NAMES = ("policy", "policies")

DEFAULT_ZONE = "Asia/Tokyo"

# Stricter than the API's own pattern, which lets upper case pass and then fails the export
# asynchronously with S3NoSuchBucket [QUIRKS].
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?")

T = TypeVar("T")


def parse_settings(path: str, parameters: Mapping[str, str]) -> Settings:
    """The settings that ``parameters`` (name below ``path`` to value) spell.

    Raises ``ParameterMissing`` or ``ParameterInvalid`` for one problem, ``ConfigError`` that lists
    them for several. Nothing missing or malformed becomes a default.
    """
    found = Reader(path, parameters)
    bucket = found.read(BUCKET, parse_bucket, "")
    tables = found.table_names()
    rule = found.rule()
    template = found.read(PREFIX, check_template, "", default=DEFAULT_TEMPLATE)
    found.raise_problems()
    return Settings(path=path, bucket=bucket, tables=tables, rule=rule, prefix_template=template)


def has_policies(parameters: Mapping[str, str]) -> bool:
    """Whether there is more to read than the simple parameters: see ``core.policy``."""
    return any(name.partition("/")[0].lower() in POLICY_NAMES for name in parameters)


def parse_path(text: str) -> str:
    """A parameter path without its trailing slash; ``ParameterInvalid`` if it cannot be one."""
    path = text.strip().rstrip("/")
    if not re.fullmatch(r"(?:/[A-Za-z0-9_.-]+){1,14}", path):
        raise ParameterInvalid(
            f"{text!r} is not a parameter path",
            hint="A path looks like /coldtable/prod: it starts with a slash, and has letters, "
            "digits and _.- between slashes",
        )
    if re.match(r"/(?:aws|ssm)(?:/|$)", path, re.IGNORECASE):
        raise ParameterInvalid(
            f"{text!r} is reserved: parameter names cannot start with aws or ssm",
            hint="Choose another path, for example /coldtable/prod",
        )
    return path


def parse_zone(text: str) -> ZoneInfo:
    """The IANA time zone of that name."""
    name = text.strip()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ParameterInvalid(
            f"{text!r} is not an IANA time zone",
            hint="Use a name like UTC, Asia/Tokyo or Europe/Berlin",
        ) from None


def parse_day(text: str) -> int | None:
    """``None`` (every day) for 0 or anything that is not a number, else a day of the month."""
    value = text.strip()
    if not _NUMBER.fullmatch(value):
        return None
    if not value.isdecimal() or int(value) > 31:
        raise ParameterInvalid(
            f"{text!r} is not a day of the month",
            hint="Use 0 for every day, or 1 to 31 (a shorter month's last day stands in)",
        )
    return int(value) or None


def parse_table_names(text: str) -> tuple[str, ...]:
    """The table names of a comma-separated list, in order, each once."""
    names = tuple(dict.fromkeys(n for part in text.split(",") if (n := part.strip())))
    bad = [n for n in names if not _TABLE_NAME.fullmatch(n)]
    if bad:
        raise ParameterInvalid(
            f"{', '.join(map(repr, bad))} cannot be a table name",
            hint="A table name has 3 to 255 letters, digits, or _.-",
        )
    return names


def parse_bucket(text: str) -> str:
    """A bucket's name, stripped."""
    name = text.strip()
    if not _BUCKET_NAME.fullmatch(name):
        raise ParameterInvalid(
            f"{text!r} cannot be a bucket name",
            hint="A bucket name has 3 to 63 lower-case letters, digits, dots and dashes",
        )
    return name


class Reader:
    """Reads parameters one by one, keeps the problems for the end, and stands in for them.

    Raises ``ParameterMissing`` at once if there are none at all.
    """

    def __init__(self, path: str, parameters: Mapping[str, str]) -> None:
        if not parameters:
            raise ParameterMissing(
                f"There are no parameters under {path}",
                hint="Check the path, the account and the region; coldtable deploy writes them",
            )
        self._path = path
        self._parameters = parameters
        self._problems: list[ConfigError] = []

    def rule(self, *, needed: bool = True) -> MomentRule:
        """The moments; midnight of each day if they are not ``needed`` and not there."""
        default = None if needed else "0"
        day = self.read(DAY, parse_day, None, default=default)
        hour = self.read(HOUR, _number_up_to(23), 0, default=default)
        minute = self.read(MINUTE, _number_up_to(59), 0, default=default)
        second = self.read(SECOND, _number_up_to(59), 0, default=default)
        zone = self.read(ZONE, parse_zone, ZoneInfo("UTC"), default=DEFAULT_ZONE)
        return MomentRule(day=day, at=time(hour, minute, second), zone=zone)

    def table_names(self, *, needed: bool = True) -> tuple[str, ...]:
        """The tables of ``TABLE_NAMES`` or ``TEST_TABLE_NAME``."""
        if not needed and not {TABLES, TABLE} & self._parameters.keys():
            return ()
        found = self.attempt(lambda: _table_names(self._path, self._parameters), None)
        return found or ()

    def add(self, problem: ConfigError) -> None:
        """Keep one more problem."""
        self._problems.append(problem)

    def read(
        self, name: str, parse: Callable[[str], T], stand_in: T, *, default: str | None = None
    ) -> T:
        """The parameter of that name, or ``default``, as ``parse`` understands it."""
        value = self._parameters.get(name, default)
        if value is None:
            self._problems.append(_missing(self._path, name))
            return stand_in
        return self.attempt(lambda: _named(self._path, name, parse, value), stand_in)

    def attempt(self, parse: Callable[[], T], stand_in: T) -> T:
        """What ``parse`` gives; its problem is kept."""
        try:
            return parse()
        except ConfigError as problem:
            self._problems.append(problem)
            return stand_in

    def raise_problems(self) -> None:
        """Raise what was kept: the one problem, or a ``ConfigError`` that lists several."""
        if self._problems:
            headline = f"parameters under {self._path} cannot be used"
            raise all_together(self._problems, headline)


def _table_names(path: str, parameters: Mapping[str, str]) -> tuple[str, ...]:
    """``TABLE_NAMES`` where it is set, else the one table of ``TEST_TABLE_NAME``."""
    name = TABLES if TABLES in parameters else TABLE
    if name not in parameters:
        raise _missing(path, TABLES)
    names = _named(path, name, parse_table_names, parameters[name])
    if not names:
        raise ParameterInvalid(
            f"{path}/{name} names no table", hint="Give it at least one table name"
        )
    return names


def _named(path: str, name: str, parse: Callable[[str], T], value: str) -> T:
    """Parse, and put the parameter's full name in front of whatever is wrong with it."""
    try:
        return parse(value)
    except ParameterInvalid as problem:
        raise ParameterInvalid(f"{path}/{name}: {problem.message}", hint=problem.hint) from None


def _missing(path: str, name: str) -> ParameterMissing:
    also = f" (nor {TABLE}, for a single table)" if name == TABLES else ""
    return ParameterMissing(
        f"The parameter {path}/{name} does not exist{also}",
        hint=f"Create it: aws ssm put-parameter --name {path}/{name} --type String --value …",
    )


def _number_up_to(highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = text.strip()
        if not value.isdecimal() or int(value) > highest:
            raise ParameterInvalid(
                f"{text!r} is not a whole number from 0 to {highest}",
                hint="BACKUP_HOUR_STR is 0 to 23, BACKUP_MINUTE_STR and BACKUP_SECOND_STR 0 to 59",
            )
        return int(value)

    return parse
