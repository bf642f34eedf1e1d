"""How the stack's own bucket keeps objects: what may be asked for, what it means, what stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from coldtable.core.bucket_rules import data_prefix, parse_lock, rule_notes, rule_parameters
from coldtable.errors import ColdtableError, ConfigError, Conflict, UsageError
from coldtable.model_stack import BucketRules, DeployReport, Wish
from coldtable.ops.deploy import deploy
from coldtable.testing.cloud import FakeCloud, windows

DEFAULT = "{date:%Y/%m/%d}/{table}"

Deploy = Callable[..., DeployReport]


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(recovery={"orders": 35}, objects={"archive": {}})


@pytest.fixture
def run(cloud: FakeCloud) -> Deploy:
    def call(rules: BucketRules | None = None, **changes: object) -> DeployReport:
        wish = Wish(
            tables=("orders",), prefix_template=DEFAULT, bucket_rules=rules or BucketRules()
        )
        dry_run = bool(changes.pop("dry_run", False))
        wish = replace(wish, **changes)  # type: ignore[arg-type]
        return deploy(wish, windows(cloud), "the template", b"the code", dry_run=dry_run)

    return call


def given(cloud: FakeCloud) -> dict[str, str]:
    return dict(cloud.live["coldtable"].parameters)


def test_what_is_asked_for_is_the_stack_s(cloud: FakeCloud, run: Deploy) -> None:
    """Each rule is its parameter of the template; whatever nobody asks for is the template's."""
    run(BucketRules(glacier_ir=30, deep_archive=365, remove_versions=90, lock=("GOVERNANCE", 7)))
    names = {"DaysToGlacierIr", "DaysToDeepArchive", "DaysToRemoveVersions"}
    names |= {"ObjectLockMode", "ObjectLockDays", "DaysToStandardIa", "DataPrefix"}
    assert {name: value for name, value in given(cloud).items() if name in names} == {
        "DaysToGlacierIr": "30",
        "DaysToDeepArchive": "365",
        "DaysToRemoveVersions": "90",
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockDays": "7",
    }


def test_deployed_again_it_stays(cloud: FakeCloud, run: Deploy) -> None:
    """Without the options nothing changes; with one of them only that; 0 takes a rule away."""
    run(BucketRules(glacier_ir=30, deep_archive=365, lock=("COMPLIANCE", 7)))
    before = given(cloud)
    assert run().outcome == "unchanged"
    run(BucketRules(glacier_ir=60))
    assert given(cloud) == {**before, "DaysToGlacierIr": "60"}
    run(BucketRules(glacier_ir=0))
    assert given(cloud) == {**before, "DaysToGlacierIr": "0"}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (BucketRules(standard_ia=29), "moves nothing to STANDARD_IA before 30 days"),
        (BucketRules(standard_ia=30, glacier_ir=59), "can leave it on day 60 at the earliest"),
        (BucketRules(standard_ia=30, deep_archive=40), "can leave it on day 60 at the earliest"),
        (BucketRules(glacier_ir=30, deep_archive=30), "can leave it on day 31 at the earliest"),
        (BucketRules(deep_archive=-1), "--deep-archive-after must be 0"),
        (BucketRules(remove_versions=99_999), "--remove-versions-after must be 0"),
    ],
)
def test_what_s3_would_refuse(
    cloud: FakeCloud, run: Deploy, rules: BucketRules, words: str
) -> None:
    """Classes in their order, with the days that S3 asks for between them: said before anything is
    made."""
    with pytest.raises(UsageError, match=words):
        run(rules)
    assert not cloud.live


def test_the_order_counts_with_what_is_there(run: Deploy) -> None:
    """An option is held against the rules that the stack has already."""
    run(BucketRules(glacier_ir=90))
    with pytest.raises(UsageError, match="exports are in GLACIER_IR from day 90 on"):
        run(BucketRules(deep_archive=60))
    run(BucketRules(deep_archive=180))


def test_another_bucket_has_its_own_rules(run: Deploy) -> None:
    """The options have no effect on a bucket that the stack does not create: that is an error that
    names them."""
    with pytest.raises(UsageError, match="--glacier-ir-after, --object-lock: no effect on archive"):
        run(BucketRules(glacier_ir=30, lock=("GOVERNANCE", 1)), bucket="archive")


def test_all_that_is_wrong_is_said_at_once(run: Deploy) -> None:
    """Beside everything else."""
    with pytest.raises(ConfigError) as caught:
        run(BucketRules(standard_ia=1), schedule="daily")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("templates", "prefix"),
    [
        ((DEFAULT,), "20"),
        (("{date}/{table}",), "20"),
        (("exports/{date:%Y}/{table}",), "exports/20"),
        (("exports/{table}",), "exports/"),
        (("all",), "all/"),
        (("x{date:y=%Y}",), "xy=20"),
        (("company/{table}",), "company/"),
        (("exports/a/{table}", "exports/b/{table}"), "exports/"),
        (("{table}/{date:%Y}",), None),
        (("{date:%d-%Y}/{table}",), None),
        (("cold{table}",), None),
        (("coldtable/{table}",), None),
        ((DEFAULT, "other/{table}"), None),
        (("{",), None),
        (("",), None),
    ],
)
def test_what_all_exports_begin_with(templates: tuple[str, ...], prefix: str | None) -> None:
    """As far as it is the same for all of them, and never what a record's key begins with."""
    assert data_prefix(templates) == prefix


def test_the_prefix_follows_the_template(cloud: FakeCloud, run: Deploy) -> None:
    """Exports that begin otherwise than the rule's prefix would never move: it is made from the
    template, also from that of a policy. One that fits is left alone."""
    run(BucketRules(glacier_ir=30), prefix_template="exports/{table}")
    assert given(cloud)["DataPrefix"] == "exports/"
    report = run(prefix_template="e/{table}")
    assert given(cloud)["DataPrefix"] == "e/"
    assert any("do not begin with 'e/'" in note for note in cloud.said), report.notes
    run(policy='{"prefix": "export/{table}"}', prefix_template="exports/{table}")
    assert given(cloud)["DataPrefix"] == "export/"
    with pytest.raises(UsageError, match="the records below coldtable/"):
        run(BucketRules(deep_archive=90), prefix_template="{table}")
    # Nothing moves: nothing to tell apart.
    run(BucketRules(glacier_ir=0, remove_versions=9), prefix_template="{table}")


def test_what_it_means_is_said(cloud: FakeCloud, run: Deploy) -> None:
    """A dry run has in its notes, and a deployment says before it begins, what it costs and what
    cannot be undone; what stays as it was is not said again."""
    rules = BucketRules(glacier_ir=30, deep_archive=365, remove_versions=9, lock=("COMPLIANCE", 7))
    notes = run(rules, dry_run=True).notes
    assert "0.004 USD a GB and month instead of 0.023, 90 days are charged" in notes[0]
    assert "up to 48 hours" in notes[1]
    assert "gone for good 9 days later" in notes[2]
    assert "not the account's root either" in notes[3]
    assert "This cannot be undone" in notes[3]
    assert not cloud.live
    run(rules)
    assert [line for line in cloud.said if line in notes] == list(notes)
    assert run(rules, dry_run=True).notes == ()
    weaker = BucketRules(lock=("GOVERNANCE", 9))
    with pytest.raises(Conflict, match="default retention is COMPLIANCE"):
        run(weaker)


def test_governance_is_said_as_it_is() -> None:
    """Who may bypass it can: that is no promise to an auditor, and the note does not make one."""
    after = rule_parameters(BucketRules(lock=("GOVERNANCE", 30)), (DEFAULT,), {})
    (note,) = rule_notes({}, after)
    assert "only who may bypass governance can delete a new object" in note
    assert "cannot be undone" not in note


@pytest.mark.parametrize(
    ("text", "found"),
    [("governance:365", ("GOVERNANCE", 365)), ("COMPLIANCE:1", ("COMPLIANCE", 1))],
)
def test_a_lock_is_written_so(text: str, found: tuple[str, int]) -> None:
    """A mode and days."""
    assert parse_lock(text) == found


@pytest.mark.parametrize("text", ["governance", "none", "governance:0", "legal:3", "compliance:-1"])
def test_a_lock_is_not_written_so(text: str) -> None:
    """Object Lock cannot be taken off, so there is no word for that either."""
    with pytest.raises(ColdtableError, match="--object-lock"):
        parse_lock(text)
