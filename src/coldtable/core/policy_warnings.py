"""What a configuration says that is allowed, and that somebody may not have meant."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import cast

from coldtable.core.configuration import POLICIES, POLICY
from coldtable.core.policy import is_covered, matches, policy_for, values_for
from coldtable.core.policy_fields import FIELDS
from coldtable.model_policy import Configuration, Mode, Value

# us-east-1, from secondary sources: docs/configuration.md says so.
_USD_PER_GB = 0.10
# What an incremental export is billed at the least [REAL-G].
_LEAST_GB = 0.01

_CONTINUOUS = ("every_minutes", "full_every_days", "view")
# How many days DynamoDB keeps a deleted table's last backup, where PITR was on [DOC-PITR].
_LAST_BACKUP = 35
_LENGTHS = {
    "keep_within_days": 1,
    "keep_daily": 1,
    "keep_weekly": 7,
    "keep_monthly": 30,
    "keep_yearly": 365,
}


def warnings(configuration: Configuration) -> tuple[str, ...]:
    """A sentence for each surprise, in what it costs, keeps or leaves out; most with a path."""
    return (*_of_policy(configuration), *_of_tables(configuration))


def value_warnings(stated: Mapping[str, object]) -> Iterator[str]:
    """The surprises in the fields of one policy alone, the rest of them at their defaults."""
    built_in = {field.name: field.value for field in FIELDS if field.value is not None}
    values = {name: Value(value=v, origin="") for name, v in {**built_in, **stated}.items()}
    tagged = stated.get("tagged") is True
    yield from _surprises(values, stated, may_be_continuous=tagged, period_days=1)


def _of_policy(configuration: Configuration) -> Iterator[str]:
    """What POLICY says for all."""
    where = f"{configuration.path}/{POLICY}: "
    values, selection = configuration.defaults, configuration.selection
    stated = {name for name, value in values.items() if value.origin.endswith(f"/{POLICY}")}
    continuous = selection.tagged or any(
        "mode" in own and own["mode"].value == Mode.CONTINUOUS
        for own in configuration.tables.values()
    )
    for text in _surprises(
        values, stated, may_be_continuous=continuous, period_days=_period(configuration)
    ):
        yield where + text
    if not values["enabled"].value:
        yield f"{where}$.enabled: every table without an enabled of its own is paused"
    kept = [t for t in configuration.scheduled if matches(selection.exclude, t)]
    if kept:
        yield f"{where}$.exclude: means {', '.join(kept)}, kept all the same by TABLE_NAMES"
    nightly = [policy_for(configuration, t) for t in configuration.scheduled]
    if selection.tagged and any(p and p.scheduled for p in nightly):
        yield (
            f"{where}$.tagged: the nightly schedule looks at no tags, so a table of TABLE_NAMES "
            "that is continuous by its tag alone is exported by both: give it a policy instead"
        )


def _of_tables(configuration: Configuration) -> Iterator[str]:
    """What each table's own policy adds."""
    for table, own in sorted(configuration.tables.items()):
        where = f"{configuration.path}/{POLICIES}{table}: "
        tagged = configuration.selection.tagged
        values = values_for(configuration, table)
        for text in _surprises(
            values,
            own,
            may_be_continuous=tagged and "mode" not in own,
            period_days=_period(configuration),
        ):
            yield where + text
        if not tagged and not is_covered(configuration, table):
            yield (
                f"{where}$: nothing covers the table: give it a mode here, or name it in "
                f"TABLE_NAMES or in the tables of {POLICY}"
            )


def _surprises(
    values: Mapping[str, Value],
    stated: Container[str],
    *,
    may_be_continuous: bool,
    period_days: int,
) -> Iterator[str]:
    """Those of the fields that are ``stated`` here; ``values`` has what counts in the end."""
    mode, every = values["mode"].value, _number(values, "every_minutes")
    continuous = mode == Mode.CONTINUOUS
    if continuous or may_be_continuous:
        if every < 60 and ("mode" in stated or "every_minutes" in stated):
            yield f"$.every_minutes: {_cost(every)}"
        days = _number(values, "full_every_days")
        if days < 7 and ("mode" in stated or "full_every_days" in stated):
            yield (
                f"$.full_every_days: the whole table is exported and billed every {days} days "
                f"(about {_USD_PER_GB:.2f} USD a GB each time)"
            )
    else:
        for name in _CONTINUOUS:
            if name in stated:
                yield f"$.{name}: means nothing in snapshot mode"
    if "keep_minimum" in stated and not any(values[name].value for name in _LENGTHS):
        yield "$.keep_minimum: without another keep_ field everything is kept"
    if "keep_gone_days" in stated:
        yield from _early_end(values)
    longest = every if continuous else period_days * 1440
    if "rpo_minutes" in stated and _number(values, "rpo_minutes") <= longest:
        yield (
            f"$.rpo_minutes: cannot be kept: the newest restore point is more than {longest} "
            "minutes old each time before the next one comes"
        )


def _early_end(values: Mapping[str, Value]) -> Iterator[str]:
    gone = _number(values, "keep_gone_days")
    if not gone:
        return
    if gone < _LAST_BACKUP:
        yield (
            f"$.keep_gone_days: {gone} days after a deleted table's last export nothing of it is "
            f"left, and DynamoDB's own last backup of it is gone after {_LAST_BACKUP}"
        )
    days = {name: _number(values, name) * length for name, length in _LENGTHS.items()}
    longest = max(days, key=lambda name: days[name])
    if gone < days[longest]:
        yield f"$.keep_gone_days: ends before what {longest} keeps of a table that is deleted"


def _period(configuration: Configuration) -> int:
    return 31 if configuration.rule.day else 1


def _cost(every: int) -> str:
    exports = 1440 / every
    usd = exports * 30 * _LEAST_GB * _USD_PER_GB
    return (
        f"{exports:.0f} exports a day, each billed as 10 MB at the least: about {usd:.2f} USD a "
        "month for each table, even if nothing changes in it"
    )


def _number(values: Mapping[str, Value], name: str) -> int:
    return cast(int, values[name].value)
