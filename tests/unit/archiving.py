"""An archive that lies in cold classes, for the tests of retrieval."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.core.retrieval import Asked, Need, Tier
from coldtable.errors import Archived
from coldtable.model_restore import Copy, Stored
from coldtable.ops.retrieve import ask
from coldtable.testing.exports import NOON
from coldtable.testing.fakes import FakeObjects
from coldtable.testing.retrieving import FakeRetriever
from tests.unit.restoring import Ground

GB = 1_000_000_000
HOURS = timedelta(hours=1)


def stored(storage: str, size: int = GB, copy: Copy | None = None, key: str = "k") -> Stored:
    return Stored(key, size, storage, copy)


@dataclass
class Cold(Ground):
    """The archive of the restore tests, with an increment, in a bucket that may archive it."""

    storage: dict[str, str] = field(default_factory=dict)
    copies: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.change()
        self.bucket_fake = FakeObjects(
            self.objects, piece=1000, storage=self.storage, copies=self.copies
        )
        self.retriever = FakeRetriever(self.bucket_fake, NOON)

    @property
    def windows(self) -> Any:
        store = self.bucket_fake
        return replace(
            super().windows, store=store, open_store=lambda: store, retriever=self.retriever
        )

    def freeze(self, part: str, storage: str = "DEEP_ARCHIVE") -> list[str]:
        keys = [key for key in self.objects if part in key]
        self.storage |= dict.fromkeys(keys, storage)
        return keys

    def refused(self, **wish: Any) -> Need:
        with pytest.raises(Archived) as caught:
            self.plan(**wish)
        assert isinstance(caught.value.need, Need)
        return caught.value.need

    def wake(self, need: Need, tier: Tier = Tier.STANDARD) -> None:
        ask(self.retriever, need.archived, Asked(tier=tier), lambda _: None)
