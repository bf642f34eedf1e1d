"""What AWS asks, in one place. From secondary sources for us-east-1: look before you rely on it.

AWS's own pages could not be read when this was written (fact sheet, section 7).
"""

from __future__ import annotations

SOURCE = "us-east-1, from secondary sources: check AWS's price list"

# ImportTable: USD for a GB of uncompressed source data.
IMPORT_GB = 0.15
# On-demand writes: USD for a million write request units (general knowledge, UNVERIFIED).
WRITE_MILLION = 0.625
# On-demand reads: USD for a million read request units (general knowledge, UNVERIFIED).
READ_MILLION = 0.125

_GB = 1_000_000_000


def import_price(json_bytes: int) -> float:
    """USD for importing so many bytes, uncompressed."""
    return json_bytes / _GB * IMPORT_GB


def read_price(units: float) -> float:
    """USD for so many read request units of a table on demand."""
    return units / 1_000_000 * READ_MILLION


def write_price(units: float) -> float:
    """USD for so many write request units of a table on demand."""
    return units / 1_000_000 * WRITE_MILLION


# Bringing archived objects back: USD for a GB, and for a thousand objects, by storage class and
# tier. AWS's knowledge centre has those of GLACIER; those of DEEP_ARCHIVE and of reading at once
# are general knowledge (UNVERIFIED). What INTELLIGENT_TIERING archives is free but for expedited.
RETRIEVAL = {
    ("GLACIER", "Bulk"): (0.0, 0.0),
    ("GLACIER", "Standard"): (0.01, 0.05),
    ("GLACIER", "Expedited"): (0.03, 10.0),
    ("DEEP_ARCHIVE", "Bulk"): (0.0025, 0.025),
    ("DEEP_ARCHIVE", "Standard"): (0.02, 0.10),
    ("ARCHIVE_ACCESS", "Bulk"): (0.0, 0.0),
    ("ARCHIVE_ACCESS", "Standard"): (0.0, 0.0),
    ("ARCHIVE_ACCESS", "Expedited"): (0.03, 10.0),
    ("DEEP_ARCHIVE_ACCESS", "Bulk"): (0.0, 0.0),
    ("DEEP_ARCHIVE_ACCESS", "Standard"): (0.0, 0.0),
}
# What is read at once and charged by the GB, beside the requests.
READING_GB = {"STANDARD_IA": 0.01, "ONEZONE_IA": 0.01, "GLACIER_IR": 0.03}
# USD for a GB and a month (fact sheet, section 7); a copy lies in STANDARD while it stays.
STORAGE_GB_MONTH = {
    "STANDARD": 0.023,
    "STANDARD_IA": 0.0125,
    "GLACIER_IR": 0.004,
    "DEEP_ARCHIVE": 0.00099,
}
_MONTH = 30


def retrieval_price(storage: str, tier: str, objects: int, size: int) -> float | None:
    """USD for retrieving so many objects of so many bytes; ``None`` if there is no such tier."""
    if (found := RETRIEVAL.get((storage, tier))) is None:
        return None
    gigabyte, thousand = found
    return size / _GB * gigabyte + objects / 1000 * thousand


def copies_price(size: int, days: int) -> float:
    """USD for copies of so many bytes that stay for so many days."""
    return size / _GB * STORAGE_GB_MONTH["STANDARD"] * days / _MONTH


def reading_price(storage: str, size: int) -> float:
    """USD for reading so many bytes of a class that is read at once."""
    return size / _GB * READING_GB.get(storage, 0.0)
