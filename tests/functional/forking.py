"""``coldtable`` and ``aws`` as processes of their own, without waiting for Python to start.

A process that has imported both is forked for each command: what it runs is alone with its
environment, folder, clock and output, as a command that was started is.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coldtable.aws
import coldtable.ops
from coldtable.aws.session import AwsSession
from coldtable.ops.code import build_zip

# A command that takes longer (seconds) is killed.
PATIENCE = 120


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class Forks:
    """The process to fork from. A context manager; one command at a time."""

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self, *words: str, folder: Path, env: Mapping[str, str], now: float | None = None
    ) -> Done:
        """Run the command there; by ``now``, if it is given, in seconds since 1970."""
        assert self._process.stdin
        assert self._process.stdout
        with tempfile.TemporaryDirectory() as made:
            out, err = Path(made, "out"), Path(made, "err")
            asked = {"words": words, "folder": str(folder), "env": dict(env), "now": now}
            asked |= {"out": str(out), "err": str(err)}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return Done(code=code, out=out.read_text(), err=err.read_text())


def serve() -> None:
    """Fork for each line until there are no more; the forks do not come back."""
    import awscli.clidriver  # type: ignore[import-untyped]
    import time_machine

    from coldtable.cli.app import main

    def aws() -> Any:
        # It sets a variable when it is imported, and the fork has other ones.
        importlib.reload(awscli)
        return awscli.clidriver.main()

    warm_up()
    programs = {"coldtable": main, "aws": aws}
    for line in sys.stdin:
        if not (process := os.fork()):
            asked = json.loads(line)
            become(asked)
            if asked["now"]:
                time_machine.travel(asked["now"]).start()
            sys.exit(programs[asked["words"][0]]())
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def warm_up() -> None:
    """Import and read what most commands do: the SDK, its models of the services, and our code."""
    for package in (coldtable.aws, coldtable.ops):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    session = AwsSession(region="us-east-1", access_key="test", secret_key="test")
    for service in ("cloudformation", "cloudwatch", "dynamodb", "iam", "lambda", "s3", "ssm"):
        session.client(service)
    build_zip()
    # Else each fork would look through all of it when it ends: that takes half a second.
    gc.freeze()


def become(asked: Mapping[str, Any]) -> None:
    """Be the process that was asked for."""
    signal.alarm(PATIENCE)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for stream, path in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
        file = os.open(path, os.O_RDONLY if not stream else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = list(asked["words"])


if __name__ == "__main__":
    serve()
