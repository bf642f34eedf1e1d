"""Failures reach people: metrics of functions and queues, alarms, a topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client, until
from .test_local_lambda import make_function, make_queue


def _alarm(boto: Boto, name: str, topic: str, **more: Any) -> None:
    boto("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
        OKActions=[topic],
        **more,
    )


def _mail(boto: Boto, account: str) -> tuple[str, str]:
    """A topic, and a queue whose policy lets it get what is published."""
    topic = boto("sns").create_topic(Name="alarms")["TopicArn"]
    url, arn = make_queue(boto, "mail")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    boto("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{account}:mail"
    )
    return topic, url


def _mails(boto: Boto, url: str) -> list[tuple[str, str]]:
    found = []
    for message in boto("sqs").receive_message(QueueUrl=url).get("Messages", []):
        text = json.loads(json.loads(message["Body"])["Message"])
        found.append((text["AlarmName"], text["NewStateValue"]))
    return found


def test_an_error_of_one_function_alarms_for_that_function_only(boto: Boto, account: str) -> None:
    """A failing asynchronous invocation raises its own alarm and publishes it; others stay OK."""
    topic, url = _mail(boto, account)
    make_function(boto, "bad", "def handler(event, context):\n    raise RuntimeError('no')\n")
    for name in ("bad", "good"):
        _alarm(
            boto,
            name,
            topic,
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": name}],
        )
    boto("lambda").invoke(FunctionName="bad", InvocationType="Event", Payload=b"{}")
    mails: list[tuple[str, str]] = []

    def told() -> bool:
        mails.extend(_mails(boto, url))
        return ("bad", "ALARM") in mails

    until(told)
    assert ("good", "ALARM") not in mails
    states = {
        a["AlarmName"]: a["StateValue"]
        for a in boto("cloudwatch").describe_alarms()["MetricAlarms"]
    }
    assert states == {"bad": "ALARM", "good": "OK"}


def test_invocations_and_errors_are_counted_once(aws: EmbeddedAws, boto: Boto) -> None:
    """One failing synchronous call is one invocation and one error."""
    make_function(boto, "counted", "def handler(event, context):\n    return 1 / event\n")
    for payload in (b"1", b"0"):
        boto("lambda").invoke(FunctionName="counted", Payload=payload)
    assert _sum(boto, "Invocations", aws.now()) == 2
    assert _sum(boto, "Errors", aws.now()) == 1


def _sum(boto: Boto, metric: str, now: datetime) -> float:
    answer = boto("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": "FunctionName", "Value": "counted"}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_a_message_in_a_watched_queue_alarms_until_it_is_gone(
    fresh_aws: Callable[..., EmbeddedAws],
) -> None:
    """The dead-letter queue's alarm goes off with the message and back once it is purged."""
    running = fresh_aws()

    def boto(service: str, **_: Any) -> Any:
        return client(running, service, "test", "test")

    topic, _ = _mail(boto, running.account)
    url, _ = make_queue(boto, "dead")
    _alarm(
        boto,
        "dead",
        topic,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "dead"}],
    )

    def state() -> str:
        (alarm,) = boto("cloudwatch").describe_alarms()["MetricAlarms"]
        return str(alarm["StateValue"])

    until(lambda: state() == "OK")
    boto("sqs").send_message(QueueUrl=url, MessageBody="x")
    until(lambda: state() == "ALARM")
    running.advance(timedelta(hours=1))
    until(lambda: state() == "ALARM")
    boto("sqs").purge_queue(QueueUrl=url)
    until(lambda: boto("sqs").receive_message(QueueUrl=url).get("Messages") is None)
    running.advance(timedelta(minutes=6))
    until(lambda: state() == "OK")


SAYS_LAG = """
import json, time

def handler(event, context):
    directive = {"Namespace": "coldtable", "Dimensions": [["Table"]],
                 "Metrics": [{"Name": "Lag", "Unit": "Seconds"}]}
    meta = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": meta, "Table": "orders", "Lag": event}))
"""


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_a_metric_that_a_function_logs_alarms_when_it_stays_away(
    fresh_aws: Callable[..., EmbeddedAws], log_format: str
) -> None:
    """No data is breaching; a good value ends the alarm, a bad one and a day's silence raise it."""
    running = fresh_aws()

    def boto(service: str, **_: Any) -> Any:
        return client(running, service, "test", "test")

    topic, url = _mail(boto, running.account)
    make_function(boto, "lag", SAYS_LAG, LoggingConfig={"LogFormat": log_format})
    boto("cloudwatch").put_metric_alarm(
        AlarmName="late",
        Namespace="coldtable",
        MetricName="Lag",
        Dimensions=[{"Name": "Table", "Value": "orders"}],
        Statistic="Maximum",
        Period=86_400,
        EvaluationPeriods=1,
        Threshold=90_000,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="breaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )

    def state() -> str:
        (alarm,) = boto("cloudwatch").describe_alarms()["MetricAlarms"]
        return str(alarm["StateValue"])

    until(lambda: state() == "ALARM")
    boto("lambda").invoke(FunctionName="lag", Payload=b"60")
    until(lambda: state() == "OK")
    running.advance(timedelta(days=1, minutes=1))
    until(lambda: state() == "ALARM")
    boto("lambda").invoke(FunctionName="lag", Payload=b"60")
    until(lambda: state() == "OK")
    boto("lambda").invoke(FunctionName="lag", Payload=b"90001")
    until(lambda: state() == "ALARM")
    found = boto("cloudwatch").list_metrics(Namespace="coldtable")["Metrics"]
    assert [one["MetricName"] for one in found] == ["Lag"]
    told: list[tuple[str, str]] = []

    def all_told() -> bool:
        told.extend(_mails(boto, url))
        return len(told) == 5

    until(all_told)
    assert sorted(told) == [("late", "ALARM")] * 3 + [("late", "OK")] * 2


def test_a_metric_that_is_put_alarms(boto: Boto, account: str) -> None:
    """PutMetricData with dimensions, as a program without a log would do it."""
    topic, _ = _mail(boto, account)
    where = {"Namespace": "mine", "Dimensions": [{"Name": "Table", "Value": "orders"}]}
    _alarm(boto, "bad", topic, MetricName="Failures", **where)
    datum = {"MetricName": "Failures", "Value": 1.0, "Dimensions": where["Dimensions"]}
    boto("cloudwatch").put_metric_data(Namespace="mine", MetricData=[datum])
    until(lambda: boto("cloudwatch").describe_alarms()["MetricAlarms"][0]["StateValue"] == "ALARM")
