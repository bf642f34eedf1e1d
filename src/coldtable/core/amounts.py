"""Amounts as people read them."""

from __future__ import annotations


def size_text(count: int) -> str:
    """Bytes for people: ``1.5 GB``."""
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and units[1:]:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"
