"""``/_coldtable/...``: health, the clock, held exports, faults, reset. JSON in, JSON out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from .clock import Clock, ClockBackwards
from .interface import ApiError
from .scheduler import TooManyFirings

Answer = tuple[int, dict[str, Any]]


class Controlled(Protocol):
    """What may answer control calls besides the clock: exports and faults."""

    async def control(self, path: str, body: dict[str, Any]) -> dict[str, Any]: ...


class Refused(Exception):
    """A control call that makes no sense; the message says why."""


class Control:
    """Answers control calls. ``move`` moves the clock and lets what becomes due happen."""

    def __init__(
        self,
        clock: Clock,
        move: Callable[[datetime, bool], Awaitable[int]],
        reset: Callable[[], Awaitable[None]],
        exports: Controlled,
    ) -> None:
        self._clock = clock
        self._move = move
        self._reset = reset
        self._exports = exports

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Status and body of the answer."""
        try:
            request = json.loads(body) if body else {}
        except ValueError:
            return 400, {"message": "the body is not JSON"}
        if not isinstance(request, dict):
            return 400, {"message": "the body is not a JSON object"}
        try:
            return await self._route(method, path, request)
        except (Refused, ClockBackwards, TooManyFirings) as error:
            return 400, {"message": str(error)}
        except ApiError as error:
            return error.status, {"message": error.message}

    async def _route(self, method: str, path: str, request: dict[str, Any]) -> Answer:
        if (method, path) == ("GET", "health"):
            return 200, {"status": "ok", "now": self._clock.now().isoformat()}
        if (method, path) == ("GET", "clock"):
            return 200, self._time()
        if (method, path) == ("POST", "clock"):
            fired = await self._move(self._moment(request), bool(request.get("fire", True)))
            return 200, {**self._time(), "fired": fired}
        if (method, path) == ("POST", "reset"):
            await self._reset()
            return 200, {"reset": "ok"}
        if method == "POST" and path.split("/", 1)[0] in ("exports", "faults"):
            return 200, await self._exports.control(path, request)
        return 404, {"message": f"there is no {method} /_coldtable/{path}"}

    def _time(self) -> dict[str, Any]:
        offset = self._clock.offset.total_seconds()
        return {"now": self._clock.now().isoformat(), "offset_seconds": offset}

    def _moment(self, request: Mapping[str, Any]) -> datetime:
        try:
            if "to" in request:
                moment = datetime.fromisoformat(str(request["to"]))
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if "advance" in request:
                delta = timedelta(seconds=float(request["advance"]))
                if delta < timedelta():
                    raise ClockBackwards("the clock only moves forward")
                return self._clock.now() + delta
        except (TypeError, ValueError, OverflowError) as error:
            raise Refused(f"that is no time: {error}") from None
        raise Refused('say {"advance": SECONDS} or {"to": "ISO time"}')
