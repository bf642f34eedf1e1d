"""Restoring from the embedded AWS and into it: the table that comes back is the one recorded."""

from __future__ import annotations

import pytest

from coldtable.local.process import EmbeddedAws

from .conftest import Coldtable
from .exporter import Account, values

SOME_OF_EVERYTHING = {
    "n": {"N": "-12345678901234567890.123456789012345678"},
    "b": {"B": b"\x00\x01\xff"},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "ss": {"SS": ["é", '"quoted"', "\u2028"]},
    "ns": {"NS": ["1", "-0.5", "1E+30"]},
    "bs": {"BS": [b"", b"\x00"]},
    "l": {"L": [{"B": b"\xfe"}, {"L": []}, {"M": {}}]},
    "m": {"M": {"a.b": {"M": {"": {"BS": [b"x"]}}}, "Ä": {"S": ""}}},
}


class Archived(Account):
    """An account with a full export of sixty items of every type, after which things changed."""

    def __init__(self, aws: EmbeddedAws, number: str) -> None:
        super().__init__(aws, number)
        for n in range(60):
            self.put(f"p{n % 7}", n, **SOME_OF_EVERYTHING, pad={"S": "x" * (n * 37 % 900)})
        self.moment = self.settle()
        self.expected = values(self.scan())
        self.done = self.export(ExportTime=self.moment)
        self.put("later", 1)


@pytest.fixture
def archived(aws: EmbeddedAws, account: str) -> Archived:
    """In the emulator that the command talks to."""
    return Archived(aws, account)


@pytest.mark.parametrize("way", ["write", "import"])
def test_a_table_comes_back(archived: Archived, coldtable: Coldtable, way: str) -> None:
    """Both ways make a table with exactly the items that were there, of every type."""
    here = archived
    done = coldtable(
        "restore", "orders", "--at", "latest", "--to", "copy", "--key", "pk:S", "--key", "sk:N",
        "--archive", f"s3://{here.bucket}", "--way", way, "--compare", "full", "--yes",
        "--output", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert values(here.scan("copy")) == here.expected
    assert done.json["report"]["written"] == 60
    assert done.json["report"]["comparison"]["checked"] == 60
