"""One installation in an account of its own: deployed as people deploy it, run as AWS runs it."""

from __future__ import annotations

import json
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

    def deploy(self, *tables: str) -> None:
        """The stack for these tables: exported every day at 04:00 as they were at 03:00 UTC."""
        wish = Wish(
            tables=tables,
            stack_name=STACK,
            at=time(3),
            prefix_template=DEFAULT_TEMPLATE,
            parameter_path=PATH,
        )
        report = deploy(wish, windows(self.context), template(), build_zip())
        assert report.outcome == "created"
        self.outputs = dict(report.outputs)

    def next_moment(self) -> datetime:
        """The next 03:00 UTC that is not just about to pass."""
        now = self.aws.now()
        moment = now.replace(hour=3, minute=0, second=0, microsecond=0)
        return moment if moment - now > timedelta(minutes=1) else moment + timedelta(days=1)

    def to_schedule(self, moment: datetime) -> None:
        """Let the clock pass the 04:00 after ``moment``; the schedule fires."""
        self.aws.move_to(moment + timedelta(hours=1, minutes=1))

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Call the function as a person does, and wait for its answer."""
        done = self.boto("lambda").invoke(
            FunctionName=f"{STACK}-export", Payload=json.dumps(event).encode()
        )
        answer: dict[str, Any] = json.loads(done["Payload"].read())
        return answer

    def exports(self) -> list[dict[str, Any]]:
        """Every export of the account, as DescribeExport tells it."""
        dynamodb = self.boto("dynamodb")
        arns = [e["ExportArn"] for e in dynamodb.list_exports()["ExportSummaries"]]
        return [dynamodb.describe_export(ExportArn=a)["ExportDescription"] for a in arns]

    def dead_letters(self) -> list[str]:
        return self.scene.dead_letters(self.outputs["DeadLetterQueueUrl"])

    def exporter(self) -> DynamoDbExporter:
        """DynamoDB as coldtable sees it."""
        return DynamoDbExporter(self.context.session.client("dynamodb"))

    def role(self) -> str:
        """The function's role."""
        found = self.boto("lambda").get_function_configuration(FunctionName=f"{STACK}-export")
        return str(found["Role"].rsplit("/", 1)[-1])
