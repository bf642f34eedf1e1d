"""Drill: restore to a table of its own, compare, throw it away, and note how it went.

By every way there is: this is what people run. ``ops.drill_run`` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coldtable.ops.content import Content, Tell
from coldtable.ops.drill_plan import DrillPlan
from coldtable.ops.drill_run import DrillReport, Run
from coldtable.ops.fill import Filled
from coldtable.ops.gather import content_of
from coldtable.ops.restore import fill_table
from coldtable.ops.restore_plan import TablePlan
from coldtable.ops.restore_windows import RestoreWindows


def drill_table(plan: DrillPlan, windows: RestoreWindows, progress: Tell) -> DrillReport:
    """Carry the plan out. Interrupted at any point, the same wish goes on where this one was.

    What comes of it, and what it raises: ``drill_run.Run``.
    """
    own = replace(windows, own=plan.drill.drill_id)
    return Run(plan, own, _AllWays(own, progress)).carry_out()


@dataclass(frozen=True, slots=True)
class _AllWays:
    """Proves, folds, imports and writes. Implements ``drill_run.Hands``."""

    windows: RestoreWindows
    progress: Tell

    def gather(self, plan: TablePlan) -> Content:
        """See ``drill_run.Hands.gather``."""
        return content_of(plan, self.windows, self.progress)

    def fill(self, plan: TablePlan, content: Content) -> Filled:
        """See ``drill_run.Hands.fill``."""
        return fill_table(plan, self.windows, content, self.progress)
