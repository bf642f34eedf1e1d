"""The embedded AWS itself: ministack in this process, with our seams, behind our door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from datetime import datetime

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app as ministack

from .clock import Clock
from .control import Control
from .door import Door
from .inner import AsgiInner
from .options import SCHEMA, Options
from .pitr.service import PitrService, PitrSettings
from .seams import cfn, dynamodb, iam, lambda_async, lambda_runtime, selfcheck, signing
from .surroundings import Surroundings


class Server:
    """Everything that lives as long as the process."""

    def __init__(self, options: Options, surroundings: Surroundings, port: int) -> None:
        self._options = options
        self._surroundings = surroundings
        self._endpoint = f"http://127.0.0.1:{port}"
        self._stop = asyncio.Event()
        self.clock = Clock(options.offset)
        self.inner = AsgiInner(f"127.0.0.1:{port}", options.account)
        self.flights = lambda_async.Flights()
        self.past = PitrService(
            self.inner,
            PitrSettings(
                export_seconds=options.export_seconds,
                restorable_lag=options.restorable_lag,
                min_window=options.min_window,
            ),
            tables=dynamodb.Tables(),
        )
        self.control = Control(self.clock, self._move, self._reset, self.past)
        self.door = Door(ministack.app, self.control, port, self._started, self._stopping)

    def install(self) -> None:
        """Check every seam, then put ours in place. Raises ``SeamBroken``."""
        loop = asyncio.get_running_loop()
        selfcheck.check_signatures()
        iam.install()
        signing.install(self.clock)
        lambda_runtime.install(self.clock, self._surroundings.scratch, self._endpoint)
        lambda_async.install(self.inner, self.flights, loop)
        dynamodb.install(self.past)
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
        watcher = asyncio.create_task(self._watch_parent())
        try:
            await hypercorn_serve(self.door, config, shutdown_trigger=self._stop.wait)
        finally:
            watcher.cancel()

    async def _started(self) -> None:
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
        # Their processes would outlive ours.
        await asyncio.to_thread(lambda_runtime.stop_workers)

    async def _move(self, moment: datetime, fire: bool) -> int:
        self.clock.move_to(moment)
        return 0

    async def _reset(self) -> None:
        self.past.reset()
        await asyncio.to_thread(ministack._reset_all_state)

    async def _watch_parent(self) -> None:
        while self._options.parent is not None:
            if os.getppid() != self._options.parent:
                self._stop.set()
                return
            await asyncio.sleep(0.5)


def serve(options: Options, surroundings: Surroundings, listener: socket.socket) -> None:
    """Run until a signal, or until the parent is gone. Raises ``SeamBroken`` before it starts."""

    async def main() -> None:
        server = Server(options, surroundings, listener.getsockname()[1])
        server.install()
        await server.run(listener)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())
    shutil.rmtree(surroundings.scratch, ignore_errors=True)
