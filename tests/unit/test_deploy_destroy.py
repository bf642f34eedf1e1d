"""Destroying against an in-memory account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coldtable.errors import StackFailed, StackNotFound
from coldtable.model_stack import DestroyReport, Wish
from coldtable.ops.deploy import deploy
from coldtable.ops.destroy import destroy, plan_destroy
from coldtable.testing.cloud import (
    FakeBuckets,
    FakeCloud,
    FakeStacks,
    windows,
)
from coldtable.testing.settled import ACCOUNT, MADE_BUCKET, REGION

CODE_BUCKET = f"coldtable-code-{ACCOUNT}-{REGION}"
WISH = Wish(tables=("orders",), prefix_template="{table}")


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(recovery={"orders": 35}, objects={"archive": {}, "builds": {}})


def install(cloud: FakeCloud, wish: Wish = WISH) -> None:
    deploy(wish, windows(cloud), "template", b"code")


def tear_down(cloud: FakeCloud) -> DestroyReport:
    stacks, buckets = FakeStacks(cloud), FakeBuckets(cloud)
    stack, plan = plan_destroy("coldtable", stacks, buckets)
    return destroy(stack, plan, stacks, buckets, pause=cloud.pause, say=cloud.said.append)


def test_plan_changes_nothing(cloud: FakeCloud) -> None:
    """The plan names what goes and what stays, and nothing has happened."""
    install(cloud)
    before = list(cloud.calls)
    _, plan = plan_destroy("coldtable", FakeStacks(cloud), FakeBuckets(cloud))
    assert [r.resource for r in plan.goes] == ["ExportRole"]
    assert (plan.bucket, plan.bucket_owned, plan.deleted) == (MADE_BUCKET, True, False)
    assert len(plan.code) == 1
    assert cloud.calls == before


def test_destroy_keeps_the_archive(cloud: FakeCloud) -> None:
    """The stack and its code go, the shared code bucket with them; the archive stays."""
    install(cloud)
    report = tear_down(cloud)
    assert report.deleted
    assert cloud.live["coldtable"].status == "DELETE_COMPLETE"
    assert CODE_BUCKET not in cloud.objects
    assert MADE_BUCKET in cloud.objects


def test_existing_bucket_stays_too(cloud: FakeCloud) -> None:
    """A bucket that was there before is named as what stays."""
    install(cloud, replace(WISH, bucket="archive"))
    report = tear_down(cloud)
    assert (report.bucket, report.bucket_owned) == ("archive", False)
    assert "archive" in cloud.objects


def test_code_of_others_stays(cloud: FakeCloud) -> None:
    """Another installation's code, and its bucket, are not this one's to remove."""
    install(cloud)
    cloud.objects[CODE_BUCKET]["other/" + "0" * 64 + ".zip"] = b""
    tear_down(cloud)
    assert list(cloud.objects[CODE_BUCKET]) == ["other/" + "0" * 64 + ".zip"]


def test_named_code_bucket_stays(cloud: FakeCloud) -> None:
    """A code bucket that a person named loses our zip only, even when it is empty then."""
    install(cloud, replace(WISH, code_bucket="builds"))
    cloud.objects["builds"]["coldtable/notes.txt"] = b""
    tear_down(cloud)
    assert cloud.objects["builds"] == {"coldtable/notes.txt": b""}


def test_nothing_there(cloud: FakeCloud) -> None:
    """A stack that does not exist is an error that says where to look."""
    with pytest.raises(StackNotFound) as caught:
        tear_down(cloud)
    assert "region" in caught.value.hint


def test_failed_deletion_keeps_the_code(cloud: FakeCloud) -> None:
    """While the stack could not be deleted, its function's code is still needed."""
    install(cloud)
    stacks, buckets = FakeStacks(cloud), FakeBuckets(cloud)
    stack, plan = plan_destroy("coldtable", stacks, buckets)

    def pause(seconds: float) -> None:
        cloud.pause(seconds)
        cloud.live["coldtable"] = replace(stack, status="DELETE_FAILED", reason="busy")

    with pytest.raises(StackFailed, match=r"DELETE_FAILED.*busy"):
        destroy(stack, plan, stacks, buckets, pause=pause, say=cloud.said.append)
    assert len(cloud.objects[CODE_BUCKET]) == 1
