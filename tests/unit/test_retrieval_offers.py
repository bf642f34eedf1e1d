"""What a retrieval is offered for: its tiers, prices, times, and the words for them."""

from __future__ import annotations

import pytest

from coldtable.core.retrieval import Asked, Tier, lines_of, lots, need_of, offer_of, offers
from coldtable.errors import UsageError
from coldtable.model_restore import Copy, Stored
from coldtable.testing.exports import NOON
from tests.unit.archiving import GB, HOURS, stored


@pytest.mark.parametrize(
    ("found", "tier", "dollars", "latest"),
    [
        ([stored("GLACIER")] * 10, Tier.BULK, 0.0, 12),
        ([stored("GLACIER")] * 10, Tier.STANDARD, 10 * 0.01 + 10 / 1000 * 0.05, 5),
        ([stored("GLACIER")] * 10, Tier.EXPEDITED, 10 * 0.03 + 10 / 1000 * 10, 5 / 60),
        ([stored("DEEP_ARCHIVE")] * 10, Tier.BULK, 10 * 0.0025 + 10 / 1000 * 0.025, 48),
        ([stored("DEEP_ARCHIVE")] * 10, Tier.STANDARD, 10 * 0.02 + 10 / 1000 * 0.1, 12),
        ([stored("DEEP_ARCHIVE_ACCESS")], Tier.STANDARD, 0.0, 12),
        ([stored("GLACIER"), stored("DEEP_ARCHIVE")], Tier.STANDARD, 0.03 + 0.00015, 12),
    ],
)
def test_each_tier_has_its_price_and_time(
    found: list[Stored], tier: Tier, dollars: float, latest: float
) -> None:
    """By class: so much a GB, so much a thousand objects; of several classes the slowest counts,
    and their prices add up."""
    (offer,) = (one for one in offers(found, 7) if one.tier is tier)
    assert offer.dollars == pytest.approx(dollars)
    assert offer.latest == latest * HOURS


def test_no_class_has_a_tier_that_it_lacks() -> None:
    """DEEP_ARCHIVE has no expedited retrieval, also among objects that have: asked for, it is an
    error that names the class."""
    mixed = [stored("GLACIER"), stored("DEEP_ARCHIVE")]
    assert [offer.tier for offer in offers(mixed, 7)] == [Tier.BULK, Tier.STANDARD]
    with pytest.raises(UsageError, match="DEEP_ARCHIVE has no expedited"):
        offer_of(need_of(mixed), Asked(tier=Tier.EXPEDITED))


def test_copies_cost_what_standard_does() -> None:
    """A copy is paid for by the day; what INTELLIGENT_TIERING moves back is none."""
    (offer, *_) = offers([stored("GLACIER", 100 * GB)], 30)
    assert offer.keeping == pytest.approx(2.3)
    (offer, *_) = offers([stored("ARCHIVE_ACCESS", 100 * GB)], 30)
    assert offer.keeping == 0


def test_what_needs_asking() -> None:
    """Archived without a copy: yes; being retrieved, retrieved, or read at once: no."""
    found = [
        stored("GLACIER", key="cold"),
        stored("DEEP_ARCHIVE", copy=Copy(), key="coming"),
        stored("DEEP_ARCHIVE", copy=Copy(NOON + 30 * HOURS), key="copied"),
        stored("GLACIER", copy=Copy(NOON + 20 * HOURS), key="going"),
        stored("GLACIER_IR", key="at once"),
        stored("STANDARD_IA", key="at once, too"),
        stored("STANDARD", key="warm"),
        stored("INTELLIGENT_TIERING", key="warm, too"),
    ]
    need = need_of(found)
    assert [one.key for one in need.archived] == ["cold"]
    assert [one.key for one in need.coming] == ["coming"]
    assert [one.key for one in need.copied] == ["copied", "going"]
    assert [one.key for one in need.going(NOON)] == ["going"]
    assert need.until == NOON + 20 * HOURS
    assert [lot.storage for lot in need.fees] == ["GLACIER_IR", "STANDARD_IA"]
    assert not need.readable
    assert need_of(found[2:]).readable


def test_the_words() -> None:
    """Per class how much, per tier how long and how much; never a tier that is not there."""
    need = need_of([stored("DEEP_ARCHIVE", 5 * GB), stored("DEEP_ARCHIVE", 5 * GB)])
    assert lines_of(need, 7)[:3] == [
        "DEEP_ARCHIVE: 2 objects, 10.0 GB",
        "--retrieve bulk: up to 48 hours, about 0.03 USD, and about 0.05 USD for copies that "
        "stay 7 days",
        "--retrieve standard: up to 12 hours, about 0.20 USD, and about 0.05 USD for copies that "
        "stay 7 days",
    ]
    flexible = lines_of(need_of([stored("GLACIER")]), 1)
    assert "--retrieve bulk: 5 to 12 hours, free, and less than 0.01 USD" in flexible[1]
    assert "--retrieve expedited: 1 to 5 minutes" in flexible[3]


def test_lots_add_up() -> None:
    """By class, how many objects and bytes."""
    found = [stored("GLACIER", 1), stored("DEEP_ARCHIVE", 2), stored("GLACIER", 3)]
    assert [(lot.storage, lot.objects, lot.size) for lot in lots(found)] == [
        ("DEEP_ARCHIVE", 1, 2),
        ("GLACIER", 2, 4),
    ]
