"""What restoring needs beyond its windows where items are proven, folded or written by us.

Not for the Lambda that drills: it has no compiled package, and only imports what lies there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from coldtable.ops.crew import Crew, OpenStore
from coldtable.ops.fold_limits import Limits
from coldtable.ops.restore_plan import Windows
from coldtable.ops.send import Time
from coldtable.ports_restore import TableWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreWindows(Windows):
    """The windows, and who does the work.

    ``crew`` proves data files, from stores that ``open_store`` makes; ``bounds`` is what a fold may
    use; ``time`` is what writing is paced by.
    """

    open_store: OpenStore
    crew: Crew
    bounds: Limits
    writer: TableWriter
    time: Time = field(default_factory=Time)
