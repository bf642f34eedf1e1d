"""Find an export of ours among those that AWS remembers: by its ClientToken, and by nothing less.

A token answers a replay for 8 hours after its export has completed [MODEL]; after that the same
request would be a second export, and a second bill.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from coldtable.model import Export, Table
from coldtable.ports import Exporter

# An intent that is older must be looked for before it is asked for again.
TOKEN_LIFE = timedelta(hours=7)


def find_export(
    exporter: Exporter, table: Table, tokens: Collection[str], since: datetime
) -> Export | None:
    """The newest export since ``since`` that one of ``tokens`` started; ``None`` if none did."""
    for arn in exporter.exports(table):
        # An export's id begins with the milliseconds of its start; incrementals' are cut to whole
        # seconds [REAL-G]. The list is newest first [MODEL].
        started = datetime.fromtimestamp(int(arn.rsplit("/", 1)[-1][:14]) / 1000, UTC)
        if started < since - timedelta(seconds=2):
            return None
        export = exporter.describe(arn)
        if export.token in tokens:
            return export
    return None
