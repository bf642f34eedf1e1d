"""What a person can choose when the embedded AWS starts. No ministack import here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SCHEMA = "coldtable.local/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``port`` 0 takes a free one; ``offset`` is how far ahead of the real clock we start.

    ``state`` keeps everything over a clean restart; without it all is forgotten.
    ``parent`` is a process id: the embedded AWS ends when that is no longer its parent.
    """

    port: int = 0
    state: Path | None = None
    offset: timedelta = timedelta()
    export_seconds: float = 0.3
    restorable_lag: float = 300.0
    min_window: float = 900.0
    throttle: bool = False
    max_exports: int = 300
    account: str = "000000000000"
    region: str = "us-east-1"
    auth: bool = True
    parent: int | None = None
    verbose: bool = False


def clock_offset(text: str, now: datetime) -> timedelta:
    """``+SECONDS`` or an ISO time (UTC unless it says otherwise), as the distance from ``now``.

    Raises ``ValueError`` when it cannot be read or lies in the past.
    """
    if match := re.fullmatch(r"\+(\d+(?:\.\d+)?)", text.strip()):
        return timedelta(seconds=float(match.group(1)))
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment < now:
        raise ValueError(f"the clock only moves forward, and {text} lies before now ({now:%FT%TZ})")
    return moment - now


def parse(arguments: Sequence[str], now: datetime) -> Options:
    """Options from a command line; exits with status 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m coldtable.local",
        description="An AWS on 127.0.0.1 that exports DynamoDB tables as DynamoDB does.",
    )
    default = Options()
    parser.add_argument("--port", type=int, default=default.port, help="0 takes a free port")
    parser.add_argument("--state", type=Path, help="keep all data in this folder")
    parser.add_argument("--clock", help="start at this ISO time, or +SECONDS ahead of now")
    parser.add_argument("--export-seconds", type=float, default=default.export_seconds)
    parser.add_argument("--restorable-lag", type=float, default=default.restorable_lag)
    parser.add_argument("--min-window", type=float, default=default.min_window)
    parser.add_argument(
        "--throttle", action="store_true", help="refuse bursts of export calls, as AWS does"
    )
    parser.add_argument(
        "--max-exports", type=int, default=default.max_exports, help="how many may run at once"
    )
    parser.add_argument("--account", default=default.account)
    parser.add_argument("--region", default=default.region)
    parser.add_argument("--no-auth", action="store_true", help="do not enforce roles and policies")
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end with this parent")
    parser.add_argument("-v", "--verbose", action="store_true")
    given = parser.parse_args(arguments)
    if not re.fullmatch(r"\d{12}", given.account):
        parser.error("--account takes 12 digits")
    try:
        offset = clock_offset(given.clock, now) if given.clock else timedelta()
    except ValueError as error:
        parser.error(f"--clock: {error}")
    return Options(
        port=given.port,
        state=given.state,
        offset=offset,
        export_seconds=given.export_seconds,
        restorable_lag=given.restorable_lag,
        min_window=given.min_window,
        throttle=given.throttle,
        max_exports=given.max_exports,
        account=given.account,
        region=given.region,
        auth=not given.no_auth,
        parent=given.with_parent,
        verbose=given.verbose,
    )
