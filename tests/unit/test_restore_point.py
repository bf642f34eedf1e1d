"""Which instants an archive can rebuild, from what, and what is said where it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coldtable.core.archive import ArchivedExport
from coldtable.core.manifest import Manifest
from coldtable.core.restore_point import chains, plan_restore, restore_points
from coldtable.errors import NotCovered, UsageError
from coldtable.model import View, Window

ARN = "arn:aws:dynamodb:eu-north-1:123456789012:table/orders"
DAY = datetime(2026, 1, 14, tzinfo=UTC)


def at(clock: str) -> datetime:
    """``10:20`` of that day."""
    return datetime.fromisoformat(f"2026-01-14T{clock}+00:00")


def export(start: datetime, stop: datetime | None = None, table_id: str = "t") -> ArchivedExport:
    """A full export at ``start``, or an increment to ``stop``."""
    name = f"{start:%H%M%S%f}{stop or start:%H%M%S}-00000001"
    return ArchivedExport(
        summary_key=f"AWSDynamoDB/{name}/manifest-summary.json",
        manifest=Manifest(
            export_arn=f"{ARN}/export/{name}",
            table_arn=ARN,
            table_id=table_id,
            moment=None if stop else start,
            window=Window(start=start, stop=stop) if stop else None,
            view=View.NEW_IMAGE if stop else None,
            items=0,
            output_format="DYNAMODB_JSON",
            files_key=f"AWSDynamoDB/{name}/manifest-files.json",
        ),
    )


def full(clock: str, table_id: str = "t") -> ArchivedExport:
    return export(at(clock), table_id=table_id)


def step(start: str, stop: str, table_id: str = "t") -> ArchivedExport:
    return export(at(start), at(stop), table_id)


def test_the_latest_full_export_and_what_joins_on_to_it() -> None:
    """The base is the nearest one before; increments come in order, however they were found."""
    exports = [
        step("10:30", "10:45"),
        full("10:00"),
        step("10:15", "10:30"),
        full("10:15"),
        step("10:00", "10:15"),
    ]
    assert restore_points(exports) == tuple(map(at, ("10:00", "10:15", "10:30", "10:45")))
    plan = plan_restore(exports, at("10:45"))
    assert (plan.base, plan.increments) == (exports[3], (exports[2], exports[0]))
    assert plan.seams == ()
    assert plan_restore(exports, at("10:00")).base is exports[1]
    assert plan_restore(exports, None) == plan
    assert [(c.base, c.increments) for c in chains(exports)] == [
        (exports[1], (exports[4],)),
        (exports[3], (exports[2], exports[0])),
    ]


def test_windows_of_other_lengths_beside_each_other() -> None:
    """Somebody's daily windows over our short ones: either way leads there, the short is taken."""
    exports = [
        full("10:00"),
        step("10:00", "11:00"),
        step("10:00", "10:30"),
        step("10:30", "11:00"),
    ]
    assert plan_restore(exports, at("11:00")).increments == (exports[1],)
    assert plan_restore(exports, at("10:30")).increments == (exports[2],)
    assert len(chains(exports)) == 1


def test_the_gap_of_seconds_at_the_beginning_of_real_archives() -> None:
    """A default export time has milliseconds, and the first window begins at the next minute:
    refused with the exact gap, also for the latest; accepted with --allow-gap, and told."""
    exports = [full("10:18:50.622"), step("10:19", "10:35"), step("10:35", "10:50")]
    for asked in (at("10:50"), None):
        with pytest.raises(NotCovered) as caught:
            plan_restore(exports, asked)
        assert caught.value.exit_code == 4
        assert caught.value.message == (
            "Table orders cannot be rebuilt as it was at 2026-01-14T10:50:00+00:00: the nearest "
            "restore point is 2026-01-14T10:18:50.622+00:00. In the way is a gap of 9.378 s from "
            "2026-01-14T10:18:50.622+00:00 to 2026-01-14T10:19:00+00:00: what was written then "
            "may be missing or stale"
        )
        assert caught.value.hint == (
            "Name one of those with --at 2026-01-14T10:18:50.622+00:00\n--allow-gap accepts that"
        )
        plan = plan_restore(exports, asked, allow_gap=True)
        assert (plan.base, plan.increments) == (exports[0], (exports[1], exports[2]))
        assert [(seam.is_gap, seam.length) for seam in plan.seams] == [
            (True, timedelta(seconds=9.378))
        ]


def test_an_overlap_is_no_join_either() -> None:
    """A window that begins before its base's moment brings deleted items back: refused, told."""
    exports = [full("10:18:50.622"), step("10:18:50", "10:35")]
    with pytest.raises(NotCovered, match=r"an overlap of 0.622 s .* deleted later may come back"):
        plan_restore(exports, None)
    plan = plan_restore(exports, None, allow_gap=True)
    assert [str(seam)[:10] for seam in plan.seams] == ["an overlap"]
    assert not plan.seams[0].is_gap


def test_the_way_that_loses_least() -> None:
    """With several gaps to choose from, the least time is lost in all; exact ways come first."""
    exports = [
        full("09:00"),
        step("09:00", "09:55"),
        full("09:50"),
        step("10:00", "10:30"),
        full("10:30"),
        step("10:40", "11:00"),
    ]
    plan = plan_restore(exports, at("11:00"), allow_gap=True)
    assert plan.base is exports[4]
    without = [e for e in exports if e is not exports[4]]
    plan = plan_restore(without, at("11:00"), allow_gap=True)
    assert plan.base is exports[0]
    assert [seam.length for seam in plan.seams] == [timedelta(minutes=5), timedelta(minutes=10)]
    assert plan_restore(exports, at("09:55"), allow_gap=True).seams == ()


def test_between_restore_points() -> None:
    """Inside a window nothing can be rebuilt: both neighbours are named."""
    exports = [full("10:00"), step("10:00", "10:15")]
    with pytest.raises(NotCovered) as caught:
        plan_restore(exports, at("10:07"), allow_gap=True)
    assert "restore points are 2026-01-14T10:00:00+00:00 and 2026-01-14T10:15:00" in str(
        caught.value
    )
    assert "within the window from 2026-01-14T10:00:00+00:00" in str(caught.value)
    assert "coldtable export orders --at 2026-01-14T10:07:00+00:00 --wait" in caught.value.hint


def test_a_re_created_table_is_another_one() -> None:
    """Increments of the new table do not continue the old one's chain, and each can be restored."""
    exports = [full("10:00"), step("10:00", "10:15"), step("10:15", "10:30", table_id="new")]
    with pytest.raises(NotCovered, match="it has no restore point at all"):
        plan_restore(exports, None)
    exports.append(full("10:20", table_id="new"))
    assert plan_restore(exports, at("10:20")).base is exports[3]
    assert plan_restore(exports, at("10:15")).base is exports[0]


def test_increments_alone_rebuild_nothing() -> None:
    """The hint says what is missing."""
    with pytest.raises(NotCovered) as caught:
        plan_restore([step("10:00", "10:15")], None)
    assert "needs the full export" in caught.value.hint
    with pytest.raises(NotCovered, match="no export to restore from"):
        plan_restore([], None)


def test_two_tables_are_not_one() -> None:
    """Exports of two ARNs are refused: their times would be mixed."""
    other = full("10:00")
    changed = ArchivedExport(
        summary_key="x",
        manifest=Manifest(
            export_arn="a/export/b",
            table_arn="a",
            table_id="t",
            moment=DAY,
            items=0,
            output_format="ION",
            files_key="x",
        ),
    )
    with pytest.raises(UsageError):
        plan_restore([other, changed], None)
