"""Exports with a FilterSpecification: part of a table, and known as such."""

from __future__ import annotations

from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws

from .conftest import _ACCOUNTS
from .exporter import Account, item, real, refused

__all__ = ["real"]

OPEN = {
    "FilterExpression": "#s = :open",
    "ProjectionExpression": "pk, sk, #s",
    "ExpressionAttributeNames": {"#s": "state"},
    "ExpressionAttributeValues": {":open": {"S": "open"}},
}


@pytest.fixture
def here(real: EmbeddedAws) -> Account:
    made = Account(real, str(next(_ACCOUNTS)))
    made.put("a", 1, state={"S": "open"}, price={"N": "1"})
    made.put("a", 2, state={"S": "done"})
    made.put("b", 1, state={"S": "open"})
    return made


def kept(here: Account, **specification: Any) -> list[dict[str, Any]]:
    """The items of a full export with this specification."""
    done = here.export(FilterSpecification=specification)
    return sorted((row["Item"] for row in here.rows(done)), key=repr)


def test_a_filtered_export_says_so_and_holds_what_matches(here: Account) -> None:
    """DescribeExport shows the specification; items are counted and cut after the filter."""
    done = here.export(FilterSpecification=OPEN)
    assert done["FilterSpecification"] == OPEN
    assert done["ItemCount"] == 2
    assert sorted((row["Item"] for row in here.rows(done)), key=repr) == [
        item("a", 1, state={"S": "open"}),
        item("b", 1, state={"S": "open"}),
    ]


def test_a_key_condition_takes_one_partition(here: Account) -> None:
    """Equality on the partition key, and more on the sort key when given."""
    values = {":a": {"S": "a"}, ":one": {"N": "1"}}
    both = kept(
        here,
        KeyConditionExpression="pk = :a",
        ExpressionAttributeValues={":a": {"S": "a"}},
    )
    assert [one["sk"] for one in both] == [{"N": "1"}, {"N": "2"}]
    one = kept(
        here, KeyConditionExpression="pk = :a AND sk > :one", ExpressionAttributeValues=values
    )
    assert [found["sk"] for found in one] == [{"N": "2"}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"FilterExpression": "state = :missing"},
        {"FilterExpression": "((", "ExpressionAttributeValues": {":x": {"S": "x"}}},
        {
            "KeyConditionExpression": "sk = :x",
            "ExpressionAttributeValues": {":x": {"N": "1"}},
        },
    ],
)
def test_an_expression_that_cannot_be_read_is_refused(here: Account, wrong: dict[str, Any]) -> None:
    """At once, and not as an export that fails."""
    export = here.dynamodb.export_table_to_point_in_time
    code, text = refused(export, TableArn=here.arn, S3Bucket=here.bucket, FilterSpecification=wrong)
    assert code == "ValidationException"
    assert text.startswith("Invalid Request: Invalid FilterSpecification: ")


def test_an_incremental_filters_the_latest_image_and_of_a_delete_the_old(here: Account) -> None:
    """What no longer matches is left out; Keys are there whatever the projection says."""
    start = here.settle()
    here.put("a", 1, state={"S": "done"})
    here.put("a", 2, state={"S": "open"}, price={"N": "2"})
    here.dynamodb.delete_item(TableName="orders", Key=item("b", 1))
    here.aws.advance(900)
    stop = here.settle()
    here.later()
    done = here.export(
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={"ExportFromTime": start, "ExportToTime": stop},
        FilterSpecification={**OPEN, "ProjectionExpression": "#s"},
    )
    rows = sorted(here.rows(done), key=lambda row: repr(row["Keys"]))
    assert [row["Keys"] for row in rows] == [item("a", 2), item("b", 1)]
    update, delete = rows
    assert update["OldImage"] == {"state": {"S": "done"}}
    assert update["NewImage"] == {"state": {"S": "open"}}
    assert delete["OldImage"] == {"state": {"S": "open"}}
    assert "NewImage" not in delete
