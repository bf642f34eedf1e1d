"""The nouns of configuration: which tables are kept, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from coldtable.model import Destination, MomentRule, View

# The tag that puts a table under coldtable; its values are those of ``Mode``, or "off".
TAG = "coldtable"
# What the names of drills' own tables begin with: they come and go, and no glob means them.
DRILL_PREFIX = "coldtable-drill-"


class Mode(StrEnum):
    """How a table is kept: a full export at each moment of a rule, or an unbroken chain."""

    SNAPSHOT = "snapshot"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why nothing new is exported of a table, since when (UTC) and by whom."""

    since: datetime
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one table is kept, complete and checked.

    ``rule`` says the moments of snapshots, and its zone names the dates in prefixes. ``every`` is
    how long a window is, 15 minutes to 24 hours; ``full_every`` after how long a chain gets a new
    full export. ``rpo`` is how old the newest restore point may be. ``scheduled`` tells that the
    nightly schedule starts this table's snapshots, so the tick need not unless they are late.
    ``attempts`` is how often in a row an export may fail before somebody is told.
    """

    mode: Mode
    rule: MomentRule
    every: timedelta
    full_every: timedelta
    view: View
    rpo: timedelta
    to: Destination
    prefix_template: str
    pause: Pause | None = None
    scheduled: bool = False
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which verified exports of a table are kept; ``core.retention`` says what the rules mean.

    A rule of zero keeps nothing of its own; without any rule everything is kept. ``zone`` tells
    where days begin. ``gone`` is after how long nothing of a table that is gone is kept; zero for
    never.
    """

    within: timedelta = timedelta()
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    minimum: int = 1
    gone: timedelta = timedelta()
    zone: tzinfo = UTC

    @property
    def is_set(self) -> bool:
        """Whether there is any rule; a minimum alone is none."""
        return bool(self.within or self.daily or self.weekly or self.monthly or self.yearly)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which tables are kept: by name or glob (``app-*``), less ``exclude``, and by tag."""

    names: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One configured value and the place that it comes from, for ``config show --origin``."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything below the parameter path, checked. ``verify_days`` says within how many days the
    stack reads every byte again, ``drill_days`` after how many it drills a table again; ``None``
    for never.

    ``defaults`` and each of ``tables`` (by table name) map a field of the policy's JSON to its
    value; ``policy_for`` in ``core.policy`` makes a ``Policy`` of them.
    """

    path: str
    selection: Selection
    defaults: Mapping[str, Value]
    tables: Mapping[str, Mapping[str, Value]]
    rule: MomentRule
    scheduled: tuple[str, ...] = ()
    heartbeat_url: str | None = None
    verify_days: int | None = None
    drill_days: int | None = None
    attempts: int = 3
