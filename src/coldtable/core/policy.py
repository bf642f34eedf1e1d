"""Which tables are kept, and how: from the configuration to a policy per table.

A value is taken from ``policies/<table>``, else from the table's tag (its mode alone), else from
``POLICY``, else from the simple parameters, else it is the default; each keeps where it is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import cast

from coldtable.core.policy_fields import PAUSE
from coldtable.model import Destination, Settings, View
from coldtable.model_policy import (
    DRILL_PREFIX,
    TAG,
    Configuration,
    Mode,
    Pause,
    Policy,
    Retention,
    Value,
)

# The tag's value that keeps a table out.
OFF = "off"
DEFAULT = "default"


def policy_for(configuration: Configuration, table: str, tag: str | None = None) -> Policy | None:
    """How the table of this name is kept; ``None`` if it is not covered.

    ``tag`` is the value of its tag ``coldtable``, ``None`` if it has none or nobody looked.
    """
    if not is_covered(configuration, table, tag):
        return None
    values = values_for(configuration, table, tag)
    mode = Mode(_text(values, "mode"))
    to, template = _place(values)
    return Policy(
        mode=mode,
        rule=configuration.rule,
        every=timedelta(minutes=number(values, "every_minutes")),
        full_every=timedelta(days=number(values, "full_every_days")),
        view=View(_text(values, "view")),
        rpo=timedelta(minutes=number(values, "rpo_minutes")),
        to=to,
        prefix_template=template,
        pause=_pause(values),
        scheduled=mode is Mode.SNAPSHOT and table in configuration.scheduled,
        attempts=number(values, "failures_before_alert"),
    )


def retention_for(configuration: Configuration, table: str) -> Retention:
    """Which exports of the table of this name are kept, covered or not: what is kept no more has
    an archive all the same. No tag says anything about it."""
    values = values_for(configuration, table)
    return Retention(
        within=timedelta(days=number(values, "keep_within_days")),
        daily=number(values, "keep_daily"),
        weekly=number(values, "keep_weekly"),
        monthly=number(values, "keep_monthly"),
        yearly=number(values, "keep_yearly"),
        minimum=number(values, "keep_minimum"),
        gone=timedelta(days=number(values, "keep_gone_days")),
        zone=configuration.rule.zone,
    )


def nightly(configuration: Configuration) -> tuple[Settings, dict[str, str]]:
    """What the nightly schedule exports, and why it passes over the other tables of its own.

    It does not look at tags: a table that it names and that is continuous by its tag alone is
    exported by both.
    """
    tables, passed = list[str](), dict[str, str]()
    for table in configuration.scheduled:
        policy = policy_for(configuration, table)
        if policy and policy.mode is Mode.CONTINUOUS:
            passed[table] = "it is kept in continuous mode, by the tick"
        elif policy and policy.pause:
            passed[table] = paused_text(policy.pause)
        else:
            tables.append(table)
    return settings_for(configuration, tables), passed


def settings_for(configuration: Configuration, tables: Iterable[str]) -> Settings:
    """The settings for a snapshot of these tables, whatever their mode is."""
    names = tuple(tables)
    to, template = _place(configuration.defaults)
    shared = (Destination(bucket=to.bucket), template)
    places = {name: _place(values_for(configuration, name)) for name in names}
    return Settings(
        path=configuration.path,
        bucket=to.bucket,
        tables=names,
        rule=configuration.rule,
        prefix_template=template,
        apart={name: place for name, place in places.items() if place != shared},
    )


def destinations(
    configuration: Configuration, tables: Iterable[str] = ()
) -> tuple[Destination, ...]:
    """Where these tables' exports go, each place once; without any, all places that are named."""
    names = tuple(tables)
    places = [_place(values_for(configuration, name)) for name in names]
    if not names:
        own = [values_for(configuration, name) for name in sorted(configuration.tables)]
        places = [_place(values) for values in (configuration.defaults, *own)]
    return tuple(dict.fromkeys(to for to, _ in places if to.bucket))


def paused_text(pause: Pause) -> str:
    """Since when, by whom and why."""
    by = f" by {pause.by}" if pause.by else ""
    return f"it is paused since {pause.since:%Y-%m-%dT%H:%M:%SZ}{by}: {pause.reason}"


def is_covered(configuration: Configuration, table: str, tag: str | None = None) -> bool:
    """Whether the table is kept: who states its mode says so, or names it, or a glob means it."""
    if table in configuration.scheduled or "mode" in configuration.tables.get(table, {}):
        return True
    selection = configuration.selection
    if selection.tagged and (meant := read_tag(tag)):
        return meant != OFF
    if table.startswith(DRILL_PREFIX) and table not in selection.names:
        return False
    return matches(selection.names, table) and not matches(selection.exclude, table)


def is_left_out(configuration: Configuration, table: str, tag: str | None = None) -> bool:
    """Whether somebody wants the table not to be kept, so that nobody need hear of it."""
    if is_covered(configuration, table, tag):
        return False
    selection = configuration.selection
    if table.startswith(DRILL_PREFIX):
        return True
    return matches(selection.exclude, table) or (selection.tagged and read_tag(tag) == OFF)


def expected_tables(configuration: Configuration) -> tuple[str, ...]:
    """The tables that the configuration names one by one, so that each must exist; sorted."""
    names = {name for name in configuration.selection.names if not _is_glob(name)}
    names |= {name for name, own in configuration.tables.items() if "mode" in own}
    names -= {name for name in names if not is_covered(configuration, name)}
    return tuple(sorted(names | set(configuration.scheduled)))


def needs_listing(configuration: Configuration) -> bool:
    """Whether only the list of all tables tells which ones are kept: there are globs, or tags."""
    return configuration.selection.tagged or any(map(_is_glob, configuration.selection.names))


def matches(patterns: Iterable[str], table: str) -> bool:
    """Whether one of the names or globs means the table."""
    return any(fnmatchcase(table, pattern) for pattern in patterns)


def read_tag(tag: str | None) -> str | None:
    """``snapshot``, ``continuous`` or ``off``, however it is capitalised; ``None`` for all else."""
    meant = (tag or "").strip().lower()
    return meant if meant in (*Mode, OFF) else None


def values_for(
    configuration: Configuration, table: str, tag: str | None = None
) -> dict[str, Value]:
    """Every value that counts for the table, and where each is from."""
    values = dict(configuration.defaults)
    if configuration.selection.tagged and (meant := read_tag(tag)) in tuple(Mode):
        values["mode"] = Value(value=meant, origin=f"the tag {TAG}")
    own = configuration.tables.get(table, {})
    if "enabled" in own:
        # Another pause's reason is not this one's.
        values = {name: value for name, value in values.items() if name not in PAUSE}
    values.update(own)
    if "rpo_minutes" not in values:
        values["rpo_minutes"] = _default_rpo(configuration, values)
    return values


def _default_rpo(configuration: Configuration, values: Mapping[str, Value]) -> Value:
    if _text(values, "mode") == Mode.CONTINUOUS:
        minutes = 2 * number(values, "every_minutes") + 60
        return Value(value=minutes, origin=f"{DEFAULT}: 2 x every_minutes + 60")
    # The newest snapshot is a period old when the next one's moment comes. A schedule may start it
    # three hours later (planner.LATE), and the export takes its time.
    days = 31 if configuration.rule.day else 1
    return Value(value=days * 1440 + 300, origin=f"{DEFAULT}: {days} d + 5 h")


def _place(values: Mapping[str, Value]) -> tuple[Destination, str]:
    to = Destination(
        bucket=_text(values, "bucket"),
        owner=_text(values, "bucket_owner") or None,
        key=_text(values, "kms_key") or None,
    )
    return to, _text(values, "prefix")


def _pause(values: Mapping[str, Value]) -> Pause | None:
    if values["enabled"].value:
        return None
    since = datetime.fromisoformat(_text(values, "since"))
    return Pause(
        since=since.astimezone(UTC), reason=_text(values, "reason"), by=_text(values, "by")
    )


def _is_glob(name: str) -> bool:
    return "*" in name or "?" in name


# The values' types were checked when they were read; these only tell the type checker.


def number(values: Mapping[str, Value], name: str) -> int:
    """The value of a field that is a whole number."""
    return cast(int, values[name].value)


def _text(values: Mapping[str, Value], name: str) -> str:
    return str(values[name].value) if name in values else ""
