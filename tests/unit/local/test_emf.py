"""Metrics that log lines carry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldtable.local.emf import Point, points


def line(*, metrics: list[Any] | None = None, **root: Any) -> str:
    """A line with one directive: two sets of dimensions, and ``Lag`` unless told otherwise."""
    directive = {
        "Namespace": "coldtable",
        "Dimensions": [["Table"], ["Table", "Stack"]],
        "Metrics": metrics or [{"Name": "Lag", "Unit": "Seconds"}],
    }
    meta = {"Timestamp": 1_768_385_930_622, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": meta, "Table": "orders", "Stack": "s", "Lag": 7, **root})


def test_every_set_of_dimensions_is_a_metric_of_its_own() -> None:
    """Namespace, unit, value and time are the line's; the dimensions' values are its members."""
    narrow, wide = points(line())
    assert narrow == Point(
        namespace="coldtable",
        name="Lag",
        unit="Seconds",
        dimensions={"Table": "orders"},
        value=7.0,
        when=1_768_385_930.622,
    )
    assert wide.dimensions == {"Table": "orders", "Stack": "s"}


def test_a_list_of_numbers_is_as_many_values() -> None:
    """And a metric without a unit has the unit None."""
    found = points(line(metrics=[{"Name": "Lag"}], Lag=[1, 2.5]))
    assert [point.value for point in found] == [1.0, 1.0, 2.5, 2.5]
    assert {point.unit for point in found} == {"None"}


@pytest.mark.parametrize(
    "text",
    [
        "START RequestId: 1",
        '{"_aws": ',
        '{"_aws": {}}',
        '{"message": "no _aws"}',
        line(Lag="7"),
        line(Lag=True),
        line(Lag=[1] * 101),
        line(Table=3),
        line(metrics=[{"Name": "Missing"}]),
    ],
)
def test_what_breaks_the_format_measures_nothing(text: str) -> None:
    """It stays a line of the log."""
    assert points(text) == []
