"""``--retrieve``: what S3 has archived is asked for before anything is read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from coldtable.cli.context import Context, print_table
from coldtable.core.amounts import size_text
from coldtable.core.prices import SOURCE, reading_price
from coldtable.core.request import exact_iso
from coldtable.core.retrieval import (
    DEFAULT_DAYS,
    Asked,
    Need,
    Offer,
    Tier,
    dollars_text,
    lines_of,
    lots,
    offer_of,
    offer_text,
    still_coming,
)
from coldtable.errors import AccessDenied, Archived, UsageError

if TYPE_CHECKING:
    from coldtable.ops.restore_plan import Windows
    from coldtable.ops.retrieve import Notes
    from coldtable.ports_restore import Retriever


T = TypeVar("T")


def parse_asked(retrieve: Tier | None, days: int | None) -> Asked | None:
    """What ``--retrieve`` and ``--retrieve-days`` say together."""
    if days is not None and retrieve is None:
        raise UsageError("--retrieve-days goes with --retrieve")
    if days is not None and days < 1:
        raise UsageError("--retrieve-days must be at least 1")
    return Asked(tier=retrieve, days=days or DEFAULT_DAYS) if retrieve else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What may be asked for, of whom, and where that is noted."""

    context: Context
    schema: str
    retriever: Retriever | None
    notes: Notes
    asked: Asked | None
    yes: bool

    def plan(self, make: Callable[[], T]) -> T | None:
        """The plan that ``make`` makes, if all that it reads can be read.

        ``None`` if only the retrieval was planned and shown. Raises ``Archived`` if none was asked
        for, ``Retrieving`` until the copies are there.
        """
        try:
            return make()
        except Archived as error:
            need = error.need
            if need is None or self.retriever is None or (self.asked is None and need.archived):
                raise
            if self.asked is None or (offer := offer_of(need, self.asked)) is None:
                raise still_coming(need, self.notes.ready()) from None
            if not self.yes:
                self._answer(need, self.asked, offer)
                return None
            self._ask(self.retriever, need, self.asked, offer)
            raise still_coming(need, self.notes.ready()) from None

    def keep(self, need: Need) -> None:
        """Let copies that go soon stay longer, if a retrieval was asked for."""
        now = datetime.now(UTC)
        going = need.going(now)
        if not going:
            return
        until = exact_iso(need.until) if need.until else ""
        if self.asked is None or not self.yes or self.retriever is None:
            self.context.note(
                f"{len(going):,} copies of archived objects go at {until}: with --retrieve and "
                "--yes they stay longer"
            )
            return
        from coldtable.ops.retrieve import ask

        ask(self.retriever, going, self.asked, lambda _: None)
        self.context.note(f"{len(going):,} copies stay {self.asked.days} days from now")

    def _ask(self, retriever: Retriever, need: Need, asked: Asked, offer: Offer) -> None:
        from coldtable.ops.retrieve import ask

        every = len(need.archived)
        ask(
            retriever,
            need.archived,
            asked,
            lambda done: self.context.detail(f"{done:,} of {every:,} asked for"),
        )
        self.context.note(
            f"S3 was asked for {every:,} {need.of}, {asked.tier}: {offer_text(offer, asked.days)}"
        )
        if need.more:
            self.context.note("What else is needed is only known once they can be read")
        try:
            self.notes.write(need, asked, datetime.now(UTC))
        except AccessDenied as refused:
            # They are asked for all the same; only nobody can say later when they are there.
            self.context.note(f"When that was could not be noted: {refused.message}")

    def _answer(self, need: Need, asked: Asked, offer: Offer) -> None:
        body: dict[str, Any] = {
            "done": False,
            "retrieval": {
                "of": need.of,
                "tier": str(asked.tier),
                "days": asked.days,
                "archived": [
                    {"storageClass": lot.storage, "objects": lot.objects, "bytes": lot.size}
                    for lot in lots(need.archived)
                ],
                "coming": len(need.coming),
                "dollars": round(offer.dollars, 4),
                "copiesDollars": round(offer.keeping, 4),
                "seconds": offer.latest.total_seconds(),
                "more": need.more,
            },
        }

        def table() -> None:
            rows = [("asks S3 for", f"{len(need.archived):,} {need.of}")]
            rows += [("with", f"--retrieve {asked.tier}: {offer_text(offer, asked.days)}")]
            rows += [("", line) for line in lines_of(need, asked.days)]
            print_table(["", "RETRIEVAL"], rows)

        self.context.answer(self.schema, body, table)
        self.context.note("Nothing was asked for. To do it, add --yes")


def retrieval_of(
    context: Context, schema: str, windows: Windows, table: str, asked: Asked | None, *, yes: bool
) -> Retrieval:
    """That of a restore: what was asked for is noted where its checkpoints are."""
    from coldtable.ops.retrieve import Notes

    return Retrieval(
        context=context,
        schema=schema,
        retriever=windows.retriever,
        notes=Notes(store=windows.scratch, prefix=windows.scratch_prefix, table=table),
        asked=asked,
        yes=yes,
    )


def need_rows(need: Need) -> list[tuple[str, str]]:
    """What a plan says of how S3 keeps what it reads."""
    rows = [
        (
            "reading",
            f"{size_text(lot.size)} in {lot.storage}: "
            f"{dollars_text(reading_price(lot.storage, lot.size))} each time ({SOURCE})",
        )
        for lot in need.fees
    ]
    if need.until:
        what = f"{len(need.copied):,} archived objects are read from their copies"
        rows.append(("copies", f"{what}, which stay until {exact_iso(need.until)}"))
    return rows


def need_body(need: Need) -> Mapping[str, Any]:
    """The same for JSON."""
    return {
        "readingFees": [
            {
                "storageClass": lot.storage,
                "bytes": lot.size,
                "dollars": round(reading_price(lot.storage, lot.size), 4),
            }
            for lot in need.fees
        ],
        "copies": len(need.copied),
        "copiesUntil": exact_iso(need.until) if need.until else None,
    }
