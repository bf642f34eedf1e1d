"""Failures reach people: metrics of functions and queues, alarms, a topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

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
