"""The S3 prefix of an export, made from a template that people write."""

from __future__ import annotations

import re
from datetime import datetime
from string import Formatter

from coldtable.errors import ParameterInvalid

DEFAULT_TEMPLATE = "{date:%Y/%m/%d}/{table}"
FIELDS = ("date", "table", "account", "region")

# S3Prefix holds at most 1024 characters [MODEL], and so does a whole key: AWS appends
# "/AWSDynamoDB/<22>/data/<26>.json.gz" to it.
_LONGEST = 1024 - 100
# Only directives that are digits everywhere: month names depend on the machine's locale.
_DIRECTIVE = re.compile(r"%[YmdHMSjyGVu]")
_DATE_SPEC = re.compile(rf"(?:[^%{{}}]|{_DIRECTIVE.pattern})*")
_SAFE = re.compile(r"[A-Za-z0-9!_.*'()/:=@+, -]*")


def check_template(template: str) -> str:
    """The template, stripped of its trailing slash; ``ParameterInvalid`` says what is wrong."""
    template = template.rstrip("/")
    literals = [_checked_part(template, part) for part in _parse(template)]
    if template.startswith("/") or "//" in template:
        raise _invalid(template, "an empty folder name (a leading or a double slash)")
    if not _SAFE.fullmatch("".join(literals)):
        raise _invalid(template, "a character that is not safe in an S3 key")
    if ".." in template.split("/"):
        raise _invalid(template, "a folder named '..'")
    return template


def render_prefix(template: str, *, moment: datetime, table: str, account: str, region: str) -> str:
    """The prefix of one export. ``moment`` is aware and in the zone whose date counts."""
    prefix = template.format(date=moment, table=table, account=account, region=region)
    if len(prefix) > _LONGEST:
        raise _invalid(template, f"{len(prefix)} characters for table {table}, over {_LONGEST}")
    return prefix


def _parse(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise _invalid(template, f"not a template: {error}") from None


def _checked_part(template: str, part: tuple[str, str | None, str | None, str | None]) -> str:
    """The literal text of one part; raises unless its field is one of ours, used plainly."""
    literal, field, spec, conversion = part
    if field is None:
        return literal
    if field not in FIELDS:
        raise _invalid(template, f"the unknown field {{{field}}}")
    if conversion:
        raise _invalid(template, f"a conversion (!{conversion}) on {{{field}}}")
    if spec and (field != "date" or not _DATE_SPEC.fullmatch(spec)):
        raise _invalid(template, f"the format {spec!r} on {{{field}}}")
    return literal + _DIRECTIVE.sub("", spec or "")


def _invalid(template: str, what: str) -> ParameterInvalid:
    return ParameterInvalid(
        f"S3_PREFIX_TEMPLATE {template!r} has {what}",
        hint="Use the fields {date:%Y/%m/%d}, {table}, {account} and {region}; "
        f"the default is {DEFAULT_TEMPLATE}",
    )
