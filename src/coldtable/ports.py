"""The windows: what the hall may ask of the world. The cellar (``aws/``) implements them.

Every method raises a ``ColdtableError`` from ``errors.py`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

from coldtable.model import Export, ExportRequest, Pitr, Table


class Clock(Protocol):
    """Where ``now`` comes from."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class ParameterStore(Protocol):
    """The settings of one installation, below one path."""

    def read(self, path: str) -> Mapping[str, str]:
        """Every parameter directly below ``path``: the last part of its name to its value.

        SecureStrings are decrypted. Raises ``AccessDenied`` naming the action; a path with
        nothing below it is an empty mapping.
        """
        ...


class ObjectStore(Protocol):
    """One bucket, as far as reading an archive needs it."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with ``prefix``, in order."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The object's bytes, in pieces; ``NotFound`` if there is no such object."""
        ...


class Exporter(Protocol):
    """DynamoDB, as far as exporting needs it."""

    def table(self, name: str) -> Table:
        """The table of this name or ARN; ``TableNotFound`` if there is none."""
        ...

    def pitr(self, table: Table) -> Pitr:
        """The PITR state of the table."""
        ...

    def start(self, request: ExportRequest) -> Export:
        """Start a full export, or return the one that the same token started before."""
        ...

    def describe(self, export_arn: str) -> Export:
        """The export's state now; ``NotFound`` if AWS does not know it (or forgot: 90 days)."""
        ...
