"""One suite for the fakes that deployments are tested with, and for AWS's implementations."""

from __future__ import annotations

import pytest

from coldtable.aws.buckets import S3Buckets
from coldtable.aws.pitr import DynamoDbPitr
from coldtable.aws.stacks import CloudFormationStacks
from coldtable.cli.deploy import template
from coldtable.errors import TableNotFound
from coldtable.model import Table
from coldtable.model_stack import ChangeSet
from coldtable.ports import Buckets, PitrSwitch, Stacks
from coldtable.testing.cloud import FakeBuckets, FakeCloud, FakeStacks
from tests.functional.conftest import Boto

PARAMETERS = {
    "TableNames": "orders",
    "TableArns": "arn:aws:dynamodb:us-east-1:123456789012:table/orders",
    "BucketName": "archive-that-exists",
    "CodeBucket": "builds",
    "CodeKey": "coldtable/code.zip",
}


@pytest.fixture(params=["fake", "aws"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    if request.param == "fake":
        return FakeBuckets(FakeCloud())
    boto: Boto = request.getfixturevalue("boto")
    return S3Buckets(boto("s3"))


@pytest.fixture(params=["fake", "aws"])
def stacks(request: pytest.FixtureRequest) -> Stacks:
    if request.param == "fake":
        return FakeStacks(FakeCloud())
    boto: Boto = request.getfixturevalue("boto")
    return CloudFormationStacks(boto("cloudformation"))


@pytest.fixture(params=["fake", "aws"])
def pitr(request: pytest.FixtureRequest) -> PitrSwitch:
    if request.param == "fake":
        return FakeCloud()
    boto: Boto = request.getfixturevalue("boto")
    return DynamoDbPitr(boto("dynamodb"))


def test_bucket_comes_and_goes(buckets: Buckets) -> None:
    """A bucket is there between its creation and its deletion."""
    name = "a-bucket-of-the-contract"
    assert not buckets.exists(name)
    buckets.create(name)
    assert buckets.exists(name)
    buckets.delete(name)
    assert not buckets.exists(name)


def test_objects_come_and_go(buckets: Buckets) -> None:
    """Objects are found by key and by prefix, in order, until they are removed."""
    name = "objects-of-the-contract"
    buckets.create(name)
    assert not buckets.has(name, "a/1")
    for key in ("b/1", "a/2", "a/1"):
        buckets.put(name, key, b"")
    assert buckets.has(name, "a/1")
    assert buckets.keys(name, "a/") == ("a/1", "a/2")
    assert buckets.keys(name) == ("a/1", "a/2", "b/1")
    buckets.remove(name, "a/1")
    assert not buckets.has(name, "a/1")
    assert buckets.keys(name, "a/") == ("a/2",)


def test_no_stack_is_none(stacks: Stacks) -> None:
    """A stack that does not exist is None, and no error."""
    assert stacks.describe("nothing-here") is None


def test_proposed_stack_waits_and_goes(stacks: Stacks) -> None:
    """A change set that creates a stack leaves it in review; both can be taken back."""
    made = stacks.propose("proposed", template(), PARAMETERS, create=True)
    ready = stacks.look_again(made)
    assert (ready.id, ready.stack_id, ready.status) == (made.id, made.stack_id, "CREATE_COMPLETE")
    assert {change.action for change in ready.changes} == {"Add"}
    _take_back(stacks, ready)


def test_events_begin_after_the_one_that_is_known(stacks: Stacks) -> None:
    """Events come oldest first; those up to a known one are left out."""
    made = stacks.propose("eventful", template(), PARAMETERS, create=True)
    events = stacks.events(made.stack_id, None)
    assert events[0].status == "REVIEW_IN_PROGRESS"
    assert stacks.events(made.stack_id, events[-1].id) == ()
    _take_back(stacks, made)


def _take_back(stacks: Stacks, made: ChangeSet) -> None:
    waiting = stacks.describe(made.stack_id)
    assert waiting is not None
    assert waiting.status == "REVIEW_IN_PROGRESS"
    stacks.discard(made)
    stacks.delete(waiting.id)
    assert stacks.describe(waiting.name) is None


def test_pitr_of_no_table(pitr: PitrSwitch) -> None:
    """PITR cannot be turned on for a table that is not there."""
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/nothing-here"
    with pytest.raises(TableNotFound):
        pitr.turn_on(Table(name="nothing-here", arn=arn, table_id="1"), 7)
