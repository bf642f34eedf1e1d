"""The command line as people meet it: help, wrong input, exit codes, no tracebacks."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cyclopts import App

from coldtable import __version__
from coldtable.cli.app import app, main

COMMANDS = sorted(name for name in app if not name.startswith("-"))


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS: these commands must not come so far."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "nowhere")
    monkeypatch.setenv("COLUMNS", "100")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Help is on stdout, exits with 0, and has each command with what it does."""
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        (line,) = [line for line in out.splitlines() if line.startswith(f"│ {name} ")]
        assert len(line.strip("│ ").split()) > 3


def leaves(parent: App, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command that does something, by its words."""
    for name in parent:
        if name.startswith("-"):
            continue
        if parent[name].default_command:
            yield (*path, name)
        yield from leaves(parent[name], *path, name)


@pytest.mark.parametrize("words", sorted(leaves(app)), ids=" ".join)
def test_help_has_examples_exit_codes_and_rights(words: tuple[str, ...]) -> None:
    """Each command's help shows examples that parse, its exit codes, and the IAM actions."""
    command = app
    for word in words:
        command = command[word]
    text = inspect.getdoc(command.default_command) or ""
    shown = text.partition("Examples:")[2]
    examples = re.findall(r"^(?:- )?`(coldtable [^`]+)`", shown, re.MULTILINE)
    assert examples
    for example in examples:
        given = shlex.split(example.partition(" > ")[0])[1:]
        assert tuple(given[: len(words)]) == words
        _, options, _ = app.meta.parse_args(given, exit_on_error=False, print_error=False)
        app.parse_args(options.args, exit_on_error=False, print_error=False)
    assert "Exit codes: 0" in text
    assert re.search(r"^IAM", text, re.MULTILINE)


@pytest.mark.parametrize("words", sorted(leaves(app)), ids=" ".join)
def test_help_names_no_default_that_is_nothing(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """What is off or empty unless it is asked for has no default in the help."""
    _, out, _ = run(capsys, *words, "--help")
    shown = re.sub(r"[│\s]+", " ", out)
    assert not re.search(r"default: (False|None|\(\)|\"\")", shown)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """`coldtable COMMAND --help` describes the command, its options and the global ones."""
    code, out, err = run(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert f"coldtable {command}" in out
    assert "Global options" in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version alone."""
    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bogus"], 2, "bogus"),
        (["export", "--nope"], 2, "--nope"),
        (["export", "--output", "yaml"], 2, "yaml"),
        (["export", "orders", "--at", "tomorrow"], 2, "--at 'tomorrow' is not a time"),
        (["export", "orders", "--at", "2026-11-01T03:00"], 2, "has no offset"),
        (["export", "orders", "--at", "2026-11-01T03:00:00.5Z"], 2, "a whole second"),
        (["export", "--bucket", "archive"], 2, "name the tables to export"),
        (["export", "orders", "--timezone", "UTC"], 2, "go with --bucket"),
        (["export", "orders", "--bucket-owner", "123456789012"], 2, "go with --bucket"),
        (["export", "orders", "--bucket", "b-1", "--bucket-owner", "me"], 2, "is not an account"),
        (["export", "orders", "--bucket", "b-1", "--kms-key", "alias/me"], 2, "of a KMS key"),
        (["export", "a b", "--bucket", "archive"], 10, "'a b' cannot be a table name"),
        (["export", "orders", "--bucket", "Archive"], 10, "'Archive' cannot be a bucket name"),
        (["export", "--parameter-path", "prod"], 10, "'prod' is not a parameter path"),
        (["export", "orders"], 10, "No AWS region is set"),
        (["export", "orders", "--region", "eu-north-1"], 11, "no usable AWS credentials"),
        (["export", "orders", "--profile", "nobody"], 10, "nobody"),
        (["deploy", "--table", "orders", "--day", "32"], 2, "--day must be 0"),
        (["deploy", "--table", "orders", "--at", "25:00"], 2, "'25:00' is not a time of day"),
        (["pause", "orders"], 2, "--reason"),
        (["pause", "orders", "--reason", " "], 2, "--reason ' ' is not one line"),
        (["resume", "orders", "--reason", "x", "--by", "a\nb"], 2, "--by 'a\\nb' is not one"),
        (["pause", "orders", "--reason", "x"], 10, "No AWS region is set"),
        (["config", "validate", "--table", "orders"], 2, "--table goes with --file"),
        (["config", "validate", "--parameter-path", "x"], 10, "'x' is not a parameter path"),
        (["config", "show", "orders"], 10, "No AWS region is set"),
        (["local", "--port", "70000"], 2, "70000"),
        (["local", "--clock", "1999-01-01"], 1, "the clock only moves forward"),
    ],
)
def test_wrong_input(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """One clear error on stderr with its exit code; nothing on stdout, and no traceback."""
    found, out, err = run(capsys, *arguments)
    assert found == code
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize("at", ["2026-11-01T03:00", "2026-11-01T03:00:00", "2026-11-01"])
def test_the_hint_can_be_typed(capsys: pytest.CaptureFixture[str], at: str) -> None:
    """The moment that the hint proposes for one without offset is itself a moment."""
    _, _, err = run(capsys, "export", "orders", "--at", at)
    (proposed,) = re.findall(r"hint: Write (\S+) for UTC", err)
    assert datetime.fromisoformat(proposed).tzinfo is not None


def test_debug_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    """--debug adds the traceback; the error and its code stay."""
    code, _, err = run(capsys, "export", "orders", "--at", "tomorrow", "--debug")
    assert code == 2
    assert "Traceback" in err
    assert "error: --at 'tomorrow' is not a time" in err


def test_a_process_that_a_command_starts_imports_no_commands() -> None:
    """It imports what the shell's ``coldtable`` imports, and that is next to nothing: all commands
    together cost each process of a verify half a second."""
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    script = tomllib.loads(pyproject.read_text())["project"]["scripts"]["coldtable"]
    module, _, name = script.partition(":")
    program = f"import sys; from {module} import {name}; print('coldtable.cli' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout == b"False\n"
