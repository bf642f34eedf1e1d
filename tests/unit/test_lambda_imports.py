"""The import budget of the Lambda: a cold start pays for every module."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "boto3", "cfnlint", "cyclopts", "duckdb", "hypercorn", "ministack", "numpy", "pandas",
    "pyarrow", "pydantic", "rich", "s3transfer", "yaml",
}  # fmt: skip

LIST_MODULES = """
import json, sys
import botocore.session
before = set(sys.modules)
import coldtable.handler
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", LIST_MODULES], check=True, capture_output=True, text=True
    )
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_the_handler_imports_only_what_it_needs() -> None:
    """Beyond botocore the handler adds our own few modules and some of the standard library."""
    modules = imported()
    assert not HEAVY & {name.split(".")[0] for name in modules}
    ours = {name for name in modules if name.startswith("coldtable")}
    top = {name.split(".")[0] for name in modules if not name.startswith("_sysconfigdata")}
    foreign = top - {"coldtable"} - sys.stdlib_module_names
    assert foreign <= {"botocore", "tzdata"}
    assert len(ours) <= 20
    rooms = {name.split(".")[1] for name in ours if "." in name}
    assert rooms <= {"aws", "core", "errors", "handler", "model", "ops", "ports"}
