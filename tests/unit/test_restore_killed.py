"""Restores killed at each of their calls, one after the other: the same wish ends them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from coldtable.core.definition import parse_key
from coldtable.errors import Conflict
from coldtable.model_restore import Compare, Parts, TableRequest, Way
from coldtable.ops.restore import RestoreReport, restore_table
from coldtable.ops.restore_plan import RestoreWish, plan_table

from .dying import Death, Killed, Life
from .restoring import KEY, Ground

PARTS = Parts(indexes=False)


def prepared(*, folded: bool) -> Ground:
    """An archive that knows the table's definition, with an increment or without."""
    ground = Ground()
    ground.define()
    if folded:
        ground.change()
    return ground


def run(ground: Ground, way: Way, life: Life) -> RestoreReport:
    wish = RestoreWish(
        table="orders", at=None, to="copy", way=way, parts=PARTS, compare=Compare.FULL
    )
    windows = life.windows(ground.windows)
    return restore_table(plan_table(wish, windows), windows, lambda _: None)


def outcome(ground: Ground) -> Mapping[str, Any]:
    """All that a restore has made, and how often it asked for what costs something."""
    asked = [request.operation for request in ground.tables.asked("copy")]
    return {
        "items": sorted(map(str, ground.tables.items("copy"))),
        "asked": sorted(set(asked)),
        "made": asked.count("CreateTable"),
        "imports": len(ground.importer.made),
        "left": [key for key in ground.notes if "/scratch/" in key],
    }


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("way", list(Way))
def test_wherever_it_is_killed(way: Way, *, folded: bool) -> None:
    """At any call, before it took effect or after, or interrupted there: the next run ends with the
    same table, settings and all, made or imported once; and nothing is left of the fold."""
    whole, ground = Life(), prepared(folded=folded)
    run(ground, way, whole)
    expected = outcome(ground)
    assert len(expected["asked"]) > 4
    deaths = [
        Death(call=call, number=number, after=after, softly=softly)
        for call, count in whole.begun.items()
        # Of many reads of one kind the first ones and the last one.
        for number in sorted({*range(min(count, 4)), count - 1})
        for after, softly in ((False, False), (True, False), (False, True))
    ]
    assert len(deaths) > 60
    for death in deaths:
        ground = prepared(folded=folded)
        life = Life(death=death)
        with suppress(Killed):
            run(ground, way, life)
        assert life.dead or death.softly, death
        report = run(ground, way, Life())
        assert report.comparison.same
        assert outcome(ground) == expected, death


def begun(ground: Ground) -> None:
    """A restore that was killed when it was about to ask for its table."""
    with suppress(Killed):
        run(ground, Way.WRITE, Life(death=Death(call="tables.ask")))
    assert ground.tables.state("copy") is None


def test_a_table_of_somebody_else_is_not_taken_for_the_one_that_was_begun() -> None:
    """It has items, or another key: it is refused, and not written to."""
    for key, items in ((KEY, [b'{"pk":{"S":"theirs"}}']), (parse_key(["id:N"]), [])):
        ground = prepared(folded=False)
        begun(ground)
        ground.tables.add("copy", key)
        for item in items:
            ground.tables.put_all("copy", [item])
        writes = ground.tables.writes
        with pytest.raises(Conflict):
            run(ground, Way.WRITE, Life())
        assert ground.tables.writes == writes
        assert ground.tables.asked("copy") == []


def test_a_table_that_came_first_stays_what_it_is() -> None:
    """Made by somebody between the plan and the request, it ends this run; the next one fills it
    as any table that is there, and gives it no settings."""
    ground = prepared(folded=False)

    def faster(_: TableRequest) -> None:
        ground.tables.hear = lambda _: None
        ground.tables.add("copy", KEY)

    ground.tables.hear = faster
    with pytest.raises(Conflict, match="already exists"):
        run(ground, Way.WRITE, Life())
    run(ground, Way.WRITE, Life())
    assert len(ground.tables.items("copy")) == 70
    assert ground.tables.asked("copy") == []
