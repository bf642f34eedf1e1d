"""Ticks over one account of the embedded AWS, with the real windows and a clock that is moved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from coldtable.aws.directory import DynamoDbDirectory
from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.notifier import SnsNotifier
from coldtable.aws.objects import S3Objects
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.core.records import Home
from coldtable.core.timeline import ledger_timeline, timeline
from coldtable.local.process import EmbeddedAws
from coldtable.model import Destination, MomentRule, View
from coldtable.model_archive import Ledger, Limits, Run, Timeline
from coldtable.model_policy import Mode, Policy
from coldtable.ops.archive import find_exports, load_files
from coldtable.ops.catalog import Catalog
from coldtable.ops.pace import Watch
from coldtable.ops.tick import TickReport, World, tick
from coldtable.testing.world import Fuse

from .conftest import client, until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# The embedded AWS throttles only when it is told to.
FAST = Limits(export_burst=10**6, describe_burst=10**6, pitr_rate=10**6)


class Account:
    """An account with a bucket, a topic, and a queue that hears what people would hear."""

    def __init__(self, aws: EmbeddedAws, number: str) -> None:
        self.aws, self.number = aws, number
        self.dynamodb = self.client("dynamodb")
        self.s3 = self.client("s3")
        self.bucket = f"archive-{number}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.topic = self.client("sns").create_topic(Name="alarms")["TopicArn"]
        self.queue = self.client("sqs").create_queue(QueueName="heard")["QueueUrl"]
        arn = self.client("sqs").get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        self.client("sqs").set_queue_attributes(
            QueueUrl=self.queue,
            Attributes={
                "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
                "MessageRetentionPeriod": "1209600",
            },
        )
        self.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.policies: dict[str, Policy] = {}
        self.exporting = self.dynamodb

    def be_a_user(self) -> None:
        """Export as a user from now on, whose rights ``may_write`` gives and takes."""
        iam = self.client("iam")
        iam.create_user(UserName="ticker")
        self.may_write(yes=True)
        made = iam.create_access_key(UserName="ticker")["AccessKey"]
        key, secret = made["AccessKeyId"], made["SecretAccessKey"]
        self.exporting = client(self.aws, "dynamodb", key, secret)

    def may_write(self, *, yes: bool) -> None:
        """Whether the user's exports can be written into the bucket."""
        statements = [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]
        if yes:
            target = f"arn:aws:s3:::{self.bucket}/*"
            statements.append({"Effect": "Allow", "Action": "s3:*", "Resource": target})
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client("iam").put_user_policy(
            UserName="ticker", PolicyName="p", PolicyDocument=document
        )

    def client(self, service: str) -> Any:
        """A client of the account's root."""
        return client(self.aws, service, self.number, "test")

    def create(self, name: str, **changed: Any) -> str:
        """A table with PITR and a policy; its TableId."""
        made = self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        self.switch_pitr(name, on=True)
        self.policies.setdefault(name, self.policy(**changed))
        return str(made["TableDescription"]["TableId"])

    def switch_pitr(self, name: str, *, on: bool) -> None:
        """PITR on or off."""
        self.dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
        )

    def policy(self, **changed: Any) -> Policy:
        """Continuous, a window an hour, into this account's bucket."""
        fields: dict[str, Any] = {
            "mode": Mode.CONTINUOUS,
            "rule": MomentRule(day=None, at=time(3), zone=ZoneInfo("UTC")),
            "every": HOUR,
            "full_every": timedelta(days=30),
            "view": View.NEW_AND_OLD_IMAGES,
            "rpo": timedelta(hours=3),
            "to": Destination(bucket=self.bucket),
            "prefix_template": DEFAULT_TEMPLATE,
        }
        return Policy(**{**fields, **changed})

    def tick(
        self,
        fuse: Fuse | None = None,
        policies: Mapping[str, Policy] | None = None,
        limits: Limits = FAST,
    ) -> TickReport:
        """One tick now."""
        fuse = fuse or Fuse()
        exporter = fuse.wire(
            DynamoDbExporter(self.exporting), "table", "pitr", "start", "describe", "exports"
        )
        objects = fuse.wire(
            S3Objects(self.s3, self.bucket), "keys", "entries", "read", "put", "put_new"
        )
        world = World(
            exporter=exporter,
            directory=fuse.wire(
                DynamoDbDirectory(self.dynamodb, lambda: self.client("resourcegroupstaggingapi")),
                "definition",
            ),
            objects=lambda _to: objects,
            notifier=fuse.wire(SnsNotifier(self.client("sns"), self.topic), "tell"),
            watch=Watch(read=lambda: 0.0, pause=lambda _s: None, deadline=1e9),
            now=self.aws.now(),
            limits=limits,
        )
        return tick(policies or self.policies, world)

    def pass_time(self, length: timedelta) -> None:
        """Let the exports that run end, then move the clock."""
        self.settle()
        self.aws.advance(length)

    def settle(self) -> None:
        """Until no export is IN_PROGRESS."""

        def quiet() -> bool:
            found = self.dynamodb.list_exports(MaxResults=25)["ExportSummaries"]
            return all(e["ExportStatus"] != "IN_PROGRESS" for e in found)

        until(quiet)

    def run(self, length: timedelta, every: timedelta) -> None:
        """Let time pass with a tick at every step."""
        end = self.aws.now() + length
        while self.aws.now() < end:
            self.pass_time(every)
            self.tick()

    def table_id(self, name: str) -> str:
        """The TableId now."""
        return str(self.dynamodb.describe_table(TableName=name)["Table"]["TableId"])

    def ledger(self, name: str, table_id: str | None = None) -> Ledger:
        """All of what the catalog says of a table."""
        home = Home(account=self.number, region=self.aws.region, name=name)
        catalog = Catalog(S3Objects(self.s3, self.bucket))
        return catalog.ledger(home, table_id or self.table_id(name), catalog.heads(home))

    def timeline(self, name: str, table_id: str | None = None) -> Timeline:
        """What the catalog says can be rebuilt."""
        return ledger_timeline(self.ledger(name, table_id))

    def finish(self) -> None:
        """Ticks until there is nothing left to do: everything that ran is settled."""
        for _ in range(4):
            self.settle()
            if not any(table.plan.actions for table in self.tick().tables):
                return
        raise AssertionError("the plan does not become empty")

    def truth(self, name: str, table_id: str | None = None) -> Timeline:
        """What AWS's own manifests in the bucket can rebuild of a table."""
        return self.truths()[table_id or self.table_id(name)]

    def truths(self) -> dict[str, Timeline]:
        """The same of every table, by TableId; every file that a manifest lists is there."""
        store = S3Objects(self.s3, self.bucket)
        keys = set(store.keys(""))
        moments: dict[str, list[datetime]] = {}
        runs: dict[str, list[Run]] = {}
        for export in find_exports(store).exports:
            assert all(file.key in keys for file in load_files(store, export).manifest.files)
            found = export.manifest
            if found.moment:
                moments.setdefault(found.table_id, []).append(found.moment)
            if found.window:
                runs.setdefault(found.table_id, []).append(Run(window=found.window))
        return {i: timeline(moments.get(i, []), runs.get(i, [])) for i in {*moments, *runs}}

    def heard(self) -> list[str]:
        """The subjects of the messages since the last time."""
        subjects: list[str] = []
        sqs = self.client("sqs")
        while True:
            found = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            messages = found.get("Messages", [])
            if not messages:
                return subjects
            for message in messages:
                subjects.append(json.loads(message["Body"])["Subject"])
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def paid_twice(self) -> list[Any]:
        """What was exported whole more than once: same table, same span."""
        seen: set[Any] = set()
        twice: list[Any] = []
        for arn in self.exports():
            export = DynamoDbExporter(self.dynamodb).describe(arn)
            what = (export.table_id, export.moment, export.window)
            if export.status == "FAILED":
                continue
            if what in seen:
                twice.append(what)
            seen.add(what)
        return twice

    def exports(self) -> list[str]:
        """The ARNs of all exports of the account that AWS remembers."""
        arns: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = self.dynamodb.list_exports(MaxResults=25, **token)
            arns += [summary["ExportArn"] for summary in page["ExportSummaries"]]
            if "NextToken" not in page:
                return arns
            token = {"NextToken": page["NextToken"]}
