"""Whatever happens to an installation, its catalog tells the truth and nothing is paid twice."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coldtable.errors import ServiceFailed
from coldtable.model import Window
from coldtable.testing.world import Crash, Fuse
from tests.unit.ticking import HOUR, Night, policy

QUARTER = timedelta(minutes=15)


def lose() -> None:
    """An answer that never comes back to the caller."""
    raise ServiceFailed("The answer was lost")


class Installation(RuleBasedStateMachine):
    """A continuous table with two days of PITR, so that its history is soon out of reach."""

    @initialize()
    def begin(self) -> None:
        self.night = Night(policy(full_every=timedelta(days=4)))
        self.aws = self.night.aws
        self.aws.drop("orders")
        self.create()
        self.ids = [self.night.table.table_id]

    def create(self) -> None:
        self.night.table = self.aws.create("orders", days=2)

    @rule(steps=st.integers(1, 12))
    def quiet_hours(self, steps: int) -> None:
        """Everything goes as it should for a while."""
        self.night.run(steps * QUARTER)

    @rule(hours=st.integers(1, 80))
    def outage(self, hours: int) -> None:
        """No tick at all."""
        self.aws.pass_time(hours * HOUR)

    @rule(at=st.integers(0, 30), after=st.booleans())
    def crash(self, at: int, after: bool) -> None:
        """A tick dies at a port call, before or after it was done."""
        self.aws.pass_time(QUARTER)
        with contextlib.suppress(Crash):
            self.night.tick(Fuse(at, after=after))

    @rule(at=st.integers(0, 30), after=st.booleans())
    def lost_answer(self, at: int, after: bool) -> None:
        """A port call fails; its effect may have come about."""
        self.aws.pass_time(QUARTER)
        self.night.tick(Fuse(at, after=after, then=lose))

    @rule(at=st.integers(0, 30), later=st.integers(0, 90))
    def two_at_once(self, at: int, later: int) -> None:
        """While one tick is at work another one, with a later clock, runs from start to end."""

        def other() -> None:
            self.aws.pass_time(timedelta(seconds=later))
            self.night.tick()

        self.aws.pass_time(QUARTER)
        self.night.tick(Fuse(at, then=other))

    @rule(codes=st.lists(st.sampled_from(["S3AccessDenied", "InternalError"]), max_size=4))
    def exports_fail(self, codes: list[str]) -> None:
        """The next exports are accepted and fail later."""
        self.aws.failures = codes

    @rule(how=st.sampled_from(["data", "md5"]))
    def export_is_damaged(self, how: str) -> None:
        """The next export completes, and what lies in the bucket is not whole."""
        self.aws.damages = [how]

    @rule()
    def bucket_closes(self) -> None:
        """Exports cannot write any more."""
        self.aws.bucket_open = False

    @rule()
    def bucket_opens(self) -> None:
        """They can again."""
        self.aws.bucket_open = True

    @rule(minutes=st.integers(0, 300))
    def pitr_resets(self, minutes: int) -> None:
        """PITR is off for a while, with ticks going on."""
        self.aws.switch_pitr("orders", on=False)
        self.night.run(timedelta(minutes=minutes))
        self.aws.switch_pitr("orders", on=True)

    @rule(minutes=st.integers(0, 60))
    def table_is_recreated(self, minutes: int) -> None:
        """The table is deleted, and another one gets its name."""
        self.aws.drop("orders")
        self.aws.pass_time(timedelta(minutes=minutes))
        self.create()
        self.ids.append(self.night.table.table_id)

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """No second export of the same span unless the first failed or was damaged."""
        if hasattr(self, "night"):
            assert self.aws.paid_twice() == []

    @invariant()
    def the_catalog_claims_nothing_that_is_not_there(self) -> None:
        """What the catalog calls restorable is restorable."""
        if hasattr(self, "night"):
            for table_id in self.ids:
                claimed = self.night.timeline(table_id).coverage
                real = self.night.truth(table_id).coverage
                assert all(any(_within(c, r) for r in real) for c in claimed), (claimed, real)

    def teardown(self) -> None:
        """Once all is well again: coverage is the truth, gaps are noted and told, no more to do."""
        if not hasattr(self, "night"):
            return
        self.aws.failures, self.aws.damages, self.aws.bucket_open = [], [], True
        self.night.run(14 * HOUR)
        self.aws.pass_time(timedelta(minutes=1))
        report = self.night.tick()
        assert report.tables[0].error is None
        assert report.tables[0].plan.actions == ()
        assert report.tables[0].lag is not None
        assert report.tables[0].lag < 2 * HOUR
        self._check_coverage()
        self._check_gaps()
        self._check_tellings()

    def _check_coverage(self) -> None:
        current = self.night.table.table_id
        assert self.night.timeline(current).coverage == self.night.truth(current).coverage

    def _check_gaps(self) -> None:
        for table_id in self.ids:
            ledger = self.night.ledger(table_id)
            for gap in self.night.timeline(table_id).gaps:
                assert gap.start in ledger.gaps, (gap, sorted(ledger.gaps))

    def _check_tellings(self) -> None:
        """Every incident that was noted was told, and is over; told twice only after a crash."""
        catalog = [key for key in self.aws.bucket.objects if "/incident/" in key]
        names = {key.rsplit("/", 1)[1].rsplit(".", 2)[0] for key in catalog}
        for name in names:
            states = {k.rsplit(".", 2)[1] for k in catalog if f"/{name}." in k}
            assert states == {"open", "told", "over", "overtold"}, (name, states)
        for table_id in self.ids:
            for start in self.night.ledger(table_id).gaps:
                covered = self.night.timeline(table_id).coverage
                real = not any(c.start <= start < c.stop for c in covered)
                assert not real or any(n == f"loss.{start:%Y%m%dT%H%M%SZ}" for n in names)


def _within(inner: Window, outer: Window) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


TestInstallation = Installation.TestCase
TestInstallation.settings = settings(max_examples=25, stateful_step_count=14, deadline=None)
