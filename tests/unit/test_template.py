"""The CloudFormation templates: lint, limits, least privilege, and what outlives the stack."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from coldtable import handler_verify
from coldtable.cli.deploy import template as template_text
from coldtable.core.metrics import SLICE, metric_lines
from coldtable.core.settings import parse_path
from coldtable.errors import LimitReached
from coldtable.local.emf import points
from coldtable.model import Table
from coldtable.ops import ground, preflight

ACCOUNT, REGION = "123456789012", "eu-central-1"
ARNS = tuple(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("orders", "users"))
GIVEN = {
    "TableNames": "orders,users",
    "TableArns": ",".join(ARNS),
    "CodeBucket": "code",
    "CodeKey": "coldtable/x.zip",
}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": "x"}``."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    else:
        value = loader.construct_sequence(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


class Rendered:
    """The template with its functions worked out, as CloudFormation would.

    A resource's Ref is ``<name>`` and its attribute ``<name.Attribute>``.
    """

    def __init__(self, **given: str) -> None:
        self.body = yaml.load(template_text(), _Loader)  # noqa: S506  a SafeLoader
        self._names: dict[str, Any] = {
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": "coldtable",
        }
        for name, declared in self.body["Parameters"].items():
            value = ({**GIVEN, **given}).get(name, declared.get("Default"))
            self._names[name] = value.split(",") if "List" in declared["Type"] else str(value)
        self._conditions: dict[str, bool] = {}
        for name, condition in self.body["Conditions"].items():
            self._conditions[name] = self.solve(condition)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds."""
        return {
            name: self.solve(resource)
            for name, resource in self.body["Resources"].items()
            if self._conditions.get(resource.get("Condition"), True)
        }

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name].get("Properties", {})
        return found

    def solve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [v for item in node if (v := self.solve(item)) is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return None if argument == "AWS::NoValue" else self._lookup(argument)
            if name == "Condition" and isinstance(argument, str):
                return self._conditions[argument]
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), argument)
        return {k: v for k, item in node.items() if (v := self.solve(item)) is not None}

    def _lookup(self, name: str) -> Any:
        return self._names.get(name, f"<{name}>")

    def _function(self, name: str, argument: Any) -> Any:
        if name == "If":
            condition, yes, no = argument
            return self.solve(yes if self._conditions[condition] else no)
        if name == "Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            names = {k: self.solve(v) for k, v in own.items()}
            return re.sub(r"\$\{([^}]+)\}", lambda m: names.get(m[1]) or self._lookup(m[1]), text)
        solved = [self.solve(part) for part in argument]
        match name:
            case "Equals":
                return solved[0] == solved[1]
            case "Not":
                return not solved[0]
            case "Or":
                return any(solved)
            case "And":
                return all(solved)
            case "Join":
                return solved[0].join(solved[1])
            case "Split":
                return solved[1].split(solved[0])
            case "GetAtt":
                return f"<{'.'.join(solved)}>"
        raise AssertionError(f"the template uses Fn::{name}, which this test does not know")


def statements(role: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {s["Sid"]: s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]}


@pytest.mark.parametrize("name", ["template.yaml", "demo.yaml"])
def test_cfn_lint_is_clean(name: str) -> None:
    """cfn-lint has no word against the templates, warnings and information included."""
    with as_file(files("coldtable.infra") / name) as path:
        lint = str(Path(sys.executable).with_name("cfn-lint"))
        done = subprocess.run(
            [lint, "-r", REGION, "us-east-1", "-c", "I", "--", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.returncode) == ("", 0)


def test_fits_into_a_request() -> None:
    """CloudFormation takes 51,200 bytes of template without a bucket for it."""
    assert len(template_text().encode()) < 51_200


def test_every_parameter_is_described_and_constrained() -> None:
    """A parameter says what it is, and refuses what cannot be right."""
    for name, declared in Rendered().body["Parameters"].items():
        assert declared.get("Description"), name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(declared), name


def test_archive_bucket_is_private_and_outlives_the_stack() -> None:
    """Public access blocked, versioned, encrypted, owner enforced, TLS only, kept."""
    all_of_it = Rendered().resources
    bucket = all_of_it["ArchiveBucket"]
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket["UpdateReplacePolicy"] == "Retain"
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    (lifecycle,) = properties["LifecycleConfiguration"]["Rules"]
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    policy = all_of_it["ArchiveBucketPolicy"]
    assert policy["DeletionPolicy"] == "RetainExceptOnCreate"
    (denied,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_exports_move_to_other_classes_and_records_do_not() -> None:
    """Only the classes that have a day, in the order in which S3 wants them, and only of objects
    over 128 KB whose keys begin as no record's does; what was deleted goes after its own days."""
    some = Rendered(DaysToGlacierIr="30", DaysToDeepArchive="365")
    _, move = some.properties("ArchiveBucket")["LifecycleConfiguration"]["Rules"]
    assert (move["Prefix"], move["ObjectSizeGreaterThan"]) == ("20", "131072")
    assert [(t["StorageClass"], t["TransitionInDays"]) for t in move["Transitions"]] == [
        ("GLACIER_IR", "30"),
        ("DEEP_ARCHIVE", "365"),
    ]
    _, gone = Rendered(DaysToRemoveVersions="60").properties("ArchiveBucket")[
        "LifecycleConfiguration"
    ]["Rules"]
    assert gone["NoncurrentVersionExpiration"] == {"NoncurrentDays": "60"}
    pattern = Rendered().body["Parameters"]["DataPrefix"]["AllowedPattern"]
    for prefix in ("20", "exports/", "clients/", "cold-storage/"):
        assert re.fullmatch(pattern, prefix), prefix
    for prefix in ("", "c", "co", "cold", "coldtable/", "{date}"):
        assert not re.fullmatch(pattern, prefix), prefix


def test_object_lock_is_for_who_wants_it() -> None:
    """Without a mode the bucket has no Object Lock, which could never be taken off again."""
    plain = Rendered().properties("ArchiveBucket")
    assert not {"ObjectLockEnabled", "ObjectLockConfiguration"} & plain.keys()
    locked = Rendered(ObjectLockMode="COMPLIANCE", ObjectLockDays="90").properties("ArchiveBucket")
    assert locked["ObjectLockEnabled"] is True
    assert locked["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Mode": "COMPLIANCE",
        "Days": "90",
    }


def test_existing_bucket_is_left_alone() -> None:
    """With BucketName the stack has neither a bucket nor a policy of one, and uses that name."""
    rendered = Rendered(BucketName="archive")
    assert not [r for r in rendered.resources.values() if r["Type"].startswith("AWS::S3::")]
    assert rendered.properties("BucketNameParameter")["Value"] == "archive"
    written = statements(rendered.properties("ExportRole"))["WriteTheArchive"]
    assert written["Resource"] == "arn:aws:s3:::archive/*"


def test_settings_have_the_names_that_the_function_reads() -> None:
    """Eight parameters directly below the path, with exactly these names and types."""
    found = {
        r["Properties"]["Name"]: (r["Properties"]["Type"], r["Properties"]["Value"])
        for r in Rendered(ParameterPath="/a/b", BackupHour="3").resources.values()
        if r["Type"] == "AWS::SSM::Parameter"
    }
    assert found == {
        "/a/b/BACKUP_BUCKET_NAME": ("String", "<ArchiveBucket>"),
        "/a/b/BACKUP_DAY_STR": ("String", "0"),
        "/a/b/BACKUP_HOUR_STR": ("String", "3"),
        "/a/b/BACKUP_MINUTE_STR": ("String", "0"),
        "/a/b/BACKUP_SECOND_STR": ("String", "0"),
        "/a/b/TABLE_NAMES": ("StringList", "orders,users"),
        "/a/b/TIMEZONE": ("String", "UTC"),
        "/a/b/S3_PREFIX_TEMPLATE": ("String", "{date:%Y/%m/%d}/{table}"),
    }


def test_existing_settings_are_left_alone() -> None:
    """With ManageParameters false the stack owns no parameter."""
    kinds = {r["Type"] for r in Rendered(ManageParameters="false").resources.values()}
    assert "AWS::SSM::Parameter" not in kinds


def test_function_may_do_its_work_and_nothing_else() -> None:
    """The role's whole policy: these tables, this bucket, this path, this log, this queue."""
    allowed = {
        sid: (s["Action"], s["Resource"])
        for sid, s in statements(Rendered().properties("ExportRole")).items()
    }
    assert allowed == {
        "ExportTheseTables": (
            [
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeTable",
                "dynamodb:ExportTableToPointInTime",
            ],
            list(ARNS),
        ),
        "FindExports": ("dynamodb:ListExports", "*"),
        "FollowTheExports": (
            "dynamodb:DescribeExport",
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*/export/*",
        ),
        "WriteTheArchive": (
            ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"],
            "arn:aws:s3:::<ArchiveBucket>/*",
        ),
        "ReadTheSettings": (
            "ssm:GetParametersByPath",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/coldtable/prod",
        ),
        "WriteTheLog": (["logs:CreateLogStream", "logs:PutLogEvents"], "<LogGroup.Arn>"),
        "ReportWhatFailed": ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    }


def test_keys_are_used_only_where_they_are_named() -> None:
    """KMS rights appear with the key's ARN, on that key, and not otherwise."""
    allowed = statements(
        Rendered(BucketKmsKeyArn=KEY, ParameterKmsKeyArn=KEY).properties("ExportRole")
    )
    assert allowed["EncryptTheArchive"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert allowed["DecryptTheSettings"]["Action"] == "kms:Decrypt"
    assert {allowed[s]["Resource"] for s in ("EncryptTheArchive", "DecryptTheSettings")} == {KEY}
    (rule,) = Rendered(BucketKmsKeyArn=KEY).properties("ArchiveBucket")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY


PATTERNS = tuple(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("app-*", "x?y"))
KEEP = [
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:ListTagsOfResource",
]


def test_tick_may_do_its_work_and_nothing_else() -> None:
    """The tick's whole policy: these tables, their exports, this bucket, path, topic and log."""
    allowed = {
        sid: (s["Action"], s["Resource"])
        for sid, s in statements(Rendered().properties("TickRole")).items()
    }
    assert allowed == {
        "KeepTheseTables": (KEEP, list(ARNS)),
        "FindTables": (["dynamodb:ListExports", "dynamodb:ListTables"], "*"),
        "FollowTheExports": (
            "dynamodb:DescribeExport",
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*/export/*",
        ),
        "KeepTheArchive": (
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"],
            "arn:aws:s3:::<ArchiveBucket>/*",
        ),
        "ListTheArchive": ("s3:ListBucket", "arn:aws:s3:::<ArchiveBucket>"),
        "ReadTheSettings": (
            "ssm:GetParametersByPath",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/coldtable/prod",
        ),
        "TellPeople": ("sns:Publish", "<AlarmTopic>"),
        "WriteTheLog": (["logs:CreateLogStream", "logs:PutLogEvents"], "<TickLogGroup.Arn>"),
    }


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


def test_who_verifies_can_change_nothing_of_it() -> None:
    """It may read all, write records alone, and do nothing to any table."""
    allowed = statements(Rendered(VerifyDays="30").properties("VerifyRole"))
    written = {
        sid: s["Resource"] for sid, s in allowed.items() if "s3:PutObject" in str(s["Action"])
    }
    assert written == {"WriteTheRecords": "arn:aws:s3:::<ArchiveBucket>/coldtable/v1/*"}
    actions = json.dumps([s["Action"] for s in allowed.values()])
    assert "dynamodb:" not in actions
    assert "Delete" not in actions


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


def test_tables_are_kept_by_glob_and_by_tag() -> None:
    """Wildcards are IAM's own; a tag is a condition on every table; the nightly role gets none."""
    rendered = Rendered(
        TableNames="", TableArns="", PatternArns=",".join(PATTERNS), Tagged="true", Policy="{}"
    )
    allowed = statements(rendered.properties("TickRole"))
    assert "KeepTheseTables" not in allowed
    assert allowed["KeepTablesOfTheseNames"]["Resource"] == list(PATTERNS)
    tagged = allowed["KeepTablesWithTheTag"]
    assert tagged["Resource"] == f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*"
    assert tagged["Condition"] == {
        "StringEqualsIgnoreCase": {"aws:ResourceTag/coldtable": ["snapshot", "continuous"]}
    }
    assert allowed["KeepTablesOfTheseNames"]["Action"] == tagged["Action"] == KEEP
    assert allowed["FindTags"]["Action"] == "tag:GetResources"
    nightly = statements(rendered.properties("ExportRole"))
    assert not [a for s in nightly.values() for a in s["Action"] if a.startswith("dynamodb:")]


def test_what_is_said_is_written() -> None:
    """POLICY and HEARTBEAT_URL are written where they are given; TABLE_NAMES where it has names."""
    given = {"Policy": '{"mode":"continuous"}', "HeartbeatUrl": "https://monitor.example/x"}
    written = {
        r["Properties"]["Name"]: r["Properties"]["Value"]
        for r in Rendered(TableNames="", TableArns="", **given).resources.values()
        if r["Type"] == "AWS::SSM::Parameter"
    }
    assert written["/coldtable/prod/POLICY"] == given["Policy"]
    assert written["/coldtable/prod/HEARTBEAT_URL"] == given["HeartbeatUrl"]
    assert "/coldtable/prod/TABLE_NAMES" not in written
    kinds = {r["Type"] for r in Rendered(ManageParameters="false", **given).resources.values()}
    assert "AWS::SSM::Parameter" not in kinds


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


def test_schedules_may_invoke_these_functions_only() -> None:
    """The scheduler's role: two functions, one queue, and trust for one account and group."""
    role = Rendered().properties("ScheduleRole")
    assert {sid: (s["Action"], s["Resource"]) for sid, s in statements(role).items()} == {
        "InvokeTheFunctions": (
            "lambda:InvokeFunction",
            ["<ExportFunction.Arn>", "<TickFunction.Arn>"],
        ),
        "ReportWhatWasNotDelivered": ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    }
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": "<ScheduleGroup.Arn>",
    }


def test_no_resource_is_a_star() -> None:
    """Nothing is allowed on everything, but listings that AWS cannot narrow [POLICY]."""
    listings = {"dynamodb:ListExports", "dynamodb:ListTables", "tag:GetResources"}
    for name, resource in Rendered(BucketKmsKeyArn=KEY, Tagged="true").resources.items():
        for allowed in re.findall(r'\{[^{}]*"Effect": "Allow"[^{}]*\}', json.dumps(resource)):
            if '"Resource": "*"' in allowed:
                actions = json.loads(allowed)["Action"]
                assert ({actions} if isinstance(actions, str) else set(actions)) <= listings, name


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


@pytest.mark.parametrize(
    ("parameter", "pattern"),
    [
        ("BucketName", preflight.BUCKET),
        ("BucketKmsKeyArn", preflight.KMS_KEY),
        ("ParameterKmsKeyArn", preflight.KMS_KEY),
        ("AlarmEmail", preflight.EMAIL),
        ("HeartbeatUrl", preflight.HEARTBEAT),
    ],
)
def test_preflight_refuses_what_the_template_would(parameter: str, pattern: str) -> None:
    """The patterns that are checked before anything is done are those of the template."""
    declared = Rendered().body["Parameters"][parameter]["AllowedPattern"]
    assert declared == f"^$|^{pattern}$"


def test_ticks_are_those_of_the_template() -> None:
    """How often a tick may come is the same for both, too."""
    assert Rendered().body["Parameters"]["TickExpression"]["AllowedPattern"] == (
        f"^{preflight.TICK}$"
    )


def test_log_days_are_those_of_the_template() -> None:
    """The retention periods that are checked first are those that the template takes."""
    declared = Rendered().body["Parameters"]["LogRetentionDays"]["AllowedValues"]
    assert tuple(declared) == preflight.LOG_DAYS


def test_longest_path_is_a_path_for_the_template_too() -> None:
    """What the function takes as a parameter path, the template's pattern takes."""
    pattern = Rendered().body["Parameters"]["ParameterPath"]["AllowedPattern"]
    for path in ("/coldtable/prod", "/test/stg/infra", "/a" * 14):
        assert parse_path(path) == path
        assert re.fullmatch(pattern, path)


def _tables(count: int, length: int) -> list[Table]:
    prefix = f"arn:aws:dynamodb:ap-southeast-1:{ACCOUNT}:table/"
    names = [f"{i:0{length}d}" for i in range(count)]
    return [Table(name=n, arn=prefix + n, table_id=n) for n in names]


PATH = "/" + "p" * 900


def _policy_size(role: str, tables: list[Table]) -> int:
    """The inline policies of a role as IAM counts them, at the longest names."""
    first, rest = ground.pack_arns(tables)
    properties = Rendered(
        TableArns=first,
        MoreTableArns=rest,
        Tagged="true",
        # One pattern, which the statement for patterns needs to be there.
        PatternArns="x",
        BucketName="b" * 63,
        BucketKmsKeyArn=KEY,
        ParameterKmsKeyArn=KEY,
        ParameterPath=PATH,
    ).properties(role)
    return sum(
        len(json.dumps(p["PolicyDocument"], separators=(",", ":"))) for p in properties["Policies"]
    )


@pytest.mark.parametrize(("count", "length"), [(1, 3), (60, 20), (130, 8), (20, 255)])
def test_policy_size_is_not_underestimated(count: int, length: int) -> None:
    """What the size check reckons is at least what the larger of both policies takes, and near."""
    tables = _tables(count, length)
    reckoned = ground.POLICY_FRAME + len(PATH) + sum(len(f'"{t.arn}",') for t in tables)
    larger = max(_policy_size(role, tables) for role in ("ExportRole", "TickRole"))
    # The log group's and the topic's ARN are names of 100 characters at most more than here.
    assert larger + 2 * 100 <= reckoned <= larger + 700


def test_many_tables_fit() -> None:
    """A hundred tables fit into one stack, their ARNs over two parameters, none lost."""
    tables = _tables(100, 20)
    ground.check_sizes(tables, (), "/coldtable/prod")
    first, rest = ground.pack_arns(tables)
    assert len(first) <= ground.LONGEST_VALUE
    resource = statements(Rendered(TableArns=first, MoreTableArns=rest).properties("ExportRole"))[
        "ExportTheseTables"
    ]["Resource"]
    assert resource == [t.arn for t in tables]


@pytest.mark.parametrize(("count", "length"), [(200, 20), (40, 255)])
def test_too_many_tables_are_refused(count: int, length: int) -> None:
    """More than fits is refused with the sizes and the way out, before AWS refuses it late."""
    with pytest.raises(LimitReached) as caught:
        ground.check_sizes(_tables(count, length), (), "/coldtable/prod")
    assert f"{count} tables are too many for one stack" in caught.value.message
    assert "--stack-name" in caught.value.hint
