"""What a drill is called, how it compares, when it is due, and that its state comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from coldtable.core.configuration import parse_configuration
from coldtable.core.definition import definition_of_key, parse_key
from coldtable.core.drill import (
    Drill,
    Result,
    RtoBy,
    compare_level,
    decode,
    drill_key,
    drill_of,
    drill_price,
    due_for_drill,
    encode,
    scratch_name,
    summary,
)
from coldtable.core.policy import is_covered, is_left_out
from coldtable.errors import DamagedError
from coldtable.model import Table
from coldtable.model_restore import Compare, Comparison, Estimate, Import
from coldtable.testing.exports import NOON

ORDERS = Table(name="orders", arn="arn:aws:dynamodb:eu-north-1:1:table/orders", table_id="t1")
DAY = timedelta(days=1)


def some(**changes: object) -> Drill:
    made = drill_of(ORDERS, "latest", NOON, ["a/export/1", "a/export/2"], began=NOON + DAY)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_name_is_valid_and_its_own() -> None:
    """Prefix, table and a part of the id; never longer than AWS takes, and still with its id."""
    assert scratch_name("p-", "orders", "0123456789abcdef") == "p-orders-01234567"
    long = scratch_name("p-", "x" * 255, "0123456789abcdef")
    assert len(long) == 255
    assert long.endswith("x-01234567")


def test_no_two_drills_are_the_same() -> None:
    """The same wish later is another drill in the same place; another instant is in another."""
    first, later = some(), drill_of(ORDERS, "latest", NOON, some().exports, began=NOON + 2 * DAY)
    assert drill_key(first) == drill_key(later)
    assert first.drill_id != later.drill_id
    assert first.name != later.name
    assert drill_key(first) != drill_key(replace(first, moment=NOON + DAY))
    assert drill_key(first) != drill_key(replace(first, exports=("a/export/1",)))


def test_what_is_known_comes_back() -> None:
    """A state that was written is read as it was; of a spoilt one the name is told."""
    drills = [
        some(),
        some(
            runs=3, resumed_at=NOON + DAY, table_id="t9", filled=NOON + 2 * DAY,
            seconds={"plan": 1.5}, allow_gap=True,
            comparison=Comparison(
                level=Compare.SAMPLE, checked=7, different=("k",), missing=("m",)
            ),
            facts={"way": "import"}, result=Result.FAILED, error="no", exit_code=1,
            ended=NOON + 3 * DAY, kept=True, over=True,
        ),
        some(rto_seconds=93.0, rto_by=RtoBy.IMPORT, result=Result.PASSED, folder="f/1"),
    ]  # fmt: skip
    for drill in drills:
        assert decode("x", encode(drill)) == drill
    for spoilt in (b"", b"{}", encode(some()).replace(b"state/1", b"state/9")):
        with pytest.raises(DamagedError, match=r"drills/x\.json"):
            decode("drills/x.json", spoilt)
    assert json.loads(encode(some()))["schema"] == "coldtable.drill-state/1"


def test_the_summary_says_what_was_proven() -> None:
    """How long, which way, what was compared; of a failure why."""
    found = Comparison(level=Compare.FULL, wanted=60, found=60, checked=60)
    passed = some(result=Result.PASSED, facts={"way": "import"}, comparison=found)
    assert summary(replace(passed, rto_seconds=93.4)) == (
        "2026-01-14T12:00:00Z was restored in 0:01:33 (by import): all 60 items are the same"
    )
    assert "in several runs" in summary(passed)
    assert summary(some(result=Result.FAILED, error="It is bad")).endswith("failed: It is bad")


def test_an_rto_is_told_only_if_it_is_true() -> None:
    """By our clock in one run; after that by the import's times, if that had begun before anybody
    went on with the drill; else none, and when it was filled."""
    began, minute = NOON + DAY, timedelta(minutes=1)
    made = Import(
        arn="a/import/1", status="COMPLETED", table_arn="a",
        started=began + minute, ended=began + 90 * minute,
    )  # fmt: skip

    def measured(imported: Import | None, **changes: object) -> tuple[object, ...]:
        drill = some(**changes).measured(now=began + 300 * minute, seconds=93.0, imported=imported)
        assert drill.filled
        return drill.rto_seconds, drill.rto_by, (drill.filled - began) / minute

    again = {"runs": 2, "resumed_at": began + 60 * minute}
    assert measured(None) == measured(made) == (93.0, RtoBy.RUN, 300)
    assert measured(None, **again) == (None, None, 300)
    assert measured(made, **again) == (5400.0, RtoBy.IMPORT, 90)
    assert measured(made, runs=2, resumed_at=began) == (None, None, 90)
    assert measured(replace(made, ended=None), **again) == (None, None, 300)
    # A clock that was ahead when it began.
    assert measured(replace(made, ended=began - minute), **again) == (None, None, 300)


@pytest.mark.parametrize(
    ("wanted", "estimate", "units", "expected"),
    [
        (None, Estimate(items=1_000_000, json_bytes=10**12), 0, Compare.FULL),
        (None, Estimate(items=10_000_001, json_bytes=10**9), 0, Compare.SAMPLE),
        (None, Estimate(items=1_000_000, json_bytes=10**9), 5, Compare.SAMPLE),
        (None, Estimate(items=1_000_000, json_bytes=10**9), 1000, Compare.FULL),
        (Compare.FULL, Estimate(items=10_000_001), 0, Compare.FULL),
        (Compare.SAMPLE, Estimate(items=1), 0, Compare.SAMPLE),
    ],
)
def test_how_to_compare(
    wanted: Compare | None, estimate: Estimate, units: int, expected: Compare
) -> None:
    """All of it, unless it has too many items or the table too little capacity to be read."""
    definition = definition_of_key(parse_key(["pk:S"]))
    if units:
        throughput = {"ReadCapacityUnits": units, "WriteCapacityUnits": 5}
        definition = replace(definition, table={"ProvisionedThroughput": throughput})
    level, because = compare_level(wanted, estimate, definition)
    assert level is expected
    assert because


def test_what_it_costs() -> None:
    """The restore, and a full comparison's reads where they are charged by request."""
    definition = definition_of_key(parse_key(["pk:S"]))
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    provisioned = replace(definition, table={"ProvisionedThroughput": throughput})
    found = Estimate(items=1, json_bytes=4096 * 1_000_000, dollars=0.6)
    assert drill_price(found, Compare.FULL, definition) == pytest.approx(0.725)
    assert drill_price(found, Compare.SAMPLE, definition) == pytest.approx(0.6)
    assert drill_price(found, Compare.FULL, provisioned) == pytest.approx(0.6)
    assert drill_price(replace(found, dollars=None), Compare.FULL, definition) is None


def test_which_tables_are_due() -> None:
    """One that never was first, then the one that waits longest; who looks once a day does not wait
    for another one because the last drill took some hours."""
    now, month = NOON, timedelta(days=30)

    def due(**last: float | None) -> tuple[str, ...]:
        ended = {name: None if days is None else now - days * DAY for name, days in last.items()}
        return due_for_drill(ended, now, month)

    assert due() == ()
    assert due(a=29, b=3) == ()
    assert due(a=29.5, b=29.4) == ("a",)
    assert due(a=31, b=40, c=1) == ("b", "a")
    assert due(a=300, b=None) == ("b", "a")
    assert due(a=-400) == ()


def test_no_glob_means_a_drill_s_table() -> None:
    """It comes and goes: nobody wants it kept, or told that it is not, unless it is named."""
    there = "coldtable-drill-orders-01234567"

    def configured(policy: dict[str, object]) -> tuple[bool, bool]:
        values = {
            "BACKUP_BUCKET_NAME": "archive",
            "POLICY": json.dumps({"mode": "continuous", **policy}),
        }
        found = parse_configuration("/p", values)
        return is_covered(found, there), is_left_out(found, there)

    assert configured({"tables": ["*"]}) == (False, True)
    assert configured({"tables": ["orders"]}) == (False, True)
    assert configured({"tables": [there]}) == (True, False)
