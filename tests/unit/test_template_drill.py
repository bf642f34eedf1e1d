"""The template's function that drills: nothing unless it is asked for, and no other table's end."""

from __future__ import annotations

import json

from coldtable import handler_drill
from coldtable.core.metrics import ON_TIME
from tests.unit.rendering import Rendered, statements

DRILLING = {
    "DrillBehindAlarm",
    "DrillDaysParameter",
    "DrillErrorsAlarm",
    "DrillFunction",
    "DrillFunctionInvokeConfig",
    "DrillLogGroup",
    "DrillRole",
    "DrillSchedule",
}
TABLES = "arn:aws:dynamodb:eu-central-1:123456789012:table/coldtable-drill-*"


def test_nothing_drills_unless_it_is_asked_for() -> None:
    """By default there is no function, role, schedule or alarm of it, and nobody may invoke one."""
    without, having = Rendered(), Rendered(DrillDays="30")
    assert set(having.resources) - set(without.resources) == DRILLING
    own = Rendered(DrillDays="30", ManageParameters="false")
    assert DRILLING - set(own.resources) == {"DrillDaysParameter"}
    assert having.properties("DrillDaysParameter")["Value"] == "30"
    allowed = statements(having.properties("ScheduleRole"))["InvokeTheFunctions"]
    assert "<DrillFunction.Arn>" in allowed["Resource"]


def test_who_drills_can_touch_no_table_but_a_drill_s() -> None:
    """Whatever it may do to a table, it may do to those of the drills' names alone; nothing but
    listing is for everything; and what it may delete in the bucket is no export and no record."""
    allowed = statements(Rendered(DrillDays="30").properties("DrillRole"))
    of_tables = {
        sid: statement["Resource"]
        for sid, statement in allowed.items()
        if "dynamodb:" in str(statement["Action"])
    }
    assert of_tables == {"DrillOnTablesOfItsOwn": TABLES, "FindImports": "*"}
    assert allowed["FindImports"]["Action"] == "dynamodb:ListImports"
    assert [sid for sid, s in allowed.items() if s["Resource"] == "*"] == ["FindImports"]
    deletes = {sid: s for sid, s in allowed.items() if "Delete" in str(s["Action"])}
    assert set(deletes) == {"DrillOnTablesOfItsOwn", "ForgetWhatIsOver"}
    assert deletes["ForgetWhatIsOver"]["Resource"] == [
        "arn:aws:s3:::<ArchiveBucket>/coldtable/v1/drill/*",
        "arn:aws:s3:::<ArchiveBucket>/coldtable/v1/restore/coldtable-drill-*",
    ]
    written = [s["Resource"] for s in allowed.values() if "s3:Put" in str(s["Action"])]
    assert written == ["arn:aws:s3:::<ArchiveBucket>/coldtable/v1/*"]


def test_drills_have_a_quarter_of_each_hour() -> None:
    """Fifteen minutes; the next hour is the retry; its schedule tells it which hour is meant."""
    rendered = Rendered(DrillDays="30")
    function = rendered.properties("DrillFunction")
    assert (function["Timeout"], function["Handler"]) == (900, "coldtable.handler_drill.handler")
    assert function["Environment"]["Variables"]["COLDTABLE_TOPIC_ARN"] == "<AlarmTopic>"
    config = rendered.properties("DrillFunctionInvokeConfig")
    assert config["MaximumRetryAttempts"] == 0
    assert "DestinationConfig" not in config
    schedule = rendered.properties("DrillSchedule")
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(1 hour)", "ENABLED")
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    told = json.loads(schedule["Target"]["Input"])
    assert told["source"] == handler_drill.SCHEDULE
    assert told["scheduledTime"] == "<aws.scheduler.scheduled-time>"


def test_late_drills_and_errors_are_heard_once() -> None:
    """Runs that do not come are late, too; what is wrong once a day stands for a day."""
    rendered = Rendered(DrillDays="30")
    behind = rendered.properties("DrillBehindAlarm")
    assert (behind["MetricName"], behind["TreatMissingData"]) == (ON_TIME, "breaching")
    errors = rendered.properties("DrillErrorsAlarm")
    assert errors["Dimensions"] == [{"Name": "FunctionName", "Value": "<DrillFunction>"}]
    for alarm in (behind, errors):
        assert alarm["Period"] * alarm["EvaluationPeriods"] == 86_400
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["<AlarmTopic>"]
        assert len(alarm["AlarmDescription"]) <= 1024
        assert "log group" in alarm["AlarmDescription"]
