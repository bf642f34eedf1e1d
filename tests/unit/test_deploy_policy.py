"""Deploying more than a nightly snapshot: globs, tags, policies, the ticks and the heartbeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from coldtable.errors import (
    CheckFailed,
    ColdtableError,
    ConfigError,
    Conflict,
    LimitReached,
    PitrDisabled,
    UsageError,
)
from coldtable.model_stack import DeployReport, ScheduleState, Wish
from coldtable.ops.deploy import deploy
from coldtable.testing.cloud import FakeCloud, windows
from coldtable.testing.settled import ACCOUNT, MADE_BUCKET, REGION

WISH = Wish(tables=("orders",), prefix_template="{date:%Y/%m/%d}/{table}")
ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
PATH = "/coldtable/prod"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"

Deploy = Callable[..., DeployReport]


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(recovery={"orders": 35, "users": 7}, objects={"archive": {}})


@pytest.fixture
def run(cloud: FakeCloud) -> Deploy:
    def call(**changes: object) -> DeployReport:
        wish = replace(WISH, **changes)  # type: ignore[arg-type]
        return deploy(wish, windows(cloud), "the template", b"the code")

    return call


def given(cloud: FakeCloud) -> dict[str, str]:
    return dict(cloud.live["coldtable"].parameters)


def test_nightly_alone_writes_no_policy(cloud: FakeCloud, run: Deploy) -> None:
    """Without globs, tags and modes there is no POLICY; the ticks come all the same."""
    run()
    assert (given(cloud)["Policy"], given(cloud)["Tagged"]) == ("", "false")
    assert given(cloud)["PatternArns"] == ""
    assert f"{PATH}/POLICY" not in cloud.settings
    assert cloud.schedules["coldtable", "coldtable-tick"].expression == "rate(15 minutes)"


def test_names_globs_and_the_tag(cloud: FakeCloud, run: Deploy) -> None:
    """Names are TABLE_NAMES, globs and the tag are POLICY, and the roles know all of them."""
    cloud.recovery |= {"app-a": 35, "tagged": 35}
    cloud.tags = {"tagged": "continuous"}
    report = run(tables=("orders,app-*",), tagged=True, continuous=True)
    assert json.loads(cloud.settings[f"{PATH}/POLICY"]) == {
        "mode": "continuous",
        "tagged": True,
        "tables": ["app-*"],
    }
    assert cloud.settings[f"{PATH}/TABLE_NAMES"] == "orders"
    assert (given(cloud)["TableArns"], given(cloud)["PatternArns"]) == (
        f"{ARN}orders",
        f"{ARN}app-*",
    )
    assert given(cloud)["Tagged"] == "true"
    looked = [f.subject.rpartition(" ")[2] for f in report.findings if "recovery" in f.subject]
    assert looked == ["orders", "app-a", "tagged"]
    assert report.findings[-1].found == f"1 tables, app-*, what has the tag into {MADE_BUCKET}"


def test_a_policy_file(cloud: FakeCloud, run: Deploy) -> None:
    """It becomes POLICY on one line, what the options add in it; its names are the tick role's."""
    text = '{\n  "tables": ["users"],\n  "every_minutes": 15\n}\n'
    run(tables=("app-?",), policy=text, continuous=True)
    assert json.loads(cloud.settings[f"{PATH}/POLICY"]) == {
        "tables": ["users", "app-?"],
        "every_minutes": 15,
        "mode": "continuous",
    }
    assert "\n" not in cloud.settings[f"{PATH}/POLICY"]
    assert given(cloud)["PatternArns"] == f"{ARN}app-?,{ARN}users"
    assert (given(cloud)["TableNames"], given(cloud)["TableArns"]) == ("", "")


def test_tables_that_are_not_there_yet(cloud: FakeCloud, run: Deploy) -> None:
    """A glob or a tag that nothing has yet can be deployed; account and region are known anyway."""
    run(tables=("new-*",), tagged=True)
    assert given(cloud)["PatternArns"] == f"{ARN}new-*"
    assert given(cloud)["CodeBucket"] == f"coldtable-code-{ACCOUNT}-{REGION}"


def test_pitr_of_what_a_glob_means(cloud: FakeCloud, run: Deploy) -> None:
    """A table that a glob means needs PITR like any other, and --enable-pitr turns it on."""
    cloud.recovery["app-a"] = None
    with pytest.raises(PitrDisabled, match="app-a"):
        run(tables=("app-*",))
    assert run(tables=("app-*",), enable_pitr=True).pitr == ("app-a",)
    assert cloud.recovery["app-a"] == 35


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"policy": "{"}, ConfigError, "--policy: this is not JSON"),
        ({"policy": "[]"}, ConfigError, "--policy: this is not a JSON object"),
        (
            {"policy": '{"every_minutes": 5}'},
            ConfigError,
            f"{PATH}/POLICY: $.every_minutes: 5 is less than 15",
        ),
        (
            {"policy": '{"mode": "snapshot"}', "continuous": True},
            UsageError,
            "--continuous contradicts the mode of --policy",
        ),
        ({"tables": ("app_*", "b(*")}, UsageError, "'b(*' cannot be part of a table name"),
        ({"tick": "rate(1 hour)"}, UsageError, "--tick 'rate(1 hour)' cannot be used"),
        ({"tick": "rate(31 minutes)"}, UsageError, "--tick 'rate(31 minutes)'"),
        ({"tick": "cron(0 * * * ? *)"}, UsageError, "--tick 'cron(0 * * * ? *)'"),
        ({"verify_days": -1}, UsageError, "--verify-days must be 0 (never) to 3650"),
        ({"verify_days": 3651}, UsageError, "--verify-days must be 0 (never) to 3650"),
        ({"drill_days": 3651}, UsageError, "--drill-days must be 0 (never) to 3650"),
        ({"heartbeat_url": "http://x/secret"}, UsageError, "--heartbeat-url is not an address"),
        ({"tables": (), "continuous": True}, UsageError, "No table is named"),
        (
            {"policy": '{"bucket": "archive"}', "bucket": "other"},
            ConfigError,
            "POLICY has the bucket archive, and --bucket is other",
        ),
        (
            {"policy": '{"kms_key": "11111111-2222-3333-4444-555555555555"}'},
            ConfigError,
            "POLICY has a KMS key without its ARN",
        ),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_done(
    cloud: FakeCloud,
    run: Deploy,
    changes: dict[str, object],
    error: type[ColdtableError],
    words: str,
) -> None:
    """Each with its own class and words, and nothing was changed."""
    cloud.objects["other"] = {}
    with pytest.raises(error) as caught:
        run(**changes)
    assert words in caught.value.message
    assert "secret" not in caught.value.message
    assert cloud.calls == []


def test_the_policy_s_bucket_and_key_are_the_stack_s(cloud: FakeCloud, run: Deploy) -> None:
    """They are where the exports go, so the roles get them."""
    report = run(policy=json.dumps({"bucket": "archive", "kms_key": KEY}))
    assert report.outputs["Bucket"] == "archive"
    assert (given(cloud)["BucketName"], given(cloud)["BucketKmsKeyArn"]) == ("archive", KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"tagged": True},
        {"continuous": True},
        {"policy": "{}"},
        {"heartbeat_url": "https://monitor.example/x"},
        {"verify_days": 30},
        {"drill_days": 30},
        {"tables": ("app-*",)},
    ],
)
def test_existing_parameters_are_not_written(run: Deploy, changes: dict[str, object]) -> None:
    """What would be written to parameters of somebody else's is refused."""
    wish = {"tables": (), "existing_parameters": True, "parameter_path": "/x", **changes}
    with pytest.raises(ColdtableError, match="contradicts --existing-parameters"):
        run(**wish)


def test_existing_policies_make_the_roles(cloud: FakeCloud, run: Deploy) -> None:
    """With --existing-parameters the roles follow the POLICY that is there."""
    cloud.settings = {
        "/x/BACKUP_BUCKET_NAME": "archive",
        "/x/BACKUP_DAY_STR": "0",
        "/x/BACKUP_HOUR_STR": "0",
        "/x/BACKUP_MINUTE_STR": "0",
        "/x/BACKUP_SECOND_STR": "0",
        "/x/POLICY": '{"mode": "continuous", "tables": ["app-*"], "tagged": true}',
        "/x/policies/users": '{"mode": "continuous"}',
        "/x/VERIFY_DAYS": "20",
        "/x/DRILL_DAYS": "90",
    }
    before = dict(cloud.settings)
    run(tables=(), existing_parameters=True, parameter_path="/x")
    assert given(cloud)["PatternArns"] == f"{ARN}app-*,{ARN}users"
    assert (given(cloud)["Tagged"], given(cloud)["Policy"]) == ("true", "")
    assert (given(cloud)["VerifyDays"], given(cloud)["DrillDays"]) == ("20", "90")
    assert cloud.settings == before


def test_policies_written_later_make_the_roles_of_the_next_deployment(
    cloud: FakeCloud, run: Deploy
) -> None:
    """A POLICY and a table's policy that somebody has written since count, and are left alone."""
    run()
    cloud.settings[f"{PATH}/POLICY"] = '{"tables": ["app-*"]}'
    cloud.settings[f"{PATH}/policies/users"] = '{"mode": "continuous"}'
    assert run().outcome == "updated"
    assert given(cloud)["PatternArns"] == f"{ARN}app-*,{ARN}users"
    with pytest.raises(Conflict, match="POLICY exists already and is not the stack's"):
        run(continuous=True)


def test_a_policy_of_others_is_not_taken_over(cloud: FakeCloud, run: Deploy) -> None:
    """Below a path that is not the stack's, it would count without being asked."""
    cloud.settings[f"{PATH}/POLICY"] = '{"mode": "continuous"}'
    with pytest.raises(Conflict, match="POLICY exist already below"):
        run()


def test_too_many_names_for_the_policy(run: Deploy) -> None:
    """Names and globs of the policy count for the size of the role's policy, too."""
    names = [f"{n:020d}-*" for n in range(120)]
    with pytest.raises(LimitReached, match="tables are too many for one stack"):
        run(policy=json.dumps({"tables": names}))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("schedule", "schedule of the ticks: DISABLED"),
        ("alarm", "alarm coldtable-tick-absent: missing"),
        ("function", "function coldtable-tick: Active, other code"),
        ("policy", f"parameters below {PATH}"),
        ("days", f"parameters below {PATH}"),
        ("verifying", "schedule of verifying: DISABLED"),
        ("verifier", "function coldtable-verify: Active, other code"),
        ("drill days", f"parameters below {PATH}"),
        ("drilling", "schedule of drills: DISABLED"),
    ],
)
def test_what_is_off_afterwards_is_found(
    cloud: FakeCloud, run: Deploy, broken: str, words: str
) -> None:
    """A tick that is disabled, not heard of, of other code or of another policy is told."""
    run(continuous=True, verify_days=30, drill_days=30)
    match broken:
        case "schedule":
            off = ScheduleState(state="DISABLED", expression="rate(15 minutes)", timezone="UTC")
            cloud.schedules["coldtable", "coldtable-tick"] = off
        case "alarm":
            del cloud.heard["coldtable-tick-absent"]
        case "function":
            cloud.functions["coldtable-tick"] = replace(
                cloud.functions["coldtable-tick"], sha256="0"
            )
        case "policy":
            cloud.settings[f"{PATH}/POLICY"] = '{"mode": "snapshot"}'
        case "days":
            cloud.settings[f"{PATH}/VERIFY_DAYS"] = "7"
        case "verifying":
            off = ScheduleState(state="DISABLED", expression="rate(1 hour)", timezone="UTC")
            cloud.schedules["coldtable", "coldtable-verify"] = off
        case "drill days":
            del cloud.settings[f"{PATH}/DRILL_DAYS"]
        case "drilling":
            off = ScheduleState(state="DISABLED", expression="rate(1 hour)", timezone="UTC")
            cloud.schedules["coldtable", "coldtable-drill"] = off
        case _:
            there = cloud.functions["coldtable-verify"]
            cloud.functions["coldtable-verify"] = replace(there, sha256="0")
    with pytest.raises(CheckFailed) as caught:
        run(continuous=True, verify_days=30, drill_days=30)
    assert words in caught.value.message


def test_the_heartbeat_is_written(cloud: FakeCloud, run: Deploy) -> None:
    """The monitor's address is where the tick reads it."""
    run(heartbeat_url="https://monitor.example/x")
    assert cloud.settings[f"{PATH}/HEARTBEAT_URL"] == "https://monitor.example/x"


@pytest.mark.parametrize(
    ("option", "parameter", "word", "doing"),
    [
        ("verify_days", "VerifyDays", "verify", "verifying"),
        ("drill_days", "DrillDays", "drill", "drills"),
    ],
)
def test_what_runs_each_hour_is_looked_at_and_taken_away_again(
    cloud: FakeCloud, run: Deploy, option: str, parameter: str, word: str, doing: str
) -> None:
    """With --verify-days or --drill-days the function, its schedule and its alarms are looked at,
    too; without it the stack has none of them, also where it had."""
    report = run(**{option: 30})
    assert cloud.settings[f"{PATH}/{option.upper()}"] == "30"
    looked = {finding.subject for finding in report.findings}
    assert {
        f"function coldtable-{word}",
        f"schedule of {doing}",
        f"alarm coldtable-{word}-behind",
        f"alarm coldtable-{word}-errors",
    } <= looked
    assert run().outcome == "updated"
    assert given(cloud)[parameter] == "0"
    assert f"{PATH}/{option.upper()}" not in cloud.settings
