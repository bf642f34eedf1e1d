"""Who may ask what inside the embedded AWS: the seam between ``pitr/`` and the emulator under it.

``pitr/`` never imports ministack. It speaks to DynamoDB, S3 and CloudWatch Logs through ``Inner``,
which makes signed in-process requests, so that roles and bucket policies bite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One tenant: a 12-digit account id and a region."""

    account: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who made a request. ``access_key`` is what later S3 writes are signed with."""

    scope: Scope
    access_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of the emulator under us."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class ApiError(Exception):
    """An error that the caller gets over the wire.

    ``code`` is the bare exception name (``ExportConflictException``), ``status`` the HTTP status.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Inner(Protocol):
    """Signed calls into the emulator under us."""

    async def dynamodb(
        self, scope: Scope, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One DynamoDB operation of ministack itself, as the account's root, or ``ApiError``."""
        ...

    async def call(
        self,
        scope: Scope,
        service: str,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        access_key: str | None = None,
    ) -> Reply:
        """One HTTP request, signed as ``access_key`` (the account's root when ``None``).

        ``path`` and ``query`` are already percent-encoded.
        """
        ...

    def deny_reason(self, caller: Caller, action: str, resource: str) -> str | None:
        """AWS's text for why ``caller`` may not do this to ``resource``; ``None`` if it may."""
        ...
