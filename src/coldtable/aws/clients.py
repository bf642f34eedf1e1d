"""The clients of a process that may be called again and again, as a Lambda is."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from coldtable.aws.objects import S3Objects
from coldtable.aws.session import AwsSession
from coldtable.model import Destination

if TYPE_CHECKING:
    from coldtable.aws.wire import Wire


class Clients:
    """The SDK's clients, each made once, when it is first wanted."""

    def __init__(self, *, connections: int) -> None:
        self._connections = connections
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._made:
            self._made[service] = self._session.client(service)
        return self._made[service]

    def objects(self, to: Destination) -> S3Objects:
        """A bucket. Another region's needs no client of its own: the SDK follows S3's redirects."""
        return S3Objects(self.client("s3"), to.bucket, owner=to.owner)

    @cached_property
    def wire(self) -> Wire:
        """Requests to DynamoDB that the SDK does not make."""
        # Only the function that drills has need of it.
        from coldtable.aws.wire import Wire

        return Wire(self._session.signer("dynamodb"))

    @cached_property
    def _session(self) -> AwsSession:
        return AwsSession(connections=self._connections)
