"""``--at``: the instant that a person means."""

from __future__ import annotations

from datetime import UTC, datetime

from coldtable.errors import UsageError


def parse_instant(text: str) -> datetime | None:
    """The UTC instant; ``None`` for the latest."""
    if text == "latest":
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--at {text!r} is not a time", hint="Write it like 2026-11-01T03:00+09:00, or latest"
        ) from None
    if instant.tzinfo is None:
        whole = text if ":" in text else f"{text}T03:00"
        raise UsageError(
            f"--at {text!r} has no offset, so it could mean any of many instants",
            hint=f"Write {whole}Z for UTC, or with +09:00 at its end",
        )
    return instant.astimezone(UTC)
