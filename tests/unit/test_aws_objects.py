"""What S3 answers that the embedded AWS does not, at the wall to it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from coldtable.aws.objects import S3Objects
from coldtable.aws.retriever import S3Retriever
from coldtable.errors import AccessDenied, LimitReached, ServiceFailed
from coldtable.model_restore import Copy, Stored


class Refusing:
    """A client whose DeleteObjects refuses some keys, each with a code, as S3 does."""

    def __init__(self, refused: dict[str, str]) -> None:
        self.refused = refused
        self.asked: list[list[str]] = []

    def delete_objects(self, **asked: Any) -> Any:
        keys = [one["Key"] for one in asked["Delete"]["Objects"]]
        self.asked.append(keys)
        errors = [
            {"Key": key, "Code": self.refused[key], "Message": "No."}
            for key in keys
            if key in self.refused
        ]
        return {"Errors": errors} if errors else {}


def test_s3_refuses_key_by_key() -> None:
    """Of one request some keys go and some stay: each that stays has its reason [docs:
    DeleteObjects]. A request has a thousand keys at most."""
    client = Refusing({"k/0003": "AccessDenied", "k/1500": "InternalError"})
    refused = S3Objects(cast(Any, client), "archive").remove_many(f"k/{n:04}" for n in range(2001))
    assert [len(keys) for keys in client.asked] == [1000, 1000, 1]
    assert {key: type(error) for key, error in refused.items()} == {
        "k/0003": AccessDenied,
        "k/1500": ServiceFailed,
    }
    assert "s3://archive/k/0003" in refused["k/0003"].message
    assert cast(AccessDenied, refused["k/0003"]).action == "s3:DeleteObject"


class Tiering:
    """A client that knows one object of INTELLIGENT_TIERING, and keeps what it is asked."""

    def __init__(self, refusal: str = "", **head: Any) -> None:
        self.refusal = refusal
        self.head = {"ContentLength": 9, "StorageClass": "INTELLIGENT_TIERING", **head}
        self.asked: list[Any] = []

    def head_object(self, **_: Any) -> Any:
        return self.head

    def restore_object(self, **asked: Any) -> None:
        self.asked.append(asked["RestoreRequest"])
        if self.refusal:
            told: Any = {"Error": {"Code": self.refusal, "Message": "No."}}
            raise ClientError(told, "RestoreObject")


def test_what_intelligent_tiering_archived_moves_back() -> None:
    """Its tier is in ArchiveStatus, and AWS takes no days for it: it moves back and has no copy
    [MODEL; docs: S3, restoring an archived object]. While it moves, the header says so."""
    client = Tiering(ArchiveStatus="DEEP_ARCHIVE_ACCESS")
    retriever = S3Retriever(cast(Any, client), "archive")
    found = retriever.look("k")
    assert found == Stored("k", 9, "DEEP_ARCHIVE_ACCESS", None)
    retriever.retrieve(found, "Bulk", 7)
    assert client.asked == [{"GlacierJobParameters": {"Tier": "Bulk"}}]
    client.head["Restore"] = 'ongoing-request="true"'
    assert retriever.look("k").copy == Copy()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RestoreAlreadyInProgress", None),
        ("ObjectAlreadyInActiveTierError", None),
        ("GlacierExpeditedRetrievalNotAvailable", LimitReached),
        ("AccessDenied", AccessDenied),
    ],
)
def test_what_s3_says_of_a_retrieval(code: str, error: type[Exception] | None) -> None:
    """What is under way or readable is no error; no room for an expedited one is a limit, and says
    which tier has none [MODEL: RestoreObject]."""
    retriever = S3Retriever(cast(Any, Tiering(code)), "archive")
    with pytest.raises(error) if error else nullcontext():
        retriever.retrieve(Stored("k", 9, "GLACIER"), "Expedited", 7)
