"""The embedded AWS itself: ministack in this process, with our seams, behind our door."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app as ministack

from .clock import Clock
from .control import Control
from .delivery import Deliverer
from .door import Door
from .inner import AsgiInner
from .options import SCHEMA, Options
from .pitr.service import PitrService, PitrSettings
from .scheduler import Scheduler
from .seams import (
    cfn,
    dynamodb,
    iam,
    lambda_async,
    lambda_runtime,
    metrics,
    s3,
    s3_archive,
    schedules,
    selfcheck,
    signing,
)
from .surroundings import Surroundings

# How long a moved clock waits, in real time, for what a firing has started.
_SETTLE_SECONDS = 60.0
_CLOCK_NOTE = "clock.json"
# History keeps what it is given, so the collector looks in vain: measured, a tenth of the
# processor time of overwriting at Python's own thresholds.
_COLLECT_AFTER = (20_000, 10, 100)


class Server:
    """Everything that lives as long as the process."""

    def __init__(self, options: Options, surroundings: Surroundings, port: int) -> None:
        self._options = options
        self._surroundings = surroundings
        self._endpoint = f"http://127.0.0.1:{port}"
        self._stop = asyncio.Event()
        self._broken: selfcheck.SeamBroken | None = None
        self.clock = Clock(max(options.offset, _kept_offset(surroundings.state)))
        self.inner = AsgiInner(f"127.0.0.1:{port}", options.account)
        self.watch = metrics.Watch(self.inner)
        self.flights = lambda_async.Flights()
        self.past = PitrService(
            self.inner,
            PitrSettings(
                export_seconds=options.export_seconds,
                restorable_lag=options.restorable_lag,
                min_window=options.min_window,
                throttle=options.throttle,
                max_concurrent_exports=options.max_exports,
            ),
            tables=dynamodb.Tables(),
        )
        deliverer = Deliverer(self.inner, schedules.assume, self.clock.now)
        self.scheduler = Scheduler(self.clock, schedules.Book(), deliverer.deliver, self._settled)
        self.control = Control(self.clock, self._move, self._reset, self.past)
        self.door = Door(ministack.app, self.control, port, self._started, self._stopping)

    def install(self) -> None:
        """Check every seam, then put ours in place. Raises ``SeamBroken``."""
        loop = asyncio.get_running_loop()
        selfcheck.check_shape()
        iam.install()
        iam.install_name_checks(self.inner.deny_reason)
        signing.install(self.clock)
        lambda_runtime.install(self.clock, self._surroundings.scratch, self._endpoint)
        lambda_async.install(self.inner, self.flights, loop)
        dynamodb.install(self.past)
        schedules.install()
        metrics.install()
        s3.install()
        s3_archive.install()
        cfn.install(self.inner, loop)

    async def run(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.keep_alive_timeout = 75
        config.graceful_timeout = 0.2
        config.shutdown_timeout = 20
        config.loglevel = "WARNING"
        beside = [
            asyncio.create_task(self._watch_parent()),
            asyncio.create_task(self.scheduler.run()),
            asyncio.create_task(self.watch.run()),
        ]
        try:
            await hypercorn_serve(self.door, config, shutdown_trigger=self._stop.wait)
        finally:
            for task in beside:
                task.cancel()
        if self._broken is not None:
            raise self._broken

    async def _started(self) -> None:
        """Prove the seams, then say where we are. A broken seam ends ``run`` with its error."""
        try:
            await selfcheck.probe(self.inner, self.past, auth=self._options.auth)
        except selfcheck.SeamBroken as error:
            self._broken = error
            self._stop.set()
            return
        if self._surroundings.state is not None:
            self.past.load(self._surroundings.state / "pitr")
        ready = {
            "schema": SCHEMA,
            "endpoint": self._endpoint,
            "account": self._options.account,
            "region": self._options.region,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    async def _stopping(self) -> None:
        await self.past.aclose()
        if self._surroundings.state is not None:
            self.past.save(self._surroundings.state / "pitr")
            note = {"offset_seconds": self.clock.offset.total_seconds()}
            (self._surroundings.state / _CLOCK_NOTE).write_text(json.dumps(note))
        # Their processes would outlive ours.
        await asyncio.to_thread(lambda_runtime.stop_workers)

    async def _move(self, moment: datetime, fire: bool) -> int:
        fired = await self.scheduler.move_to(moment, fire=fire)
        await asyncio.to_thread(dynamodb.expire)
        return fired

    async def _settled(self) -> None:
        """Functions are done, and so are their exports, unless somebody holds those."""
        await asyncio.to_thread(self.flights.wait, _SETTLE_SECONDS)
        for _ in range(int(_SETTLE_SECONDS / 0.05)):
            exports = await self.past.control("exports", {})
            if exports["held"] or not exports["running"]:
                break
            await asyncio.sleep(0.05)
        await self.watch.look()

    async def _reset(self) -> None:
        self.past.reset()
        await asyncio.to_thread(ministack._reset_all_state)

    async def _watch_parent(self) -> None:
        while self._options.parent is not None:
            if os.getppid() != self._options.parent:
                self._stop.set()
                return
            await asyncio.sleep(0.5)


def _kept_offset(state: Path | None) -> timedelta:
    """How far the clock was ahead when this state was saved: time never goes back."""
    note = state / _CLOCK_NOTE if state is not None else None
    if note is None or not note.exists():
        return timedelta()
    return timedelta(seconds=float(json.loads(note.read_text())["offset_seconds"]))


def serve(options: Options, surroundings: Surroundings, listener: socket.socket) -> None:
    """Run until a signal, or until the parent is gone. Raises ``SeamBroken`` before it starts."""

    async def main() -> None:
        server = Server(options, surroundings, listener.getsockname()[1])
        server.install()
        await server.run(listener)

    gc.set_threshold(*_COLLECT_AFTER)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())
    shutil.rmtree(surroundings.scratch, ignore_errors=True)
