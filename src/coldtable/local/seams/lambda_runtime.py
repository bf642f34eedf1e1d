"""Python functions run on AWS's own runtime client, and see only what Lambda would show them.

ministack has a Runtime API for ``provided.*`` runtimes; a Python function becomes one whose
bootstrap starts ``awslambdaric`` under this interpreter, whatever version its runtime names.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc

from ..clock import Clock

_START = Path(__file__).with_name("lambda_start.py")
_RUNTIME_PARTS = ("boto3", "awslambdaric", "time-machine")


def install(clock: Clock, scratch: Path, endpoint: str) -> None:
    """Build the runtime's folder below ``scratch`` and route Python functions to it."""
    packages = _gather(scratch / "lambda-packages")
    clock_file = scratch / "lambda-clock"
    clock.listen(functools.partial(_note_offset, clock_file))
    script = _bootstrap(packages, clock_file)
    lambda_svc._execute_function_warm = _running(lambda_svc._execute_function_warm, script)
    lambda_svc._provided_worker_env = _clean_environment(
        lambda_svc._provided_worker_env, endpoint, scratch
    )


def stop_workers() -> None:
    """End the processes of all functions."""
    runtime.reset()


def _note_offset(clock_file: Path, offset: timedelta) -> None:
    fresh = clock_file.with_suffix(".new")
    fresh.write_text(str(offset.total_seconds()))
    fresh.replace(clock_file)


def _gather(folder: Path) -> Path:
    """A folder of links to boto3, awslambdaric and what they need, and nothing else."""
    folder.mkdir()
    wanted, seen = list(_RUNTIME_PARTS), set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        for entry in {file.parts[0] for file in distribution.files or ()}:
            source = Path(str(distribution.locate_file(entry)))
            if entry not in ("..", "__pycache__") and source.exists():
                (folder / entry).unlink(missing_ok=True)
                (folder / entry).symlink_to(source.resolve())
        wanted += [
            re.split(r"[\s<>=!~;(\[]", requirement, maxsplit=1)[0]
            for requirement in distribution.requires or ()
            if "extra ==" not in requirement
        ]
    return folder


def _bootstrap(packages: Path, clock_file: Path) -> str:
    command = [sys.executable, "-I", "-S", str(_START), str(packages), str(clock_file)]
    return f"#!/bin/sh\nexec {shlex.join(command)}\n"


@functools.lru_cache(64)
def _with_bootstrap(code: bytes, script: str) -> bytes:
    """The zip with an executable ``bootstrap`` in it."""
    buffer = io.BytesIO(code)
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, script)
    return buffer.getvalue()


def _running(original: Callable[..., dict[str, Any]], script: str) -> Callable[..., dict[str, Any]]:
    def execute(func: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = func.get("config") or func
        code = func.get("code_zip")
        python = str(config.get("Runtime", "")).startswith("python")
        if not code or not python or config.get("Layers"):
            return original(func, event, request_id)
        provided = {
            **func,
            "code_zip": _with_bootstrap(code, script),
            "config": {**config, "Runtime": "provided.al2023", "_python": config["Runtime"]},
        }
        answer: dict[str, Any] = lambda_svc._execute_function_provided_warm(
            provided, event, request_id
        )
        return answer

    return execute


def _clean_environment(
    original: Callable[..., dict[str, str]], endpoint: str, scratch: Path
) -> Callable[..., dict[str, str]]:
    def environment(config: Mapping[str, Any], code_dir: str, port: int) -> dict[str, str]:
        full = original(config, code_dir, port)
        own = (config.get("Environment") or {}).get("Variables") or {}
        # ministack starts from the host's environment; none of that belongs into a function.
        kept = {k: v for k, v in full.items() if k in own or os.environ.get(k) != v}
        runtime = config.get("_python") or config.get("Runtime", "")
        fresh = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "TMPDIR": str(scratch / "tmp"),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": _log_group(config),
            **_logging(config),
        }
        return {**fresh, **kept, "AWS_ENDPOINT_URL": endpoint}

    return environment


def _log_group(config: Mapping[str, Any]) -> str:
    chosen = (config.get("LoggingConfig") or {}).get("LogGroup")
    return str(chosen or f"/aws/lambda/{config.get('FunctionName', '')}")


def _logging(config: Mapping[str, Any]) -> dict[str, str]:
    chosen = config.get("LoggingConfig") or {}
    if chosen.get("LogFormat") != "JSON":
        return {}
    level = str(chosen.get("ApplicationLogLevel") or "INFO")
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}
