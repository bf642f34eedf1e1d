"""Faults on demand: what tests of backup tooling need AWS to do wrong, once, now.

Each fault is armed by the control endpoint and consumed by the next operation it fits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..interface import ApiError

DAMAGES = ("flip", "truncate", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How the next export fails: after ``files`` data files (``None``: before any object)."""

    code: str
    message: str
    files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """How the next export's object is spoilt. ``name``: ``data`` or the end of a key."""

    how: str
    name: str = "data"

    def fits(self, key: str) -> bool:
        """Whether an object of the export is the one meant."""
        return "/data/" in key if self.name == "data" else key.endswith(self.name)

    def apply(self, body: bytes) -> bytes:
        """The spoilt bytes (``missing`` leaves the object out instead)."""
        return damaged(body, self.how)


class Faults:
    """What is armed. Everything is off until somebody asks."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Disarm everything."""
        self._failures: list[Failure] = []
        self._damages: list[Damage] = []
        self._throttles: dict[str, int] = {}
        self._drops: dict[str, list[float]] = {}

    def arm(self, body: Mapping[str, Any]) -> None:
        """Arm what ``body`` asks for; ``ApiError`` when it cannot be read.

        ``{"fail": {"code", "message"?, "after_files"?}}``, ``{"throttle": N | {operation: N}}``,
        ``{"drop": {"operation"?, "seconds"?, "count"?}}``, ``{"damage": {"how", "name"?}}``,
        ``{"clear": true}``.
        """
        unknown = set(body) - {"fail", "throttle", "drop", "damage", "clear"}
        if unknown:
            raise ApiError("ValidationException", f"unknown fault: {', '.join(sorted(unknown))}")
        if body.get("clear"):
            self.clear()
        if (fail := body.get("fail")) is not None:
            self._failures.append(_failure(fail))
        if (throttle := body.get("throttle")) is not None:
            counts = throttle if isinstance(throttle, Mapping) else {"*": throttle}
            self._throttles.update({str(name): int(count) for name, count in counts.items()})
        if (drop := body.get("drop")) is not None:
            operation = str(drop.get("operation", "ExportTableToPointInTime"))
            seconds = [float(drop.get("seconds", 120.0))] * int(drop.get("count", 1))
            self._drops.setdefault(operation, []).extend(seconds)
        if (damage := body.get("damage")) is not None:
            self._damages.append(_damage(damage))

    def armed(self) -> dict[str, Any]:
        """What waits to happen, for the control endpoint's answer."""
        return {
            "fail": [failure.code for failure in self._failures],
            "throttle": dict(self._throttles),
            "drop": {name: len(waits) for name, waits in self._drops.items() if waits},
            "damage": [damage.how for damage in self._damages],
        }

    def throttled(self, operation: str) -> bool:
        """Whether this call is to be refused; counts it."""
        for name in (operation, "*"):
            if self._throttles.get(name, 0) > 0:
                self._throttles[name] -= 1
                return True
        return False

    def next_failure(self) -> Failure | None:
        """How the export that now runs must fail, if at all."""
        return self._failures.pop(0) if self._failures else None

    def next_damage(self) -> Damage | None:
        """What the export that now runs must spoil, if anything."""
        return self._damages.pop(0) if self._damages else None

    async def drop(self, operation: str) -> None:
        """Keep the answer back until the caller has given up, when that is armed."""
        waits = self._drops.get(operation)
        if not waits:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), waits.pop(0))
        raise ApiError("InternalServerError", "The response was dropped on demand", status=500)


def damaged(body: bytes, how: str) -> bytes:
    """``flip`` inverts the middle byte, ``truncate`` keeps the first half."""
    middle = len(body) // 2
    if how == "truncate" or not body:
        return body[:middle]
    return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]


def _failure(fail: Mapping[str, Any]) -> Failure:
    if not fail.get("code"):
        raise ApiError("ValidationException", "fail needs a code, such as S3AccessDenied")
    files = fail.get("after_files")
    return Failure(
        code=str(fail["code"]),
        message=str(fail.get("message", "Failed on demand")),
        files=None if files is None else int(files),
    )


def _damage(damage: Mapping[str, Any]) -> Damage:
    how = str(damage.get("how", "flip"))
    if how not in DAMAGES:
        raise ApiError("ValidationException", f"damage.how is one of {', '.join(DAMAGES)}")
    return Damage(how=how, name=str(damage.get("name", "data")))
