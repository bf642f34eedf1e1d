"""ImportTable: formats, counters, failures, the error log, tokens; and our own exports back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard

from coldtable.local.pitr.service import PitrSettings
from tests.unit.local_pitr.conftest import SCOPE, World

INVALID = (
    "Some of the items failed validation checks and were not imported. "
    "Please check CloudWatch error logs for more details."
)
TABLE = {
    "TableName": "fresh",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
FRESH = "arn:aws:dynamodb:eu-north-1:123456789123:table/fresh"


def request(prefix: str = "in/", **more: Any) -> dict[str, Any]:
    """An ImportTable request."""
    return {
        "S3BucketSource": {"S3Bucket": "archive", "S3KeyPrefix": prefix},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": TABLE,
        **more,
    }


def load(world: World, prefix: str = "in/", **more: Any) -> dict[str, Any]:
    """Start an import and let it end; its description."""
    started = world.ask("ImportTable", **request(prefix, **more))["ImportTableDescription"]
    assert started["ImportStatus"] == "IN_PROGRESS"
    world.loop.run_until_complete(world.settle())
    answer = world.ask("DescribeImport", ImportArn=started["ImportArn"])
    return dict(answer["ImportTableDescription"])


def lay(world: World, key: str, body: bytes) -> None:
    """Put an object into the archive bucket."""
    world.loop.run_until_complete(
        world.inner.call(SCOPE, "s3", "PUT", f"/archive/{key}", body=body)
    )


def line(pk: str, **more: Any) -> bytes:
    """One line of DynamoDB JSON."""
    return json.dumps({"Item": {"pk": {"S": pk}, **more}}).encode() + b"\n"


def stored(world: World) -> set[str]:
    """The keys in the imported table."""
    return {key[0] for key in world.inner.table(SCOPE, "fresh").items}


def counts(done: dict[str, Any]) -> tuple[int, int, int]:
    """Processed, imported, errors."""
    return done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]


@pytest.mark.parametrize(
    ("compression", "squeeze"),
    [
        ("GZIP", gzip.compress),
        ("ZSTD", zstandard.ZstdCompressor().compress),
        ("NONE", bytes),
        (None, bytes),
    ],
)
def test_each_compression(world: World, compression: str | None, squeeze: Any) -> None:
    """GZIP, ZSTD, NONE, and NONE when nothing is said."""
    lay(world, "in/1.json", squeeze(line("a") + line("b")))
    more = {"InputCompressionType": compression} if compression else {}
    done = load(world, **more)
    assert (done["ImportStatus"], counts(done)) == ("COMPLETED", (2, 2, 0))
    assert done["InputCompressionType"] == (compression or "NONE")
    assert stored(world) == {"a", "b"}


def test_description_fills_in_what_was_not_sent(world: World) -> None:
    """Owner, token, log group and compression are there; failure members are not."""
    done = load(world, "nothing/")
    assert (done["ImportStatus"], counts(done)) == ("COMPLETED", (0, 0, 0))
    assert done["S3BucketSource"]["S3BucketOwner"] == "123456789123"
    assert done["CloudWatchLogGroupArn"] == (
        "arn:aws:logs:eu-north-1:123456789123:log-group:/aws-dynamodb/imports:*"
    )
    assert done["TableCreationParameters"] == TABLE
    assert done["ClientToken"]
    assert not {"FailureCode", "InputFormatOptions"} & set(done)


def test_table_does_not_exist_until_the_objects_are_listed(world: World) -> None:
    """The ARN is promised at once, the table comes later, and never from a missing bucket."""
    world.control("exports", hold=True)
    started = world.ask("ImportTable", **request())["ImportTableDescription"]
    assert started["TableArn"] == FRESH
    assert (SCOPE, "fresh") not in world.inner.tables
    world.inner.buckets.clear()
    world.control("exports", release=True)
    world.loop.run_until_complete(world.settle())
    done = world.ask("DescribeImport", ImportArn=started["ImportArn"])["ImportTableDescription"]
    assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert (SCOPE, "fresh") not in world.inner.tables


def test_item_without_its_key_fails_the_import_and_loads_the_rest(world: World) -> None:
    """9 of 10 are there, the log names the tenth by object and index."""
    body = b"".join(line(f"p{n}") for n in range(9)) + b'{"Item":{"other":{"S":"x"}}}\n'
    lay(world, "in/1.json", body)
    done = load(world)
    assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "ItemValidationError")
    assert done["FailureMessage"] == INVALID
    assert counts(done) == (10, 9, 1)
    assert len(stored(world)) == 9
    put = world.inner.logs[-1]
    assert put["operation"] == "PutLogEvents"
    assert put["logGroupName"] == "/aws-dynamodb/imports"
    assert put["logStreamName"] == done["ImportArn"].rsplit("/", 1)[1] + "/error"
    assert json.loads(put["logEvents"][0]["message"]) == {
        "itemS3Pointer": {"bucket": "archive", "key": "in/1.json", "itemIndex": 9},
        "importArn": done["ImportArn"],
        "errorMessages": [
            "One or more parameter values were invalid: Missing the key pk in the item"
        ],
    }


def test_line_that_cannot_be_parsed_ends_its_object(world: World) -> None:
    """10 lines, the sixth is garbage: processed 6, imported 5, errors 1 [QUIRKS]."""
    good = [line(f"p{n}") for n in range(9)]
    lay(world, "in/1.json", b"".join([*good[:5], b"garbage\n", *good[5:]]))
    assert counts(load(world)) == (6, 5, 1)
    assert len(stored(world)) == 5


def test_prefix_is_a_raw_string(world: World) -> None:
    """`data` also takes `data2/…` and `data.bak`; a single key is a prefix too."""
    lay(world, "data/1.json", line("a"))
    lay(world, "data2/x.json", b"garbage")
    lay(world, "data.bak", b"garbage")
    assert counts(load(world, "data")) == (3, 1, 2)
    world.inner.drop(SCOPE, "fresh")
    assert counts(load(world, "data/1.json")) == (1, 1, 0)


def test_duplicate_keys_are_not_counted(world: World) -> None:
    """Both count as imported, one is there."""
    lay(world, "in/1.json", line("a", v={"N": "1"}) + line("a", v={"N": "2"}) + line("b"))
    assert counts(load(world)) == (3, 3, 0)
    assert stored(world) == {"a", "b"}


@pytest.mark.parametrize(
    ("folder", "compression", "expected"),
    [
        ("data/", "GZIP", ("COMPLETED", (3, 3, 0))),
        ("", "GZIP", ("FAILED", (7, 3, 4))),
        ("data/", "NONE", ("FAILED", (4, 0, 4))),
    ],
)
def test_our_own_export_comes_back_as_aws_s_does(
    world: World, folder: str, compression: str, expected: Any
) -> None:
    """data/ with GZIP completes; the root parses manifests as items; NONE reads nothing."""
    world.enable()
    for pk in "abc":
        world.put(pk, "1")
    root = world.export()["ExportManifest"].removesuffix("manifest-summary.json")
    parameters = {
        **TABLE,
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    }
    done = load(
        world,
        root + folder,
        InputCompressionType=compression,
        TableCreationParameters=parameters,
    )
    assert (done["ImportStatus"], counts(done)) == expected


def test_ion_export_comes_back_with_every_type(world: World) -> None:
    """Text Ion in, the same items out."""
    world.enable()
    extra = {
        "n": {"N": "-12.5"},
        "long": {"N": "12345678901234567890123456789012345678"},
        "b": {"B": "AAH/"},
        "ss": {"SS": ["x", "y"]},
        "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}]}}},
    }
    world.put("a", "1", **extra)
    done = world.export(ExportFormat="ION")
    root = done["ExportManifest"].removesuffix("manifest-summary.json")
    loaded = load(world, root + "data/", InputFormat="ION", InputCompressionType="GZIP")
    assert counts(loaded) == (1, 1, 0)
    (item,) = world.inner.table(SCOPE, "fresh").items.values()
    assert item == {"pk": {"S": "a"}, "sk": {"S": "1"}, **extra}


def test_csv_takes_types_from_the_keys(world: World) -> None:
    """Everything is a string but declared attributes; delimiter and header as told."""
    lay(world, "in/1.csv", b"pk,val\na,1\nb,\n")
    done = load(world, InputFormat="CSV")
    assert counts(done) == (2, 2, 0)
    assert "InputFormatOptions" not in done
    items = world.inner.table(SCOPE, "fresh").items
    assert items[("a",)] == {"pk": {"S": "a"}, "val": {"S": "1"}}
    assert items[("b",)] == {"pk": {"S": "b"}}
    world.inner.drop(SCOPE, "fresh")
    lay(world, "semi/1.csv", b"c;3\n")
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["pk", "val"]}}
    done = load(world, "semi/", InputFormat="CSV", InputFormatOptions=options)
    assert (counts(done), done["InputFormatOptions"]) == ((1, 1, 0), options)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"InputCompressionType": "BZIP2"},
            "1 validation error detected: Value 'BZIP2' at 'inputCompressionType' failed to "
            "satisfy constraint: Member must satisfy enum value set: [ZSTD, NONE, GZIP]",
        ),
        (
            {"InputFormatOptions": {"Csv": {"Delimiter": ";"}}},
            "Invalid Request: Unsupported InputFormatOptions for the given input format: "
            "DYNAMODB_JSON.",
        ),
        (
            {"TableCreationParameters": {**TABLE, "BillingMode": "PROVISIONED"}},
            "One or more parameter values were invalid: ReadCapacityUnits and "
            "WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
    ],
)
def test_wrong_requests(world: World, change: dict[str, Any], text: str) -> None:
    """The words of AWS."""
    assert world.refused("ImportTable", **request(**change)) == ("ValidationException", text)


def test_taken_name_is_refused_at_once_or_in_the_end(world: World) -> None:
    """An existing table at once; of two imports for one name the second fails [QUIRKS]."""
    world.control("exports", hold=True)
    first = world.ask("ImportTable", **request())["ImportTableDescription"]["ImportArn"]
    second = world.ask("ImportTable", **request())["ImportTableDescription"]["ImportArn"]
    assert first != second
    world.control("exports", release=True)
    world.loop.run_until_complete(world.settle())
    ends = [
        world.ask("DescribeImport", ImportArn=arn)["ImportTableDescription"].get("FailureCode")
        for arn in (first, second)
    ]
    assert sorted(ends, key=str) == [None, "TableAlreadyExists"]
    assert world.refused("ImportTable", **request()) == (
        "ResourceInUseException",
        "Table already exists: fresh",
    )


def test_token_rules(world: World) -> None:
    """Replay while it runs; another prefix is ignored, another name conflicts; after COMPLETED
    the table is in the way; after its deletion the old import comes back.
    """
    world.control("exports", hold=True)
    first = world.ask("ImportTable", **request(ClientToken="t"))["ImportTableDescription"]
    again = world.ask("ImportTable", **request("other/", ClientToken="t"))
    assert again["ImportTableDescription"] == first
    renamed = {**TABLE, "TableName": "other"}
    assert world.refused(
        "ImportTable", **request(ClientToken="t", TableCreationParameters=renamed)
    ) == (
        "ImportConflictException",
        "Import conflict: Duplicate request detected with conflicting parameters",
    )
    world.control("exports", release=True)
    world.loop.run_until_complete(world.settle())
    assert world.refused("ImportTable", **request(ClientToken="t"))[0] == "ResourceInUseException"
    world.inner.drop(SCOPE, "fresh")
    replay = world.ask("ImportTable", **request(ClientToken="t"))["ImportTableDescription"]
    assert (replay["ImportArn"], replay["ImportStatus"]) == (first["ImportArn"], "COMPLETED")


def test_records_outlive_the_table(world: World) -> None:
    """ListImports by the deleted table's ARN still shows the import."""
    done = load(world)
    world.inner.drop(SCOPE, "fresh")
    listed = world.ask("ListImports", TableArn=FRESH)
    assert [one["ImportArn"] for one in listed["ImportSummaryList"]] == [done["ImportArn"]]
    assert world.ask("ListImports", TableArn=FRESH + "x")["ImportSummaryList"] == []


def test_describe_taxonomy(world: World) -> None:
    """Not found, malformed, foreign."""
    missing = f"{FRESH}/import/01768385930622-efd1a093"
    assert world.refused("DescribeImport", ImportArn=missing)[0] == "ImportNotFoundException"
    assert world.refused("DescribeImport", ImportArn=FRESH) == (
        "ValidationException",
        "Invalid Import ARN",
    )
    foreign = missing.replace("123456789123", "9" * 12)
    assert world.refused("DescribeImport", ImportArn=foreign)[0] == "AccessDeniedException"


@pytest.fixture
def tight() -> Iterator[World]:
    """A world in which an import takes two objects at most."""
    made = World(PitrSettings(export_seconds=0.0, max_import_objects=2))
    yield made
    made.loop.run_until_complete(made.service.aclose())
    made.loop.close()


def test_too_many_objects_fail_the_import(tight: World) -> None:
    """50,000 on AWS, two here."""
    for number in range(3):
        lay(tight, f"in/{number}", line("a"))
    done = load(tight)
    assert done["ImportStatus"] == "FAILED"
    assert "greater than 2" in done["FailureMessage"]
