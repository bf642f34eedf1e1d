"""One suite for the tables and imports that restores are tested with, and for DynamoDB's."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from coldtable.aws.imports import DynamoDbImports
from coldtable.aws.session import AwsSession
from coldtable.aws.table_reader import DynamoDbReader
from coldtable.aws.table_writer import DynamoDbWriter
from coldtable.aws.tables import DynamoDbTables
from coldtable.aws.wire import Wire
from coldtable.errors import AccessDenied, Conflict, NotFound, ParameterInvalid, TableNotFound
from coldtable.local.process import EmbeddedAws
from coldtable.model_restore import Condition, Import, TableRequest
from coldtable.ports_restore import Importer, TableReader, Tables, TableWriter
from coldtable.testing.exports import item_line
from coldtable.testing.imports import FakeImporter
from coldtable.testing.tables import FakeTables
from tests.functional.conftest import Boto

ABSENT = Condition(expression="attribute_not_exists(#k)", names={"#k": "pk"})
BUCKET = "source-of-the-contract"


@dataclass(frozen=True)
class Here:
    """All ports of one DynamoDB, and a bucket that it can read from."""

    tables: Tables
    writer: TableWriter
    reader: TableReader
    importer: Importer
    upload: Callable[[str, bytes], object]

    def create(self, name: str = "orders") -> None:
        self.tables.ask(TableRequest(operation="CreateTable", body=body(name), what=name))
        while not (state := self.tables.state(name)) or not state.ready:
            pass

    def put(self, *items: dict[str, Any]) -> None:
        assert not self.writer.put_all("orders", [raw(i) for i in items]).left

    def ended(self, found: Import) -> Import:
        while found.running:
            found = self.importer.describe(found.arn)
        return found


@pytest.fixture(params=["fake", "aws"])
def here(request: pytest.FixtureRequest) -> Here:
    if request.param == "fake":
        tables, objects = FakeTables(), dict[str, bytes]()
        importer = FakeImporter(tables, {BUCKET: objects})
        return Here(tables, tables, tables, importer, objects.__setitem__)
    aws: EmbeddedAws = request.getfixturevalue("aws")
    account: str = request.getfixturevalue("account")
    boto: Boto = request.getfixturevalue("boto")
    s3, dynamodb = boto("s3"), boto("dynamodb")
    s3.create_bucket(Bucket=f"{BUCKET}-{account}")
    session = AwsSession(
        endpoint_url=aws.endpoint, region=aws.region, access_key=account, secret_key="test"
    )
    wire = Wire(session.signer("dynamodb"))
    return Here(
        DynamoDbTables(dynamodb),
        DynamoDbWriter(wire),
        DynamoDbReader(wire),
        _Renamed(DynamoDbImports(dynamodb, boto("logs")), f"{BUCKET}-{account}"),
        lambda key, data: s3.put_object(Bucket=f"{BUCKET}-{account}", Key=key, Body=data),
    )


class _Renamed(DynamoDbImports):
    """The importer, from the bucket of this test's account."""

    def __init__(self, importer: DynamoDbImports, bucket: str) -> None:
        super().__init__(importer._client, importer._logs)
        self._bucket = bucket

    def start(self, request: Any) -> Import:
        source = {**request["S3BucketSource"], "S3Bucket": self._bucket}
        return super().start({**request, "S3BucketSource": source})


def body(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def item(pk: str, sk: int = 1, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}, **more}


def raw(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def rows(found: Sequence[Any]) -> list[Any]:
    return sorted(found, key=lambda i: (i["pk"]["S"], int(i["sk"]["N"])))


def test_a_table_comes_and_goes(here: Here) -> None:
    """A table is there with its key and an id between its creation and its deletion."""
    assert here.tables.state("orders") is None
    here.create()
    state = here.tables.state("orders")
    assert state is not None
    assert state.arn.endswith(":table/orders")
    assert str(state.key) == "pk:S sk:N"
    assert state.on_demand
    first = state.table_id
    with pytest.raises(Conflict):
        here.create()
    here.tables.delete_table("orders")
    assert here.tables.state("orders") is None
    here.create()
    again = here.tables.state("orders")
    assert again is not None
    assert again.table_id != first


def test_tags_are_told(here: Here) -> None:
    """Those that a table was made with, and those that it was given; of no table there are none."""
    made = {**body("orders"), "Tags": [{"Key": "coldtable:drill", "Value": "1"}]}
    here.tables.ask(TableRequest(operation="CreateTable", body=made, what="orders"))
    while not (state := here.tables.state("orders")) or not state.ready:
        pass
    assert here.tables.tags(state.arn) == {"coldtable:drill": "1"}
    more = {"ResourceArn": state.arn, "Tags": [{"Key": "b", "Value": ""}]}
    here.tables.ask(TableRequest(operation="TagResource", body=more, what="tags"))
    assert here.tables.tags(state.arn) == {"coldtable:drill": "1", "b": ""}
    with pytest.raises((NotFound, AccessDenied)):
        here.tables.tags(state.arn.replace("orders", "nothing"))


def test_asking_again_changes_nothing(here: Here) -> None:
    """What is so already may be asked for again, by whoever does not know that it is so."""
    here.create()
    ttl = {"Enabled": True, "AttributeName": "expires"}
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    pitr = {"PointInTimeRecoveryEnabled": True}
    state = here.tables.state("orders")
    assert state is not None
    name = {"TableName": "orders"}
    tags = {"ResourceArn": state.arn, "Tags": [{"Key": "a", "Value": "b"}]}
    for request in [
        TableRequest(
            operation="UpdateTimeToLive", body={**name, "TimeToLiveSpecification": ttl}, what="ttl"
        ),
        TableRequest(
            operation="UpdateTable", body={**name, "StreamSpecification": stream}, what="stream"
        ),
        TableRequest(
            operation="UpdateContinuousBackups",
            body={**name, "PointInTimeRecoverySpecification": pitr},
            what="pitr",
        ),
        TableRequest(operation="TagResource", body=tags, what="tags"),
    ]:
        for _ in range(2):
            here.tables.ask(request)


def test_no_table_is_an_error(here: Here) -> None:
    """Whoever writes to or reads from a table that is not there is told so."""
    calls: list[Callable[[], object]] = [
        lambda: here.tables.has_items("nothing"),
        lambda: here.tables.delete_table("nothing"),
        lambda: here.writer.put_all("nothing", [raw(item("a"))]),
        lambda: here.writer.put("nothing", raw(item("a")), ABSENT),
        lambda: here.reader.get_all("nothing", [item("a")]),
        lambda: list(here.reader.scan("nothing", 0, 1)),
    ]
    for call in calls:
        with pytest.raises(TableNotFound):
            call()


def test_items_arrive_as_they_are(here: Here) -> None:
    """What is put is what is got, of every type; binary is not encoded a second time."""
    here.create()
    assert not here.tables.has_items("orders")
    binary = base64.b64encode(bytes(range(256))).decode()
    everything = item(
        'ä"\\/\u2028',
        n={"N": "-123456789012345678901234567890.12345678"},
        b={"B": binary},
        bs={"BS": ["AAA=", "/w=="]},
        l={"L": [{"B": "AA=="}, {"NULL": True}, {"M": {"x": {"BOOL": False}}}]},
        ss={"SS": ["a", ""]},
    )
    here.put(everything, item("other"))
    assert here.tables.has_items("orders")
    (found,) = here.reader.get_all("orders", [{k: everything[k] for k in ("pk", "sk")}])
    assert {**found, "bs": sorted(found["bs"]["BS"]), "ss": sorted(found["ss"]["SS"])} == {
        **everything,
        "bs": ["/w==", "AAA="],
        "ss": ["", "a"],
    }


def test_twenty_five_at_once_over_what_is_there(here: Here) -> None:
    """A batch has up to 25 items, and they replace those of the same key."""
    here.create()
    for version in ("1", "2"):
        here.put(*(item("a", n, v={"N": version}) for n in range(25)))
    found = here.reader.scan("orders", 0, 1)
    assert rows(list(found)) == [item("a", n, v={"N": "2"}) for n in range(25)]


@pytest.mark.parametrize(
    "batch",
    [
        [item("a"), {"pk": {"S": "b"}}],
        [item("a"), {"pk": {"N": "1"}, "sk": {"N": "1"}}],
        [item("a"), item("b"), item("a")],
    ],
)
def test_a_refused_batch_writes_nothing(here: Here, batch: list[dict[str, Any]]) -> None:
    """An item without its key, or one key twice: ParameterInvalid, and none is written."""
    here.create()
    with pytest.raises(ParameterInvalid):
        here.writer.put_all("orders", [raw(i) for i in batch])
    assert not here.tables.has_items("orders")


def test_conditions_hold_or_not(here: Here) -> None:
    """A put with a condition says whether it was done; so does a delete."""
    here.create()
    assert here.writer.put("orders", raw(item("a", v={"N": "5"})), ABSENT)
    assert not here.writer.put("orders", raw(item("a", v={"N": "6"})), ABSENT)
    for value, done in (("5", False), ("3", False), ("10", True)):
        newer = Condition(
            expression="attribute_not_exists(#k) OR #a < :a",
            names={"#k": "pk", "#a": "v"},
            values={":a": {"N": value}},
        )
        assert here.writer.put("orders", raw(item("a", v={"N": value})), newer) is done
    equal = Condition(expression="#a = :a", names={"#a": "v"}, values={":a": {"N": "9"}})
    assert not here.writer.delete("orders", raw(item("a")), equal)
    equal = Condition(expression="#a = :a", names={"#a": "v"}, values={":a": {"N": "10"}})
    assert here.writer.delete("orders", raw(item("a")), equal)
    assert not here.tables.has_items("orders")


def test_getting_finds_what_is_there(here: Here) -> None:
    """Of up to 100 keys those that exist come back."""
    here.create()
    here.put(*(item("a", n) for n in range(20)))
    found = here.reader.get_all("orders", [item("a", n) for n in range(100)])
    assert rows(found) == [item("a", n) for n in range(20)]


def test_segments_are_the_whole_table(here: Here) -> None:
    """The parts of a scan are disjoint, and together they are everything."""
    here.create()
    for start in range(0, 100, 25):
        here.put(*(item(f"p{n}") for n in range(start, start + 25)))
    parts = [list(here.reader.scan("orders", n, 4)) for n in range(4)]
    found = [i for part in parts for i in part]
    assert len(found) == 100
    assert {i["pk"]["S"] for i in found} == {f"p{n}" for n in range(100)}


def request_of(name: str) -> dict[str, Any]:
    return {
        "ClientToken": "one",
        "S3BucketSource": {"S3Bucket": BUCKET, "S3KeyPrefix": "data/"},
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
        "TableCreationParameters": body(name),
    }


def lines(*items: dict[str, Any]) -> bytes:
    return gzip.compress(b"".join(item_line(**i) + b"\n" for i in items))


def test_an_import_makes_a_table(here: Here) -> None:
    """An import ends COMPLETED with its counts, and the table has what the folder holds."""
    here.upload("data/1.json.gz", lines(item("a"), item("b")))
    here.upload("data/2.json.gz", lines())
    here.upload("other/3.json.gz", lines(item("c")))
    started = here.importer.start(request_of("new"))
    ended = here.ended(started)
    assert (ended.status, ended.imported_items, ended.errors) == ("COMPLETED", 2, 0)
    assert ended.table_name == "new"
    assert started.started
    assert started.ended is None
    assert ended.ended
    assert ended.ended >= started.started == ended.started
    assert rows(list(here.reader.scan("new", 0, 1))) == [item("a"), item("b")]
    assert here.importer.problems(ended, 10) == ()


def test_a_bad_item_fails_an_import_and_is_logged(here: Here) -> None:
    """FAILED, with the place and the reason of each item, and the others in the table."""
    here.upload("data/1.json.gz", lines(item("a"), {"pk": {"S": "no sort key"}}))
    ended = here.ended(here.importer.start(request_of("new")))
    assert (ended.status, ended.failure_code) == ("FAILED", "ItemValidationError")
    assert ended.imported_items == 1
    (problem,) = here.importer.problems(ended, 10)
    assert (problem.key, problem.index) == ("data/1.json.gz", 1)
    assert problem.messages
    assert here.tables.has_items("new")


def test_an_import_is_found_by_its_token(here: Here) -> None:
    """Whoever lost the answer finds the import that was started; another token finds none."""
    here.upload("data/1.json.gz", lines(item("a")))
    started = here.importer.start(request_of("new"))
    for _ in range(2):
        found = here.importer.find("new", "one")
        assert found is not None
        assert found.arn == started.arn
        here.ended(started)
    assert here.importer.find("new", "two") is None
    assert here.importer.find("ew", "one") is None


def test_an_import_into_a_table_that_is_there(here: Here) -> None:
    """ImportTable makes new tables only."""
    here.create()
    with pytest.raises(Conflict):
        here.importer.start(request_of("orders"))


def test_an_unknown_import_is_an_error(here: Here) -> None:
    """Describing an import that AWS does not know is NotFound."""
    here.upload("data/1.json.gz", lines(item("a")))
    arn = here.importer.start(request_of("new")).arn
    with pytest.raises(NotFound):
        here.importer.describe(arn[:-8] + "ffffffff")
