"""``coldtable status`` at a terminal, over HTTP."""

from __future__ import annotations

import json

import pytest

from tests.functional.conftest import Boto, Coldtable, NewTable
from tests.functional.test_catalog_command import lose_catalog, table
from tests.functional.test_tick_command import put
from tests.functional.users import allow, operator

__all__ = ["table"]  # the fixture

RIGHTS = [
    "ssm:GetParametersByPath",
    "dynamodb:DescribeTable",
    "dynamodb:ListTables",
    "s3:ListBucket",
    "s3:GetObject",
]


def test_a_healthy_table(coldtable: Coldtable, table: str, new_table: NewTable) -> None:
    """For people a table, two bars and their legend; for programs JSON with its schema's name."""
    other = new_table()
    answer = coldtable("status")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split()[:4] == ["TABLE", "MODE", "NEWEST", "LAG"]
    assert lines[1].split()[:2] == [table, "continuous"]
    assert lines[1].endswith("ok")
    assert "█ all of it" in answer.out
    assert f"{other}: no policy covers this table" in lines
    body = coldtable("status", table, "--output", "json").json
    assert (body["schema"], body["stale"], body["uncovered"]) == ("coldtable.status/1", [], [])
    (line,) = body["tables"]
    assert (line["table"], line["mode"], line["error"]) == (table, "continuous", None)
    assert line["chain"] == {"base": line["newest"], "end": line["newest"], "windows": 0}
    assert line["lagSeconds"] < line["rpoSeconds"] == 180 * 60
    assert (len(line["days"]), len(line["months"])) == (35, 12)
    assert (line["inFlight"], line["lastFailure"], line["gaps"]) == ([], None, [])


def test_a_stale_table(boto: Boto, coldtable: Coldtable, table: str, account: str) -> None:
    """Exit code 4, after the answer; a pause is told with its reason, and is not stale."""
    lose_catalog(boto, account)
    answer = coldtable("status", table)
    assert answer.code == 4
    assert answer.out.splitlines()[1].split()[2] == "none"
    assert f"1 of 1 tables are stale: {table}" in answer.err
    pause = {"enabled": False, "reason": "it moves", "since": "2026-11-01T00:00:00Z"}
    put(boto, f"policies/{table}", json.dumps(pause))
    answer = coldtable("status", table)
    assert answer.code == 0
    assert "paused" in answer.out.splitlines()[1]
    assert f"{table}: it is paused since 2026-11-01T00:00:00Z: it moves" in answer.out


def test_what_goes_wrong(boto: Boto, coldtable: Coldtable, new_table: NewTable) -> None:
    """Each failure has its exit code, one error, and what to do."""

    def fails(code: int, said: str, *words: str) -> None:
        answer = coldtable("status", *words)
        assert answer.code == code, answer.err
        assert said in answer.err
        assert "hint: " in answer.err

    fails(10, "There are no parameters under /coldtable/prod")
    put(boto, "TABLE_NAMES", "nothing")
    put(boto, "BACKUP_BUCKET_NAME", "nowhere-at-all")
    put(boto, "POLICY", '{"mode": "continuous"}')
    fails(12, "The table does not exist (table nothing)")
    fails(12, "No policy below /coldtable/prod covers other", "other")
    name = new_table()
    boto("ssm").put_parameter(
        Name="/coldtable/prod/TABLE_NAMES", Value=name, Type="String", Overwrite=True
    )
    fails(12, "The bucket does not exist")
    boto("ssm").put_parameter(
        Name="/coldtable/prod/TABLE_NAMES", Value=f"{name},nothing", Type="String", Overwrite=True
    )
    answer = coldtable("status", "--output", "json")
    assert answer.code == 12
    codes = {line["error"]["code"] for line in answer.json["tables"]}
    assert codes == {"BucketNotFound", "TableNotFound"}


def test_some_tables_cannot_be_looked_at(boto: Boto, coldtable: Coldtable, table: str) -> None:
    """Exit code 3: the others are shown, and each failure with its reason."""
    boto("ssm").put_parameter(
        Name="/coldtable/prod/TABLE_NAMES", Value=f"{table},nothing", Type="String", Overwrite=True
    )
    answer = coldtable("status")
    assert answer.code == 3
    assert "Nothing is known of 1 of 2 tables: nothing: The table does not exist" in answer.err
    assert {line.split()[0]: line.split()[-1] for line in answer.out.splitlines()[1:3]} == {
        table: "ok",
        "nothing": "unknown",
    }


@pytest.mark.usefixtures("table")
def test_the_rights_that_its_help_names(boto: Boto, coldtable: Coldtable) -> None:
    """They are enough, and without one the error names it."""
    user = operator(boto("iam"), *RIGHTS)
    for lacking in (None, *RIGHTS):
        allow(boto("iam"), *(right for right in RIGHTS if right != lacking))
        answer = coldtable("status", key=user.key, secret=user.secret)
        # Nothing has to be read while there are no incidents, failures and indexes; and whoever
        # may not list tables is told of those that are named.
        needless = lacking in (None, "s3:GetObject", "dynamodb:ListTables")
        assert answer.code == (0 if needless else 11), (lacking, answer.err)
        assert lacking in (None, "s3:GetObject") or f"{lacking} is missing" in answer.err
