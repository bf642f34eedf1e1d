"""Deploying against an in-memory account: what is checked, done, told and left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import time

import pytest

from coldtable.errors import (
    AccessDenied,
    BucketNotFound,
    ColdtableError,
    ConfigError,
    Conflict,
    PitrDisabled,
    TableNotFound,
    UsageError,
)
from coldtable.model_stack import DeployReport, Wish
from coldtable.ops.code import sha256
from coldtable.ops.deploy import deploy
from coldtable.testing.cloud import FakeCloud, windows
from coldtable.testing.settled import ACCOUNT, MADE_BUCKET, REGION

ZIP = b"the code"
TEMPLATE = "the template"
CODE_BUCKET = f"coldtable-code-{ACCOUNT}-{REGION}"
CODE_KEY = f"coldtable/{sha256(ZIP)}.zip"
WISH = Wish(tables=("orders", "users"), prefix_template="{date:%Y/%m/%d}/{table}")

Deploy = Callable[..., DeployReport]


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(recovery={"orders": 35, "users": 7}, objects={"archive": {}})


@pytest.fixture
def run(cloud: FakeCloud) -> Deploy:
    def call(wish: Wish = WISH, *, dry_run: bool = False, **changes: object) -> DeployReport:
        wish = replace(wish, **changes)  # type: ignore[arg-type]
        return deploy(wish, windows(cloud), TEMPLATE, ZIP, dry_run=dry_run)

    return call


def test_first_deployment_creates_everything(cloud: FakeCloud, run: Deploy) -> None:
    """From nothing: code bucket, code under its digest, stack; and each check says what it saw."""
    report = run()

    assert report.outcome == "created"
    assert report.outputs["Bucket"] == MADE_BUCKET
    assert cloud.objects[CODE_BUCKET] == {CODE_KEY: ZIP}
    assert cloud.calls == [
        f"create bucket {CODE_BUCKET}",
        f"put {CODE_KEY}",
        "propose coldtable",
        "execute",
    ]
    assert [f.subject for f in report.findings] == [
        "point-in-time recovery of orders",
        "point-in-time recovery of users",
        "schedule",
        "schedule of the ticks",
        "alarm coldtable-export-errors",
        "alarm coldtable-export-undelivered",
        "alarm coldtable-tick-errors",
        "alarm coldtable-tick-absent",
        "function coldtable-export",
        "function coldtable-tick",
        "parameters below /coldtable/prod",
    ]
    assert all(f.ok for f in report.findings)
    assert "CREATE_COMPLETE      ExportRole (AWS::IAM::Role)" in cloud.said


def test_time_zone_is_always_written(cloud: FakeCloud, run: Deploy) -> None:
    """TIMEZONE defaults to Asia/Tokyo where it is absent, so a deployment always writes one."""
    run()
    assert cloud.settings["/coldtable/prod/TIMEZONE"] == "UTC"


def test_second_deployment_changes_nothing(cloud: FakeCloud, run: Deploy) -> None:
    """The same wish again: no upload, no execution, the empty change set removed, checks made."""
    run()
    before = len(cloud.calls)

    report = run()

    assert report.outcome == "unchanged"
    assert cloud.calls[before:] == ["propose coldtable", "discard"]
    assert len(report.findings) == 11
    assert "The stack coldtable is already as wanted" in cloud.said


def test_second_text_of_an_empty_change_set(cloud: FakeCloud, run: Deploy) -> None:
    """AWS has another sentence for the same thing, and it is understood, too."""
    run()
    cloud.empty_reason = "No updates are to be performed."
    assert run().outcome == "unchanged"


def test_a_change_updates_the_stack(cloud: FakeCloud, run: Deploy) -> None:
    """Another schedule is an update, and the report names what changed."""
    run()
    report = run(schedule="cron(30 5 * * ? *)")
    assert report.outcome == "updated"
    assert [c.resource for c in report.changes] == ["ScheduleExpression"]
    assert cloud.schedules["coldtable", "coldtable-export"].expression == "cron(30 5 * * ? *)"


def test_the_bucket_s_own_parameters_stay(cloud: FakeCloud, run: Deploy) -> None:
    """What somebody set with CloudFormation about storage classes and Object Lock is given back to
    it: an update would fall back to the template's defaults."""
    run()
    stack = cloud.live["coldtable"]
    own = {"DaysToGlacierIr": "30", "ObjectLockMode": "GOVERNANCE", "Other": "x"}
    cloud.live["coldtable"] = replace(stack, parameters={**stack.parameters, **own})
    run(log_days=30)
    found = cloud.live["coldtable"].parameters
    assert (found["DaysToGlacierIr"], found["ObjectLockMode"]) == ("30", "GOVERNANCE")
    assert found["LogRetentionDays"] == "30"
    assert "Other" not in found


def test_dry_run_leaves_nothing(cloud: FakeCloud, run: Deploy) -> None:
    """A dry run shows the change set, and neither it nor the stack for it nor code stays."""
    report = run(dry_run=True, enable_pitr=True, tables=("orders",))
    assert report.outcome == "planned"
    assert {c.action for c in report.changes} == {"Add"}
    assert cloud.live == {}
    assert cloud.objects == {"archive": {}}
    assert cloud.calls == ["propose coldtable", "discard", "delete stack"]


def test_dry_run_of_an_update_keeps_the_stack(cloud: FakeCloud, run: Deploy) -> None:
    """A dry run on an installation removes its change set only."""
    run()
    before = len(cloud.calls)
    report = run(dry_run=True, timezone="Europe/Berlin")
    assert [c.resource for c in report.changes] == ["TimeZone"]
    assert cloud.calls[before:] == ["propose coldtable", "discard"]
    assert cloud.live["coldtable"].status == "CREATE_COMPLETE"


def test_dry_run_tells_which_tables_get_pitr(cloud: FakeCloud, run: Deploy) -> None:
    """A dry run with --enable-pitr names the tables and turns nothing on."""
    cloud.recovery["users"] = None
    assert run(dry_run=True, enable_pitr=True).pitr == ("users",)
    assert cloud.recovery["users"] is None


def test_all_problems_at_once(cloud: FakeCloud, run: Deploy) -> None:
    """Several faults are told together, each with what to do, and nothing was touched."""
    cloud.recovery["users"] = None
    with pytest.raises(ConfigError) as caught:
        run(tables=("orders", "users", "nosuch"), bucket="missing", timezone="Mars/Base")
    message = caught.value.message
    assert message.startswith("4 things are in the way, and nothing was changed:")
    assert "'Mars/Base' is not an IANA time zone" in message
    assert "The table does not exist (table nosuch)" in message
    assert "Point-in-time recovery is off for table users" in message
    assert "The bucket missing does not exist" in message
    assert "--enable-pitr" in caught.value.hint
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tables": ("nosuch",)}, TableNotFound, "nosuch"),
        ({"bucket": "missing"}, BucketNotFound, "The bucket missing does not exist"),
        ({"code_bucket": "builds"}, BucketNotFound, "The bucket builds does not exist"),
        ({"tables": ()}, UsageError, "No table is named"),
        ({"schedule": "cron(0 4 * * *)"}, ConfigError, "has 5 fields, and cron has 6"),
        ({"parameter_path": "no-slash"}, ConfigError, "'no-slash' is not a parameter path"),
        ({"stack_name": "a" * 58}, UsageError, "cannot be the stack's name"),
        ({"email": "nobody"}, UsageError, "--email 'nobody' cannot be used"),
        ({"bucket_key": "alias/mine"}, UsageError, "--bucket-kms-key 'alias/mine'"),
        ({"log_days": 8}, UsageError, "cannot keep logs for 8 days"),
        ({"recovery_days": 7}, UsageError, "--recovery-days goes with --enable-pitr"),
        ({"prefix_template": "{name}"}, ConfigError, "the unknown field {name}"),
    ],
)
def test_one_problem_is_itself(
    run: Deploy, changes: dict[str, object], error: type[ColdtableError], words: str
) -> None:
    """A single fault keeps its own class, and with it its exit code."""
    with pytest.raises(error) as caught:
        run(**changes)
    assert words in caught.value.message
    assert type(caught.value).exit_code == error.exit_code


def test_pitr_off_says_how_to_turn_it_on(cloud: FakeCloud, run: Deploy) -> None:
    """Without --enable-pitr a table that keeps no history stops the deployment."""
    cloud.recovery["orders"] = None
    with pytest.raises(PitrDisabled) as caught:
        run()
    assert "--enable-pitr" in caught.value.hint


def test_enable_pitr_turns_on_what_is_off(cloud: FakeCloud, run: Deploy) -> None:
    """--enable-pitr touches only the tables that need it, and waits out DynamoDB's preparing."""
    cloud.recovery["orders"] = None
    cloud.preparing = 2
    report = run(enable_pitr=True, recovery_days=7)
    assert report.pitr == ("orders",)
    assert cloud.recovery == {"orders": 7, "users": 7}
    assert cloud.calls[:3] == ["pitr orders"] * 3
    assert "The history of orders begins now" in report.notes[0]


def test_enable_pitr_gives_up_in_the_end(cloud: FakeCloud, run: Deploy) -> None:
    """A table whose backups never get ready is an error and not an endless wait."""
    cloud.recovery["orders"] = None
    cloud.preparing = 1000
    with pytest.raises(Conflict, match="still prepares"):
        run(enable_pitr=True)


def test_recovery_period_is_never_shortened(cloud: FakeCloud, run: Deploy) -> None:
    """--recovery-days lengthens a shorter period, and leaves a longer one: shortening loses it."""
    run(enable_pitr=True, recovery_days=20)
    assert cloud.recovery == {"orders": 35, "users": 20}


@pytest.mark.parametrize(
    ("schedule", "at", "too_soon"),
    [
        ("cron(0 4 * * ? *)", time(3, 54), False),
        ("cron(0 4 * * ? *)", time(3, 54, 1), True),
        ("cron(0 4 * * ? *)", time(4), True),
        ("cron(0 4 * * ? *)", time(4, 0, 1), False),
        ("cron(3 0 * * ? *)", time(23, 58), True),
        ("cron(3 0 ? * MON *)", time(23, 58), True),
        ("cron(*/5 * * * ? *)", time(4), False),
        ("rate(1 day)", time(4), False),
    ],
)
def test_moment_must_have_settled(run: Deploy, schedule: str, at: time, *, too_soon: bool) -> None:
    """DynamoDB is 5 minutes behind: a schedule right after its moment would fail every time."""
    if too_soon:
        with pytest.raises(ConfigError, match="too soon after the moment"):
            run(schedule=schedule, at=at)
    else:
        assert run(schedule=schedule, at=at).outcome == "created"


def test_existing_bucket(cloud: FakeCloud, run: Deploy) -> None:
    """A bucket that exists is used and not created."""
    report = run(bucket="archive")
    assert report.outputs["Bucket"] == "archive"
    assert MADE_BUCKET not in cloud.objects


SETTINGS = {
    "/test/stg/infra/BACKUP_BUCKET_NAME": "archive",
    "/test/stg/infra/TABLE_NAMES": "orders,users",
    "/test/stg/infra/BACKUP_DAY_STR": "0",
    "/test/stg/infra/BACKUP_HOUR_STR": "1",
    "/test/stg/infra/BACKUP_MINUTE_STR": "0",
    "/test/stg/infra/BACKUP_SECOND_STR": "0",
}
STORED = replace(WISH, tables=(), parameter_path="/test/stg/infra", existing_parameters=True)


def test_existing_parameters_say_everything(cloud: FakeCloud, run: Deploy) -> None:
    """Tables, bucket and time zone are read from the parameters, which stay as they are."""
    cloud.settings = dict(SETTINGS)
    report = run(STORED)
    given = cloud.live["coldtable"].parameters
    assert (given["TableNames"], given["BucketName"]) == ("orders,users", "archive")
    assert (given["ManageParameters"], given["TimeZone"]) == ("false", "Asia/Tokyo")
    assert cloud.settings == SETTINGS
    assert report.outcome == "created"


def test_existing_parameters_cannot_be_contradicted(cloud: FakeCloud, run: Deploy) -> None:
    """The run reads the parameters and the role is made from the options: they must agree."""
    cloud.settings = dict(SETTINGS)
    with pytest.raises(ConfigError) as caught:
        run(STORED, tables=("orders",), bucket="other")
    assert "name the tables orders, users, and --table names orders" in caught.value.message


def test_existing_parameters_must_be_complete(cloud: FakeCloud, run: Deploy) -> None:
    """A missing parameter is named with its path before anything is deployed."""
    cloud.settings = dict(SETTINGS)
    del cloud.settings["/test/stg/infra/BACKUP_HOUR_STR"]
    with pytest.raises(ConfigError, match="/test/stg/infra/BACKUP_HOUR_STR does not exist"):
        run(STORED)


def test_parameters_of_others_are_not_taken_over(cloud: FakeCloud, run: Deploy) -> None:
    """Parameters that exist would make the stack's creation fail half-way: it is said before."""
    cloud.settings = dict(SETTINGS)
    with pytest.raises(Conflict) as caught:
        run(parameter_path="/test/stg/infra")
    assert "BACKUP_BUCKET_NAME" in caught.value.message
    assert "--existing-parameters" in caught.value.hint


def test_own_parameters_are_not_given_away(run: Deploy) -> None:
    """--existing-parameters on the stack that owns them would delete them: refused."""
    run()
    with pytest.raises(Conflict, match="it would delete them"):
        run(existing_parameters=True, tables=())


def test_guessable_code_bucket_of_somebody_else(cloud: FakeCloud, run: Deploy) -> None:
    """No code goes into a bucket of that name that another account owns."""
    cloud.foreign.add(CODE_BUCKET)
    with pytest.raises(AccessDenied):
        run()
    assert not [call for call in cloud.calls if call.startswith("put")]


def test_named_code_bucket(cloud: FakeCloud, run: Deploy) -> None:
    """--code-bucket is used as it is."""
    cloud.objects["builds"] = {}
    run(code_bucket="builds")
    assert cloud.objects["builds"] == {CODE_KEY: ZIP}
    assert CODE_BUCKET not in cloud.objects


def test_email_needs_a_click(run: Deploy) -> None:
    """SNS mails nobody who has not confirmed, which people forget: it is said."""
    assert "until" not in run(email="oncall@example.com").notes[0]
    assert "the link is clicked" in run(email="oncall@example.com").notes[0]


THEIRS = {"bucket": "theirs", "bucket_owner": "210987654321"}


def test_another_account_s_bucket_need_not_be_seen(cloud: FakeCloud, run: Deploy) -> None:
    """Its owner stands in POLICY, and the deployment goes on though nobody here may look at it: its
    policy can only name roles that exist. The report says what is to be done there."""
    cloud.foreign.add("theirs")
    report = run(**THEIRS)
    assert report.outcome == "created"
    written = json.loads(cloud.live["coldtable"].parameters["Policy"])
    assert written == {"bucket_owner": "210987654321"}
    (note,) = (note for note in report.notes if "theirs" in note)
    assert "account 210987654321" in note
    assert "coldtable policy bucket --stack-name coldtable" in note


def test_another_account_s_bucket_that_can_be_seen(cloud: FakeCloud, run: Deploy) -> None:
    """Then there is nothing to note."""
    cloud.objects["theirs"] = {}
    assert not [note for note in run(**THEIRS).notes if "theirs" in note]


def test_own_bucket_that_is_somebody_else_s(cloud: FakeCloud, run: Deploy) -> None:
    """When this very account should own it, the refusal stops the deployment."""
    cloud.foreign.add("theirs")
    with pytest.raises(AccessDenied):
        run(bucket="theirs", bucket_owner=ACCOUNT)
    assert not cloud.calls


def test_key_encrypts_the_exports_too(cloud: FakeCloud, run: Deploy) -> None:
    """--bucket-kms-key stands in POLICY: an export asks for its key, whatever the bucket does."""
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    run(bucket_key=key)
    found = cloud.live["coldtable"].parameters
    assert json.loads(found["Policy"]) == {"kms_key": key}
    assert found["BucketKmsKeyArn"] == key


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bucket": "archive", "bucket_owner": "me"}, "--bucket-owner 'me' cannot be used"),
        (
            {"bucket_owner": "210987654321", "policy": '{"bucket_owner": "123456789012"}'},
            "--bucket-owner contradicts the bucket_owner of --policy",
        ),
    ],
)
def test_wrong_owners(run: Deploy, changes: dict[str, str], said: str) -> None:
    """An owner that is none, or another than the policy's, is one problem."""
    with pytest.raises(UsageError) as caught:
        run(**changes)
    assert said in caught.value.message
