"""``coldtable catalog rebuild`` at a terminal, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.conftest import Boto, Coldtable, NewTable, until
from tests.functional.test_tick_command import exports, put
from tests.functional.users import allow, operator

SCHEMA = "coldtable.catalog-rebuild/1"


@pytest.fixture
def table(boto: Boto, new_table: NewTable, account: str, coldtable: Coldtable) -> str:
    """A continuous table whose first full export is proven and in the catalog."""
    name = new_table()
    boto("s3").create_bucket(Bucket=f"archive-{account}")
    put(boto, "BACKUP_BUCKET_NAME", f"archive-{account}")
    put(boto, "TABLE_NAMES", name)
    put(boto, "POLICY", '{"mode": "continuous"}')
    assert coldtable("tick").code == 0
    until(lambda: all(e["ExportStatus"] == "COMPLETED" for e in exports(boto)))
    assert coldtable("tick").code == 0
    return name


def objects(boto: Boto, account: str) -> dict[str, bytes]:
    s3, bucket = boto("s3"), f"archive-{account}"
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def lose_catalog(boto: Boto, account: str) -> set[str]:
    lost = {key for key in objects(boto, account) if key.startswith("coldtable/")}
    for key in lost:
        boto("s3").delete_object(Bucket=f"archive-{account}", Key=key)
    return lost


def test_a_lost_catalog_comes_back(
    boto: Boto, coldtable: Coldtable, table: str, account: str
) -> None:
    """First a dry run, then the record, then nothing more; and the tick has nothing to repeat."""
    lost = lose_catalog(boto, account)
    dry = coldtable("catalog", "rebuild", "--dry-run")
    assert dry.code == 0
    assert "TO ADD" in dry.out
    assert not any(key.startswith("coldtable/") for key in objects(boto, account))
    done = coldtable("catalog", "rebuild", "--output", "json")
    assert done.code == 0
    body = done.json
    assert (body["schema"], body["added"], body["dryRun"]) == (SCHEMA, 1, False)
    (archive,) = body["archives"]
    (line,) = archive["tables"]
    assert archive["archive"] == f"s3://archive-{account}/"
    assert (line["table"]["name"], line["exports"], line["known"]) == (table, 1, 0)
    (added,) = line["added"]
    assert (added["kind"], added["madeByColdtable"], added["filtered"]) == ("base", True, False)
    assert line["newest"].startswith(added["moment"][:19])
    assert "definition of 1 full export" in archive["notRecovered"][0]
    kept = {key for key in objects(boto, account) if key.startswith("coldtable/")}
    holds = {key for key in kept if "/hold/" in key}
    assert kept - holds == {key for key in lost if ".verified." in key}
    assert archive["held"] == [{"tableName": table, "holdsKnown": []}]
    held = coldtable("hold", "list", "--output", "json").json["holds"]
    assert [(one["number"], one["by"]) for one in held] == [(1, "coldtable catalog rebuild")]
    assert "the catalog was rebuilt" in coldtable("expire").out
    leftover = "x/AWSDynamoDB/00000000000001-0000000a"
    boto("s3").put_object(Bucket=f"archive-{account}", Key=f"{leftover}/_started", Body=b"")
    unsure = coldtable("expire", "--orphans", "--output", "json")
    assert unsure.json["orphans"] == []
    assert "Only leftovers that the catalog knows are listed" in unsure.err
    again = coldtable("catalog", "rebuild")
    assert again.code == 0
    assert "The catalog lacks nothing that a manifest tells." in again.out
    assert coldtable("tick").code == 0
    assert len(exports(boto)) == 1
    confirmed = coldtable("hold", "confirm", "--reason", "there was none")
    assert (confirmed.code, confirmed.out) == (0, f"{table}: hold 1: released\n")
    (sure,) = coldtable("expire", "--orphans", "--output", "json").json["orphans"]
    assert sure["folder"].endswith(f"/{leftover}/")
    assert "all of it was confirmed" in coldtable("hold", "confirm", "--reason", "x").out
    assert coldtable("hold", "list", "--output", "json").json["holds"] == []
    assert coldtable("hold", "confirm", "nothing", "--reason", "x").code == 12


def test_of_a_bucket_without_any_configuration(
    boto: Boto, coldtable: Coldtable, table: str, account: str
) -> None:
    """--archive reads no parameters; people read a table, and what could not be recovered."""
    lose_catalog(boto, account)
    for name in ("BACKUP_BUCKET_NAME", "TABLE_NAMES", "POLICY"):
        boto("ssm").delete_parameter(Name=f"/coldtable/prod/{name}")
    answer = coldtable("catalog", "rebuild", "--archive", f"s3://archive-{account}")
    assert answer.code == 0
    head, row, *rest = answer.out.splitlines()
    assert head.split()[:4] == ["TABLE", "EXPORTS", "KNOWN", "ADDED"]
    assert row.split()[:4] == [table, "1", "0", "1"]
    assert "Not recovered:" in rest


def test_of_a_copy_on_a_disk(
    boto: Boto, coldtable: Coldtable, table: str, account: str, tmp_path: Path
) -> None:
    """A folder gets its own catalog, without AWS and without credentials."""
    lose_catalog(boto, account)
    for key, body in objects(boto, account).items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(body)
    answer = coldtable(
        "catalog", "rebuild", "--archive", str(tmp_path), "--output", "json", key="nobody"
    )
    assert answer.code == 0
    assert answer.json["archives"][0]["tables"][0]["table"]["name"] == table
    hold, record = sorted((tmp_path / "coldtable").rglob("*.json"), key=lambda p: p.name)[::-1]
    assert ".verified." in record.name
    assert hold.parent.name == "hold"


def test_an_export_that_is_not_whole(
    boto: Boto, coldtable: Coldtable, table: str, account: str
) -> None:
    """Exit code 5, the export and what is wrong with it; nothing is recorded of it."""
    lose_catalog(boto, account)
    data = next(key for key in objects(boto, account) if "/data/" in key)
    boto("s3").delete_object(Bucket=f"archive-{account}", Key=data)
    answer = coldtable("catalog", "rebuild", "--output", "json")
    assert answer.code == 5
    (left,) = answer.json["archives"][0]["tables"][0]["leftOut"]
    assert (left["damaged"], left["why"]) == (True, f"its data file {data} is not there")
    assert "1 exports are not whole" in answer.err
    assert f"{table}: export {left['exportId']}: its data file" in answer.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--archive", "s3://nowhere-at-all"], 12, "The bucket does not exist"),
        (["--archive", "/not/there"], 12, "There is no folder /not/there"),
        (["--archive", "gs://bucket"], 2, "is no place that coldtable can read"),
        (["--parameter-path", "/not/there"], 10, "There are no parameters under /not/there"),
        (["--parameter-path", "not"], 10, "not"),
    ],
)
def test_what_goes_wrong(coldtable: Coldtable, words: list[str], code: int, said: str) -> None:
    """Each failure has its exit code, one error, and what to do."""
    answer = coldtable("catalog", "rebuild", *words, "-q")
    assert answer.code == code
    assert said in answer.err
    assert "hint: " in answer.err
    assert answer.out == ""


RIGHTS = [
    "ssm:GetParametersByPath",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeExport",
    "dynamodb:ListExports",
    "s3:ListBucket",
    "s3:GetObject",
    "s3:PutObject",
]


@pytest.mark.usefixtures("table")
def test_the_rights_that_its_help_names(boto: Boto, coldtable: Coldtable, account: str) -> None:
    """They are enough; without one the error names it, unless AWS would only have been asked."""
    user = operator(boto("iam"), *RIGHTS)
    for lacking in (None, *RIGHTS):
        lose_catalog(boto, account)
        allow(boto("iam"), *(right for right in RIGHTS if right != lacking))
        answer = coldtable("catalog", "rebuild", key=user.key, secret=user.secret)
        needless = lacking in (None, "dynamodb:DescribeExport", "dynamodb:ListExports")
        assert answer.code == (0 if needless else 11), (lacking, answer.err)
        assert needless or f"{lacking} is missing" in answer.err
