"""An object store that counts what S3 would bill: a listing by pages of a thousand keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from coldtable.errors import ColdtableError
from coldtable.ports import Entry, ObjectStore

_PAGE = 1000


class CountingObjects:
    """Another store, with ``requests`` by kind: LIST, GET and PUT. Pages are asked for one by one,
    as they are read."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.requests: Counter[str] = Counter()

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``ports.ObjectStore.keys``."""
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """See ``ports.ObjectStore.entries``."""
        self.requests["LIST"] += 1
        for number, entry in enumerate(self._inner.entries(prefix, after=after)):
            if number and number % _PAGE == 0:
                self.requests["LIST"] += 1
            yield entry

    def read(self, key: str) -> Iterator[bytes]:
        """See ``ports.ObjectStore.read``."""
        self.requests["GET"] += 1
        return self._inner.read(key)

    def put(self, key: str, body: bytes) -> None:
        """See ``ports.ObjectStore.put``."""
        self.requests["PUT"] += 1
        self._inner.put(key, body)

    def put_new(self, key: str, body: bytes) -> bool:
        """See ``ports.ObjectStore.put_new``."""
        self.requests["PUT"] += 1
        return self._inner.put_new(key, body)

    def put_stream(self, key: str, pieces: Iterable[bytes]) -> str:
        """See ``ports.ObjectStore.put_stream``."""
        self.requests["PUT"] += 1
        return self._inner.put_stream(key, pieces)

    def remove(self, key: str) -> None:
        """See ``ports.ObjectStore.remove``."""
        self.requests["DELETE"] += 1
        self._inner.remove(key)

    def remove_many(self, keys: Iterable[str]) -> Mapping[str, ColdtableError]:
        """See ``ports.ObjectStore.remove_many``."""
        keys = list(keys)
        self.requests["DELETE"] += -(-len(keys) // _PAGE)
        return self._inner.remove_many(keys)
