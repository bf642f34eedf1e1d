"""``coldtable tick`` at a terminal: what is printed, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Boto, Coldtable, NewTable, until

PATH = "/coldtable/prod"


@pytest.fixture
def table(boto: Boto, new_table: NewTable, account: str) -> str:
    """A continuous table with its settings."""
    name = new_table()
    boto("s3").create_bucket(Bucket=f"archive-{account}")
    put(boto, "BACKUP_BUCKET_NAME", f"archive-{account}")
    put(boto, "TABLE_NAMES", name)
    put(boto, "POLICY", '{"mode": "continuous"}')
    return name


def put(boto: Boto, name: str, value: str) -> None:
    boto("ssm").put_parameter(Name=f"{PATH}/{name}", Value=value, Type="String")


def exports(boto: Boto) -> list[Any]:
    found: list[Any] = boto("dynamodb").list_exports()["ExportSummaries"]
    return found


def test_a_dry_run_prints_the_plan_and_does_nothing(
    boto: Boto, coldtable: Coldtable, table: str, account: str
) -> None:
    """Action and reason are shown; no export is started, and no record is written."""
    answer = coldtable("tick", "--dry-run")
    assert answer.code == 0
    (line,) = [row for row in answer.out.splitlines() if row.startswith(table)]
    assert "Start" in line
    assert "this table has no full export yet" in line
    assert "planned" in line
    assert exports(boto) == []
    assert "Contents" not in boto("s3").list_objects_v2(Bucket=f"archive-{account}")


def test_ticks_start_prove_and_have_nothing_to_do(
    boto: Boto, coldtable: Coldtable, table: str
) -> None:
    """The first starts the full export, the second proves it; JSON tells both, and the lag."""
    first = coldtable("tick", "--output", "json").json
    assert first["schema"] == "coldtable.tick/1"
    (line,) = first["tables"]
    assert (line["table"], first["started"]) == (table, 1)
    until(lambda: all(e["ExportStatus"] == "COMPLETED" for e in exports(boto)))
    second = coldtable("tick", table, "--output", "json").json
    assert (second["started"], second["completed"]) == (0, 1)
    assert second["tables"][0]["lagSeconds"] < 3600
    third = coldtable("tick")
    assert "the next window starts at" in third.out
    assert len(exports(boto)) == 1


@pytest.mark.parametrize("taken", ["s3:PutObject", "dynamodb:ExportTableToPointInTime"])
def test_a_missing_right_is_named(boto: Boto, coldtable: Coldtable, table: str, taken: str) -> None:
    """The error names the action and the table, with the exit code of access."""
    iam = boto("iam")
    iam.create_user(UserName="oncall")
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": '
        f'"*"}}, {{"Effect": "Deny", "Action": "{taken}", "Resource": "*"}}]}}'
    )
    iam.put_user_policy(UserName="oncall", PolicyName="p", PolicyDocument=policy)
    made = iam.create_access_key(UserName="oncall")["AccessKey"]
    answer = coldtable("tick", table, key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    assert answer.code == 11
    assert taken in answer.err
    assert "hint:" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.usefixtures("table")
def test_a_table_that_nothing_covers_is_an_error(coldtable: Coldtable) -> None:
    """Exit code 12, and how to cover it."""
    answer = coldtable("tick", "nothing-of-the-kind")
    assert answer.code == 12
    assert "covers nothing-of-the-kind" in answer.err
    assert "TABLE_NAMES" in answer.err


def test_without_settings_it_says_where_they_should_be(coldtable: Coldtable) -> None:
    """Exit code 10, and the path."""
    answer = coldtable("tick", "--parameter-path", "/nowhere/at/all")
    assert answer.code == 10
    assert "/nowhere/at/all" in answer.err


def test_uncovered_tables_are_named(coldtable: Coldtable, table: str, new_table: NewTable) -> None:
    """A table that matches nothing is in the report, and is no failure."""
    other = new_table()
    answer = coldtable("tick", "--output", "json")
    assert answer.json["uncovered"] == [other]
    assert answer.code == 0
    assert [line["table"] for line in answer.json["tables"]] == [table]
