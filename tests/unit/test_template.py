"""The CloudFormation templates: lint, limits, and what outlives the stack."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from coldtable.cli.deploy import template as template_text
from coldtable.core.settings import parse_path
from coldtable.ops import options
from tests.unit.rendering import REGION, Rendered, statements


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


@pytest.mark.parametrize(
    ("parameter", "pattern"),
    [
        ("BucketName", options.BUCKET),
        ("BucketKmsKeyArn", options.KMS_KEY),
        ("ParameterKmsKeyArn", options.KMS_KEY),
        ("AlarmEmail", options.EMAIL),
        ("HeartbeatUrl", options.HEARTBEAT),
    ],
)
def test_preflight_refuses_what_the_template_would(parameter: str, pattern: str) -> None:
    """The patterns that are checked before anything is done are those of the template."""
    declared = Rendered().body["Parameters"][parameter]["AllowedPattern"]
    assert declared == f"^$|^{pattern}$"


def test_ticks_are_those_of_the_template() -> None:
    """How often a tick may come is the same for both, too."""
    assert Rendered().body["Parameters"]["TickExpression"]["AllowedPattern"] == (
        f"^{options.TICK}$"
    )


def test_log_days_are_those_of_the_template() -> None:
    """The retention periods that are checked first are those that the template takes."""
    declared = Rendered().body["Parameters"]["LogRetentionDays"]["AllowedValues"]
    assert tuple(declared) == options.LOG_DAYS


def test_longest_path_is_a_path_for_the_template_too() -> None:
    """What the function takes as a parameter path, the template's pattern takes."""
    pattern = Rendered().body["Parameters"]["ParameterPath"]["AllowedPattern"]
    for path in ("/coldtable/prod", "/test/stg/infra", "/a" * 14):
        assert parse_path(path) == path
        assert re.fullmatch(pattern, path)
