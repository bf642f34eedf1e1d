"""One installation in an account of its own: deployed as people deploy it, run as AWS runs it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from coldtable.aws.exporter import DynamoDbExporter
from coldtable.cli.context import Context
from coldtable.cli.deploy import template, windows
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.demo.scene import Scene
from coldtable.local.process import EmbeddedAws
from coldtable.model_stack import Wish
from coldtable.ops.code import build_zip
from coldtable.ops.deploy import deploy

STACK, PATH = "night", "/test/stg/infra"


@dataclass
class Installation:
    """The account, its stack, and what a person would look at."""

    aws: EmbeddedAws
    account: str
    boto: Any
    outputs: dict[str, str] = field(default_factory=dict)
    _queue: str = ""
    _mails: list[tuple[str, str]] = field(default_factory=list)

    @property
    def context(self) -> Context:
        return Context(
            region=self.aws.region,
            endpoint_url=self.aws.endpoint,
            access_key=self.account,
            secret_key="test",
            verbosity=-1,
        )

    @property
    def scene(self) -> Scene:
        return Scene(self.context.session, lambda _seconds: None)

    def add_table(self, name: str) -> None:
        """A table with point-in-time recovery."""
        dynamodb = self.boto("dynamodb")
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        self.switch_pitr(name, on=True)

    def switch_pitr(self, name: str, *, on: bool) -> None:
        self.boto("dynamodb").update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
        )

    def deploy(self, *tables: str, ticks: bool = False, **more: Any) -> None:
        """The stack for these tables: exported every day at 04:00 as they were at 03:00 UTC.

        Without ``ticks`` the tick's schedule is off, but for the first one, which may be quicker:
        it would fire at every quarter of an hour that the clock passes.
        """
        wish = Wish(
            tables=tables,
            stack_name=STACK,
            at=time(3),
            prefix_template=DEFAULT_TEMPLATE,
            parameter_path=PATH,
            **more,
        )
        report = deploy(wish, windows(self.context), template(), build_zip())
        assert report.outcome == "created"
        self.outputs = dict(report.outputs)
        if not ticks:
            self.switch_ticks(on=False)

    def ticks(self, metric: str = "Tick") -> int:
        """How many ticks have come to their end; or the sum of another metric of the stack."""
        now = self.aws.now()
        found = self.boto("cloudwatch").get_metric_statistics(
            Namespace="Coldtable",
            MetricName=metric,
            Dimensions=[{"Name": "Stack", "Value": STACK}],
            StartTime=now - timedelta(days=1),
            EndTime=now + timedelta(minutes=1),
            Period=86_400,
            Statistics=["Sum"],
        )
        return int(sum(point["Sum"] for point in found["Datapoints"]))

    def switch_ticks(self, *, on: bool) -> None:
        """Enable or disable the tick's schedule, as somebody could at the console."""
        scheduler = self.boto("scheduler")
        found = scheduler.get_schedule(
            GroupName=self.outputs["ScheduleGroupName"], Name=self.outputs["TickScheduleName"]
        )
        kept = ("GroupName", "Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(
            **{key: found[key] for key in kept}, State="ENABLED" if on else "DISABLED"
        )

    def next_moment(self) -> datetime:
        """The next 03:00 UTC that is not just about to pass."""
        now = self.aws.now()
        moment = now.replace(hour=3, minute=0, second=0, microsecond=0)
        return moment if moment - now > timedelta(minutes=1) else moment + timedelta(days=1)

    def to_schedule(self, moment: datetime) -> None:
        """Let the clock pass the 04:00 after ``moment``; the schedule fires."""
        self.aws.move_to(moment + timedelta(hours=1, minutes=1))

    def invoke(self, event: dict[str, Any], function: str = "export") -> dict[str, Any]:
        """Call a function as a person does, and wait for its answer."""
        done = self.boto("lambda").invoke(
            FunctionName=f"{STACK}-{function}", Payload=json.dumps(event).encode()
        )
        answer: dict[str, Any] = json.loads(done["Payload"].read())
        return answer

    def tick(self) -> dict[str, Any]:
        """One tick now, by hand: its report."""
        answer = self.invoke({}, "tick")
        body: dict[str, Any] = json.loads(answer["body"])
        return {**body, "statusCode": answer["statusCode"]}

    def exports(self) -> list[dict[str, Any]]:
        """Every export of the account, as DescribeExport tells it."""
        dynamodb = self.boto("dynamodb")
        arns = [e["ExportArn"] for e in dynamodb.list_exports()["ExportSummaries"]]
        return [dynamodb.describe_export(ExportArn=a)["ExportDescription"] for a in arns]

    def dead_letters(self) -> list[str]:
        return self.scene.dead_letters(self.outputs["DeadLetterQueueUrl"])

    def listen(self) -> None:
        """Let a queue get what is published to the stack's topic."""
        arn = f"arn:aws:sqs:{self.aws.region}:{self.account}:mail"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.boto("sqs").create_queue(QueueName="mail", Attributes={"Policy": policy})
        self.boto("sns").subscribe(TopicArn=self.outputs["TopicArn"], Protocol="sqs", Endpoint=arn)
        self._queue = made["QueueUrl"]

    def mails(self) -> list[tuple[str, str]]:
        """Subject and text of everything that has been published since ``listen``."""
        sqs = self.boto("sqs")
        while found := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            bodies = [json.loads(message["Body"]) for message in found]
            self._mails += [(body.get("Subject") or "", body["Message"]) for body in bodies]
            for message in found:
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return self._mails

    def alarms_told(self) -> list[tuple[str, str]]:
        """Name and new state of each alarm that was published."""
        texts = [json.loads(text) for _, text in self.mails() if text.startswith("{")]
        return [(text["AlarmName"], text["NewStateValue"]) for text in texts]

    def exporter(self) -> DynamoDbExporter:
        """DynamoDB as coldtable sees it."""
        return DynamoDbExporter(self.context.session.client("dynamodb"))

    @contextmanager
    def tick_without(self, action: str, function: str = "tick") -> Iterator[None]:
        """The tick's function, or another, has lost an action, for a while."""
        iam, role = self.boto("iam"), {"RoleName": self.role(function), "PolicyName": function}
        whole = iam.get_role_policy(**role)["PolicyDocument"]
        less = copy.deepcopy(whole)
        for statement in less["Statement"]:
            actions = statement["Action"]
            listed = [actions] if isinstance(actions, str) else actions
            statement["Action"] = [a for a in listed if a != action] or ["none:None"]
        assert less != whole, f"the role never had {action}"
        iam.put_role_policy(**role, PolicyDocument=json.dumps(less))
        yield
        iam.put_role_policy(**role, PolicyDocument=json.dumps(whole))

    def role(self, function: str = "export") -> str:
        """A function's role."""
        found = self.boto("lambda").get_function_configuration(FunctionName=f"{STACK}-{function}")
        return str(found["Role"].rsplit("/", 1)[-1])
