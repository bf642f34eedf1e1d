"""The ClientToken ledger: the same token and request give the same answer for eight hours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

TOKEN_SECONDS = 8 * 3600


def fingerprint(request: Mapping[str, Any]) -> str:
    """Everything that the caller sent but for the token; an omitted default is a difference."""
    rest = {name: value for name, value in request.items() if name != "ClientToken"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Conflict(Exception):
    """The token is in use for another request."""


class Tokens:
    """Tokens of one kind (exports' are not imports' [QUIRKS]), by account and region."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[str, str]] = {}

    def find(
        self,
        place: tuple[str, str],
        token: str | None,
        print_: str,
        ended: Callable[[str], float | None],
        now: float,
    ) -> str | None:
        """The ARN that ``token`` started, ``None`` if it is free; ``Conflict`` when taken.

        ``ended`` tells when that ARN's run completed: the eight hours count from there [MODEL].
        """
        if token is None:
            return None
        known = self._known.get((*place, token))
        if known is None:
            return None
        arn, seen = known
        end = ended(arn)
        if end is not None and now >= end + TOKEN_SECONDS:
            del self._known[(*place, token)]
            return None
        if seen != print_:
            raise Conflict
        return arn

    def keep(self, place: tuple[str, str], token: str, print_: str, arn: str) -> None:
        """Bind a token to what it started."""
        self._known[(*place, token)] = (arn, print_)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
