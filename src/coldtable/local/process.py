"""The embedded AWS as a child process: for demos, tests and benches. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

from coldtable.errors import NotInstalled, ServiceFailed, UsageError, WaitTimeout

_SCHEMA = "coldtable.local/1"
_TAIL = 4000


class EmbeddedAws:
    """Starts ``python -m coldtable.local`` and speaks to its control endpoint.

    A context manager; ``start`` and ``stop`` work too. ``options`` are command line arguments of
    ``coldtable.local``. Raises ``ServiceFailed`` with the end of the child's stderr when it does
    not start, ``WaitTimeout`` when it takes longer than ``timeout`` seconds.
    """

    def __init__(self, options: Sequence[str] = (), *, timeout: float = 30.0) -> None:
        self._options = list(options)
        self._timeout = timeout
        self._child: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] | None = None
        self.endpoint = ""
        self.account = ""
        self.region = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        if importlib.util.find_spec("ministack") is None:
            raise NotInstalled(
                "The embedded AWS is not installed",
                hint="Install it: pip install 'coldtable[local]'",
            )
        command = [sys.executable, "-m", "coldtable.local", "--with-parent", str(os.getpid())]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 closed by stop()
        self._child = subprocess.Popen(
            [*command, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=_clean(os.environ),
            # Ctrl-C in a terminal is for us: we stop the child when we are done with it.
            start_new_session=True,
        )
        try:
            ready = self._wait_for_ready_line()
        except BaseException:
            self.stop()
            raise
        self.endpoint = ready["endpoint"]
        self.account = ready["account"]
        self.region = ready["region"]
        return self

    def stop(self) -> None:
        """End it cleanly (state is saved when it has a state folder). Twice is fine."""
        child, self._child = self._child, None
        if child is not None:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    @property
    def pid(self) -> int:
        """The child's process id; 0 when it does not run."""
        return self._child.pid if self._child is not None else 0

    def wait(self) -> None:
        """Wait until somebody interrupts us; ``ServiceFailed`` if the child ends by itself."""
        if self._child is not None:
            status = self._child.wait()
            raise ServiceFailed(f"the embedded AWS ended with status {status}\n{self.log()}")

    def env(self) -> dict[str, str]:
        """The variables that make any AWS SDK or the AWS CLI talk to it, as the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def log(self) -> str:
        """The end of what the child wrote to stderr."""
        if self._stderr is None:
            return ""
        size = os.fstat(self._stderr.fileno()).st_size
        start = max(0, size - _TAIL)
        return os.pread(self._stderr.fileno(), _TAIL, start).decode(errors="replace")

    # The control endpoint

    def now(self) -> datetime:
        """The emulator's time."""
        return datetime.fromisoformat(self._control("GET", "/clock")["now"])

    def move_to(self, moment: datetime, *, fire: bool = True) -> datetime:
        """Move the clock forward to ``moment`` (aware) and return the new time.

        Schedules that become due on the way fire in order, each at its own time, and the clock
        waits for what they started; ``fire=False`` skips them. Raises ``UsageError`` for a moment
        that has passed.
        """
        body = {"to": moment.astimezone(UTC).isoformat(), "fire": fire}
        answer = self._control("POST", "/clock", body, timeout=600)
        return datetime.fromisoformat(answer["now"])

    def advance(self, seconds: float | timedelta, *, fire: bool = True) -> datetime:
        """Move the clock forward by ``seconds``; see ``move_to``."""
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        body = {"advance": seconds, "fire": fire}
        answer = self._control("POST", "/clock", body, timeout=600)
        return datetime.fromisoformat(answer["now"])

    def hold_exports(self) -> None:
        """Exports stay IN_PROGRESS until ``release_exports``."""
        self._control("POST", "/exports", {"hold": True})

    def release_exports(self) -> None:
        self._control("POST", "/exports", {"release": True})

    def export_seconds(self, seconds: float) -> None:
        """How long exports that start from now on take, in real seconds."""
        self._control("POST", "/exports", {"seconds": seconds})

    def fault(self, **faults: Any) -> dict[str, Any]:
        """Arm faults and return what is armed.

        ``fail={"code", "message"?, "after_files"?}``, ``throttle=N`` or ``{operation: N}``,
        ``drop={"operation"?, "seconds"?, "count"?}``, ``damage={"how", "name"?}``,
        ``object={"bucket", "key", "how"}``, ``clear=True``. Raises ``UsageError``.
        """
        return self._control("POST", "/faults", faults)

    def reset(self) -> None:
        """Forget everything but the clock."""
        self._control("POST", "/reset")

    def control(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Any call below ``/_coldtable``. Raises ``UsageError`` when it is refused."""
        return self._control(method, path, body)

    def _control(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        parts = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(
                method,
                "/_coldtable" + path,
                json.dumps(body or {}),
                {"content-type": "application/json"},
            )
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException) as error:
            raise ServiceFailed(
                f"the embedded AWS does not answer: {error}\n{self.log()}"
            ) from None
        finally:
            connection.close()
        if response.status >= 300:
            raise UsageError(str(answer.get("message", answer)))
        return answer

    def _wait_for_ready_line(self) -> dict[str, str]:
        child = self._child
        if child is None or child.stdout is None:
            raise ServiceFailed("the embedded AWS was not started")
        lines: queue.Queue[str] = queue.Queue()
        stdout = child.stdout

        def read() -> None:
            with contextlib.suppress(ValueError):
                lines.put(stdout.readline())

        threading.Thread(target=read, daemon=True).start()
        try:
            line = lines.get(timeout=self._timeout)
        except queue.Empty:
            raise WaitTimeout(
                f"the embedded AWS was not ready after {self._timeout:g} s\n{self.log()}"
            ) from None
        if not line:
            child.wait()
            raise ServiceFailed(
                f"the embedded AWS ended with status {child.returncode}\n{self.log()}",
                hint="Its own words are above; free the port, or mend the option that they name",
            )
        ready: dict[str, str] = json.loads(line)
        if ready.get("schema") != _SCHEMA:
            raise ServiceFailed(f"the embedded AWS said {line.strip()!r} instead of its address")
        return ready


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The host's environment without its AWS settings: the child has no use for them."""
    kept = {k: v for k, v in environment.items() if not k.startswith("AWS_")}
    # The child must find this same package, however the parent found it.
    kept["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parents[2]), *filter(None, [kept.get("PYTHONPATH")])]
    )
    return kept
