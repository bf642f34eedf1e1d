"""The demo's own judgement: it may not show as true what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coldtable.core.manifest import Manifest
from coldtable.core.timeline import timeline
from coldtable.demo.continuous import OUTAGE, Growth, check_growth, check_restored
from coldtable.demo.story import Proof, check, next_night, order
from coldtable.model import Export, ExportStatus, Window
from coldtable.model_archive import Run, Timeline

NIGHT = next_night(datetime(2026, 11, 25, 9, tzinfo=UTC))
EXPORT = Export(
    arn="arn:aws:dynamodb:eu-north-1:000000000000:table/orders/export/01795633200376-a4419d82",
    status=ExportStatus.COMPLETED,
    table_arn="arn:aws:dynamodb:eu-north-1:000000000000:table/orders",
    bucket="archive",
    prefix="2026/11/26/orders",
    moment=NIGHT.moment,
)
GOOD = Proof(
    export=EXPORT,
    manifest=Manifest(
        export_arn=EXPORT.arn,
        table_arn=EXPORT.table_arn,
        table_id="5d1e5c44-7d3a-4e56-9d6a-0d0b7f2a1c11",
        moment=NIGHT.moment,
        items=1,
        output_format="DYNAMODB_JSON",
        files_key="",
    ),
    keys=(),
    then={"order-1": order(1, "paid", "19.90")},
    exported={"order-1": order(1, "paid", "19.90")},
    now={"order-1": order(1, "cancelled", "0")},
)


def test_the_night_is_the_next_one_in_tokyo() -> None:
    """20:00, 03:00, 03:10 and 04:01 in Tokyo; an evening that has begun is not taken any more."""
    assert NIGHT.evening == datetime(2026, 11, 25, 11, tzinfo=UTC)
    assert NIGHT.moment == datetime(2026, 11, 25, 18, tzinfo=UTC)
    assert NIGHT.moment < NIGHT.change < NIGHT.morning
    assert NIGHT.morning == datetime(2026, 11, 25, 19, 1, tzinfo=UTC)
    later = next_night(NIGHT.evening + timedelta(seconds=1))
    assert later.evening == NIGHT.evening + timedelta(days=1)


def test_all_is_well() -> None:
    """An export of the right moment, under its date, with the earlier items, has nothing wrong."""
    assert check(GOOD, NIGHT) == []


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (
            replace(GOOD, export=replace(EXPORT, prefix="2026/11/25/orders")),
            "lies under 2026/11/25",
        ),
        (replace(GOOD, manifest=replace(GOOD.manifest, moment=NIGHT.change)), "the export is of"),
        (replace(GOOD, exported={}), "not those that the table held"),
        (replace(GOOD, now=GOOD.exported), "shows the table as it is now"),
    ],
)
def test_what_is_off_is_said(proof: Proof, said: str) -> None:
    """A wrong folder, another moment, other items, or the table of now: each is named alone."""
    (wrong,) = check(proof, NIGHT)
    assert said in wrong


def chain(windows: int, *, end: datetime | None = None, gap: bool = False) -> Timeline:
    """A chain of hourly windows, the last one up to ``end``; or two chains that do not meet."""
    start = NIGHT.moment
    hours = [start + timedelta(hours=n) for n in range(windows + 1)]
    stops = [*hours[1:-1], end or hours[-1]]
    runs = [Run(window=Window(start=a, stop=b)) for a, b in zip(hours, stops, strict=False)]
    later = [hours[-1] + timedelta(days=2)] if gap else []
    return timeline([start, *later], runs)


TOLD = ("coldtable: orders: stale", "coldtable: orders: over")
HEALED = Growth(
    grown=chain(3),
    healed=chain(6, end=NIGHT.moment + OUTAGE + timedelta(hours=3)),
    told=TOLD,
    states={},
)


def test_a_chain_that_healed_is_right() -> None:
    """Grown, caught up, without a gap, and told twice."""
    assert check_growth(HEALED) == []


@pytest.mark.parametrize(
    ("growth", "said"),
    [
        (replace(HEALED, grown=chain(1)), "has not grown"),
        (replace(HEALED, healed=chain(6)), "has not been caught up"),
        (replace(HEALED, healed=chain(6, gap=True)), "has left a gap"),
        (replace(HEALED, told=TOLD[:1]), "people were told"),
    ],
)
def test_a_chain_that_did_not_heal_is_not_right(growth: Growth, said: str) -> None:
    """Whatever is off is said."""
    assert any(said in line for line in check_growth(growth))


def test_restored_tables_must_be_what_the_table_was() -> None:
    """Each instant is compared on its own, a missing one too; equal instants prove nothing."""
    early, late = NIGHT.moment, NIGHT.morning
    states = {early: {"a": order(1, "open", "1")}, late: {"a": order(1, "paid", "1")}}
    growth = replace(HEALED, states=states)
    assert check_restored(states, growth) == []
    assert len(check_restored({early: states[early], late: states[early]}, growth)) == 1
    assert len(check_restored({early: states[early]}, growth)) == 1
    same = {early: states[early], late: states[early]}
    assert "do not differ" in check_restored(same, replace(HEALED, states=same))[0]
