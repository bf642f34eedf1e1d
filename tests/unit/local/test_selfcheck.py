"""The self-check names the seam that a different ministack would break."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from coldtable.local.interface import ApiError, Caller, Reply, Scope
from coldtable.local.seams.selfcheck import SeamBroken, probe


class _Inner:
    """A DynamoDB that accepts everything; ``known`` are keys that may do anything."""

    def __init__(self, known: tuple[str, ...] = ("000000000001",), refuse: str = "") -> None:
        self._known = known
        self._refuse = refuse

    async def dynamodb(
        self, scope: Scope, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        if operation == self._refuse:
            raise ApiError("ValidationException", f"{scope.account} {len(request)}")
        return {}

    async def call(self, *_: object, **__: object) -> Reply:
        return Reply(status=200)

    def deny_reason(self, caller: Caller, action: str, resource: str) -> str | None:
        return None if caller.access_key in self._known else f"{action} {resource}"


class _Past:
    """A history that shows ``views``, one after the other."""

    def __init__(self, *views: Any) -> None:
        self._views = list(views)

    def current(self, _table_arn: str) -> Any:
        return self._views.pop(0)


_GOOD: tuple[Any, ...] = ([{"pk": {"S": "a"}}], [], None)


def test_working_seams_pass() -> None:
    """Put, delete and drop are seen, root may and a stranger may not."""
    asyncio.run(probe(_Inner(), _Past(*_GOOD), auth=True))


@pytest.mark.parametrize(
    ("inner", "views", "words"),
    [
        (_Inner(), ([],), "seam journal is broken: a put"),
        (_Inner(), (_GOOD[0], _GOOD[0]), "seam journal is broken: a delete"),
        (_Inner(), (_GOOD[0], [], []), "keeps its history"),
        (_Inner(refuse="CreateTable"), _GOOD, "seam dynamodb is broken"),
        (_Inner(known=()), _GOOD, "seam iam enforcement is broken"),
        (
            _Inner(known=("000000000001", "AKIANOBODYNOBODYNOBO")),
            _GOOD,
            "seam iam enforcement is broken",
        ),
    ],
)
def test_a_broken_seam_is_named(inner: _Inner, views: tuple[Any, ...], words: str) -> None:
    """One clear message: the seam, what is wrong, and the version to install."""
    with pytest.raises(SeamBroken, match=words) as caught:
        asyncio.run(probe(inner, _Past(*views), auth=True))
    assert "ministack==1.5.33" in str(caught.value)
