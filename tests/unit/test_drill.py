"""Drills, with everything outside faked: what is planned, made, compared, deleted and noted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coldtable.core.drill import SOURCE_TAG, TAG, Result
from coldtable.core.evidence import Noted
from coldtable.core.records import Home
from coldtable.errors import NotCovered
from coldtable.model_restore import TableRequest, Way
from coldtable.ops.catalog import Catalog
from coldtable.ops.drill_plan import last_drill
from coldtable.ops.evidence import noted
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from tests.unit.drilling import WAYS, Field


@pytest.mark.parametrize("way", WAYS)
def test_a_drill_leaves_nothing_but_its_record(way: Way) -> None:
    """The table is made, tagged, filled, compared and deleted; the record has what was measured,
    and nothing else is there or was touched."""
    ground = Field()
    ground.change()
    before = dict(ground.objects)
    report = ground.drill(way=way)
    assert report.drill.result is Result.PASSED
    assert ground.scratch_tables == set()
    assert len(ground.tables.items("orders")) == 1
    assert ground.notes == {}
    (record,) = ground.records
    assert {k: v for k, v in ground.objects.items() if "/evidence/" not in k} == before
    assert record["result"] == "passed"
    assert "all 70 items are the same" in record["summary"]
    assert record["rtoSeconds"] >= sum(record["seconds"][p] for p in ("plan", "read", "fill")) - 0.1
    assert set(record["seconds"]) == {"plan", "read", "fill", "compare", "delete"}
    assert record["lagSeconds"] == pytest.approx(3600, abs=5)
    assert (record["way"], record["resumed"], record["kept"]) == (str(way), False, False)
    assert record["table"]["id"] == ground.archive.table_id


@pytest.mark.parametrize("way", WAYS)
def test_the_table_is_a_real_one_and_marked(way: Way) -> None:
    """It has the indexes and the tags of a drill, and nothing that acts on it or outlives it."""
    ground = Field()
    ground.define(LocalSecondaryIndexes=[])
    asked: list[TableRequest] = []
    ground.tables.hear = asked.append
    report = ground.drill(way=way, key=None)
    made, *after = asked
    assert [i["IndexName"] for i in made.body["GlobalSecondaryIndexes"]] == ["by-who"]
    tagged = made if way is Way.WRITE else after.pop()
    tags = {tag["Key"]: tag["Value"] for tag in tagged.body["Tags"]}
    assert tags == {TAG: report.drill.drill_id, SOURCE_TAG: "orders"}
    assert after == []


def test_nothing_is_done_by_a_plan() -> None:
    """Planning only reads."""
    ground = Field()
    before = dict(ground.objects)
    plan = ground.prepare()
    assert plan.drill.name.startswith("coldtable-drill-orders-")
    assert (ground.objects, ground.notes, ground.scratch_tables) == (before, {}, set())


def test_which_instant_is_drilled() -> None:
    """The newest, the newest full export's, or the one that is named."""
    ground = Field()
    ground.change()
    assert ground.prepare().drill.moment == NOON + timedelta(hours=1)
    assert ground.prepare(full_only=True).drill.moment == NOON
    assert ground.prepare(at=NOON).drill.moment == NOON
    with pytest.raises(NotCovered):
        ground.prepare(at=NOON - timedelta(hours=1))


def test_the_table_stays_if_it_shall() -> None:
    """--keep leaves it, and the next drill makes another one."""
    ground = Field()
    report = ground.drill(keep=True)
    assert ground.scratch_tables == {report.drill.name}
    assert report.drill.kept
    assert ground.notes == {}
    assert ground.drill().drill.name != report.drill.name
    assert ground.scratch_tables == {report.drill.name}


def test_no_record_if_none_is_wanted() -> None:
    """--no-record leaves the archive as it was."""
    ground = Field()
    before = dict(ground.objects)
    assert ground.drill(record=False).noted is None
    assert ground.objects == before


def test_when_a_table_was_drilled_last() -> None:
    """The end of its newest record, also of one that failed; none of the future."""
    ground = Field()
    catalog = Catalog(FakeObjects(ground.objects))
    home = Home(account="123456789012", region="eu-north-1", name="orders")

    def listed() -> list[tuple[str, Noted]]:
        return list(noted(catalog, home, ground.archive.table_id))

    assert last_drill(listed(), ground.now) is None
    first = ground.drill()
    ground.damage()
    report = ground.drill()
    assert report.error
    found = last_drill(listed(), ground.now)
    assert found
    assert found[0] == report.noted
    assert report.drill.ended
    assert found[1].at == report.drill.ended.replace(microsecond=0)
    before = last_drill(listed(), found[1].at - timedelta(seconds=1))
    assert before
    assert before[0] == first.noted
