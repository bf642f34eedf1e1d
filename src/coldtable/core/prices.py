"""What AWS asks, in one place. From secondary sources for us-east-1: look before you rely on it.

AWS's own pages could not be read when this was written (fact sheet, section 7).
"""

from __future__ import annotations

SOURCE = "us-east-1, from secondary sources: check AWS's price list"

# ImportTable: USD for a GB of uncompressed source data.
IMPORT_GB = 0.15
# On-demand writes: USD for a million write request units (general knowledge, UNVERIFIED).
WRITE_MILLION = 0.625

_GB = 1_000_000_000


def import_price(json_bytes: int) -> float:
    """USD for importing so many bytes, uncompressed."""
    return json_bytes / _GB * IMPORT_GB


def write_price(units: float) -> float:
    """USD for so many write request units of a table on demand."""
    return units / 1_000_000 * WRITE_MILLION
