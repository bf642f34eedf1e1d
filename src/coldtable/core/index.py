"""Indexes: what the records of a month (or a year) say, in one object, so that nobody lists them.

An index is written once its months are settled, and stands for all of their records; the records
of a month without an index are listed. Its lines are the names that a listing of the log
folder would have given, so that whoever folds names need not know where they come from; of what
counts, a line also holds what the record says. docs/format.md.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from coldtable.core.ledger import furthest
from coldtable.core.records import Fact, Home, parse_log_name, unstamp
from coldtable.errors import DamagedError
from coldtable.model_archive import Outcome

SCHEMA = "coldtable.index/1"
# PITR reaches back 35 days at most [DOC-PITR]: what is older is settled, one way or the other.
AGE = timedelta(days=40)
# AWS forgets an export after 90 days [MODEL]: then nobody can tell any more how one ended.
FORGOTTEN = timedelta(days=130)

_NAME = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d\d))?(?:\.r(?P<revision>\d+))?\.jsonl\.gz")
_FIRST = b'{"name":"'
_OF_REQUEST = ("view", "bucket", "owner", "key", "prefix")
_OF_RECORD = (
    "at",
    "manifestFilesKey",
    "items",
    "files",
    "bytes",
    "billedBytes",
    "format",
    "startedAt",
    "endedAt",
    "filtered",
    "rebuilt",
    "cause",
    "reason",
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Period:
    """A calendar month in UTC; a year, if ``month`` is ``None``."""

    year: int
    month: int | None = None

    @classmethod
    def holding(cls, moment: datetime) -> Period:
        """The month of a moment."""
        moment = moment.astimezone(UTC)
        return cls(year=moment.year, month=moment.month)

    @property
    def name(self) -> str:
        """``2026-11``, or ``2026``."""
        return f"{self.year:04}-{self.month:02}" if self.month else f"{self.year:04}"

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month or 1, 1, tzinfo=UTC)

    @property
    def stop(self) -> datetime:
        """The first instant after it."""
        if self.month is None or self.month == 12:
            return datetime(self.year + 1, 1, 1, tzinfo=UTC)
        return datetime(self.year, self.month + 1, 1, tzinfo=UTC)

    @property
    def whole_year(self) -> Period:
        """The year that it lies in."""
        return Period(year=self.year)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index object. A later revision stands in for those before it: it has what came late."""

    period: Period
    revision: int = 1

    @property
    def name(self) -> str:
        """The last part of its key."""
        tail = f".r{self.revision}" if self.revision > 1 else ""
        return f"{self.period.name}{tail}.jsonl.gz"


class Line(NamedTuple):
    """A record as an index has it: its name, and the line that holds what counts of it.

    There may be a million, and most readers want no more than the names.
    """

    name: str
    raw: bytes = b""

    @property
    def details(self) -> dict[str, Any] | None:
        """What an index keeps of the record; ``None`` if this is from a listing."""
        if not self.raw:
            return None
        row: dict[str, Any] = json.loads(self.raw)
        del row["name"]
        return row


def parse_index_name(name: str) -> Index | None:
    """The index of that name; ``None`` for a name that is not ours."""
    found = _NAME.fullmatch(name)
    if not found or not 1 <= int(found["month"] or 1) <= 12:
        return None
    month = int(found["month"]) if found["month"] else None
    period = Period(year=int(found["year"]), month=month)
    return Index(period=period, revision=int(found["revision"] or 1))


def chosen(names: Iterable[str]) -> tuple[Index, ...]:
    """The indexes to read, in order of time: of each period the newest revision, and a year
    rather than its months."""
    newest: dict[Period, Index] = {}
    for index in filter(None, map(parse_index_name, names)):
        known = newest.get(index.period)
        if known is None or index.revision > known.revision:
            newest[index.period] = index
    return tuple(
        sorted(
            (
                index
                for period, index in newest.items()
                if period.month is None or period.whole_year not in newest
            ),
            key=lambda index: index.period.start,
        )
    )


def indexed_until(names: Iterable[str]) -> datetime | None:
    """The end of the newest index."""
    return max((index.period.stop for index in chosen(names)), default=None)


def standing_for(names: Iterable[str], month: Period) -> Period:
    """The period of the index that stands for the month: its year, if there is such an index."""
    years = {index.period for index in chosen(names) if index.period.month is None}
    return month.whole_year if month.whole_year in years else month


def month_of(name: str) -> Period | None:
    """The month that a record's slot begins in; ``None`` for a name that is not ours."""
    fact = parse_log_name(name)
    return Period.holding(unstamp(fact.slot.name)) if fact else None


def next_revision(names: Iterable[str], period: Period) -> Index:
    """The index that would stand in for all of that period so far."""
    revisions = [
        i.revision for i in filter(None, map(parse_index_name, names)) if i.period == period
    ]
    return Index(period=period, revision=max(revisions, default=0) + 1)


def due_until(now: datetime) -> datetime:
    """The months that end until then are old enough to be indexed."""
    return Period.holding(now - AGE).start


def due_day(now: datetime) -> bool:
    """Whether a month has become old enough today. Only then anybody looks for an index."""
    return (now - AGE).astimezone(UTC).day == 1


def due_year(names: Iterable[str]) -> Period | None:
    """The first year whose months are all indexed, and which has no index of its own."""
    found = chosen(names)
    until = indexed_until(names)
    for index in found:
        year = index.period.whole_year
        if index.period.month is not None and until is not None and year.stop <= until:
            return year
    return None


def settled(names: Iterable[str], period: Period, head: datetime, now: datetime) -> bool:
    """Whether nothing can come into the month any more; ``names`` are those of its records.

    ``head`` is the end of the chain that the tick would extend: while it lies in the month, a gap
    could still be noted at it.
    """
    if head < period.stop:
        return False
    if period.stop + FORGOTTEN <= now:
        return True
    facts = [fact for fact in map(parse_log_name, furthest(names)) if fact]
    proven = {fact.slot for fact in facts if fact.attempt and _is_proof(fact)}
    lost_from = min((unstamp(fact.slot.name) for fact in facts if fact.gap), default=None)
    return all(
        fact.slot in proven
        or (
            not fact.attempt.in_flight
            and lost_from is not None
            and lost_from <= unstamp(fact.slot.name)
        )
        for fact in facts
        if fact.attempt
    )


def final_names(names: Iterable[str]) -> list[str]:
    """Of each attempt the name of its last record, and every gap and definition; in order."""
    return list(furthest(names))


def counts(name: str) -> bool:
    """Whether an index holds more of this record than its name."""
    fact = parse_log_name(name)
    return fact is not None and (fact.gap or _is_proof(fact))


def details_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an index keeps of a record, beyond what its name says."""
    request = record.get("request") or {}
    found = {field: request[field] for field in _OF_REQUEST if request.get(field) is not None}
    return found | {field: record[field] for field in _OF_RECORD if record.get(field) is not None}


def make_line(name: str, details: Mapping[str, Any]) -> Line:
    """The line of a record."""
    return Line(name, json.dumps({"name": name, **details}, separators=(",", ":")).encode())


def encode(home: Home, table_id: str, period: Period, lines: Iterable[Line]) -> bytes:
    """An index object: a gzip of JSON lines, the first of which says what it is."""
    rows = [line.raw or make_line(line.name, {}).raw for line in lines]
    head = {
        "schema": SCHEMA,
        "table": {
            "account": home.account,
            "region": home.region,
            "name": home.name,
            "id": table_id,
        },
        "period": period.name,
        "records": len(rows),
    }
    first = json.dumps(head, separators=(",", ":")).encode()
    return gzip.compress(b"\n".join([first, *rows, b""]), mtime=0)


def decode(key: str, packed: bytes) -> Iterator[Line]:
    """The lines of an index object; raises ``DamagedError`` if it is not whole."""
    try:
        first, *rows = gzip.decompress(packed).splitlines()
        head = json.loads(first)
        if head["schema"] != SCHEMA:
            raise ValueError(f"its schema is {head['schema']!r}")
        if head["records"] != len(rows):
            raise ValueError(f"it has {len(rows)} records and should have {head['records']}")
        for raw in rows:
            yield Line(_name(raw), raw)
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise DamagedError(
            f"The catalog's index {key} cannot be read: {error}",
            hint="If it is from a newer coldtable, update this one. If it is spoilt, move it away: "
            "its records are still there, and will be listed instead",
        ) from None


def _name(raw: bytes) -> str:
    # The name comes first, and has nothing that JSON would escape: no need to parse the rest.
    if raw.startswith(_FIRST):
        return raw[len(_FIRST) : raw.index(b'"', len(_FIRST))].decode()
    return str(json.loads(raw)["name"])


def _is_proof(fact: Fact) -> bool:
    return fact.attempt is not None and (
        fact.attempt.outcome is Outcome.VERIFIED or fact.attempt.expired
    )
