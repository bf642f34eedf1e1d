"""What S3 must bring back before an archive can be read: which objects, for how much, how soon.

Objects in GLACIER and DEEP_ARCHIVE, and what INTELLIGENT_TIERING has archived, cannot be read
until RestoreObject has made a copy that stays for some days [MODEL]. GLACIER_IR and the IA classes
are read at once, for a price by the GB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from coldtable.core.amounts import size_text
from coldtable.core.prices import SOURCE, copies_price, reading_price, retrieval_price
from coldtable.core.request import exact_iso
from coldtable.errors import Archived, Retrieving, UsageError
from coldtable.model_restore import Stored

DEFAULT_DAYS = 7
# A copy that goes so soon is asked to stay longer: what reads it may take hours.
_TOO_SOON = timedelta(days=1)
_HOUR = timedelta(hours=1)


class Tier(StrEnum):
    """How fast S3 brings an object back."""

    BULK = "bulk"
    STANDARD = "standard"
    EXPEDITED = "expedited"

    @property
    def name_at_aws(self) -> str:
        """As RestoreObject spells it [MODEL]."""
        return self.value.capitalize()


# How long it typically takes, from and to; no promise [MODEL: RestoreObject].
_FLEXIBLE = {
    Tier.BULK: (5 * _HOUR, 12 * _HOUR),
    Tier.STANDARD: (3 * _HOUR, 5 * _HOUR),
    Tier.EXPEDITED: (timedelta(minutes=1), timedelta(minutes=5)),
}
_DEEP = {
    Tier.BULK: (timedelta(), 48 * _HOUR),
    Tier.STANDARD: (timedelta(), 12 * _HOUR),
}
TIMES = {
    "GLACIER": _FLEXIBLE,
    "DEEP_ARCHIVE": _DEEP,
    "ARCHIVE_ACCESS": _FLEXIBLE,
    "DEEP_ARCHIVE_ACCESS": _DEEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """The objects of one storage class together."""

    storage: str
    objects: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One tier for everything that must be retrieved: ``dollars`` for the retrieval, ``keeping``
    for the copies. ``latest`` is what it typically takes at most."""

    tier: Tier
    dollars: float
    keeping: float
    earliest: timedelta
    latest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants: which tier, and for how many days the copies stay."""

    tier: Tier
    days: int = DEFAULT_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The objects that a plan reads and S3 does not keep like any other.

    ``archived`` have no copy, ``coming`` are being retrieved, ``copied`` have one. ``fees`` are
    read at once, for a price by the GB. ``of`` says in words what the objects are; ``more`` that
    only they tell what else is needed.
    """

    of: str = "data files"
    archived: tuple[Stored, ...] = ()
    coming: tuple[Stored, ...] = ()
    copied: tuple[Stored, ...] = ()
    fees: tuple[Lot, ...] = ()
    more: bool = False

    @property
    def readable(self) -> bool:
        """Whether nothing must be waited for."""
        return not self.archived and not self.coming

    @property
    def until(self) -> datetime | None:
        """When the first of the copies goes."""
        return min((o.copy.until for o in self.copied if o.copy and o.copy.until), default=None)

    def going(self, now: datetime) -> tuple[Stored, ...]:
        """The copies that go within a day."""
        return tuple(
            found
            for found in self.copied
            if found.copy and found.copy.until and found.copy.until - now < _TOO_SOON
        )


def need_of(found: Iterable[Stored], *, of: str = "data files", more: bool = False) -> Need:
    """What is to be done about these objects, which are those that a plan reads."""
    archived, coming, copied, at_once = [], [], [], []
    for one in found:
        if one.storage not in TIMES:
            at_once.append(one)
        elif one.copy is None:
            archived.append(one)
        elif one.copy.until is None:
            coming.append(one)
        else:
            copied.append(one)
    return Need(
        of=of,
        archived=tuple(archived),
        coming=tuple(coming),
        copied=tuple(copied),
        fees=tuple(lot for lot in lots(at_once) if reading_price(lot.storage, lot.size)),
        more=more,
    )


def lots(found: Iterable[Stored]) -> tuple[Lot, ...]:
    """How much lies in which class, by its name."""
    counts: dict[str, tuple[int, int]] = {}
    for one in found:
        objects, size = counts.get(one.storage, (0, 0))
        counts[one.storage] = objects + 1, size + one.size
    return tuple(
        Lot(storage=storage, objects=objects, size=size)
        for storage, (objects, size) in sorted(counts.items())
    )


def offers(found: Iterable[Stored], days: int) -> tuple[Offer, ...]:
    """What each tier that all of these objects have would cost and take, the slowest first."""
    classes = lots(found)
    made = []
    for tier in Tier:
        times = [TIMES[lot.storage].get(tier) for lot in classes]
        prices = [
            retrieval_price(lot.storage, tier.name_at_aws, lot.objects, lot.size) for lot in classes
        ]
        spans = [span for span in times if span is not None]
        if not classes or len(spans) < len(times):
            continue
        # What INTELLIGENT_TIERING has archived moves back, and is no copy.
        copies = sum(lot.size for lot in classes if not lot.storage.endswith("_ACCESS"))
        made.append(
            Offer(
                tier=tier,
                dollars=sum(price or 0.0 for price in prices),
                keeping=copies_price(copies, days),
                earliest=max(first for first, _ in spans),
                latest=max(last for _, last in spans),
            )
        )
    return tuple(made)


def offer_of(need: Need, asked: Asked) -> Offer | None:
    """The tier that was asked for; ``None`` if nothing must be asked for any more.

    Raises ``UsageError`` if it does not exist for one of the classes.
    """
    if not need.archived:
        return None
    for offer in offers(need.archived, asked.days):
        if offer.tier is asked.tier:
            return offer
    lacking = [lot.storage for lot in lots(need.archived) if asked.tier not in TIMES[lot.storage]]
    raise UsageError(
        f"{lacking[0]} has no {asked.tier} retrieval",
        hint="Use --retrieve standard, or --retrieve bulk, which is slower and costs less",
    )


# In words


def refusal(need: Need, days: int = DEFAULT_DAYS) -> Archived:
    """The error that a plan ends with while something of it cannot be read; it has the ``need``."""
    error: Archived
    if need.archived:
        count = len(need.archived) + len(need.coming)
        lines = [
            f"S3 has archived {count:,} of the {need.of} that must be read:",
            *lines_of(need, days),
        ]
        error = Archived(
            "\n  ".join(lines),
            hint="coldtable restore, revert and materialize ask for it with --retrieve bulk (or "
            "standard, or expedited) and --yes. Nothing was done",
        )
    else:
        error = still_coming(need, None)
    error.need = need
    return error


def still_coming(need: Need, ready: datetime | None) -> Retrieving:
    """The error that the copies were asked for and are not there; ``ready`` is when they will."""
    count = len(need.archived) + len(need.coming)
    if ready is None:
        longest = max(
            (TIMES[one.storage][Tier.BULK][1] for one in (*need.archived, *need.coming)),
            default=timedelta(),
        )
        when = f"within {_hours(longest)} of when it was asked for"
    else:
        when = f"about {exact_iso(ready)}"
    error = Retrieving(
        f"S3 is retrieving {count:,} of the {need.of}: not yet ready, ready {when}",
        hint="Run the same command again then: it goes on once all of it is there",
    )
    error.need = need
    return error


def lines_of(need: Need, days: int) -> list[str]:
    """What must be retrieved, and each tier with its time and price."""
    lines = [
        f"{lot.storage}: {lot.objects:,} objects, {size_text(lot.size)}"
        for lot in lots(need.archived)
    ]
    if need.coming:
        lines.append(f"being retrieved already: {len(need.coming):,} objects")
    lines += [
        f"--retrieve {offer.tier}: {offer_text(offer, days)}"
        for offer in offers(need.archived, days)
    ]
    if lines and need.archived:
        lines.append(f"Prices: {SOURCE}")
    if need.more:
        lines.append("What else is needed is only known once they can be read")
    return lines


def offer_text(offer: Offer, days: int) -> str:
    """One tier in words: how long it takes, what it costs, and the copies for so many days."""
    keeping = f"{dollars_text(offer.keeping)} for copies that stay {days} days"
    return f"{span_text(offer)}, {dollars_text(offer.dollars)}, and {keeping}"


def dollars_text(amount: float) -> str:
    """A price in words."""
    if not amount:
        return "free"
    return f"about {amount:.2f} USD" if amount >= 0.01 else "less than 0.01 USD"


def span_text(offer: Offer) -> str:
    """How long the tier takes."""
    if not offer.earliest:
        return f"up to {_hours(offer.latest)}"
    if offer.latest < _HOUR:
        return f"{offer.earliest.seconds // 60} to {offer.latest.seconds // 60} minutes"
    return f"{offer.earliest // _HOUR} to {_hours(offer.latest)}"


def _hours(length: timedelta) -> str:
    return f"{length // _HOUR} hours"
