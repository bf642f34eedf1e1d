"""The template's functions, schedules and alarms: what runs when, and who hears of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from coldtable import handler_verify
from coldtable.core.metrics import SLICE, metric_lines
from coldtable.local.emf import points
from tests.unit.rendering import Rendered, statements

VERIFYING = {
    "VerifyBehindAlarm",
    "VerifyDaysParameter",
    "VerifyErrorsAlarm",
    "VerifyFunction",
    "VerifyFunctionInvokeConfig",
    "VerifyLogGroup",
    "VerifyRole",
    "VerifySchedule",
}


def test_nothing_verifies_unless_it_is_asked_for() -> None:
    """By default there is no function, role, schedule or alarm of it, and nobody may invoke one."""
    without, having = Rendered(), Rendered(VerifyDays="30")
    assert set(having.resources) - set(without.resources) == VERIFYING
    own = Rendered(VerifyDays="30", ManageParameters="false")
    assert VERIFYING - set(own.resources) == {"VerifyDaysParameter"}
    assert having.properties("VerifyDaysParameter")["Value"] == "30"
    allowed = statements(having.properties("ScheduleRole"))["InvokeTheFunctions"]
    assert "<VerifyFunction.Arn>" in allowed["Resource"]


def test_verifying_has_all_the_time_there_is() -> None:
    """Fifteen minutes each hour; a failed run is repeated once, and then lies in the queue; its
    schedule tells it which hour is meant; an alarm tells of runs that do not come."""
    rendered = Rendered(VerifyDays="30")
    assert rendered.properties("VerifyFunction")["Timeout"] == 900
    config = rendered.properties("VerifyFunctionInvokeConfig")
    assert config["MaximumRetryAttempts"] == 1
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == "<DeadLetterQueue.Arn>"
    schedule = rendered.properties("VerifySchedule")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    told = json.loads(schedule["Target"]["Input"])
    assert told["source"] == handler_verify.SCHEDULE
    assert told["scheduledTime"] == "<aws.scheduler.scheduled-time>"
    behind = rendered.properties("VerifyBehindAlarm")
    assert (behind["MetricName"], behind["TreatMissingData"]) == (SLICE, "breaching")


def test_two_functions_of_one_code() -> None:
    """Each has its door; the tick has minutes, its settings' place, and somebody to tell."""
    both = {name: Rendered().properties(name) for name in ("ExportFunction", "TickFunction")}
    assert {p["Handler"] for p in both.values()} == {
        "coldtable.handler.handler",
        "coldtable.handler_tick.handler",
    }
    assert both["ExportFunction"]["Code"] == both["TickFunction"]["Code"]
    tick = both["TickFunction"]
    assert (tick["Timeout"], tick["MemorySize"]) == (300, 512)
    assert tick["Environment"]["Variables"] == {
        "COLDTABLE_PARAMETER_PATH": "/coldtable/prod",
        "COLDTABLE_TOPIC_ARN": "<AlarmTopic>",
        "COLDTABLE_STACK": "coldtable",
    }
    # The next tick is the retry.
    assert Rendered().properties("TickFunctionInvokeConfig")["MaximumRetryAttempts"] == 0


def test_schedule_passes_the_moment_of_its_firing() -> None:
    """The input is JSON with Scheduler's placeholders, so that a retry asks for the same moment."""
    schedule = Rendered(TimeZone="Asia/Tokyo").properties("Schedule")
    assert json.loads(schedule["Target"]["Input"]) == {
        "source": "coldtable.schedule",
        "scheduledTime": "<aws.scheduler.scheduled-time>",
        "scheduleArn": "<aws.scheduler.schedule-arn>",
        "executionId": "<aws.scheduler.execution-id>",
        "attempt": "<aws.scheduler.attempt-number>",
    }
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}


def test_tick_comes_every_quarter_of_an_hour() -> None:
    """Unless told otherwise; what its schedule cannot deliver is in the queue."""
    schedule = Rendered().properties("TickSchedule")
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    assert schedule["State"] == "ENABLED"
    assert json.loads(schedule["Target"]["Input"])["source"] == "coldtable.tick"
    assert schedule["Target"]["Arn"] == "<TickFunction.Arn>"
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}


ALARMS = sorted(n for n, r in Rendered().resources.items() if r["Type"] == "AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_is_heard_and_says_what_it_means(name: str) -> None:
    """Bad and good news go to the topic; the text fits, and names the stack and a place to look."""
    alarm = Rendered().properties(name)
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["<AlarmTopic>"]
    assert len(alarm["AlarmDescription"]) <= 1024
    assert "coldtable" in alarm["AlarmDescription"]
    assert re.search("log group|coldtable status", alarm["AlarmDescription"])
    # CloudWatch looks back a day at most.
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 86_400


def test_silence_is_an_alarm() -> None:
    """No tick in twelve times five minutes: missing data is as bad as none, and nothing else is."""
    alarm = Rendered().properties("TickAbsentAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Coldtable", "Tick")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3600
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    assert alarm["TreatMissingData"] == "breaching"
    others = {n: Rendered().properties(n)["TreatMissingData"] for n in ALARMS}
    assert [n for n, how in others.items() if how == "breaching"] == ["TickAbsentAlarm"]


def test_metrics_that_alarms_look_at_are_made() -> None:
    """Namespace, names and dimension are those of the lines that a tick logs."""
    counts = {"StaleTables": 0, "ExportsFailed": 0, "UnseenTables": 0}
    (line, *_) = metric_lines("coldtable", datetime(2026, 11, 25, tzinfo=UTC), counts, {})
    made = {(p.namespace, p.name, tuple(p.dimensions.items())) for p in points(line)}
    watched = {
        (a["Namespace"], a["MetricName"], tuple((d["Name"], d["Value"]) for d in a["Dimensions"]))
        for a in map(Rendered().properties, ALARMS)
        if not a["Namespace"].startswith("AWS/")
    }
    assert watched == made


@pytest.mark.parametrize("name", ["ErrorsAlarm", "UndeliveredAlarm"])
def test_alarms_go_somewhere_and_say_what_to_do(name: str) -> None:
    """One failure is enough, quiet is good, bad and good news go to the topic, with a next step."""
    alarm = Rendered().properties(name)
    assert alarm["Threshold"] == 1
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["<AlarmTopic>"]
    assert "coldtable export --parameter-path /coldtable/prod" in alarm["AlarmDescription"]
    assert len(alarm["AlarmDescription"]) <= 1024


def test_email_is_optional() -> None:
    """Without an address there is a topic and nobody subscribed to it."""
    assert "AlarmSubscription" not in Rendered().resources
    assert Rendered(AlarmEmail="a@example.com").properties("AlarmSubscription")["Endpoint"] == (
        "a@example.com"
    )
