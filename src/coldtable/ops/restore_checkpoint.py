"""Find how far an earlier run of the same restore came, and whether the table is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coldtable.core.checkpoint import Checkpoint, decode
from coldtable.errors import NotFound
from coldtable.model_restore import TableState, Way
from coldtable.ops.import_way import is_over

if TYPE_CHECKING:
    from coldtable.ops.restore_plan import RestoreWish, Windows


def checkpoint_of(
    wish: RestoreWish, windows: Windows, key: str, target: TableState | None
) -> Checkpoint | None:
    """The checkpoint, if it is of the table that is there now: another one begins anew.

    Of imports it is kept what they were: a token that was used is not used again.
    """
    try:
        found = decode(key, b"".join(windows.scratch.read(key)))
    except NotFound:
        return None
    if target is not None:
        if found.table_id:
            return found if found.table_id == target.table_id else None
        return found if _is_ours(wish, windows, target, found) else None
    if found.way is Way.IMPORT and not is_over(windows.importer, found):
        # Its table shows itself late.
        return found
    return Checkpoint(attempt=found.attempt) if found.attempt else None


def _is_ours(wish: RestoreWish, windows: Windows, target: TableState, found: Checkpoint) -> bool:
    """Whether the table is the one that was asked for before somebody died and noted no id."""
    if found.way is Way.IMPORT:
        return True
    if wish.marks:
        return set(wish.marks) <= set(windows.tables.tags(target.arn).items())
    # What we asked for and did not see ready is empty.
    return found.made and not windows.tables.has_items(target.name)
