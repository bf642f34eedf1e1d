"""One gzip member from blocks that were compressed apart, at the same time, by several threads.

Its header is that of DynamoDB's own files, as are its twenty bytes if it is empty [REAL-G].
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from isal import isal_zlib

# Level 2 of isal: as fast as level 1 within a few percent, and a little smaller.
LEVEL = 2
_RAW = -15
HEADER = bytes.fromhex("1f8b08000000000000ff")
_LAST_BLOCK = b"\x03\x00"
_ZEROS = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Deflated:
    """A compressed block that ends at a byte, and of what it was made: checksum and size."""

    body: bytes
    crc: int
    size: int


def deflate(block: bytes | memoryview) -> Deflated:
    """Compress one block."""
    if not block:
        return Deflated(b"", 0, 0)
    zip_ = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _RAW)
    body = zip_.compress(block) + zip_.flush(isal_zlib.Z_SYNC_FLUSH)
    return Deflated(body, isal_zlib.crc32(block), len(block))


class Trailer:
    """What stands at the end of a member: the checksum and size of all of its blocks."""

    def __init__(self) -> None:
        self.crc = 0
        self.size = 0

    def add(self, block: Deflated) -> None:
        """The next block."""
        self.crc = block.crc ^ _moved(self.crc, block.size)
        self.size += block.size

    def bytes(self) -> bytes:
        """The end of the member: its last, empty block, and the trailer."""
        return _LAST_BLOCK + struct.pack("<II", self.crc, self.size & 0xFFFFFFFF)


def _moved(crc: int, size: int) -> int:
    """What a checksum becomes by so many more bytes, less what these bytes alone would give.

    A checksum is linear in its bytes: zeros do, and isal counts them faster than memory is read.
    """
    with_it, without = crc, 0
    while size > 0:
        zeros = memoryview(_ZEROS)[:size]
        with_it, without = isal_zlib.crc32(zeros, with_it), isal_zlib.crc32(zeros, without)
        size -= len(zeros)
    return with_it ^ without
