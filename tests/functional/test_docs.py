"""Every command in the documents, run as it stands there, one after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from coldtable.local.process import EmbeddedAws
from tests.functional.conftest import client
from tests.functional.forking import Done, Forks
from tests.functional.installation import Installation

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
# The Japanese README has the same commands: another test holds it to that.
RUN = [READMES[0], *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [*READMES, *sorted((ROOT / "docs").rglob("*.md"))]

# The key of the pages; a real one of the embedded AWS takes its place.
KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"


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


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Where the commands come from."""
    with Forks() as running:
        yield running


@pytest.mark.parametrize(
    "document", [page for page in RUN if commands(page)], ids=lambda page: page.name
)
def test_every_command_works(
    document: Path, forks: Forks, fresh_aws: Callable[..., EmbeddedAws], tmp_path: Path
) -> None:
    """Each command of the document exits as it says, on an account with the tables it names and
    the items."""
    aws = fresh_aws()
    env = {**os.environ, **aws.env(), "HOME": str(tmp_path)}
    here = Installation(aws, aws.account, partial(client, aws, key="test", secret="test"))
    for name in ("orders", "users"):
        here.add_table(name)
        for item in ("user#42", "user#43"):
            here.boto("dynamodb").put_item(TableName=name, Item={"id": {"S": item}})
    write_profiles(tmp_path)
    key = client(aws, "kms", "test", "test").create_key()["KeyMetadata"]["Arn"]
    # Midday, whenever the tests run: what a page's schedule exports must not have been just now.
    aws.move_to((aws.now() + timedelta(days=3)).replace(hour=12, minute=0))
    for command in commands(document):
        words = tuple(word.replace(KEY, key) for word in command.words)
        done = run(words, forks, aws, env, tmp_path)
        if command.file:
            (tmp_path / command.file).write_text(done.out)
        assert done.code == command.exit_code, (command, done)
        assert "Traceback" not in done.err


def write_profiles(home: Path) -> None:
    """The profile of the pages' other account: its number is its root's access key here."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[archive]\naws_access_key_id = 222233334444\naws_secret_access_key = test\n"
    )


def run(
    words: Sequence[str], forks: Forks, aws: EmbeddedAws, env: dict[str, str], folder: Path
) -> Done:
    """The command in a folder of its own. The clock is the embedded AWS's: days have passed."""
    program, *rest = words
    match program:
        case "make":
            # That it ends well is what CI is for; here, that there is such a target, in the clone.
            made = subprocess.run(
                ["make", "--dry-run", *rest], cwd=ROOT, capture_output=True, text=True, check=False
            )
            return Done(code=made.returncode, out=made.stdout, err=made.stderr)
        case "pip":
            # From the clone: nobody has published a package of that name yet.
            assert rest == ["install", "."]
            return Done(code=0, out="", err="")
        case "coldtable":
            return forks.run(*words, folder=folder, env=env, now=aws.now().timestamp())
        case "aws":
            return forks.run(*words, folder=folder, env=env)
    pytest.fail(f"the documents may not ask people to run {program}")


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
