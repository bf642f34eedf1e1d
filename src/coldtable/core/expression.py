"""The schedule expressions of EventBridge Scheduler: are they well formed, and when do they fire?

Neither cfn-lint nor a stack's creation on an emulator looks inside them; AWS does, late, in the
middle of the stack's creation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time

from coldtable.errors import ParameterInvalid

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

_RATE = re.compile(r"[1-9]\d* (?:minutes?|hours?|days?)")


def check_expression(text: str) -> str:
    """The expression itself; ``ParameterInvalid`` says what is wrong with it.

    Forms: ``cron(min hour day-of-month month day-of-week year)``, ``rate(n unit)``,
    ``at(yyyy-mm-ddThh:mm:ss)``; 256 characters at most. Source: [MODEL], docs "schedule types".
    """
    form = re.fullmatch(r"(cron|rate|at)\(([^()]*)\)", text)
    if not form or len(text) > 256:
        raise _invalid(text, "is not cron(...), rate(...) or at(...)")
    kind, inside = form.groups()
    if kind == "cron":
        _check_cron(text, inside)
    elif kind == "rate" and not _RATE.fullmatch(inside):
        raise _invalid(text, "is not like rate(12 hours)")
    elif kind == "at":
        try:
            datetime.strptime(inside, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007  the zone is beside it
        except ValueError:
            raise _invalid(text, "is not like at(2026-11-01T04:00:00)") from None
    return text


def daily_time(text: str) -> time | None:
    """The one local time of day at which a cron expression fires; ``None`` if it is not just one.

    On which days it fires does not matter.
    """
    plain = re.fullmatch(r"cron\((\d{1,2})\s+(\d{1,2})\s[^()]*\)", text)
    return time(int(plain[2]), int(plain[1])) if plain else None


def _check_cron(text: str, inside: str) -> None:
    fields = inside.split()
    if len(fields) != 6:
        raise _invalid(text, f"has {len(fields)} fields, and cron has 6")
    for (name, valid), field in zip(_FIELDS.items(), fields, strict=True):
        if not all(valid(item) for item in field.split(",")):
            raise _invalid(text, f"has {field!r} as {name}")
    if (fields[2] == "?") is (fields[4] == "?"):
        raise _invalid(text, "must have '?' as day of month or as day of week, and not as both")


def _field(low: int, high: int, names: list[str], also: str = r"(?!)") -> Callable[[str], bool]:
    """A test of one item of a field: ``*``, a value, a range, a step, or a form of ``also``."""
    values = {name: low + i for i, name in enumerate(names)}

    def value(word: str) -> int | None:
        number = int(word) if word.isdecimal() else values.get(word.upper())
        return number if number is not None and low <= number <= high else None

    def valid(item: str) -> bool:
        if re.fullmatch(also, item, re.IGNORECASE):
            return True
        base, slash, step = item.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            return False
        ends = base.split("-")
        return base == "*" or (len(ends) <= 2 and all(value(end) is not None for end in ends))

    return valid


_FIELDS = {
    "minute": _field(0, 59, []),
    "hour": _field(0, 23, []),
    "day of month": _field(1, 31, [], r"\?|L|LW|(?:[1-9]|[12]\d|3[01])W"),
    "month": _field(1, 12, _MONTHS),
    "day of week": _field(1, 7, _DAYS, r"\?|L|(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(?:L|#[1-5])"),
    "year": _field(1970, 2199, []),
}


def _invalid(text: str, what: str) -> ParameterInvalid:
    return ParameterInvalid(
        f"The schedule {text!r} {what}",
        hint="Every day at four: cron(0 4 * * ? *). The fields are minute, hour, day of month, "
        "month, day of week, year; '?' stands in for the one of the two days that is not used",
    )
