"""The ARNs of tables, exports and imports: taken apart, put together."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_TABLE = re.compile(
    r"arn:(?P<partition>[^:]+):dynamodb:(?P<region>[^:]*):(?P<account>\d{12}):"
    r"table/(?P<table>[a-zA-Z0-9_.-]+)(?P<rest>/.*)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableArn:
    """A DynamoDB ARN; ``rest`` is what follows the table's name (``/index/i``, ``/export/…``)."""

    partition: str
    region: str
    account: str
    table: str
    rest: str


def parse(text: str) -> TableArn | None:
    """The parts of a DynamoDB table ARN or of anything below one; ``None`` if it is neither."""
    match = _TABLE.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    return TableArn(
        partition=parts["partition"],
        region=parts["region"],
        account=parts["account"],
        table=parts["table"],
        rest=parts["rest"] or "",
    )


def new_id(start: float) -> str:
    """14 digits of epoch milliseconds, a dash, 8 hex digits: ids sort by time [REAL-G]."""
    return f"{round(start * 1000):014d}-{secrets.token_hex(4)}"


def id_of(arn: str) -> str:
    """The last part of an export or import ARN."""
    return arn.rsplit("/", 1)[1]
