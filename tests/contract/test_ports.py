"""One suite for every implementation of a port: the fake of the unit tests, and AWS's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.objects import S3Objects
from coldtable.aws.parameters import SsmParameters
from coldtable.aws.vault import S3Vault
from coldtable.core.request import export_request
from coldtable.errors import (
    Conflict,
    DamagedError,
    MomentNotRestorable,
    NotFound,
    PitrDisabled,
    TableNotFound,
)
from coldtable.files import FileObjects
from coldtable.local.process import EmbeddedAws
from coldtable.model import ExportRequest, ExportStatus, Settings, Snapshot, View, Window
from coldtable.ports import Entry, Exporter, Lock, ObjectStore, ParameterStore, ParameterWriter
from coldtable.testing.fakes import FakeExporter, FakeObjects, FakeParameters
from tests.functional.conftest import Boto, client
from tests.functional.installation import Installation
from tests.unit.test_export import NOON, settings

BUCKET = "archive-of-the-contract"


@dataclass(frozen=True)
class Dynamo:
    """An exporter, with the tables ``orders`` (PITR on) and ``plain`` (off)."""

    exporter: Exporter

    def request(self, **changed: Any) -> ExportRequest:
        """An export of orders at the latest moment that can be exported."""
        table = self.exporter.table("orders")
        latest = self.exporter.pitr(table).latest
        assert latest is not None
        made = export_request(rules(), table, latest)
        return replace(made, **changed)


def moment_of(request: ExportRequest) -> datetime:
    assert isinstance(request.span, Snapshot)
    return request.span.moment


def rules() -> Settings:
    return settings("orders", bucket=BUCKET)


@pytest.fixture(params=["fake", "aws"])
def dynamo(
    request: pytest.FixtureRequest, fresh_aws: Callable[..., EmbeddedAws]
) -> Iterator[Dynamo]:
    if request.param == "fake":
        fake = FakeExporter(NOON)
        fake.add_table("orders")
        fake.add_table("plain", pitr=False)
        yield Dynamo(fake)
        return
    aws = fresh_aws("--restorable-lag", "0")
    boto = root_of(aws)
    here = Installation(aws, "test", boto)
    here.add_table("orders")
    here.add_table("plain")
    here.switch_pitr("plain", on=False)
    boto("s3").create_bucket(Bucket=BUCKET)
    aws.advance(timedelta(hours=2))
    aws.hold_exports()
    yield Dynamo(DynamoDbExporter(boto("dynamodb")))


def root_of(aws: EmbeddedAws) -> Any:
    return lambda service: client(aws, service, "test", "test")


def test_a_table_has_name_arn_and_id(dynamo: Dynamo) -> None:
    """A table is found by name, with an ARN that ends in it and an id."""
    table = dynamo.exporter.table("orders")
    assert table.name == "orders"
    assert table.arn.endswith(":table/orders")
    assert table.table_id


def test_no_table_is_an_error(dynamo: Dynamo) -> None:
    """A name without a table is TableNotFound."""
    with pytest.raises(TableNotFound):
        dynamo.exporter.table("nothing")


def test_pitr_tells_its_ends(dynamo: Dynamo) -> None:
    """With PITR on both ends are whole seconds in UTC, and in order; off, there are none."""
    on = dynamo.exporter.pitr(dynamo.exporter.table("orders"))
    assert on.enabled
    assert on.earliest is not None
    assert on.latest is not None
    assert on.earliest <= on.latest
    assert on.earliest.utcoffset() == timedelta(0)
    assert on.latest.microsecond == 0
    off = dynamo.exporter.pitr(dynamo.exporter.table("plain"))
    assert (off.enabled, off.earliest, off.latest) == (False, None, None)


def test_an_export_starts_in_progress(dynamo: Dynamo) -> None:
    """A new export is IN_PROGRESS, and is what was asked for."""
    wanted = dynamo.request()
    export = dynamo.exporter.start(wanted)
    assert export.status is ExportStatus.IN_PROGRESS
    assert export.moment == moment_of(wanted)
    assert (export.bucket, export.prefix) == (BUCKET, wanted.prefix)
    assert export.table_arn == wanted.table.arn
    assert dynamo.exporter.describe(export.arn).arn == export.arn


def test_the_same_request_is_the_same_export(dynamo: Dynamo) -> None:
    """Replaying a token with the same request returns the first export [QUIRKS]."""
    wanted = dynamo.request()
    assert dynamo.exporter.start(wanted).arn == dynamo.exporter.start(wanted).arn


def test_the_same_token_for_something_else_conflicts(dynamo: Dynamo) -> None:
    """A token with changed parameters is a Conflict [MODEL], and starts nothing."""
    wanted = dynamo.request()
    first = dynamo.exporter.start(wanted)
    with pytest.raises(Conflict):
        dynamo.exporter.start(replace(wanted, prefix="elsewhere"))
    assert list(dynamo.exporter.exports(wanted.table)) == [first.arn]


def test_a_refused_token_is_free(dynamo: Dynamo) -> None:
    """A request that AWS refuses at once does not use its token up [QUIRKS]."""
    wanted = dynamo.request()
    with pytest.raises(MomentNotRestorable):
        dynamo.exporter.start(
            replace(wanted, span=Snapshot(moment=moment_of(wanted) + timedelta(days=1)))
        )
    assert dynamo.exporter.start(wanted).status is ExportStatus.IN_PROGRESS


def test_no_pitr_no_export(dynamo: Dynamo) -> None:
    """A table without PITR is PitrDisabled."""
    plain = dynamo.exporter.table("plain")
    with pytest.raises(PitrDisabled):
        dynamo.exporter.start(dynamo.request(table=plain, token="another"))


def test_before_the_history_is_an_error(dynamo: Dynamo) -> None:
    """A moment before the history is MomentNotRestorable."""
    with pytest.raises(MomentNotRestorable):
        dynamo.exporter.start(dynamo.request(span=Snapshot(moment=NOON - timedelta(days=400))))


def test_an_unknown_export_is_an_error(dynamo: Dynamo) -> None:
    """Describing an export that AWS does not know is NotFound."""
    arn = dynamo.exporter.start(dynamo.request()).arn
    with pytest.raises(NotFound):
        dynamo.exporter.describe(arn[:-8] + "ffffffff")


@pytest.fixture(params=["fake", "aws", "files"])
def store(request: pytest.FixtureRequest, boto: Boto, account: str, tmp_path: Path) -> ObjectStore:
    """An empty bucket."""
    if request.param == "fake":
        return FakeObjects({}, piece=9973)
    if request.param == "files":
        return FileObjects(tmp_path)
    s3 = boto("s3")
    s3.create_bucket(Bucket=f"contract-{account}")
    return S3Objects(s3, f"contract-{account}")


@pytest.fixture
def objects(store: ObjectStore) -> ObjectStore:
    """A bucket with 1,100 small objects below a/, and a large one."""
    for number in range(1100):
        store.put(f"a/{number:04}", b"x")
    store.put("b/large", bytes(300_000))
    return store


def test_all_keys_come_in_order(objects: ObjectStore) -> None:
    """Keys come sorted, all of them (S3 lists 1,000 a page), and only those of the prefix."""
    assert list(objects.keys("a/")) == [f"a/{n:04}" for n in range(1100)]
    assert list(objects.keys("b/la")) == ["b/large"]
    assert list(objects.keys("c/")) == []
    assert b"".join(objects.read("b/large")) == bytes(300_000)
    assert len(list(objects.read("b/large"))) > 1
    with pytest.raises(NotFound):
        list(objects.read("b/none"))


def test_a_listing_begins_where_it_is_told(objects: ObjectStore) -> None:
    """A listing has sizes, and begins behind any key, there or not; order is that of bytes."""
    for key in ("c/a-b", "c/a/b", "c/a.b", "c/b"):
        objects.put(key, b"123")
    assert list(objects.entries("c/")) == [
        Entry(key, 3) for key in ("c/a-b", "c/a.b", "c/a/b", "c/b")
    ]
    assert [e.key for e in objects.entries("c/", after="c/a.c")] == ["c/a/b", "c/b"]
    assert [e.key for e in objects.entries("c/a/", after="c/a/b")] == []
    assert [e.key for e in objects.entries("a/", after="a/1097")] == ["a/1098", "a/1099"]


def test_a_new_object_is_written_once(store: ObjectStore) -> None:
    """put_new writes only where nothing is; put writes over it; of many at once one wins."""
    assert store.put_new("d/one", b"first")
    assert not store.put_new("d/one", b"second")
    assert b"".join(store.read("d/one")) == b"first"
    store.put("d/one", b"third")
    assert b"".join(store.read("d/one")) == b"third"
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda n: store.put_new("d/two", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert b"".join(store.read("d/two")) == b"%d" % won.index(True)


def test_a_stream_becomes_one_object(store: ObjectStore) -> None:
    """Nothing, a little and several parts of it arrive byte for byte, over what was there."""
    for size in (0, 5, 8 * 1024 * 1024, 20_000_000):
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        cuts = [body[start : start + 3_000_001] for start in range(0, size, 3_000_001)]
        store.put_stream("e/stream", iter(cuts))
        assert b"".join(store.read("e/stream")) == body
    assert [e.key for e in store.entries("e/")] == ["e/stream"]


@pytest.mark.parametrize("good", [0, 9_000_000])
def test_half_a_stream_is_no_object(store: ObjectStore, good: int) -> None:
    """If the pieces break off, what was there stays, and nothing appears where nothing was."""

    def broken() -> Iterator[bytes]:
        yield bytes(good)
        raise DamagedError("the source broke off")

    store.put("f/old", b"old")
    for key in ("f/old", "f/new"):
        with pytest.raises(DamagedError, match="the source broke off"):
            store.put_stream(key, broken())
    assert list(store.entries("f/")) == [Entry("f/old", 3)]
    assert b"".join(store.read("f/old")) == b"old"


def test_what_is_removed_is_gone(objects: ObjectStore) -> None:
    """One or a thousand and more, there or not: they are gone, and nothing else is."""
    objects.remove("b/large")
    objects.remove("b/none")
    assert objects.remove_many([*(f"a/{n:04}" for n in range(1090)), "a/none"]) == {}
    assert list(objects.keys("")) == [f"a/{n:04}" for n in range(1090, 1100)]
    with pytest.raises(NotFound):
        list(objects.read("b/large"))
    assert objects.put_new("b/large", b"new")


def test_locks_and_versions_are_seen(boto: Boto, account: str) -> None:
    """Retention and legal hold of a bucket with Object Lock; a plain bucket has neither."""
    s3 = boto("s3")
    plain, locked = f"contract-plain-{account}", f"contract-lock-{account}"
    s3.create_bucket(Bucket=plain)
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=locked, Key="free", Body=b"x")
    for key in ("legal", "kept"):
        s3.put_object(Bucket=locked, Key=key, Body=b"x")
    s3.put_object_legal_hold(Bucket=locked, Key="legal", LegalHold={"Status": "ON"})
    until = datetime(2999, 1, 1, tzinfo=UTC)
    s3.put_object_retention(
        Bucket=locked, Key="kept", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}
    )
    without, vault = S3Vault(s3, plain), S3Vault(s3, locked)
    assert (without.keeps_versions(), without.can_lock()) == (False, False)
    assert (vault.keeps_versions(), vault.can_lock()) == (True, True)
    assert vault.lock("free") is None
    assert vault.lock("none") is None
    assert vault.lock("legal") == Lock(legal_hold=True)
    assert vault.lock("kept") == Lock(mode="GOVERNANCE", until=until)


def test_many_threads_read_and_write_at_once(store: ObjectStore) -> None:
    """Streams written and read by several threads do not mix."""

    def through(number: int) -> bool:
        body = bytes([number]) * 200_000
        store.put_stream(f"g/{number}", (body[at : at + 999] for at in range(0, 200_000, 999)))
        return b"".join(store.read(f"g/{number}")) == body

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(through, range(24)))


def test_a_stream_that_failed_leaves_no_parts(boto: Boto) -> None:
    """In S3 the parts of a broken upload are removed: nobody sees them, and they cost money."""
    s3 = boto("s3")
    s3.create_bucket(Bucket="contract-parts")

    def broken() -> Iterator[bytes]:
        yield bytes(9_000_000)
        raise DamagedError("the source broke off")

    with pytest.raises(DamagedError):
        S3Objects(s3, "contract-parts").put_stream("key", broken())
    assert not s3.list_multipart_uploads(Bucket="contract-parts").get("Uploads")


def test_a_stream_takes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    """In a folder half a file is left by a kill; the next run ends with one file and no other.
    Of two that write at the same time the second is told so."""
    (tmp_path / ".key.part").write_bytes(b"left behind by somebody who was killed")
    files = FileObjects(tmp_path)

    def pieces() -> Iterator[bytes]:
        yield b"fresh"
        with pytest.raises(Conflict, match="is being written by somebody else"):
            files.put_stream("key", [b"meanwhile"])

    files.put_stream("key", pieces())
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").read_bytes() == b"fresh"


def test_exports_are_listed_newest_first(dynamo: Dynamo) -> None:
    """The table's exports come newest first, whoever started them; each tells its token."""
    wanted = dynamo.request()
    first = dynamo.exporter.start(wanted)
    second = dynamo.exporter.start(dynamo.request(token="other"))
    assert list(dynamo.exporter.exports(wanted.table)) == [second.arn, first.arn]
    assert dynamo.exporter.describe(first.arn).token == wanted.token


def test_an_incremental_export_is_what_was_asked_for(dynamo: Dynamo) -> None:
    """A window comes back with its ends, its view and no moment."""
    full = dynamo.request()
    stop = moment_of(full)
    window = Window(start=stop - timedelta(minutes=30), stop=stop)
    wanted = replace(full, span=window, view=View.NEW_IMAGE, token="window")
    export = dynamo.exporter.describe(dynamo.exporter.start(wanted).arn)
    assert (export.window, export.view, export.moment) == (window, View.NEW_IMAGE, None)
    assert (export.table_id, export.token) == (wanted.table.table_id, "window")
    assert not export.filtered


class Parameters(ParameterStore, ParameterWriter, Protocol):
    """Both sides of the settings."""


@pytest.fixture(params=["fake", "aws"])
def parameters(request: pytest.FixtureRequest, boto: Boto) -> Parameters:
    """Twenty-five parameters below /c/one, two deeper down there, one below /c/two."""
    values = {f"/c/one/NAME_{n:02}": f"value {n}" for n in range(25)}
    values |= {"/c/one/policies/orders": "x", "/c/one/POLICY": "{}", "/c/two/OTHER": "y"}
    values |= {"/c/one-more/OTHER": "y", "/c/one": "itself"}
    if request.param == "fake":
        return FakeParameters(values)
    ssm = boto("ssm")
    for name, value in values.items():
        secure = name.endswith("_07")
        ssm.put_parameter(Name=name, Value=value, Type="SecureString" if secure else "String")
    return SsmParameters(ssm)


def test_every_parameter_below_the_path(parameters: Parameters) -> None:
    """All pages are read (10 parameters a page), also what lies deeper, SecureStrings decrypted,
    other paths left out; names are those below the path."""
    found = parameters.read("/c/one")
    plain = {f"NAME_{n:02}": f"value {n}" for n in range(25)}
    assert found == {**plain, "policies/orders": "x", "POLICY": "{}"}
    assert parameters.read("/c/none") == {}


def test_writing_a_parameter(parameters: Parameters) -> None:
    """A new one appears, an old one changes, and nothing else does."""
    before = dict(parameters.read("/c/one"))
    parameters.put("/c/one/policies/users", "new")
    parameters.put("/c/one/policies/orders", "old one")
    parameters.put("/c/one/NAME_07", "still secret")
    changed = {"policies/users": "new", "policies/orders": "old one", "NAME_07": "still secret"}
    assert parameters.read("/c/one") == before | changed


def test_a_secret_stays_one(boto: Boto) -> None:
    """What was a SecureString is one after it was written, and a new parameter is none."""
    ssm = boto("ssm")
    ssm.put_parameter(Name="/c/SECRET", Value="old", Type="SecureString")
    for name in ("/c/SECRET", "/c/PLAIN"):
        SsmParameters(ssm).put(name, "new")
    found = ssm.get_parameters(Names=["/c/SECRET", "/c/PLAIN"])["Parameters"]
    types = {parameter["Name"]: parameter["Type"] for parameter in found}
    assert types == {"/c/SECRET": "SecureString", "/c/PLAIN": "String"}
