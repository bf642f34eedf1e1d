"""The folders and the environment that ministack finds itself in.

ministack reads the environment when it is imported, so ``prepare`` runs before that. Nothing of the
host's AWS settings stays: neither the emulator nor the functions that it runs can see them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .options import Options

# Everything that ministack, boto3 or the Lambda runtime would read from the host.
_FOREIGN = (
    "AWS_",
    "MINISTACK_",
    "LOCALSTACK_",
    "LAMBDA_",
    "S3_",
    "EDGE_PORT",
    "SERVICES",
    "USE_SSL",
    "HOSTNAME",
    "DOCKER_",
    "CLOUDTRAIL_",
)


_PREFIX = "coldtable-local-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """``scratch`` vanishes at the end; ``state`` stays, when there is one."""

    scratch: Path
    state: Path | None


@contextmanager
def prepare(options: Options, port: int) -> Iterator[Surroundings]:
    """Set the environment up and remove the scratch folder afterwards."""
    _sweep(Path(tempfile.gettempdir()))
    scratch = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        for name in list(os.environ):
            if name.startswith(_FOREIGN):
                del os.environ[name]
        os.environ.update(_environment(options, port, scratch))
        # The module caches the folder at its first use, which was our own mkdtemp.
        tempfile.tempdir = os.environ["TMPDIR"]
        yield Surroundings(scratch=scratch, state=options.state)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what emulators left that were killed before they could."""
    for left in folder.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).split("-", 1)[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _environment(options: Options, port: int, scratch: Path) -> dict[str, str]:
    temporary = scratch / "tmp"
    temporary.mkdir()
    home = options.state or scratch
    values = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": options.account,
        "MINISTACK_REGION": options.region,
        "AUTH": "true" if options.auth else "false",
        "TMPDIR": str(temporary),
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "ministack"),
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "INFO" if options.verbose else "WARNING",
        # Listeners and sweeps that nobody here needs; they cost start-up time.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{scratch}/no-docker",
        # botocore must not go looking for credentials on the network.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if options.state is not None:
        options.state.mkdir(parents=True, exist_ok=True)
        values |= {"PERSIST_STATE": "1", "S3_PERSIST": "1"}
    return values
