"""The drilling door: what it drills when, how far a run goes, what it notes, tells and raises."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.drill import encode
from coldtable.core.evidence import Kind, Run
from coldtable.core.verification import Checked, Fault, Level, Problem, Report, Verdict
from coldtable.errors import AccessDenied, ParameterMissing, Untold
from coldtable.model_restore import TableRequest
from coldtable.ops.catalog import Catalog
from coldtable.ops.drill_plan import BY_STACK, DrillWish, plan_drill
from coldtable.ops.drill_turn import AT_ONCE
from coldtable.ops.evidence import note_evidence, record_verification
from tests.unit.drill_turns import MANY, PATH, Drills
from tests.unit.restoring import SCHEMA, line

OTHER = '{"bucket": "elsewhere"}'


def test_a_table_is_drilled_at_its_hour_and_again_after_so_many_days() -> None:
    """Its newest full export is imported, compared, deleted and noted; then not before its days
    have passed; at other hours nothing is asked but listings."""
    here = Drills()
    answer = here.at_its_hour()
    assert (answer["status"], here.did(answer), answer["onTime"]) == (200, "passed", True)
    assert here.measured == {"DrillsOnTime": 1, "DrillsFailed": 0}
    (record,) = here.records()
    assert (record["result"], record["way"], record["items"]) == ("passed", "import", MANY)
    assert record["comparison"]["level"] == "sample"
    assert record["rtoBy"] == "run"
    assert (here.scratch, here.known) == ([], ())
    assert answer["tables"][0]["record"].endswith(".drill.passed.json")
    assert here.at_its_hour(1)["tables"] == []
    assert here.run(1)["tables"] == []
    assert here.store.requests.keys() == {"LIST"}
    assert here.at_its_hour(27)["tables"] == []
    assert here.did(here.at_its_hour(1)) == "passed"
    assert len(here.records()) == 2
    assert here.told == []


def test_an_import_that_takes_hours_is_gone_on_with() -> None:
    """A run waits two minutes at the most; the next hours' runs look at it and end; once it is
    done it is compared and noted with the RTO that the import's own times give."""
    here = Drills()
    here.importer.held = True
    answer = here.at_its_hour()
    assert (here.did(answer), answer["status"], answer["onTime"]) == ("goes on", 200, True)
    assert here.waited <= 120
    for _ in range(3):
        assert here.did(here.run(1)) == "goes on"
    # Nothing is read again but what tells how far it is.
    assert here.store.requests["GET"] < 20
    here.importer.held = False
    began = here.known[0].began
    assert here.did(here.run(1)) == "passed"
    (record,), (made,) = here.records(), here.importer.made
    assert made.ended
    assert record["rtoBy"] == "import"
    assert record["rtoSeconds"] == (made.ended - began).total_seconds() > 4 * 3600
    assert record["seconds"]["fill"] > 4 * 3600
    assert record["resumed"] is True
    assert (here.scratch, here.known, here.told) == ([], (), [])


def test_whatever_it_waits_for_the_next_run_goes_on() -> None:
    """Without any patience each run ends at the next wait; one import and one record come of it."""
    here = Drills()
    here.tables.lingers, here.patience = 3, 0.0
    answers = [here.did(here.at_its_hour())]
    while answers[-1] == "goes on":
        answers.append(here.did(here.run(1)))
    assert answers == ["goes on"] * (len(answers) - 1) + ["passed"]
    assert len(answers) > 2
    assert len(here.importer.made) == len(here.records()) == 1
    assert (here.scratch, here.known) == ([], ())


def spoil(here: Drills) -> None:
    """Whoever reads the restored table finds another value in an item."""
    here.tables.see = lambda items: ({**item, "n": {"N": "-1"}} for item in items)


def test_a_drill_that_failed_is_told_once_and_once_more_when_one_has_passed() -> None:
    """Its table is kept for a look, and no other drill is begun while it is there, however long
    that is; nobody is told a second time before one has passed."""
    here = Drills()
    spoil(here)
    answer = here.at_its_hour()
    assert (answer["status"], here.did(answer), answer["onTime"]) == (200, "failed", True)
    assert here.measured == {"DrillsOnTime": 1, "DrillsFailed": 1}
    assert here.told == ["coldtable: orders: drill failed"]
    (name,) = here.scratch
    text = here.night.aws.notifier.messages[0][1]
    assert f"aws dynamodb delete-table --table-name {name}" in text
    assert "nothing shows that orders can be restored" in text
    assert here.run(1)["tables"] == []
    assert here.did(here.at_its_hour(31)) == "kept"
    assert (len(here.told), here.scratch) == (1, [name])
    here.tables.see = lambda items: items
    here.tables.lingers = 0
    here.tables.delete_table(name)
    answer = here.at_its_hour(1)
    assert here.did(answer) == "passed"
    assert here.told == ["coldtable: orders: drill failed", "coldtable: orders: over"]
    assert answer["tables"][0]["told"] == ["coldtable: orders: over"]
    assert [record["result"] for record in here.records()] == ["failed", "passed"]


def test_an_import_that_failed_is_a_failed_drill() -> None:
    """What DynamoDB says of items that it could not import is in the record and in the message."""
    here = Drills(lines=[line(1), b'{"Item":{"id":{"S":"no pk"}}}'])
    assert here.did(here.at_its_hour()) == "failed"
    (record,) = here.records()
    assert "ItemValidationError" in record["error"]
    assert record["error"].splitlines()[0] in here.night.aws.notifier.messages[0][1]
    assert record["rtoSeconds"] is None
    assert here.told == ["coldtable: orders: drill failed"]


def test_damage_that_is_met_while_planning_is_told() -> None:
    """No drill is begun of it, and no table made; people hear of it once."""
    here = Drills()
    for key in [k for k in here.objects if "/data/" in k and "AWSDynamoDB/data" not in k]:
        here.objects[key] = here.objects[key][:-9]
    for _ in range(2):
        assert here.did(here.at_its_hour()) == "refused"
        here.now += timedelta(hours=1)
    assert here.told == ["coldtable: orders: not drilled"]
    assert "is cut short" in here.night.aws.notifier.messages[0][1]
    assert (here.scratch, here.known) == ([], ())


def test_what_the_stack_cannot_do_is_told_once() -> None:
    """A local index cannot be imported: no table is made, people are told to do it by hand, and it
    is over when somebody has done so."""
    here = Drills()
    index = {"IndexName": "when", "KeySchema": SCHEMA, "Projection": {"ProjectionType": "ALL"}}
    define(here, LocalSecondaryIndexes=[index])
    answer = here.at_its_hour()
    assert (answer["status"], here.did(answer), answer["onTime"]) == (200, "refused", True)
    assert "local secondary indexes (when)" in answer["tables"][0]["text"]
    assert here.did(here.at_its_hour(1)) == "refused"
    assert here.told == ["coldtable: orders: not drilled"]
    assert "coldtable drill orders" in here.night.aws.notifier.messages[0][1]
    assert (here.importer.made, here.scratch, here.known) == ([], [], ())
    note(here, "passed")
    (table,) = here.at_its_hour(1)["tables"]
    assert table["told"] == ["coldtable: orders: over"]
    assert here.at_its_hour(1)["tables"] == []


def define(here: Drills, **more: Any) -> None:
    """The catalog's record of the table's definition says more."""
    (key,) = [k for k in here.objects if k.endswith("definition.json")]
    record = json.loads(here.objects[key])
    record["definition"]["table"] |= more
    here.objects[key] = json.dumps(record).encode()


def note(here: Drills, result: str) -> None:
    """A drill that somebody has done by hand."""
    fields = {"result": result, "summary": "by hand", "endedAt": f"{here.tick():%FT%TZ}"}
    catalog = Catalog(here.night.aws.bucket)
    note_evidence(catalog, here.night.table, Kind.DRILL, here.now, result, fields)


def test_a_drill_by_hand_is_left_to_whoever_does_it() -> None:
    """It reads the same export for the same moment: the stack waits, and says so after two days;
    a person can go on with the stack's, too."""
    here = Drills()
    here.importer.held, here.patience = True, 0.0
    here.at_its_hour()
    (drill,) = here.known
    assert drill.asked == BY_STACK
    wish = DrillWish(table="orders", full_only=True)
    plan = plan_drill(wish, here.windows())
    assert (plan.resumes, plan.drill.name) == (True, drill.name)
    key = next(k for k in here.objects if k.startswith("coldtable/v1/drill/"))
    here.objects[key] = encode(replace(drill, asked=wish.asked))
    answer = here.at_its_hour()
    assert (here.did(answer), answer["onTime"]) == ("by hand", True)
    assert here.at_its_hour(2)["onTime"] is False
    assert here.told == []


def test_the_newest_full_export_that_is_sound_is_drilled() -> None:
    """One that verifying has found bad is passed over, and one that has expired is no more."""
    here = Drills(hours=8, full_every=timedelta(hours=5))
    moments = [key for key in sorted(here.objects) if ".verified." in key and "/base/" in key]
    assert len(moments) == 2
    newest = moments[1].split(".")[-2]
    here.at_its_hour()
    assert here.records()[0]["exportIds"] == [newest]
    found = Checked(
        key="x", export_id=newest, table=here.night.table, verdict=Verdict.DAMAGED,
        problems=(Problem(key="x", fault=Fault.DAMAGED, reason="it is bad"),),
    )  # fmt: skip
    report = Report(level=Level.OBJECTS, began=here.now, checked=(found,))
    run = Run(prefix="", began=here.now, ended=here.now)
    record_verification(Catalog(here.night.aws.bucket), report, run)
    here.at_its_hour(31)
    assert here.records()[1]["exportIds"] == [moments[0].split(".")[-2]]


def test_an_export_that_expires_under_way_fails_its_drill() -> None:
    """Retention has removed it while it was imported: that is told like any failure."""
    here = Drills()
    here.importer.held = True
    here.at_its_hour()
    folder = here.known[0].folder
    for key in [key for key in here.objects if key.startswith(folder)]:
        del here.objects[key]
    assert here.did(here.run(1)) == "failed"
    assert "not in the archive any more" in here.records()[0]["error"]
    assert here.told == ["coldtable: orders: drill failed"]


def test_a_run_without_time_says_so() -> None:
    """What is due and was not begun is late; the next day it is begun."""
    here = Drills()
    here.seconds = 30.0
    answer = here.at_its_hour()
    assert (answer["status"], here.did(answer), answer["onTime"]) == (200, "left", False)
    assert here.measured["DrillsOnTime"] == 0
    here.seconds = 840.0
    assert here.did(here.at_its_hour(1)) == "passed"


def test_what_is_not_compared_in_time_is_late() -> None:
    """The time ends in the comparison: the table stays for the next run, or for a person."""
    here = Drills()
    here.importer.held = True
    here.at_its_hour()
    here.importer.held = False
    here.looking, here.seconds = 1.0, 30.0
    answer = here.run(1)
    assert (here.did(answer), answer["onTime"]) == ("goes on", False)
    assert "no time left to compare" in answer["tables"][0]["text"]
    here.looking = 0.0
    assert here.did(here.run(1)) == "passed"


def test_what_takes_days_is_late() -> None:
    """An import may take hours; after two days people should know."""
    here = Drills()
    here.importer.held = True
    here.at_its_hour()
    assert here.run(47)["onTime"] is True
    assert here.run(2)["onTime"] is False
    assert here.measured["DrillsOnTime"] == 0


def test_another_run_may_be_at_it_too() -> None:
    """Scheduler may deliver twice: the run that comes second to it is not wrong, and told nobody
    of; one record is noted, and one table was made."""
    here = Drills()
    here.importer.held = True
    here.at_its_hour()
    here.importer.held = False
    inner: list[str] = []

    def meanwhile(_seconds: float) -> None:
        if not inner:
            inner.append("")
            inner[0] = here.did(here.run())

    here.tables.lingers = 3
    here.paused = meanwhile
    assert here.run(1)["status"] == 200
    assert inner == ["passed"]
    assert [record["result"] for record in here.records()] == ["passed"]
    assert (here.scratch, here.known, len(here.importer.made)) == ([], (), 1)


def test_what_nobody_could_be_told_is_raised_and_told_later() -> None:
    """Without sns:Publish the run raises; a later one at the table's hour tells it."""
    here = Drills()
    spoil(here)
    here.night.aws.notifier.broken = True
    with pytest.raises(Untold, match="orders: Access denied: sns:Publish"):
        here.at_its_hour()
    here.night.aws.notifier.broken = False
    (table,) = here.at_its_hour(1)["tables"]
    assert table["told"] == here.told == ["coldtable: orders: drill failed"]


def test_a_missing_right_is_raised() -> None:
    """It is no finding of a drill: the run raises, nothing is noted, and the next one goes on."""
    here = Drills()

    def refuse(request: TableRequest) -> None:
        if request.operation == "TagResource":
            raise AccessDenied("dynamodb:TagResource is missing", action="dynamodb:TagResource")

    here.tables.hear = refuse
    with pytest.raises(Untold, match="orders: dynamodb:TagResource is missing"):
        here.at_its_hour()
    assert here.measured["DrillsOnTime"] == 0
    assert (here.records(), here.told) == ([], [])
    by_hand = here.run(1, event={"source": "me"})
    assert by_hand["status"] == 500
    assert by_hand["tables"][0]["error"]["code"] == AccessDenied.code
    here.tables.hear = lambda _: None
    assert here.did(here.run(1)) == "passed"


@pytest.mark.parametrize(
    "changes",
    [
        {"POLICY": '{"mode": "continuous", "tables": ["users"]}'},
        {"POLICY": '{"mode": "continuous", "tagged": true, "exclude": ["orders"]}'},
        {"POLICY": '{"mode": "continuous", "tables": ["orders"]}', "policies/orders": OTHER},
    ],
)
def test_tables_that_are_not_kept_here_are_left_alone(changes: dict[str, str]) -> None:
    """What no policy covers any more, what is left out, and what is exported elsewhere now."""
    here = Drills()
    here.parameters.values |= {f"{PATH}/{name}": value for name, value in changes.items()}
    assert here.at_its_hour()["tables"] == []


def test_a_tag_is_not_looked_up() -> None:
    """Where tags decide, what has an archive and is not left out is drilled."""
    here = Drills()
    here.parameters.values[f"{PATH}/POLICY"] = '{"mode": "continuous", "tagged": true}'
    assert here.did(here.at_its_hour()) == "passed"


def test_another_account_s_tables_are_left_alone() -> None:
    """A bucket may hold the archives of several accounts: each drills its own."""
    here = Drills()
    here.importer.held = True
    here.at_its_hour()
    here.account = "210987654321"
    assert here.at_its_hour(31)["tables"] == []
    assert len(here.known) == 1


def test_so_many_imports_at_once_and_no_more() -> None:
    """DynamoDB takes fifty in an account: what is left is late, and begun the next day."""
    here = Drills()
    here.more_tables(AT_ONCE)
    here.importer.held = True
    answer = here.at_its_hour()
    did = Counter(table["did"] for table in answer["tables"])
    assert did == {"goes on": AT_ONCE, "left": 1}
    assert answer["onTime"] is False
    assert len(here.importer.made) == len(here.known) == AT_ONCE
    here.importer.held = False
    assert Counter(t["did"] for t in here.run(1)["tables"]) == {"passed": AT_ONCE}
    assert [t["did"] for t in here.at_its_hour(1)["tables"]] == ["passed"]
    assert here.scratch == []


def test_whatever_ends_a_run_s_time_the_others_come_next_hour() -> None:
    """One drill takes all of a run: the rest is late, and another one is first in the next run."""
    here = Drills()
    here.more_tables(1)
    here.importer.held = True
    here.at_its_hour()
    here.importer.held = False
    here.looking, here.seconds = 1.0, 30.0
    answers = [here.run(1) for _ in range(2)]
    first = [answer["tables"][0]["table"] for answer in answers]
    assert sorted(first) == sorted(drill.source.name for drill in here.known)
    assert [table["did"] for table in answers[1]["tables"]] == ["goes on", "left"]
    assert answers[1]["onTime"] is False


def test_a_drill_that_cannot_be_noted_is_raised_until_it_is() -> None:
    """It has passed, its table is gone, and it is under way until its record is written."""
    here = Drills()
    here.store.closed = "/evidence/"
    with pytest.raises(Untold, match="orders: s3:PutObject is missing"):
        here.at_its_hour()
    assert (here.scratch, here.records(), len(here.known)) == ([], [], 1)
    here.store.closed = ""
    assert here.did(here.run(1)) == "passed"
    assert (len(here.records()), here.known, len(here.importer.made)) == (1, (), 1)


def test_a_table_that_is_gone_is_drilled_no_more() -> None:
    """The one that has its name now is, once it has a full export."""
    here = Drills()
    here.night.aws.drop("orders")
    here.night.aws.create("orders")
    here.night.aws.now = here.now
    here.night.tick()
    assert here.did(here.at_its_hour()) == "nothing"
    here.night.run(timedelta(hours=4))
    here.now = here.night.aws.now
    here.at_its_hour(1)
    tables = [json.loads(b)["table"]["id"] for k, b in here.objects.items() if ".drill." in k]
    assert tables == [here.night.aws.table("orders").table_id]


def test_settings_that_say_nothing_are_raised() -> None:
    """Without DRILL_DAYS the schedule's run raises; by hand it is 500."""
    here = Drills()
    del here.parameters.values[f"{PATH}/DRILL_DAYS"]
    with pytest.raises(ParameterMissing, match="DRILL_DAYS does not exist"):
        here.run()
    answer = here.run(event={"why": "by hand"})
    assert (answer["status"], answer["code"]) == (500, "ParameterMissing")
