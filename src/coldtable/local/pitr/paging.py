"""Pages of ListExports and ListImports: newest first, ten to a page unless told [QUIRKS]."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..interface import ApiError
from . import arns

DEFAULT_PAGE = 10


class Listed(Protocol):
    """Anything with an ARN whose last part is a time-ordered id."""

    @property
    def arn(self) -> str: ...


T = TypeVar("T", bound=Listed)


def page(found: Sequence[T], size: int | None, token: str | None) -> tuple[list[T], str | None]:
    """One page and the token of the next. New arrivals between two pages repeat nothing."""
    ordered = sorted(found, key=_mark, reverse=True)
    if token is not None:
        after = _opened(token)
        ordered = [one for one in ordered if _mark(one) < after]
    shown = ordered[: size or DEFAULT_PAGE]
    if len(shown) == len(ordered):
        return shown, None
    return shown, base64.urlsafe_b64encode(shown[-1].arn.encode()).decode()


def _mark(one: Listed) -> tuple[str, str]:
    return arns.id_of(one.arn), one.arn


def _opened(token: str) -> tuple[str, str]:
    try:
        arn = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        return arns.id_of(arn), arn
    except (binascii.Error, UnicodeError, IndexError):
        # UNVERIFIED text.
        raise ApiError("ValidationException", "Invalid Request: Invalid NextToken") from None
