"""The fields of a policy's JSON: one table, from which parsing, schema and documents are made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from coldtable.core.prefix import check_template
from coldtable.errors import ConfigError

TABLE_NAME = "[A-Za-z0-9_.-]{3,255}"
# What has no wildcard is a whole name.
_NAME_OR_GLOB = f"{TABLE_NAME}|[A-Za-z0-9_.*?-]*[*?][A-Za-z0-9_.*?-]*"
# The API's own pattern lets upper case pass, and then fails the export [QUIRKS].
_BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_KEY = (
    "(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/)?"
    "(mrk-[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})"
)
_MOMENT = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
    "(Z|[+-][0-9]{2}:[0-9]{2})"
)
_LINE = r"[^\u0000-\u001f\u007f\ud800-\udfff]{1,256}"

# Fields that only mean something together with ``enabled``, in the parameter that has it.
PAUSE = ("enabled", "reason", "since", "by")


class Field(NamedTuple):
    """One field. ``value`` is its default, where that is one value; ``default`` is it in words.

    ``pattern`` is of the whole text (of each item of ``names``), and ``looks`` says what that is.
    ``in_policy`` marks the fields that say which tables are meant: they are POLICY's alone.
    """

    name: str
    kind: str  # choice, whole, flag, text, template, moment, names
    meaning: str
    default: str
    value: object = None
    lowest: int = 0
    highest: int = 0
    choices: tuple[str, ...] = ()
    pattern: str = ""
    looks: str = ""
    in_policy: bool = False


FIELDS = (
    Field(
        "mode",
        "choice",
        "a full export at each moment of the rule, or an unbroken chain of increments",
        "`snapshot`",
        value="snapshot",
        choices=("snapshot", "continuous"),
    ),
    Field(
        "every_minutes",
        "whole",
        "continuous mode: how many minutes a window has",
        "60",
        value=60,
        lowest=15,
        highest=1440,
    ),
    Field(
        "full_every_days",
        "whole",
        "continuous mode: after how many days a new full export begins a new chain",
        "30",
        value=30,
        lowest=1,
        highest=365,
    ),
    Field(
        "view",
        "choice",
        "continuous mode: what an increment holds of each changed item",
        "`NEW_AND_OLD_IMAGES`",
        value="NEW_AND_OLD_IMAGES",
        choices=("NEW_IMAGE", "NEW_AND_OLD_IMAGES"),
    ),
    Field(
        "rpo_minutes",
        "whole",
        "how many minutes old the newest restore point may be before the table counts as stale",
        "continuous: twice `every_minutes`, and an hour; snapshot: a day (or 31, with a day of "
        "the month), and five hours",
        lowest=15,
        highest=527_040,
    ),
    Field(
        "bucket",
        "text",
        "the bucket for the exports",
        "`BACKUP_BUCKET_NAME`",
        pattern=_BUCKET,
        looks="a bucket name (3 to 63 lower-case letters, digits, dots and dashes)",
    ),
    Field(
        "bucket_owner",
        "text",
        "the account of the bucket, where that is another one",
        "this account",
        pattern="[0-9]{12}",
        looks="an account (12 digits, as text)",
    ),
    Field(
        "kms_key",
        "text",
        "the KMS key that encrypts the objects, in the bucket's region",
        "the bucket's own encryption",
        pattern=_KEY,
        looks="the ARN or the id of a KMS key (not an alias)",
    ),
    Field(
        "prefix",
        "template",
        "the folder of an export",
        "`S3_PREFIX_TEMPLATE`",
    ),
    Field(
        "failures_before_alert",
        "whole",
        "how often in a row an export may fail before somebody is told",
        "3",
        value=3,
        lowest=1,
        highest=100,
    ),
    Field(
        "keep_within_days",
        "whole",
        "retention: how many days before the newest restore point everything is kept",
        "0: not a rule",
        value=0,
        lowest=0,
        highest=36500,
    ),
    Field(
        "keep_daily",
        "whole",
        "retention: for how many days the chain with the day's last restore point is kept",
        "0: not a rule",
        value=0,
        lowest=0,
        highest=10000,
    ),
    Field(
        "keep_weekly",
        "whole",
        "retention: for how many weeks (Monday to Sunday)",
        "0: not a rule",
        value=0,
        lowest=0,
        highest=10000,
    ),
    Field(
        "keep_monthly",
        "whole",
        "retention: for how many months",
        "0: not a rule",
        value=0,
        lowest=0,
        highest=10000,
    ),
    Field(
        "keep_yearly",
        "whole",
        "retention: for how many years",
        "0: not a rule",
        value=0,
        lowest=0,
        highest=1000,
    ),
    Field(
        "keep_minimum",
        "whole",
        "retention: how many of the newest chains stay, whatever the rules say",
        "1",
        value=1,
        lowest=1,
        highest=10000,
    ),
    Field(
        "keep_gone_days",
        "whole",
        "retention: after how many days nothing of a table that was deleted is kept; counted from "
        "its last restore point to the newest one of any table",
        "0: never, the rules go on keeping what they keep",
        value=0,
        lowest=0,
        highest=36500,
    ),
    Field(
        "enabled",
        "flag",
        "`false` pauses: nothing new is exported (`coldtable pause` and `resume` write it)",
        "`true`",
        value=True,
    ),
    Field(
        "reason",
        "text",
        "why it was paused or resumed; a pause must have it",
        "",
        pattern=_LINE,
        looks="one line of up to 256 characters",
    ),
    Field(
        "since",
        "moment",
        "since when; a pause must have it",
        "",
        pattern=_MOMENT,
        looks="a time with its offset, like 2026-11-01T03:00:00Z",
    ),
    Field(
        "by",
        "text",
        "by whom",
        "",
        pattern=_LINE,
        looks="one line of up to 256 characters",
    ),
    Field(
        "tables",
        "names",
        "the tables, by name or glob (`app-*`)",
        "none but those of `TABLE_NAMES`",
        pattern=_NAME_OR_GLOB,
        looks="a table name, or a glob with * and ?",
        in_policy=True,
    ),
    Field(
        "exclude",
        "names",
        "tables that `tables` does not mean, by name or glob; nobody hears that they are not kept",
        "none",
        pattern=_NAME_OR_GLOB,
        looks="a table name, or a glob with * and ?",
        in_policy=True,
    ),
    Field(
        "tagged",
        "flag",
        "whether the tag `coldtable` of a table counts: `snapshot`, `continuous` or `off`",
        "`false`",
        value=False,
        in_policy=True,
    ),
)
BY_NAME = {field.name: field for field in FIELDS}

_MISTYPED = {
    "whole": "a whole number",
    "flag": "true or false",
    "names": "a list of names",
}


def read_fields(text: str, *, in_policy: bool) -> tuple[dict[str, object], list[str]]:
    """The fields that the JSON ``text`` spells, and all of its problems.

    ``in_policy`` tells POLICY, which says which tables are meant, from a single table's policy.

    Problems say where: ``$.every_minutes: 5 is less than 15``. A field with a problem is left out.
    """
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return {}, [f"$: is not JSON: {error}"]
    if not isinstance(found, dict):
        return {}, [f"$: {shown(found)} is not a JSON object"]
    values, problems = dict[str, object](), list[str]()
    for key, value in found.items():
        field = BY_NAME.get(key)
        wrong = None
        if field is None:
            wrong = [("", _unknown(key))]
        elif field.in_policy and not in_policy:
            wrong = [("", "belongs into POLICY, not into one table's policy")]
        else:
            wrong = list(_wrong(field, value))
        problems += [f"{path_of(key)}{where}: {what}" for where, what in wrong]
        if field and not wrong:
            values[key] = check_template(value) if field.kind == "template" else value
    return values, problems + _pause_problems(found)


def _wrong(field: Field, value: object) -> Iterator[tuple[str, str]]:
    """What is wrong with a field's value, and where inside of it."""
    match field.kind, value:
        case "whole", int() if not isinstance(value, bool):
            if value < field.lowest:
                yield "", f"{shown(value)} is less than {field.lowest}"
            if value > field.highest:
                yield "", f"{shown(value)} is more than {field.highest}"
        case "flag", bool():
            pass
        case "choice", _ if value not in field.choices:
            yield "", f"{shown(value)} is neither " + " nor ".join(map(shown, field.choices))
        case "choice", _:
            pass
        case "names", list():
            for n, one in enumerate(value):
                if what := _wrong_text(field, one):
                    yield f"[{n}]", what
        case "whole" | "flag" | "names", _:
            yield "", f"{shown(value)} is not {_MISTYPED[field.kind]}"
        case _:
            if what := _wrong_text(field, value):
                yield "", what


def _wrong_text(field: Field, value: object) -> str | None:
    if not isinstance(value, str):
        return f"{shown(value)} is not text"
    if field.kind == "template":
        return _attempt(check_template, value)
    good = re.fullmatch(field.pattern, value)
    if not good or (field.kind == "moment" and not _is_moment(value)):
        return f"{shown(value)} is not {field.looks}"
    return None


def _attempt(check: Callable[[str], object], value: str) -> str | None:
    try:
        check(value)
    except ConfigError as problem:
        return problem.message
    return None


def _pause_problems(found: Mapping[str, object]) -> list[str]:
    """``reason``, ``since`` and ``by`` belong to an ``enabled``, and a pause has the first two."""
    if "enabled" not in found:
        return [f"$.{name}: goes with enabled" for name in PAUSE if name in found]
    if found["enabled"] is not False:
        return []
    return [
        f"$.{name}: is missing, and a pause has it (coldtable pause writes it)"
        for name in ("reason", "since")
        if name not in found
    ]


def _unknown(key: str) -> str:
    # Only who misspells pays for the import.
    from difflib import get_close_matches

    near = get_close_matches(key, BY_NAME, 1)
    return "there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"{shown(twice)} occurs twice in one object")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def path_of(key: str) -> str:
    """A field's JSON path."""
    return f"$.{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else f"$[{shown(key)}]"


def shown(value: object) -> str:
    """The value as JSON, cut to what fits into a sentence."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"
