"""Deploying and destroying over real HTTP, by the command line."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Boto, Coldtable, NewTable

pytestmark = pytest.mark.functional


def stacks(boto: Boto) -> list[str]:
    found = boto("cloudformation").describe_stacks()["Stacks"]
    return [s["StackName"] for s in found if s["StackStatus"] != "DELETE_COMPLETE"]


def buckets(boto: Boto) -> list[str]:
    return [b["Name"] for b in boto("s3").list_buckets()["Buckets"]]


def settings(boto: Boto, path: str = "/coldtable/prod") -> dict[str, str]:
    pages = boto("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    return {p["Name"]: p["Value"] for page in pages for p in page["Parameters"]}


def test_deploy_from_zero(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """One command makes all that the schedule needs, and each part is as it was asked for."""
    name = new_table()
    answer = coldtable(
        "--output",
        "json",
        "deploy",
        *("--table", name, "--timezone", "Europe/Berlin", "--at", "03:30", "--day", "15"),
        *("--schedule", "cron(0 4 * * ? *)", "--email", "oncall@example.com"),
    )
    assert answer.code == 0, answer.err
    report = answer.json
    assert (report["schema"], report["outcome"]) == ("coldtable.deploy/1", "created")
    assert all(check["ok"] for check in report["checks"])
    assert "CREATE_COMPLETE      Schedule (AWS::Scheduler::Schedule)" in answer.err

    bucket = report["outputs"]["Bucket"]
    assert settings(boto) == {
        "/coldtable/prod/BACKUP_BUCKET_NAME": bucket,
        "/coldtable/prod/BACKUP_DAY_STR": "15",
        "/coldtable/prod/BACKUP_HOUR_STR": "3",
        "/coldtable/prod/BACKUP_MINUTE_STR": "30",
        "/coldtable/prod/BACKUP_SECOND_STR": "0",
        "/coldtable/prod/S3_PREFIX_TEMPLATE": "{date:%Y/%m/%d}/{table}",
        "/coldtable/prod/TABLE_NAMES": name,
        "/coldtable/prod/TIMEZONE": "Europe/Berlin",
    }
    schedule = boto("scheduler").get_schedule(GroupName="coldtable", Name="coldtable-export")
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["State"] == "ENABLED"
    function = boto("lambda").get_function_configuration(FunctionName="coldtable-export")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    retries = boto("lambda").get_function_event_invoke_config(
        FunctionName="coldtable-export", Qualifier="$LATEST"
    )
    assert retries["MaximumRetryAttempts"] == 2
    topic = boto("sns").list_subscriptions_by_topic(TopicArn=report["outputs"]["TopicArn"])
    assert [s["Endpoint"] for s in topic["Subscriptions"]] == ["oncall@example.com"]


def test_archive_bucket_is_protected(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """The bucket that S3 shows is private, versioned, encrypted, owned and TLS only."""
    bucket = coldtable("--output", "json", "deploy", "--table", new_table()).json["outputs"][
        "Bucket"
    ]
    s3 = boto("s3")
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    owned = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_second_deployment_changes_nothing(
    coldtable: Coldtable, new_table: NewTable, boto: Boto
) -> None:
    """The same command again finds nothing to change, says so, and checks again."""
    name = new_table()
    first = coldtable("--output", "json", "deploy", "--table", name)
    before = boto("cloudformation").describe_stack_events(StackName="coldtable")["StackEvents"]
    second = coldtable("--output", "json", "deploy", "--table", name)
    after = boto("cloudformation").describe_stack_events(StackName="coldtable")["StackEvents"]
    assert (first.json["outcome"], second.json["outcome"]) == ("created", "unchanged")
    assert second.json["outputs"] == first.json["outputs"]
    assert len(second.json["checks"]) == len(first.json["checks"])
    assert len(after) == len(before)
    sets = boto("cloudformation").list_change_sets(StackName="coldtable")["Summaries"]
    assert [found for found in sets if found["Status"] == "FAILED"] == []


def test_change_is_shown_and_then_made(
    coldtable: Coldtable, new_table: NewTable, boto: Boto
) -> None:
    """A dry run of another time zone names the two resources; the deployment changes them."""
    name = new_table()
    assert coldtable("deploy", "--table", name).code == 0
    wanted = ("deploy", "--table", name, "--timezone", "Asia/Tokyo")
    rehearsed = coldtable("--output", "json", *wanted, "--dry-run")
    assert {"Schedule", "TimeZoneParameter"} <= {c["resource"] for c in rehearsed.json["changes"]}
    assert settings(boto)["/coldtable/prod/TIMEZONE"] == "UTC"
    done = coldtable("--output", "json", *wanted)
    assert done.json["outcome"] == "updated"
    assert settings(boto)["/coldtable/prod/TIMEZONE"] == "Asia/Tokyo"


def test_dry_run_leaves_nothing(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """A dry run prints the change set; after it no stack and no bucket is there, and PITR off."""
    name = new_table(pitr=False)
    answer = coldtable("deploy", "--table", name, "--enable-pitr", "--dry-run")
    assert answer.code == 0, answer.err
    assert re.search(r"Add +ExportFunction +AWS::Lambda::Function", answer.out)
    assert f"point-in-time recovery of {name}" in answer.out
    # Nobody asked for mails.
    assert "AlarmSubscription" not in answer.out
    assert stacks(boto) == []
    assert buckets(boto) == []
    found = boto("dynamodb").describe_continuous_backups(TableName=name)
    pitr = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert pitr["PointInTimeRecoveryStatus"] == "DISABLED"


def test_problems_are_told_at_once(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """A missing table, PITR off and a missing bucket: one error, three lines, nothing changed."""
    name = new_table(pitr=False)
    answer = coldtable(
        "deploy", "--table", name, "--table", "missing", "--bucket", "no-such-bucket-x"
    )
    assert answer.code == 10
    assert "3 things are in the way, and nothing was changed" in answer.err
    assert "The table does not exist (table missing)" in answer.err
    assert f"Point-in-time recovery is off for table {name}" in answer.err
    assert "The bucket no-such-bucket-x does not exist" in answer.err
    assert "Add --enable-pitr" in answer.err
    assert answer.out == ""
    assert stacks(boto) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--table", "missing"), 12, "The table does not exist"),
        (("--table", "PITR-OFF"), 10, "Point-in-time recovery is off"),
        (
            ("--table", "GOOD", "--bucket", "no-such-bucket-x"),
            12,
            "no-such-bucket-x does not exist",
        ),
        ((), 2, "No table is named"),
    ],
)
def test_each_problem_has_its_exit_code(
    coldtable: Coldtable, new_table: NewTable, words: tuple[str, ...], code: int, said: str
) -> None:
    """One problem alone ends with the exit code of its kind."""
    real = {"PITR-OFF": lambda: new_table(pitr=False), "GOOD": new_table}
    answer = coldtable("deploy", *(real[w]() if w in real else w for w in words))
    assert (answer.code, said in answer.err) == (code, True), answer.err


def test_enable_pitr(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """--enable-pitr turns point-in-time recovery on, for as many days as asked."""
    name = new_table(pitr=False)
    answer = coldtable("deploy", "--table", name, "--enable-pitr", "--recovery-days", "9")
    assert answer.code == 0, answer.err
    found = boto("dynamodb").describe_continuous_backups(TableName=name)
    pitr = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert (pitr["PointInTimeRecoveryStatus"], pitr["RecoveryPeriodInDays"]) == ("ENABLED", 9)


def test_existing_bucket_and_parameters(
    coldtable: Coldtable, new_table: NewTable, boto: Boto
) -> None:
    """With --existing-parameters the tables, bucket and zone are those that are there already."""
    name = new_table()
    boto("s3").create_bucket(Bucket=f"archive-{name}")
    path = "/test/stg/infra"
    given = {
        "BACKUP_BUCKET_NAME": f"archive-{name}",
        "BACKUP_DAY_STR": "0",
        "BACKUP_HOUR_STR": "1",
        "BACKUP_MINUTE_STR": "0",
        "BACKUP_SECOND_STR": "0",
        "TEST_TABLE_NAME": name,
    }
    for key, value in given.items():
        boto("ssm").put_parameter(Name=f"{path}/{key}", Value=value, Type="String")
    answer = coldtable(
        "--output", "json", "deploy", "--existing-parameters", "--parameter-path", path
    )
    assert answer.code == 0, answer.err
    assert answer.json["outputs"]["Bucket"] == f"archive-{name}"
    assert settings(boto, path) == {f"{path}/{k}": v for k, v in given.items()}
    schedule = boto("scheduler").get_schedule(GroupName="coldtable", Name="coldtable-export")
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"


def test_destroy_keeps_the_archive(coldtable: Coldtable, new_table: NewTable, boto: Boto) -> None:
    """Without --yes nothing happens; with it all is gone but the bucket, which serves again."""
    name = new_table()
    bucket = coldtable("--output", "json", "deploy", "--table", name).json["outputs"]["Bucket"]
    boto("s3").put_object(Bucket=bucket, Key="kept", Body=b"")

    plan = coldtable("destroy")
    assert plan.code == 0
    assert re.search(r"would go +ExportFunction", plan.out)
    assert re.search(rf"stays +archive +AWS::S3::Bucket +{bucket}", plan.out)
    assert "add --yes" in plan.err
    assert stacks(boto) == ["coldtable"]

    done = coldtable("destroy", "--yes")
    assert done.code == 0, done.err
    assert stacks(boto) == []
    assert settings(boto) == {}
    assert buckets(boto) == [bucket]
    assert f"coldtable deploy --bucket {bucket}" in done.out

    again = coldtable("--output", "json", "deploy", "--table", name, "--bucket", bucket)
    assert again.json["outputs"]["Bucket"] == bucket
    assert [o["Key"] for o in boto("s3").list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


def test_destroy_nothing(coldtable: Coldtable) -> None:
    """Destroying what is not there is an error of its own kind."""
    answer = coldtable("destroy", "--yes")
    assert (answer.code, "There is no stack coldtable" in answer.err) == (12, True)
