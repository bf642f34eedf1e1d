"""ImportTable in memory, held to the same contract as DynamoDB's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from coldtable.errors import Conflict, NotFound, ParameterInvalid
from coldtable.model_restore import Import, ImportProblem, TableRequest
from coldtable.testing.fakes import ACCOUNT, REGION
from coldtable.testing.tables import FakeTables

_BATCH = 25


class FakeImporter:
    """Implements ``ports_restore.Importer`` over ``buckets``: name to objects.

    An import ends when it is described for the second time. ``before_answer`` is called when one
    has been accepted: what it raises is an answer that was lost. ``lose`` items of each are lost
    without a word; ``now`` is its clock, and while it is ``held`` none ends.
    """

    def __init__(self, tables: FakeTables, buckets: Mapping[str, Mapping[str, bytes]]) -> None:
        self.before_answer: Callable[[], object] = lambda: None
        self.lose = 0
        self.held = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._tables = tables
        self._buckets = buckets
        self._imports: dict[str, Import] = {}
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._problems: dict[str, list[ImportProblem]] = {}

    @property
    def made(self) -> list[Import]:
        """Every import there is, oldest first."""
        return list(self._imports.values())

    def token(self, made: Import) -> str:
        """The token that an import was started with."""
        return str(self._requests[made.arn]["ClientToken"])

    def start(self, request: Mapping[str, Any]) -> Import:
        """See ``ports_restore.Importer.start``."""
        name = request["TableCreationParameters"]["TableName"]
        for arn, known in self._requests.items():
            if known["ClientToken"] == request["ClientToken"] and self._imports[arn].running:
                return self._imports[arn]
        if self._tables.state(name) is not None:
            raise Conflict(f"Table already exists: {name}")
        table_arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        arn = f"{table_arn}/import/{len(self._imports):014}-00000000"
        found = Import(arn=arn, status="IN_PROGRESS", table_arn=table_arn, started=self.now())
        self._imports[arn], self._requests[arn] = found, request
        self.before_answer()
        return found

    def find(self, table: str, token: str) -> Import | None:
        """See ``ports_restore.Importer.find``."""
        for arn, request in self._requests.items():
            if self._imports[arn].table_name == table and request["ClientToken"] == token:
                return self._imports[arn]
        return None

    def describe(self, import_arn: str) -> Import:
        """See ``ports_restore.Importer.describe``."""
        if import_arn not in self._imports:
            raise NotFound(f"Import not found: {import_arn}")
        found = self._imports[import_arn]
        if found.running and not self.held:
            self._imports[import_arn] = self._run(import_arn)
        return found

    def problems(self, found: Import, limit: int) -> tuple[ImportProblem, ...]:
        """See ``ports_restore.Importer.problems``."""
        return tuple(self._problems.get(found.arn, ())[:limit])

    def _run(self, arn: str) -> Import:
        request = self._requests[arn]
        creation = request["TableCreationParameters"]
        made = TableRequest(operation="CreateTable", body=creation, what="the imported table")
        self._tables.ask(made)
        state = self._tables.state(creation["TableName"])
        source = request["S3BucketSource"]
        objects = self._buckets.get(source["S3Bucket"], {})
        rows = [
            (key, index, line)
            for key, body in sorted(objects.items())
            if key.startswith(source["S3KeyPrefix"])
            for index, line in enumerate(_lines(body, request))
        ]
        bad = [self._taken(creation["TableName"], *row) for row in rows]
        problems = self._problems[arn] = [one for one in bad if one is not None]
        return replace(
            self._imports[arn],
            status="FAILED" if problems else "COMPLETED",
            ended=self.now(),
            table_id=state.table_id if state else None,
            processed_items=len(rows),
            imported_items=len(rows) - len(problems) - self.lose,
            errors=len(problems),
            failure_code="ItemValidationError" if problems else None,
            failure_message="Some of the items failed validation checks" if problems else None,
        )

    def _taken(self, table: str, key: str, index: int, line: bytes) -> ImportProblem | None:
        try:
            item = json.loads(line)["Item"]
            self._tables.put_all(table, [json.dumps(item).encode()])
        except (ValueError, KeyError, ParameterInvalid) as error:
            return ImportProblem(key=key, index=index, messages=(str(error),))
        return None


def _lines(body: bytes, request: Mapping[str, Any]) -> Sequence[bytes]:
    zipped = request.get("InputCompressionType") == "GZIP"
    try:
        return (gzip.decompress(body) if zipped else body).splitlines()
    except (OSError, EOFError):
        return [b"unreadable"]
