"""Drills against the embedded AWS: a table comes, is compared, and goes again."""

from __future__ import annotations

from typing import Any

import pytest

from coldtable.cli.drill import drill
from coldtable.local.process import EmbeddedAws

from .conftest import Coldtable
from .test_restore_history import KEYS, History, user_who_may


def objects(here: History) -> set[str]:
    found = here.s3.list_objects_v2(Bucket=here.bucket).get("Contents", [])
    return {one["Key"] for one in found}


@pytest.mark.parametrize("way", ["write", "import"])
def test_the_named_rights_are_enough(
    aws: EmbeddedAws, account: str, coldtable: Coldtable, way: str
) -> None:
    """A user with the IAM actions of --help, and no other, drills: nothing is left of it but its
    record, which says that all items were the same."""
    here = History(aws, account, 7)
    before = objects(here)
    key, secret = user_who_may(here, drill)
    words = ["drill", "orders", *KEYS, "--archive", f"s3://{here.bucket}", "--way", way]
    words += ["--output", "json", "--record"]
    planned = coldtable(*words, key=key, secret=secret)
    assert planned.code == 0, planned.err
    assert planned.json["done"] is False
    assert "add --yes" in planned.err
    assert objects(here) == before
    done = coldtable(*words, "--yes", key=key, secret=secret)
    assert done.code == 0, done.err
    answer: dict[str, Any] = done.json
    assert answer["schema"] == "coldtable.drill/1"
    assert (answer["result"], answer["way"]) == ("passed", way)
    assert answer["comparison"]["same"] is True
    assert answer["comparison"]["checked"] == len(here.states[max(here.states)])
    assert answer["rtoSeconds"] > 0
    assert here.dynamodb.list_tables()["TableNames"] == ["orders"]
    assert objects(here) == {*before, answer["record"]}


def test_verify_ends_with_a_drill(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """--level drill verifies each line, then drills with --yes and shows the plan without; of
    damaged bytes nothing is made. What was noted is in the report."""
    here = History(aws, account, 8)
    where = ["--archive", f"s3://{here.bucket}"]
    words = ["verify", "orders", "--level", "drill", *KEYS, *where, "--output", "json", "--record"]
    planned = coldtable(*words)
    assert planned.code == 0, planned.err
    assert planned.json["drill"]["done"] is False
    assert "Nothing was drilled" in planned.err
    done = coldtable(*words, "--yes")
    assert done.code == 0, done.err
    assert done.json["schema"] == "coldtable.verify/1"
    assert {export["verdict"] for export in done.json["exports"]} == {"verified"}
    assert done.json["drill"]["result"] == "passed"
    assert here.dynamodb.list_tables()["TableNames"] == ["orders"]
    told = coldtable("report", "--since", "2026-01-01", *where, "--output", "json")
    assert told.code == 0, told.err
    (table,) = told.json["tables"]
    (noted,) = table["drills"]
    assert (noted["result"], noted["rtoSeconds"]) == (
        "passed",
        done.json["drill"]["rtoSeconds"],
    )
    spoilt = max(key for key in objects(here) if key.endswith(".json.gz"))
    here.s3.put_object(Bucket=here.bucket, Key=spoilt, Body=b"spoilt")
    refused = coldtable(*words, "--yes")
    assert refused.code == 5
    assert "drill" not in refused.json
    assert here.dynamodb.list_tables()["TableNames"] == ["orders"]
