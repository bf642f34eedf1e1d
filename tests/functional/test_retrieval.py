"""Archives that S3 has put into its archive classes: told before anything is read, asked for, and
restored once the copies are there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws

from .conftest import Coldtable, client
from .exporter import Account, values
from .test_materialize import Chained
from .test_restore import Archived
from .users import allow, operator

HOUR = timedelta(hours=1)


def freeze(here: Account, storage: str, *parts: str) -> list[str]:
    """Put the objects whose key has all these parts into a storage class; their keys."""
    listed = here.s3.list_objects_v2(Bucket=here.bucket)["Contents"]
    keys = [one["Key"] for one in listed if all(part in one["Key"] for part in parts)]
    for key in keys:
        here.s3.copy_object(
            Bucket=here.bucket,
            Key=key,
            CopySource={"Bucket": here.bucket, "Key": key},
            StorageClass=storage,
        )
    return keys


@pytest.fixture
def archived(aws: EmbeddedAws, account: str) -> Archived:
    return Archived(aws, account)


def test_a_restore_from_deep_archive(
    archived: Archived, aws: EmbeddedAws, coldtable: Coldtable
) -> None:
    """The plan says what the retrieval costs and how long it takes, and refuses; with --retrieve
    it shows it and with --yes asks for it; before its time the same command says when to come
    again, and after it restores. Whoever runs it needs s3:RestoreObject only to ask."""
    keys = freeze(archived, "DEEP_ARCHIVE", "/data/")
    words = [*archived.words, "--compare", "full"]
    refused = coldtable(*words, "--yes")
    assert refused.code == 13
    assert f"S3 has archived {len(keys)} of the data files that must be read" in refused.err
    assert f"DEEP_ARCHIVE: {len(keys)} objects" in refused.err
    assert "--retrieve bulk: up to 48 hours, less than 0.01 USD" in refused.err
    assert "--retrieve standard: up to 12 hours" in refused.err
    assert "--retrieve expedited" not in refused.err
    shown = coldtable(*words, "--retrieve", "standard", "--output", "json")
    assert (shown.code, shown.json["retrieval"]["seconds"]) == (0, 12 * 3600)
    assert copies(archived, keys) == {None}
    # Nothing was written: no checkpoint, no note, no table.
    assert not [k for k in listing(archived) if k.startswith("coldtable/")]
    asked = coldtable(*words, "--retrieve", "standard", "--yes")
    assert asked.code == 13
    assert "not yet ready, ready about 20" in asked.err
    assert copies(archived, keys) == {'ongoing-request="true"'}
    again = coldtable(*words, "--yes")
    assert again.code == 13
    assert "not yet ready, ready about 20" in again.err
    aws.advance(13 * HOUR)
    done = coldtable(*words, "--yes", "--output", "json")
    assert done.code == 0, done.err
    assert values(archived.scan("copy")) == archived.expected
    assert done.json["copies"] == len(keys)
    assert done.json["copiesUntil"]


def listing(here: Account) -> list[str]:
    return [one["Key"] for one in here.s3.list_objects_v2(Bucket=here.bucket)["Contents"]]


def copies(here: Account, keys: list[str]) -> set[Any]:
    """The restore states of the objects, by HeadObject."""
    return {here.s3.head_object(Bucket=here.bucket, Key=key).get("Restore") for key in keys}


def test_only_what_is_needed(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """A chain whose base and first window are archived, lists of files and all: materialize asks
    for what it reads and for nothing else, the lists first, and then makes what was recorded."""
    chained = Chained(aws, account)
    _, second, _ = chained.recorded
    summaries = sorted(k for k in listing(chained) if k.endswith("manifest-summary.json"))
    folders = [key.rpartition("/")[0] for key in summaries]
    lists = freeze(chained, "GLACIER", folders[0], "/manifest-files.")
    lists += freeze(chained, "GLACIER", folders[1], "/manifest-files.")
    base = freeze(chained, "GLACIER", f"{folders[0]}/data/")
    windows = freeze(chained, "GLACIER", "AWSDynamoDB/data/")
    words = [*chained.words(second, f"s3://{chained.bucket}/folded"), "--retrieve", "bulk", "--yes"]
    asked = coldtable(*words)
    assert asked.code == 13
    assert "What else is needed is only known once they can be read" in asked.err
    assert copies(chained, [*lists, *base]) == {'ongoing-request="true"'}
    assert copies(chained, windows) == {None}
    aws.advance(13 * HOUR)
    asked = coldtable(*words)
    assert (asked.code, "data files" in asked.err) == (13, True)
    needed = [key for key in windows if copies(chained, [key]) != {None}]
    of_first = chained.s3.get_object(Bucket=chained.bucket, Key=f"{folders[1]}/manifest-files.json")
    text = of_first["Body"].read().decode()
    assert needed == [key for key in windows if key in text]
    assert len(needed) < len(windows)
    aws.advance(13 * HOUR)
    done = coldtable(*words)
    assert done.code == 0, done.err
    assert done.json["itemCount"] == len(chained.recorded[second])
    # What is made stays made when the copies have gone.
    aws.advance(9 * 24 * HOUR, fire=False)
    again = coldtable(*words)
    assert (again.code, again.json["new"]) == (0, False), again.err


def test_what_is_archived_is_not_damaged(archived: Archived, coldtable: Coldtable) -> None:
    """verify says unknown and why of what S3 has archived, at the level that reads; a listing is
    enough for the level manifest."""
    key = freeze(archived, "DEEP_ARCHIVE", "/data/")[0]
    words = ["verify", "--archive", f"s3://{archived.bucket}", "--output", "json"]
    assert coldtable(*words, "--level", "manifest").code == 0
    read = coldtable(*words)
    assert read.code == 3
    assert "--retrieve" in read.err
    (export,) = read.json["exports"]
    assert export["verdict"] == "unknown"
    assert (export["objectsRead"], export["objects"]) == (0, 4)
    problem = next(p for p in export["problems"] if p["object"].endswith(key))
    assert problem["reason"] == "it is archived in DEEP_ARCHIVE: not read"
    # A manifest that is archived cannot even say what it is of.
    freeze(archived, "GLACIER", "manifest-summary.json")
    read = coldtable(*words)
    assert (read.code, read.json["exports"][0]["verdict"]) == (3, "unknown")
    refused = coldtable(*archived.words)
    assert refused.code == 13
    assert "S3 has archived 1 of the manifests that must be read" in refused.err


def test_the_right_to_ask(archived: Archived, coldtable: Coldtable) -> None:
    """Asking takes s3:RestoreObject, and s3:PutObject to note it; the error names what is missing,
    and with both it goes."""
    keys = freeze(archived, "GLACIER", "/data/")
    iam = client_of(archived, "iam")
    plans = ("s3:ListBucket", "s3:GetObject", "dynamodb:DescribeTable")
    user = operator(iam, *plans)
    words = [*archived.words, "--retrieve", "bulk", "--yes"]
    refused = coldtable(*words, key=user.key, secret=user.secret)
    assert (refused.code, "s3:RestoreObject" in refused.err) == (11, True)
    allow(iam, *plans, "s3:RestoreObject", "s3:PutObject")
    asked = coldtable(*words, key=user.key, secret=user.secret)
    assert (asked.code, "could not be noted" in asked.err) == (13, False)
    assert copies(archived, keys) == {'ongoing-request="true"'}


def test_a_lifecycle_rule_moves_and_a_copy_goes(aws: EmbeddedAws, account: str) -> None:
    """The embedded AWS carries transitions out when its clock moves, small objects excepted; a copy
    is there after its hours and gone after its days."""
    s3, bucket = client_of(Account(aws, account), "s3"), f"archive-{account}"
    for key, size in (("20/large", 200_000), ("20/small", 1000), ("other", 200_000)):
        s3.put_object(Bucket=bucket, Key=key, Body=bytes(size))
    moves = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 60, "StorageClass": "GLACIER"}]
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "20"}, "Transitions": moves}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})

    def classes() -> list[str]:
        listed = s3.list_objects_v2(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])
        return [one["StorageClass"] for one in listed["Contents"]]

    assert classes() == ["STANDARD", "STANDARD", "STANDARD"]
    aws.advance(31 * 24 * HOUR, fire=False)
    assert classes() == ["STANDARD_IA", "STANDARD", "STANDARD"]
    aws.advance(31 * 24 * HOUR, fire=False)
    assert classes() == ["GLACIER", "STANDARD", "STANDARD"]
    s3.restore_object(
        Bucket=bucket,
        Key="20/large",
        RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Expedited"}},
    )
    with pytest.raises(ClientError, match="InvalidObjectState"):
        s3.get_object(Bucket=bucket, Key="20/large")
    aws.advance(301, fire=False)
    assert s3.get_object(Bucket=bucket, Key="20/large")["ContentLength"] == 200_000
    aws.advance(3 * 24 * HOUR, fire=False)
    with pytest.raises(ClientError, match="InvalidObjectState"):
        s3.get_object(Bucket=bucket, Key="20/large")


def client_of(here: Account, service: str) -> Any:
    return client(here.aws, service, here.number, "test")
