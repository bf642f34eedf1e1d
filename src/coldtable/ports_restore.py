"""The windows of restoring: tables that are made, written, read and imported into.

Items are DynamoDB's own JSON, ``{"pk":{"S":"1"}}``, as bytes: what an export holds is what a
request takes, so nothing is decoded on the way (binary stays base64). As in ``ports.py``, every
method raises a ``ColdtableError`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from coldtable.model_restore import (
    Condition,
    Import,
    ImportProblem,
    Stored,
    TableRequest,
    TableState,
    Written,
)

# What BatchWriteItem and BatchGetItem take at once [MODEL].
BATCH_PUTS, BATCH_GETS = 25, 100


class Tables(Protocol):
    """Where tables are made and changed."""

    def state(self, name: str) -> TableState | None:
        """The table of this name as it is now; ``None`` if there is none."""
        ...

    def ask(self, request: TableRequest) -> None:
        """Ask for a table or a change of one; ``Conflict`` while it is busy with another.

        To ask for what is so already is no error, but for a table.
        """
        ...

    def tags(self, arn: str) -> Mapping[str, str]:
        """The table's tags. AWS takes some seconds to tell of new ones [MODEL].

        Of a table that does not exist ``NotFound``, or ``AccessDenied``.
        """
        ...

    def has_items(self, name: str) -> bool:
        """Whether there is any item in it, by a consistent read."""
        ...

    def delete_table(self, name: str) -> None:
        """Delete the table and all that is in it."""
        ...


class TableWriter(Protocol):
    """Where items are written. Safe to call from several threads at once.

    Raises ``Throttled`` and ``ServiceFailed`` for what can be tried again, ``ParameterInvalid``
    if DynamoDB refuses an item of the request and so wrote none of it.
    """

    def put_all(self, table: str, items: Sequence[bytes]) -> Written:
        """Put at most 25 items, over any of the same key; no key may be there twice."""
        ...

    def put(self, table: str, item: bytes, condition: Condition) -> bool:
        """Put one item if the condition holds; ``False``, and nothing written, if not."""
        ...

    def delete(self, table: str, key: bytes, condition: Condition) -> bool:
        """Delete one item if the condition holds; ``False``, and nothing deleted, if not."""
        ...


class TableReader(Protocol):
    """Where items are read back; always consistently."""

    def get_all(
        self, table: str, keys: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], ...]:
        """The items of at most 100 different keys, those that are there, in any order."""
        ...

    def scan(self, table: str, segment: int, segments: int) -> Iterator[Mapping[str, Any]]:
        """The items of one of ``segments`` disjoint parts of the table, in pages."""
        ...


class Retriever(Protocol):
    """What brings a bucket's archived objects back, for some days. Safe to use from threads."""

    def objects(self, prefix: str) -> Iterator[Stored]:
        """The objects below ``prefix``, in order. Of INTELLIGENT_TIERING no tier is told."""
        ...

    def look(self, key: str) -> Stored:
        """One object, with its tier; ``NotFound`` if there is no such object."""
        ...

    def retrieve(self, found: Stored, tier: str, days: int) -> None:
        """Ask for a copy that stays for ``days``; of one that is there set anew how long it stays.

        ``tier`` is Bulk, Standard or Expedited. What is asked for already, or readable, is left
        as it is.
        """
        ...


class Importer(Protocol):
    """DynamoDB's ImportTable."""

    def start(self, request: Mapping[str, Any]) -> Import:
        """Start an import, or return the one that the same token started and that still runs."""
        ...

    def find(self, table: str, token: str) -> Import | None:
        """The import into a table of this name that was started with the token, running or not."""
        ...

    def describe(self, import_arn: str) -> Import:
        """The import as it is now; ``NotFound`` if AWS does not know it (or forgot: 90 days)."""
        ...

    def problems(self, found: Import, limit: int) -> tuple[ImportProblem, ...]:
        """The first lines of its error log; none if there is no log."""
        ...
