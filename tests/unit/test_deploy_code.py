"""The Lambdas' zip: complete, alone, and the same every time."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest

from coldtable.ops.code import build_zip


@pytest.fixture(scope="module")
def zipped() -> bytes:
    return build_zip()


def test_same_bytes_every_time(zipped: bytes) -> None:
    """Building again gives the same bytes, so an unchanged function is never deployed again."""
    build_zip.cache_clear()
    assert build_zip() == zipped


def test_nothing_of_the_machine_is_in_it(zipped: bytes) -> None:
    """Dates, permissions, system and compression are fixed: another machine builds the same."""
    members = zipfile.ZipFile(io.BytesIO(zipped)).infolist()
    assert {m.date_time for m in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {m.external_attr >> 16 for m in members} == {0o100644}
    assert {m.create_system for m in members} == {3}
    assert {m.compress_type for m in members} == {zipfile.ZIP_STORED}
    assert [m.filename for m in members] == sorted(m.filename for m in members)


def test_only_what_the_handlers_need(zipped: bytes) -> None:
    """Our modules that they reach and the time zones: no other door, no SDK, no caches, and of
    restoring nothing that needs a compiled package."""
    names = zipfile.ZipFile(io.BytesIO(zipped)).namelist()
    assert {name.split("/")[0] for name in names} == {"coldtable", "tzdata"}
    rooms = {name.split("/")[1] for name in names if name.startswith("coldtable/")}
    assert {"cli", "local", "infra", "testing", "model_stack.py"}.isdisjoint(rooms)
    assert "coldtable/ops/deploy.py" not in names
    assert "coldtable/ops/drill_run.py" in names
    apart = (
        "ion",
        "ops/crew",
        "ops/drill",
        "ops/fold",
        "ops/load",
        "ops/raw",
        "ops/restore",
        "ops/scan",
    )
    assert not [name for name in apart if f"coldtable/{name}.py" in names]
    assert "tzdata/zoneinfo/Europe/Berlin" in names
    assert not [n for n in names if n.endswith(".pyc") or "__pycache__" in n]


def test_handlers_run_from_it_alone(zipped: bytes, tmp_path: Path) -> None:
    """Unpacked, with nothing but the SDK beside it, all handlers import and know the zones.

    This package's own folder, and whatever else is installed, are not on the path.
    """
    code, sdk = tmp_path / "code", tmp_path / "sdk"
    zipfile.ZipFile(io.BytesIO(zipped)).extractall(code)
    sdk.mkdir()
    site = Path(boto3.__file__).parent.parent
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
        (sdk / name).symlink_to(site / name)
    script = (
        "import sys\n"
        f"sys.path[:0] = [{str(code)!r}, {str(sdk)!r}]\n"
        "import coldtable.handler as h, coldtable.handler_tick as t\n"
        "import coldtable.handler_verify as v, coldtable.handler_drill as d\n"
        "from zoneinfo import ZoneInfo, reset_tzpath\n"
        "reset_tzpath(())\n"
        "print(h.__file__, t.__file__, v.__file__, d.__file__, ZoneInfo('Asia/Tokyo').key)\n"
    )
    # -I and -S: neither the working directory nor any site-packages; and no zone files of the
    # machine.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        str(code / "coldtable/handler.py"),
        str(code / "coldtable/handler_tick.py"),
        str(code / "coldtable/handler_verify.py"),
        str(code / "coldtable/handler_drill.py"),
        "Asia/Tokyo",
    ]
