"""The age of a signature, when the emulator's clock is ahead of its callers'.

A caller in another process keeps the real time, one in a Lambda has the emulator's. Both are right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from ministack.core import sigv4

from ..clock import Clock

Failure = tuple[str, str] | None


def install(clock: Clock) -> None:
    """Accept a signature that is fresh by the emulator's clock or by the machine's."""
    original: Callable[..., Failure] = sigv4.request_time_failure

    def request_time_failure(signature: object, *, now: dt.datetime | None = None) -> Failure:
        failure = original(signature, now=now)
        if failure is not None and now is None and clock.offset:
            return original(signature, now=clock.real_now())
        return failure

    sigv4.request_time_failure = request_time_failure
