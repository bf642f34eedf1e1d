"""The import budget of the Lambda: a cold start pays for every module."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "boto3", "cfnlint", "cyclopts", "duckdb", "hypercorn", "isal", "ministack", "msgspec", "numpy",
    "pandas", "pyarrow", "pydantic", "rich", "s3transfer", "yaml",
}  # fmt: skip

LIST_MODULES = """
import json, sys
import botocore.session
before = set(sys.modules)
import {handler}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
ROOMS = {"aws", "core", "door", "errors", "model", "ops", "ports"}
RESTORING = {"model_policy", "model_restore", "ports_restore"}


def imported(handler: str) -> list[str]:
    script = LIST_MODULES.format(handler=handler)
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True
    )
    modules: list[str] = json.loads(done.stdout)
    return modules


@pytest.mark.parametrize(
    ("handler", "rooms", "most"),
    [
        ("handler", ROOMS | {"handler"}, 20),
        ("handler_tick", ROOMS | {"handler_tick", "model_archive", "model_policy"}, 47),
        ("handler_verify", ROOMS | {"handler_verify", "model_archive", "model_policy"}, 53),
        ("handler_drill", ROOMS | {"handler_drill", "model_archive", *RESTORING}, 94),
    ],
)
def test_a_handler_imports_only_what_it_needs(handler: str, rooms: set[str], most: int) -> None:
    """Beyond botocore a handler adds our own few modules and some of the standard library."""
    modules = imported(f"coldtable.{handler}")
    assert not HEAVY & {name.split(".")[0] for name in modules}
    ours = {name for name in modules if name.startswith("coldtable")}
    top = {name.split(".")[0] for name in modules if not name.startswith("_sysconfigdata")}
    foreign = top - {"coldtable"} - sys.stdlib_module_names
    assert foreign <= {"botocore", "tzdata"}
    assert len(ours) <= most
    assert {name.split(".")[1] for name in ours if "." in name} <= rooms
