"""Every command in the documents, run as it stands there, one after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import client
from tests.functional.installation import Installation

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
# The Japanese README has the same commands: another test holds it to that.
RUN = [READMES[0], *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [*READMES, *sorted((ROOT / "docs").rglob("*.md"))]

# The key of the pages; a real one of the embedded AWS takes its place.
KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"

# The command line with its clock on the embedded AWS's: there, two days have passed.
AT_ITS_TIME = """
import sys, time_machine
time_machine.travel(float(sys.argv[1])).start()
from coldtable.cli.app import main
main(sys.argv[2:])
"""


@dataclass(frozen=True)
class Command:
    """One line after a ``$`` in a console block; ``exit_code`` from its comment, else 0.

    ``file`` is where its stdout goes, if the line says so: ``> policy.json``.
    """

    words: tuple[str, ...]
    exit_code: int
    file: str = ""


def commands(document: Path) -> list[Command]:
    found = []
    for block in re.findall(r"```console\n(.*?)```", document.read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                expected = re.search(r"# exits with (\d+)", line)
                words = tuple(shlex.split(line[2:], comments=True))
                code = int(expected[1]) if expected else 0
                if words[-2:-1] == (">",):
                    found.append(Command(words[:-2], code, words[-1]))
                else:
                    found.append(Command(words, code))
    return found


@pytest.mark.parametrize("document", RUN, ids=lambda path: path.name)
def test_every_command_works(
    document: Path, fresh_aws: Callable[..., EmbeddedAws], tmp_path: Path
) -> None:
    """Each command of the document exits as it says, on an account with the tables it names and
    the items."""
    todo = commands(document)
    if not todo:
        return
    aws = fresh_aws()
    env = {**os.environ, **aws.env(), "HOME": str(tmp_path)}
    here = Installation(aws, aws.account, partial(client, aws, key="test", secret="test"))
    for name in ("orders", "users"):
        here.add_table(name)
        for item in ("user#42", "user#43"):
            here.boto("dynamodb").put_item(TableName=name, Item={"id": {"S": item}})
    write_profiles(tmp_path)
    key = client(aws, "kms", "test", "test").create_key()["KeyMetadata"]["Arn"]
    aws.advance(timedelta(days=2))
    for command in todo:
        words = tuple(word.replace(KEY, key) for word in command.words)
        run(replace(command, words=words), aws, env, tmp_path)


def write_profiles(home: Path) -> None:
    """The profile of the pages' other account: its number is its root's access key here."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[archive]\naws_access_key_id = 222233334444\naws_secret_access_key = test\n"
    )


def run(command: Command, aws: EmbeddedAws, env: dict[str, str], folder: Path) -> None:
    program, *rest = command.words
    match program:
        case "make":
            # That it ends well is what CI is for; here, that there is such a target.
            words = ["make", "--dry-run", *rest]
        case "pip":
            # From the clone: nobody has published a package of that name yet.
            assert rest == ["install", "."]
            return
        case "coldtable":
            words = [sys.executable, "-c", AT_ITS_TIME, str(aws.now().timestamp()), *rest]
        case "aws":
            words = [str(Path(sys.executable).parent / "aws"), *rest]
        case _:
            pytest.fail(f"the documents may not ask people to run {program}")
    # What people make stays in a folder of its own; the Makefile lies in the clone.
    cwd = ROOT if program == "make" else folder
    done = subprocess.run(
        words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    if command.file:
        (folder / command.file).write_text(done.stdout)
    assert done.returncode == command.exit_code, (command, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr


def test_both_readmes_have_the_same_commands_and_tables() -> None:
    """README.md and README.ja.md say the same: headings, commands, names and links agree."""

    def skeleton(document: Path) -> dict[str, list[str]]:
        text = document.read_text("utf-8")
        return {
            "headings": re.findall(r"^#+ ", text, re.MULTILINE),
            "blocks": re.findall(r"```.*?```", text, re.DOTALL),
            "code": sorted(set(re.findall(r"`([^`\n]+)`", text)) - {"console", "text"}),
            "links": sorted(re.findall(r"\]\((docs/[^)]+)\)", text)),
            "rows": re.findall(r"^\| ((?:`[^`]+` ?)+)\|", text, re.MULTILINE),
        }

    english, japanese = (skeleton(document) for document in READMES)
    assert english == japanese


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file of the repository leads to one."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
