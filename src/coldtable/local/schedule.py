"""A schedule as the emulator's scheduler sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .interface import Scope
from .timing import Timing

# UNVERIFIED words.
UNTRUSTED = (
    "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule. ``changed`` is its last modification, epoch seconds."""

    scope: Scope
    name: str
    group: str
    arn: str
    changed: float
    timing: Timing
    target: Mapping[str, Any]
    enabled: bool
    delete_after: bool

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.scope.account, self.scope.region, self.group, self.name)

    @property
    def source_arn(self) -> str:
        """What a role's trust compares with ``aws:SourceArn``: the group's ARN [docs]."""
        scope = self.scope
        return f"arn:aws:scheduler:{scope.region}:{scope.account}:schedule-group/{self.group}"
