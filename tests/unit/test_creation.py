"""From a definition to requests: the table comes back as it was, and AWS takes what we send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from coldtable.core.creation import (
    afterwards,
    creation,
    global_indexes,
    import_parameters,
    local_indexes,
    losses,
)
from coldtable.core.definition import definition_of_key, parse_definition, parse_key
from coldtable.errors import DamagedError, UsageError
from coldtable.model_restore import Definition, Parts

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"
KMS = "arn:aws:kms:us-east-1:123456789012:key/1"
NOTHING = Parts(indexes=False, ttl=False, tags=False, streams=False, pitr=False)


def record(**table: Any) -> dict[str, Any]:
    """A definition's record, as the catalog keeps it, with everything a table can have."""
    described = {
        "AttributeDefinitions": [
            {"AttributeName": "by", "AttributeType": "S"},
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "when", "AttributeType": "N"},
        ],
        "TableName": "orders",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "TableStatus": "ACTIVE",
        "CreationDateTime": "2026-01-14T10:00:00+00:00",
        "ProvisionedThroughput": {
            "NumberOfDecreasesToday": 0,
            "ReadCapacityUnits": 5,
            "WriteCapacityUnits": 7,
        },
        "TableArn": ARN,
        "TableId": "1",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-who",
                "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
                "IndexStatus": "ACTIVE",
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
                "IndexSizeBytes": 12,
                "ItemCount": 1,
                "IndexArn": f"{ARN}/index/by-who",
            }
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "by-when",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "when", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL", "NonKeyAttributes": []},
                "IndexArn": f"{ARN}/index/by-when",
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "LatestStreamLabel": "x",
        "SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KMS},
        "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        "DeletionProtectionEnabled": True,
        "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000},
    }
    return {
        "table": {**described, **table},
        "ttl": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"},
        "tags": [{"Key": "team", "Value": "a"}, {"Key": "aws:cloudformation:x", "Value": "b"}],
        "pitr": {"enabled": True, "recovery_days": 7},
    }


def defined(**table: Any) -> Definition:
    # As it comes out of a record: through JSON.
    return parse_definition("record", json.loads(json.dumps(record(**table))))


def checked(operation: str, body: Any) -> Any:
    """The body, which AWS's own model finds nothing wrong with."""
    model = Session().get_service_model("dynamodb").operation_model(operation)
    assert model.input_shape is not None
    report = ParamValidator().validate(dict(body), model.input_shape)
    assert not report.has_errors(), report.generate_report()
    return body


def test_a_table_is_created_as_it_was() -> None:
    """Keys, both kinds of indexes, capacity, encryption and class, and nothing else."""
    made = checked("CreateTable", creation(defined(), "copy", Parts()))
    assert made == {
        "TableName": "copy",
        "KeySchema": record()["table"]["KeySchema"],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-who",
                "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
            }
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "by-when",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "when", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KMS},
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "by", "AttributeType": "S"},
            {"AttributeName": "when", "AttributeType": "N"},
        ],
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
    }


def test_an_import_takes_no_local_index_and_no_class() -> None:
    """TableCreationParameters has neither [MODEL]; the class is asked for afterwards."""
    made = import_parameters(defined(), "copy", Parts())
    source = {"S3Bucket": "b"}
    checked(
        "ImportTable",
        {"S3BucketSource": source, "InputFormat": "ION", "TableCreationParameters": made},
    )
    assert "TableClass" not in made
    assert "when" not in {a["AttributeName"] for a in _attributes_of_indexes(made)}
    after = afterwards(defined(), "copy", ARN, Parts(), imported=True)
    assert after[0].body["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert local_indexes(defined()) == ("by-when",)
    assert global_indexes(defined()) == ("by-who",)


def _attributes_of_indexes(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [k for index in made["GlobalSecondaryIndexes"] for k in index["KeySchema"]]


def test_attributes_are_defined_only_where_a_key_uses_them() -> None:
    """Without its indexes a table defines its own key's attributes: AWS refuses spare ones."""
    made = checked("CreateTable", creation(defined(), "copy", NOTHING))
    assert [a["AttributeName"] for a in made["AttributeDefinitions"]] == ["pk", "sk"]
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & made.keys()


def test_the_rest_comes_when_the_items_are_there() -> None:
    """Tags without AWS's own, TTL, stream, PITR, and last what keeps the table from deletion."""
    after = afterwards(defined(), "copy", ARN, Parts())
    for request in after:
        checked(request.operation, request.body)
    assert [(r.operation, r.body) for r in after] == [
        ("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": "team", "Value": "a"}]}),
        (
            "UpdateTimeToLive",
            {
                "TableName": "copy",
                "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"},
            },
        ),
        (
            "UpdateTable",
            {
                "TableName": "copy",
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            },
        ),
        (
            "UpdateContinuousBackups",
            {
                "TableName": "copy",
                "PointInTimeRecoverySpecification": {
                    "PointInTimeRecoveryEnabled": True,
                    "RecoveryPeriodInDays": 7,
                },
            },
        ),
        ("UpdateTable", {"TableName": "copy", "DeletionProtectionEnabled": True}),
    ]


@pytest.mark.parametrize(
    ("part", "operation"),
    [
        ("ttl", "UpdateTimeToLive"),
        ("tags", "TagResource"),
        ("pitr", "UpdateContinuousBackups"),
    ],
)
def test_each_part_can_be_left_out(part: str, operation: str) -> None:
    """--without-… leaves out that part and no other."""
    every = afterwards(defined(), "copy", ARN, Parts())
    left = afterwards(defined(), "copy", ARN, Parts(**{part: False}))
    assert [r for r in every if r not in left] == [r for r in every if r.operation == operation]


def test_streams_can_be_left_out() -> None:
    """Without streams no stream is asked for."""
    left = afterwards(defined(), "copy", ARN, Parts(streams=False))
    assert not any("StreamSpecification" in r.body for r in left)


def test_what_was_off_stays_off() -> None:
    """A plain table asks for nothing afterwards."""
    plain = record(StreamSpecification=None, DeletionProtectionEnabled=False, SSEDescription=None)
    plain |= {"ttl": {"TimeToLiveStatus": "DISABLED"}, "tags": [], "pitr": {"enabled": False}}
    found = parse_definition("record", plain)
    assert afterwards(found, "copy", ARN, Parts()) == ()
    assert "SSESpecification" not in creation(found, "copy", Parts())


def test_on_demand_keeps_its_limits() -> None:
    """On demand there are no capacities, and -1 is no limit [MODEL]."""
    found = defined(
        BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"},
        ProvisionedThroughput={"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 500},
    )
    made = checked("CreateTable", creation(found, "copy", Parts()))
    assert made["BillingMode"] == "PAY_PER_REQUEST"
    assert made["OnDemandThroughput"] == {"MaxWriteRequestUnits": 500}
    assert "ProvisionedThroughput" not in made
    assert "ProvisionedThroughput" not in made["GlobalSecondaryIndexes"][0]


def test_an_index_that_was_going_does_not_come_back() -> None:
    """An index that was being deleted when the definition was taken is left out."""
    index = {**record()["table"]["GlobalSecondaryIndexes"][0], "IndexStatus": "DELETING"}
    made = creation(defined(GlobalSecondaryIndexes=[index]), "copy", Parts())
    assert "GlobalSecondaryIndexes" not in made
    assert "by" not in {a["AttributeName"] for a in made["AttributeDefinitions"]}


def test_vector_indexes_come_back_too() -> None:
    """They are indexes like the others, with what CreateTable takes of them [MODEL]."""
    vector = {
        "IndexName": "near",
        "VectorAttribute": {"AttributeName": "v"},
        "SearchSchema": [{"AttributeName": "by", "SearchSchemaElementType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
        "Dimensions": 3,
        "DistanceFunction": "COSINE",
        "IndexStatus": "ACTIVE",
        "IndexSizeBytes": 1,
    }
    found = defined(VectorIndexes=[vector], GlobalSecondaryIndexes=[])
    made = checked("CreateTable", creation(found, "copy", Parts()))
    kept = {k: v for k, v in vector.items() if k not in ("IndexStatus", "IndexSizeBytes")}
    assert made["VectorIndexes"] == [kept]
    assert {"AttributeName": "by", "AttributeType": "S"} in made["AttributeDefinitions"]


def test_what_cannot_come_back_is_said() -> None:
    """Replicas are named; a table of which only the key is known says what that means."""
    found = defined(Replicas=[{"RegionName": "eu-west-1"}, {"RegionName": "eu-north-1"}])
    assert "eu-north-1, eu-west-1" in losses(found)[0]
    assert losses(defined()) == ()
    assert "no definition" in losses(definition_of_key(parse_key(["pk:S"])))[0]


def test_a_key_is_enough() -> None:
    """--key makes a table on demand with that key."""
    found = definition_of_key(parse_key(["user:id:S", "n:N"]))
    made = checked("CreateTable", creation(found, "copy", Parts()))
    assert made == {
        "TableName": "copy",
        "KeySchema": [
            {"AttributeName": "user:id", "KeyType": "HASH"},
            {"AttributeName": "n", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "user:id", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
    }
    assert afterwards(found, "copy", ARN, Parts()) == ()


@pytest.mark.parametrize(
    "words", [[], ["pk"], ["pk:X"], [":S"], ["a:S", "b:S", "c:S"], ["a:S"] * 2]
)
def test_what_is_no_key(words: list[str]) -> None:
    """A key schema is one or two different names, each with S, N or B."""
    with pytest.raises(UsageError):
        parse_key(words)


@pytest.mark.parametrize("broken", [{}, {"table": {}}, {"table": 3}, {"table": {"KeySchema": [1]}}])
def test_a_record_that_is_none(broken: dict[str, Any]) -> None:
    """A definition that cannot be read is damage, and the hint is the way around it."""
    with pytest.raises(DamagedError, match="log/x") as caught:
        parse_definition("log/x", broken)
    assert "--key" in caught.value.hint
