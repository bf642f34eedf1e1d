"""What S3 answers that the embedded AWS does not, at the wall to it."""

from __future__ import annotations

from typing import Any, cast

from coldtable.aws.objects import S3Objects
from coldtable.errors import AccessDenied, ServiceFailed


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
