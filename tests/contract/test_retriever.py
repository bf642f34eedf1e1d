"""One suite for the archive classes that plans are tested with, and for S3's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from coldtable.aws.objects import S3Objects
from coldtable.aws.retriever import S3Retriever
from coldtable.errors import Archived, ColdtableError, NotFound
from coldtable.local.process import EmbeddedAws
from coldtable.model_restore import Copy, Stored
from coldtable.ports import ObjectStore
from coldtable.ports_restore import Retriever
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.retrieving import FakeRetriever


@dataclass(frozen=True)
class Cold:
    """A bucket, a way to put an object into a class, and one to let time pass."""

    retriever: Retriever
    objects: ObjectStore
    put: Callable[[str, str], None]
    pass_time: Callable[[timedelta], object]


@pytest.fixture(params=["fake", "aws"])
def cold(request: pytest.FixtureRequest) -> Cold:
    if request.param == "fake":
        bucket = FakeObjects({}, piece=100)
        retriever = FakeRetriever(bucket, datetime(2026, 1, 14, tzinfo=UTC))

        def put(key: str, storage: str) -> None:
            bucket.put(key, b"abc")
            bucket.storage[key] = storage

        return Cold(retriever, bucket, put, retriever.pass_time)
    aws: EmbeddedAws = request.getfixturevalue("aws")
    s3, name = request.getfixturevalue("boto")("s3"), f"cold-{request.getfixturevalue('account')}"
    s3.create_bucket(Bucket=name)

    def put_object(key: str, storage: str) -> None:
        s3.put_object(Bucket=name, Key=key, Body=b"abc", StorageClass=storage)

    return Cold(
        S3Retriever(s3, name),
        S3Objects(s3, name),
        put_object,
        lambda length: aws.advance(length, fire=False),
    )


def test_what_is_archived_comes_back(cold: Cold) -> None:
    """A listing and a look tell how an object is kept. Archived, it cannot be read; asked for, it
    is being made; after its hours there is a copy until a day; asked again meanwhile nothing
    happens, and asked again later it stays longer. What is readable is left alone."""
    for key, storage in (("d", "DEEP_ARCHIVE"), ("g", "GLACIER"), ("i", "GLACIER_IR")):
        cold.put(key, storage)
    found = list(cold.retriever.objects(""))
    assert [(f.key, f.size, f.storage, f.copy) for f in found] == [
        ("d", 3, "DEEP_ARCHIVE", None),
        ("g", 3, "GLACIER", None),
        ("i", 3, "GLACIER_IR", None),
    ]
    assert [entry.storage for entry in cold.objects.entries("")] == [f.storage for f in found]
    assert b"".join(cold.objects.read("i")) == b"abc"
    with pytest.raises(Archived, match="archived in DEEP_ARCHIVE: not read") as caught:
        list(cold.objects.read("d"))
    assert caught.value.storage == "DEEP_ARCHIVE"
    for _ in range(2):
        for one in found[:2]:
            cold.retriever.retrieve(one, "Standard", 3)
    assert [f.copy for f in cold.retriever.objects("")] == [Copy(), Copy(), None]
    assert cold.retriever.look("d") == Stored("d", 3, "DEEP_ARCHIVE", Copy())
    cold.pass_time(timedelta(hours=13))
    assert b"".join(cold.objects.read("d")) == b"abc"
    (before,) = (f.copy.until for f in cold.retriever.objects("d") if f.copy)
    assert before is not None
    assert cold.retriever.look("d").copy == Copy(before)
    cold.retriever.retrieve(found[0], "Standard", 9)
    (after,) = (f.copy.until for f in cold.retriever.objects("d") if f.copy)
    assert after is not None
    assert after - before > timedelta(days=5)
    with pytest.raises(NotFound):
        cold.retriever.look("none")


def test_deep_archive_has_no_expedited_retrieval(cold: Cold) -> None:
    """It is refused, and nothing is begun."""
    cold.put("d", "DEEP_ARCHIVE")
    with pytest.raises(ColdtableError):
        cold.retriever.retrieve(cold.retriever.look("d"), "Expedited", 1)
    assert cold.retriever.look("d").copy is None
