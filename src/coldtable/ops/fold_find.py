"""Find bytes in a chunk: newlines, names, escapes; and compare bytes at many places at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import local

import numpy as np

from coldtable.ops.fold_chunks import Buffer, Bytes, Chunk, sliding
from coldtable.ops.fold_keys import Mask, Places

# What looking at a byte costs, and what each place found does (nanoseconds, measured roughly).
_LOOK, _CHECK = 0.3, 20.0
_SAMPLE = 64 * 1024
_NEWLINE, _BACKSLASH = b"\n\\"


class Literal:
    """Bytes that are compared with what begins at many places, eight at a time."""

    def __init__(self, text: bytes) -> None:
        self._parts = []
        for start in range(0, len(text), 8):
            part = text[start : start + 8]
            mask = np.uint64((1 << 8 * len(part)) - 1)
            self._parts.append((start, np.uint64(int.from_bytes(part, "little")), mask))

    def at(self, buffer: Buffer, places: Places) -> Mask:
        """At which of the places the buffer has these bytes."""
        good: Mask = np.ones(len(places), np.bool_)
        for start, value, mask in self._parts:
            good &= (buffer.words[places + start] & mask) == value
        return good


_MAP = Literal(b'"M"')


@dataclass(frozen=True, slots=True)
class _Scan:
    """One or two neighbouring bytes to look for, and where in which tokens they are."""

    needle: bytes
    found_in: tuple[tuple[int, int], ...]


class Finder:
    """Finds the tokens (names in their quotes), and what else scanners ask. Thread-safe."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = list(tokens)
        self._literals = [Literal(token) for token in tokens]
        self._scans: tuple[_Scan, ...] | None = None
        self._memory = local()

    def newlines(self, chunk: Chunk) -> Places:
        """The places of all newlines."""
        return self._where(chunk.buffer.bytes[: chunk.size], bytes([_NEWLINE]))

    def tokens(self, chunk: Chunk) -> list[Places]:
        """The places of each token, in order."""
        held = chunk.buffer.bytes[: chunk.size]
        if self._scans is None:
            self._scans = _cheapest(self._tokens, held[:_SAMPLE])
        found = [np.empty(0, np.intp)] * len(self._tokens)
        for scan in self._scans:
            hits = self._where(held, scan.needle)
            for number, offset in scan.found_in:
                begins = hits - offset
                if len(begins) and begins[0] < 0:
                    begins = begins[begins >= 0]
                found[number] = begins[self._literals[number].at(chunk.buffer, begins)]
        return found

    def maps(self, chunk: Chunk) -> Places:
        """The places of ``"M"``, with which every map begins (and some other things)."""
        begins = self._where(chunk.buffer.bytes[: chunk.size], b'M"') - 1
        return begins[_MAP.at(chunk.buffer, begins)]

    def escapes(self, chunk: Chunk, ends: Places) -> Mask:
        r"""The lines with ``\u00``: there, a name of ASCII could be spelled unseen."""
        marked: Mask = np.zeros(len(ends), np.bool_)
        raw = chunk.buffer.raw
        if raw.find(_BACKSLASH, 0, chunk.size) >= 0:
            place = raw.find(b"\\u00", 0, chunk.size)
            while place >= 0:
                line = np.searchsorted(ends, place)
                marked[line] = True
                place = raw.find(b"\\u00", int(ends[line]), chunk.size)
        return marked

    def _where(self, held: Bytes, needle: bytes) -> Places:
        scratch = getattr(self._memory, "scratch", None)
        if scratch is None or len(scratch) < len(held):
            scratch = self._memory.scratch = np.empty(len(held), np.bool_)
        if len(needle) == 1:
            return np.flatnonzero(np.equal(held, needle[0], out=scratch[: len(held)]))
        pair = np.frombuffer(needle, "<u2")[0]
        found = []
        for odd in (0, 1):
            pairs = held[odd : odd + (len(held) - odd) // 2 * 2].view("<u2")
            same = np.equal(pairs, pair, out=scratch[: len(pairs)])
            found.append(np.flatnonzero(same) * 2 + odd)
        # Two runs in order: merged, not sorted.
        return np.sort(np.concatenate(found), kind="stable")


def _cheapest(tokens: Sequence[bytes], sample: Bytes) -> tuple[_Scan, ...]:
    """The bytes to look for: rare ones, and for several tokens the same ones if that is cheaper."""
    singles = np.bincount(sample, minlength=256) / max(len(sample), 1)
    pairs = sliding(sample, "<u2") if len(sample) > 1 else np.empty(0, "<u2")

    def cost(needle: bytes) -> float:
        if len(needle) == 1:
            return float(_LOOK + _CHECK * singles[needle[0]])
        same = np.count_nonzero(pairs == np.frombuffer(needle, "<u2")[0])
        return float(_LOOK + _CHECK * same / max(len(sample), 1))

    apart = []
    for number, token in enumerate(tokens):
        needles = {token[n : n + size] for size in (1, 2) for n in range(len(token) - size + 1)}
        best = min(sorted(needles), key=cost)
        apart.append((cost(best), _Scan(best, ((number, token.index(best)),))))
    common = set.intersection(*(set(token[1:-1]) for token in tokens))
    if len(tokens) > 1 and common:
        best = min((bytes([one]) for one in sorted(common)), key=cost)
        together = _Scan(best, tuple((n, token.index(best)) for n, token in enumerate(tokens)))
        if cost(best) < sum(price for price, _ in apart):
            return (together,)
    return tuple(scan for _, scan in apart)
