"""Every object of an archive against every object that its manifests name, at 16 bytes each."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left


class Inventory:
    """Takes the names first, then what is there. Names are 64-bit hashes: among a million the
    chance that any two are taken for each other is one in thirty million."""

    def __init__(self) -> None:
        self._named = array("Q")
        self._sizes = array("q")
        self.objects = 0
        self.bytes = 0

    def name(self, key: str) -> None:
        """A manifest names this object."""
        self._named.append(_hashed(key))

    def freeze(self) -> None:
        """All names are known."""
        self._named = array("Q", sorted(set(self._named)))
        self._sizes = array("q", [-1]) * len(self._named)

    def see(self, key: str, size: int) -> bool:
        """This object is there; whether a manifest names it."""
        place = self._place(key)
        if place is None:
            return False
        self._sizes[place] = size
        self.objects += 1
        self.bytes += size
        return True

    def size(self, key: str) -> int | None:
        """The bytes of an object; ``None`` if it is not there."""
        place = self._place(key)
        return None if place is None or self._sizes[place] < 0 else self._sizes[place]

    def _place(self, key: str) -> int | None:
        hashed = _hashed(key)
        place = bisect_left(self._named, hashed)
        found = place < len(self._named) and self._named[place] == hashed
        return place if found else None


def _hashed(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
