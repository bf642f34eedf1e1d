"""How the bucket that a stack creates keeps its objects: classes, deletion for good, Object Lock.

The template's parameters say it. What nobody asks for now stays as the stack has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from string import Formatter

from coldtable.core.prices import READING_GB, SOURCE, STORAGE_GB_MONTH
from coldtable.errors import ColdtableError, Conflict, UsageError
from coldtable.model_stack import BucketRules

_DEFAULTS = {
    "DataPrefix": "20",
    "DaysToStandardIa": "0",
    "DaysToGlacierIr": "0",
    "DaysToDeepArchive": "0",
    "DaysToRemoveVersions": "0",
    "ObjectLockMode": "NONE",
    "ObjectLockDays": "1",
}
# Option, parameter, storage class, and for how many days S3 charges at the least; from the
# warmest to the coldest, which is the only direction in which S3 moves objects.
_CLASSES = (
    ("--standard-ia-after", "DaysToStandardIa", "STANDARD_IA", 30),
    ("--glacier-ir-after", "DaysToGlacierIr", "GLACIER_IR", 90),
    ("--deep-archive-after", "DaysToDeepArchive", "DEEP_ARCHIVE", 180),
)
# S3 takes no object into STANDARD_IA before, and none on from there before as many more [docs: S3,
# lifecycle transitions].
_IA_DAYS = 30
_MOST_DAYS = 36_500
_RECORDS = "coldtable/"
_LOCK = re.compile(r"(governance|compliance):(\d{1,5})", re.IGNORECASE)


def parse_lock(text: str) -> tuple[str, int]:
    """``governance:365`` as a mode of S3 and a number of days."""
    found = _LOCK.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= _MOST_DAYS:
        raise UsageError(
            f"--object-lock {text!r} cannot be used",
            hint=f"Write governance:DAYS or compliance:DAYS, with 1 to {_MOST_DAYS} days",
        )
    return found[1].upper(), int(found[2])


def data_prefix(templates: Iterable[str]) -> str | None:
    """What the keys of all exports begin with, by their prefix templates, and no record's does.

    ``None`` where that cannot be told: a rule for it would move the catalog's records as well.
    """
    beginnings = [_beginning(template) for template in templates]
    low, high = min(beginnings), max(beginnings)
    prefix = "".join(
        one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    )
    return None if not prefix or _RECORDS.startswith(prefix[: len(_RECORDS)]) else prefix


def _beginning(template: str) -> str:
    try:
        literal, field, spec, _ = next(iter(Formatter().parse(template)))
    except (ValueError, StopIteration):
        # What is wrong with a template is told elsewhere.
        return ""
    if field is None:
        return f"{literal}/"
    before, year, _ = (spec or "%Y").partition("%Y")
    if field != "date" or "%" in before:
        return str(literal)
    # The year begins with 20 until 2099.
    return f"{literal}{before}{'20' if year else ''}"


def rule_parameters(
    rules: BucketRules, templates: Sequence[str], before: Mapping[str, str]
) -> dict[str, str]:
    """The template's parameters for the bucket: those of the rules, and else of the stack as it is.

    Left out, one would go back to the template's default.
    """
    found = {name: before[name] for name in _DEFAULTS if name in before}
    asked = {
        "DaysToStandardIa": rules.standard_ia,
        "DaysToGlacierIr": rules.glacier_ir,
        "DaysToDeepArchive": rules.deep_archive,
        "DaysToRemoveVersions": rules.remove_versions,
    }
    found |= {name: str(days) for name, days in asked.items() if days is not None}
    if rules.lock:
        mode, days = rules.lock
        found |= {"ObjectLockMode": mode, "ObjectLockDays": str(days)}
    prefix = data_prefix(templates)
    if _moves(found) and prefix and not prefix.startswith(_value(found, "DataPrefix")):
        found["DataPrefix"] = prefix
    return found


def rule_problems(
    rules: BucketRules, templates: Sequence[str], bucket: str | None, before: Mapping[str, str]
) -> Iterator[ColdtableError]:
    """What is wrong with the rules that somebody asks for; nothing, if nobody does."""
    asked = rules.asked
    for option, days in rules.days.items():
        if days is not None and not 0 <= days <= _MOST_DAYS:
            yield UsageError(f"{option} must be 0 (never) to {_MOST_DAYS}")
            return
    if not asked:
        return
    if bucket:
        yield UsageError(
            f"{', '.join(asked)}: no effect on {bucket}, which is not the stack's own bucket",
            hint="Set the bucket's lifecycle rules and Object Lock yourself: "
            "docs/how-to/retention.md",
        )
        return
    found = rule_parameters(rules, templates, before)
    yield from _day_problems(found)
    moves = _moves(found) and any(option in asked for option, *_ in _CLASSES)
    if moves and data_prefix(templates) is None:
        yield UsageError(
            f"With the prefix template {' and '.join(map(repr, templates))} nothing that the "
            "exports' keys begin with tells them from the records below coldtable/, which must "
            "not move",
            hint="Begin it with a folder of its own: --prefix-template 'exports/{table}'",
        )
    before_mode, mode = _value(before, "ObjectLockMode"), _value(found, "ObjectLockMode")
    if rules.lock and before_mode == "COMPLIANCE" and mode != before_mode:
        yield Conflict(
            "The bucket's default retention is COMPLIANCE, and --object-lock asks for GOVERNANCE",
            hint="New objects would be protected by less than the old ones. If that is meant, set "
            "it on the bucket itself",
        )


def _day_problems(found: Mapping[str, str]) -> Iterator[UsageError]:
    earlier: tuple[str, int] | None = None
    for option, parameter, storage, _ in _CLASSES:
        days = int(_value(found, parameter))
        if not days:
            continue
        least = earlier[1] + (_IA_DAYS if earlier[0] == "STANDARD_IA" else 1) if earlier else 0
        if storage == "STANDARD_IA" and days < _IA_DAYS:
            yield UsageError(f"{option} {days}: S3 moves nothing to {storage} before 30 days")
        elif earlier and days < least:
            yield UsageError(
                f"{option} {days}: exports are in {earlier[0]} from day {earlier[1]} on, and can "
                f"leave it on day {least} at the earliest",
                hint="0 leaves a class out",
            )
        earlier = storage, days


def rule_notes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What it means that the rules become those: what it costs, and what cannot be undone."""
    notes = []
    for _, parameter, storage, least in _CLASSES:
        days = int(_value(after, parameter))
        if days and days != int(_value(before, parameter)):
            notes.append(_class_note(storage, days, least))
    days = int(_value(after, "DaysToRemoveVersions"))
    if days and days != int(_value(before, "DaysToRemoveVersions")):
        notes.append(
            f"What is deleted in the bucket, by coldtable expire or by anybody, is gone for good "
            f"{days} days later"
        )
    lock = _lock(after)
    if lock[0] != "NONE" and lock != _lock(before):
        notes.append(_lock_note(*lock))
    prefix = _value(after, "DataPrefix")
    if _moves(after) and _moves(before) and prefix != _value(before, "DataPrefix"):
        notes.append(
            f"Exports whose keys do not begin with {prefix!r}, as the prefix template says now, do "
            "not move to other classes any more"
        )
    return tuple(notes)


def _class_note(storage: str, days: int, least: int) -> str:
    cost = (
        f"{STORAGE_GB_MONTH[storage]} USD a GB and month instead of {STORAGE_GB_MONTH['STANDARD']}"
    )
    reading = (
        f"{READING_GB[storage]:.2f} USD a GB to read"
        if storage in READING_GB
        else "nothing can be read until S3 has retrieved it: up to 48 hours, and coldtable restore "
        "--retrieve asks for it"
    )
    return (
        f"Exports are in {storage} from day {days} on: {cost}, {least} days are charged at the "
        f"least, and {reading} ({SOURCE})"
    )


def _lock_note(mode: str, days: str) -> str:
    who = (
        "nobody, not the account's root either, can delete a new object, or shorten that"
        if mode == "COMPLIANCE"
        else "only who may bypass governance can delete a new object"
    )
    undone = "This cannot be undone. " if mode == "COMPLIANCE" else ""
    return (
        f"For {days} days {who}, and coldtable expire keeps it as long. {undone}Object Lock can "
        "never be taken from a bucket again, and is not proven with DynamoDB's exports: watch the "
        "first one"
    )


def _moves(found: Mapping[str, str]) -> bool:
    return any(_value(found, parameter) != "0" for _, parameter, _, _ in _CLASSES)


def _lock(found: Mapping[str, str]) -> tuple[str, str]:
    return _value(found, "ObjectLockMode"), _value(found, "ObjectLockDays")


def _value(found: Mapping[str, str], name: str) -> str:
    return found.get(name, _DEFAULTS[name])
