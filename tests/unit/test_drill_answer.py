"""What ``coldtable drill`` prints and ends with, over faked tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coldtable.cli.archive import open_archive
from coldtable.cli.context import Context, Output
from coldtable.cli.drill import DrillRun, drill_after, run_drill
from coldtable.core.retrieval import Asked, Tier
from coldtable.core.verification import Level, Report
from coldtable.errors import AccessDenied, Different, PartialError
from coldtable.ops.drill_plan import DrillWish
from coldtable.testing.exports import NOON
from tests.unit.archiving import HOURS, Cold
from tests.unit.drilling import Field
from tests.unit.restoring import KEY, Ground, spoil

WISH = DrillWish(table="orders", key=KEY)


def ran(
    ground: Ground,
    folder: Path,
    asked: Asked | None = None,
    *,
    really: bool = True,
    **changes: Any,
) -> DrillRun | None:
    """The command's inner part over these fakes."""
    context = Context(verbosity=-1)
    place = open_archive(context, str(folder))
    wish = replace(WISH, **changes)
    return run_drill(context, wish, ground.windows, place, asked, really=really)


def shown(run: DrillRun | None, capsys: pytest.CaptureFixture[str]) -> str:
    assert run
    run.show()
    return capsys.readouterr().out


def test_people_read_what_it_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The RTO, the parts, the lag, and what was compared; JSON has the same."""
    run = ran(Field(), tmp_path)
    text = shown(run, capsys)
    assert "The drill of orders passed." in text
    assert "until the table was ready with all items" in text
    assert "all 70 items are the same" in text
    assert "delete" in text
    assert run
    assert run.end() == 0
    body = json.loads(json.dumps(run.body))
    assert (body["done"], body["result"], body["kept"]) == (True, "passed", False)
    assert body["plan"]["compare"] == "full"
    assert body["record"].endswith(".drill.passed.json")


def test_a_plan_names_no_table_that_none_will_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each drill's table has a name of its own, which only the run draws."""
    text = shown(ran(Field(), tmp_path, really=False), capsys)
    assert "coldtable-drill-orders-…, deleted in the end" in text


def test_a_failed_drill_is_answered_and_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer says how to remove the table, and what the command ends with is why it failed."""
    ground = Field()
    spoil(ground, "missing")
    run = ran(ground, tmp_path)
    (name,) = ground.scratch_tables
    assert f"aws dynamodb delete-table --table-name {name}" in shown(run, capsys)
    assert run
    assert (run.body["result"], run.body["kept"]) == ("failed", True)
    with pytest.raises(Different, match="69 items"):
        run.end()


def test_a_drill_that_cannot_be_noted(tmp_path: Path) -> None:
    """It has passed all the same, with exit code 3; run again it is noted, or is not to be."""
    ground = Field()
    whole = ground.objects
    ground.objects = Unwritable(whole)
    for _ in range(2):
        run = ran(ground, tmp_path)
        assert run
        assert run.body["result"] == "passed"
        with pytest.raises(PartialError, match="could not be noted") as caught:
            run.end()
        assert "--no-record" in caught.value.hint
        assert ground.scratch_tables == set()
    assert ground.tables.made == 3
    run = ran(ground, tmp_path, record=False)
    assert run
    assert run.end() == 0
    assert (ground.tables.made, ground.notes) == (3, {})


class Unwritable(dict[str, bytes]):
    """A bucket that may only be read."""

    def setdefault(self, key: str, default: bytes = b"") -> bytes:
        del default
        raise AccessDenied(f"Access denied: {key}", action="s3:PutObject")


def test_what_is_archived_is_asked_for_first(tmp_path: Path) -> None:
    """With --retrieve it asks S3 and ends with that; once the copies are there it is drilled."""
    ground = Cold()
    ground.freeze("/data/")
    for asked in (Asked(tier=Tier.BULK), None):
        with pytest.raises(Exception, match="not yet ready"):
            ran(ground, tmp_path, asked, record=False)
    assert (ground.tables.names, ground.retriever.asked != []) == ((), True)
    ground.retriever.pass_time(13 * HOURS)
    run = ran(ground, tmp_path, record=False)
    assert run
    assert run.body["result"] == "passed"


@pytest.mark.parametrize("output", ["json", "table"])
def test_verify_prints_both_even_if_the_drill_cannot_be_done(
    output: Output, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdicts are there, whatever keeps the drill from being done."""
    context = Context(output=output, verbosity=-1)
    place = open_archive(context, str(tmp_path))
    report = Report(level=Level.ITEMS, began=NOON, checked=())

    def refuse() -> Any:
        raise AccessDenied("no", action="dynamodb:DescribeTable")

    with pytest.raises(AccessDenied):
        drill_after(context, place, report, WISH, refuse, really=True)
    assert ('"exports": []' if output == "json" else "0 exports: none") in capsys.readouterr().out
