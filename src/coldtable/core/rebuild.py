"""From exports that lie in an archive to the records that a catalog lacks of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from coldtable.core.archive import ArchivedExport
from coldtable.core.records import (
    Fact,
    Home,
    base_slot,
    iso_z,
    parse_base_name,
    parse_log_name,
    slot_of,
    span_fields,
    stamp,
)
from coldtable.core.request import exact_iso, with_token
from coldtable.model import Destination, Export, ExportRequest, Snapshot, Span, Table, Window
from coldtable.model_archive import Attempt, Outcome, Slot, SlotKind

# AWS tells of an export for so long; afterwards nobody knows whether it was filtered [MODEL].
REMEMBERED = timedelta(days=90)
# The tick settles what is in flight, as far as it looks back.
_TICKS_OWN = timedelta(days=40)
# The nightly run tries a failed moment again by itself, with further tokens (ops/export.py).
_MOST_ATTEMPTS = 100

_TIME = r"\d{8}T\d{6}Z"
_OWN = re.compile(
    rf"(?:.*/)?(?:full-(?P<moment>{_TIME})|inc-(?P<start>{_TIME})-(?P<stop>{_TIME}))"
    r"(?:-a(?P<attempt>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An export that is whole, down to the size of each object.

    ``own`` tells that coldtable made it; ``filtered`` is ``None`` where nobody knows.
    """

    export: ArchivedExport
    files: int
    bytes: int
    own: bool
    filtered: bool | None

    @property
    def span(self) -> Span:
        """What it covers."""
        return span_of(self.export)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A record that the catalog lacks: ``attempt`` of ``slot`` was proven by ``source``."""

    slot: Slot
    attempt: Attempt
    source: Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An export that does not count, and why. ``damaged`` tells that it should have."""

    export_id: str
    key: str
    why: str
    damaged: bool = False


class Desk:
    """The catalog of one TableId as its names tell it, to which exports are added one by one."""

    def __init__(self, base_names: Iterable[str], log_names: Iterable[str]) -> None:
        self._by_id: dict[str, tuple[Slot, Attempt]] = {}
        self._numbers: dict[Slot, set[int]] = {}
        self._bases: dict[datetime, Slot] = {}
        self._proven: set[Slot] = set()
        facts = [*map(parse_base_name, base_names), *map(parse_log_name, log_names)]
        for fact in filter(None, facts):
            self._learn(fact)

    def knows(self, export_id: str) -> Attempt | None:
        """The attempt that is this export, as far as the catalog knows."""
        return self._by_id[export_id][1] if export_id in self._by_id else None

    def settles(self, whole: Whole, now: datetime | None) -> bool:
        """Whether the catalog knows the export as whole, or a tick is about to find it so; without
        ``now`` no tick is."""
        known = self.knows(whole.export.export_id)
        if known is None or known.spoilt:
            return False
        soon = now is not None and whole.export.stop > now - _TICKS_OWN
        return known.outcome is Outcome.VERIFIED or known.expired or soon

    def replaces(self, export: ArchivedExport) -> bool:
        """Whether another export does for one that is not whole, or this is known of it."""
        known = self.knows(export.export_id)
        if known is not None and known.spoilt:
            return True
        span = span_of(export)
        return known is None and self._slot(export.manifest.prefix or "", span) in self._proven

    def recover(self, whole: Whole) -> Recovered | Left:
        """The record of an export that the catalog does not know as whole, or why it gets none."""
        export, span = whole.export, whole.span
        if whole.filtered:
            return left_out(export, "it was filtered, so it is no copy of the table")
        if isinstance(span, Window) and (span.start.microsecond or span.stop.microsecond):
            return left_out(export, "its window does not begin and end at whole seconds")
        slot, number = self._place(export, span)
        if slot in self._proven:
            same = isinstance(span, Snapshot)
            what = "moment" if same else "window, or of one that begins with it"
            return left_out(export, f"another whole export of the same {what} counts")
        attempt = Attempt(
            number=number, span=span, export_id=export.export_id, outcome=Outcome.VERIFIED
        )
        self._learn(Fact(slot=slot, attempt=attempt))
        return Recovered(slot=slot, attempt=attempt, source=whole)

    def under_way(self, table: Table, export: Export) -> tuple[Slot, Attempt, ExportRequest] | None:
        """Slot, attempt and request of an export of ours that has not been settled; ``None`` if
        it is not ours or is of no use any more."""
        span = export.window or (Snapshot(moment=export.moment) if export.moment else None)
        if span is None or export.table_id != table.table_id or export.export_id in self._by_id:
            return None
        request = ExportRequest(
            table=table,
            span=span,
            view=export.view,
            to=Destination(bucket=export.bucket, owner=export.owner, key=export.key),
            prefix=export.prefix or "",
            token="",
        )
        number = _attempt_by_token(request, export.token)
        if number is None:
            return None
        slot = self._slot(request.prefix, span)
        # The tick finds a snapshot by its token itself, and notes the table's definition with it.
        if slot.kind is SlotKind.SNAPSHOT or slot in self._proven:
            return None
        attempt = Attempt(number=number, span=span, export_id=export.export_id)
        self._learn(Fact(slot=slot, attempt=attempt))
        return slot, attempt, with_token(request, number)

    def _place(self, export: ArchivedExport, span: Span) -> tuple[Slot, int]:
        if export.export_id in self._by_id:
            slot, attempt = self._by_id[export.export_id]
            return slot, attempt.number
        prefix = export.manifest.prefix or ""
        slot, stated = self._slot(prefix, span), own_attempt(prefix, span)
        taken = self._numbers.get(slot, set())
        if stated is None:
            stated = max(taken, default=0) + 1
        return slot, stated

    def _slot(self, prefix: str, span: Span) -> Slot:
        if isinstance(span, Window):
            return slot_of(SlotKind.WINDOW, span.start)
        if own_attempt(prefix, span) is None:
            return slot_of(SlotKind.SNAPSHOT, span.moment)
        return self._bases.get(span.moment) or base_slot(
            max((int(slot.name) for slot in self._numbers if slot.kind is SlotKind.BASE), default=0)
            + 1
        )

    def _learn(self, fact: Fact) -> None:
        if (attempt := fact.attempt) is None:
            return
        self._numbers.setdefault(fact.slot, set()).add(attempt.number)
        if fact.slot.kind is SlotKind.BASE and isinstance(attempt.span, Snapshot):
            self._bases[attempt.span.moment] = fact.slot
        if attempt.outcome is Outcome.VERIFIED or attempt.expired:
            self._proven.add(fact.slot)
        if attempt.export_id:
            old = self.knows(attempt.export_id)
            if old is None or old.outcome is None or attempt.outcome is Outcome.VERIFIED:
                self._by_id[attempt.export_id] = (fact.slot, attempt)


def in_turn(exports: Iterable[Whole]) -> list[Whole]:
    """Ours first; of others the one that reaches furthest, so that the best gets the place."""
    return sorted(
        exports,
        key=lambda w: (not w.own, w.export.start, -w.export.stop.timestamp(), w.export.export_id),
    )


def own_attempt(prefix: str, span: Span) -> int | None:
    """Which attempt of the tick's a prefix names, if it is one of its prefixes for this span."""
    found = _OWN.fullmatch(prefix.rstrip("/"))
    if not found:
        return None
    match span:
        case Snapshot(moment=moment):
            good = found["moment"] == stamp(moment)
        case Window(start=start, stop=stop):
            good = (found["start"], found["stop"]) == (stamp(start), stamp(stop))
    return int(found["attempt"] or 1) if good else None


def span_of(export: ArchivedExport) -> Span:
    """What an archived export covers."""
    return export.manifest.window or Snapshot(moment=export.start)


def proof_fields(found: Recovered) -> dict[str, Any]:
    """What the record of a recovered export holds: all that its manifests tell.

    Neither a ClientToken nor the bucket's owner is among it [REAL-G].
    """
    source, manifest, table = found.source, found.source.export.manifest, found.source.export.table
    return {
        "table": {"name": table.name, "arn": table.arn, "id": table.table_id},
        "slot": {"kind": str(found.slot.kind), "name": found.slot.name},
        "attempt": found.attempt.number,
        "request": {
            "span": span_fields(source.span),
            "view": str(manifest.view) if manifest.view else None,
            "bucket": manifest.bucket,
            "owner": None,
            "key": manifest.key,
            "prefix": (manifest.prefix or "").rstrip("/"),
            "token": None,
        },
        "exportArn": manifest.export_arn,
        "manifestFilesKey": manifest.files_key,
        "items": manifest.items,
        "files": source.files,
        "bytes": source.bytes,
        "billedBytes": manifest.billed_bytes,
        "format": manifest.output_format,
        "startedAt": iso_z(manifest.started) if manifest.started else None,
        "endedAt": iso_z(manifest.ended) if manifest.ended else None,
        "filtered": source.filtered,
        "rebuilt": True,
    }


def unrecoverable(added: Sequence[Recovered], under_way: Sequence[Slot]) -> Iterator[str]:
    """What nothing in the bucket but the lost records told, in sentences."""
    if not added and not under_way:
        return
    fulls = [r for r in added if isinstance(r.attempt.span, Snapshot)]
    undefined = len(fulls) + sum(slot.kind is SlotKind.BASE for slot in under_way)
    if undefined:
        yield (
            f"The table's definition of {_count(undefined, 'full export')}: keys, indexes, TTL, "
            "tags. Exports carry none; the next full export notes it"
        )
    yield (
        "Attempts that failed, the causes of gaps, incidents that people were told of, and what "
        "had expired: no manifest knows of them. The time of what had expired looks like a gap"
    )
    unknown = [r for r in added if r.source.filtered is None]
    if unknown:
        yield (
            f"Whether {_count(len(unknown), 'export')} that coldtable may not have made left items "
            "out (a FilterSpecification): no manifest tells, and AWS was not asked or has "
            "forgotten. They count as whole copies"
        )
    for one in fulls:
        if isinstance(one.attempt.span, Snapshot) and one.attempt.span.moment.microsecond:
            yield (
                f"A chain on export {one.attempt.export_id}: its moment, "
                f"{exact_iso(one.attempt.span.moment)}, lies between two seconds, and a window "
                "begins at a whole one. It can be restored alone"
            )


def held_text(held: Mapping[Home, Sequence[int]]) -> Iterator[str]:
    """What becomes of the holds; ``held`` has the numbers of those that are still known."""
    if held:
        known = ", ".join(
            f"{home.name} {' and '.join(map(str, numbers))}"
            for home, numbers in held.items()
            if numbers
        )
        yield (
            f"Holds: no export carries any. Those that are still there: {known or 'none'}. So that "
            "nothing that was held expires, everything is held now: of "
            + ", ".join(home.name for home in held)
            + ". Place again what is missing (coldtable hold add), then release the rest: "
            "coldtable hold confirm"
        )


def outlived(lives: Mapping[str, tuple[datetime, datetime]]) -> list[str]:
    """The TableIds of one name whose table is gone: all its exports are older than another's.

    ``lives`` has the first and the last moment of each that is exported.
    """
    newest = max(lives, key=lambda table_id: lives[table_id][1], default=None)
    return [
        table_id
        for table_id, (_, last) in lives.items()
        if newest is not None and table_id != newest and last <= lives[newest][0]
    ]


def _attempt_by_token(request: ExportRequest, token: str | None) -> int | None:
    """Which attempt asks with this token; ``None`` if none of ours does."""
    numbers = range(1, _MOST_ATTEMPTS + 1)
    return next((n for n in numbers if with_token(request, n).token == token), None)


def left_out(export: ArchivedExport, why: str) -> Left:
    """The export as one that does not count, with the reason."""
    return Left(export_id=export.export_id, key=export.summary_key, why=why)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
