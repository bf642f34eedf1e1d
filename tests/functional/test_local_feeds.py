"""The journal's two feeds: the hooks behind every write, and DynamoDB's public protocol alone.

The second is made here: after each request the table is scanned over HTTP, and a journal of its
own takes what the scan shows. It knows nothing of ministack's inside, so a write path that the
hooks miss, or see wrongly, makes the two disagree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coldtable.local.pitr.journal import Journal, unpacked
from coldtable.local.process import EmbeddedAws

from .conftest import _ACCOUNTS
from .exporter import Account, Item, item, key, real, values

__all__ = ["real"]
pytestmark = pytest.mark.functional


def micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


class PublicFeed:
    """A journal that is fed by nothing but Scan."""

    def __init__(self, here: Account) -> None:
        self._here = here
        self.journal = Journal(table_arn=here.arn, table_id="any", key_names=("pk", "sk"))
        self.journal.rebase([], last=True)

    def look(self) -> None:
        """Take what the table shows now."""
        found = self._here.scan()
        self.journal.replace(found.values(), micros(self._here.aws.now()))

    def state(self, moment: datetime) -> dict[tuple[str, str], Item]:
        return {key(dict(i)): dict(i) for i in self.journal.state_at(micros(moment))}

    def changes(self, start: datetime, stop: datetime) -> list[tuple[Any, Any]]:
        """Before and after of each changed item."""
        found = self.journal.changes(micros(start), micros(stop))
        return [(unpacked(change.before), unpacked(change.after)) for change in found]


def put(here: Account, pk: str, value: str) -> None:
    here.put(pk, v={"S": value})


def update(here: Account, pk: str, value: str) -> None:
    here.dynamodb.update_item(
        TableName="orders",
        Key=item(pk),
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": value}},
    )


def delete(here: Account, pk: str, _: str) -> None:
    here.dynamodb.delete_item(TableName="orders", Key=item(pk))


def batch(here: Account, pk: str, value: str) -> None:
    writes = [{"PutRequest": {"Item": item(pk + n, v={"S": value})}} for n in ("", "+")]
    here.dynamodb.batch_write_item(RequestItems={"orders": writes})


def transaction(here: Account, pk: str, value: str) -> None:
    here.dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "orders", "Item": item(pk, v={"S": value})}},
            {"Delete": {"TableName": "orders", "Key": item(pk + "+")}},
        ]
    )


def refused_transaction(here: Account, pk: str, value: str) -> None:
    """Rolled back as a whole: nothing of it may be seen."""
    condition = {"ConditionExpression": "attribute_exists(nothing)"}
    with pytest.raises(here.dynamodb.exceptions.TransactionCanceledException):
        here.dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "orders", "Item": item(pk, v={"S": value})}},
                {"Delete": {"TableName": "orders", "Key": item("none"), **condition}},
            ]
        )


def statement(here: Account, pk: str, value: str) -> None:
    here.dynamodb.execute_statement(
        Statement='DELETE FROM "orders" WHERE pk=? AND sk=1', Parameters=[{"S": pk}]
    )
    here.dynamodb.execute_statement(
        Statement="INSERT INTO \"orders\" VALUE {'pk': ?, 'sk': 1, 'v': ?}",
        Parameters=[{"S": pk}, {"S": value}],
    )


Way = Callable[[Account, str, str], None]
WAYS = st.sampled_from([put, update, delete, batch, transaction, refused_transaction, statement])
ROUND = st.lists(st.tuples(WAYS, st.sampled_from("abc"), st.sampled_from("xyz")), max_size=6)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(rounds=st.lists(ROUND, min_size=3, max_size=3))
def test_both_feeds_agree(real: EmbeddedAws, rounds: list[list[tuple[Way, str, str]]]) -> None:
    """Full exports and both images of incrementals are what scans after each request showed.

    A write that changes nothing leaves a record with equal images (UNVERIFIED on AWS), and no scan
    can see it.
    """
    here = Account(real, str(next(_ACCOUNTS)))
    public = PublicFeed(here)
    moments = [here.settle()]
    for writes in rounds:
        for way, pk, value in writes:
            way(here, pk, value)
            public.look()
        here.aws.advance(900)
        moments.append(here.settle())
    here.later()
    for moment in moments:
        exported = here.state(here.export(ExportTime=moment))
        assert values(exported) == values(public.state(moment))
    for start, stop in itertools.pairwise(moments):
        rows = here.rows(here.window(start, stop))
        images = [(row.get("OldImage"), row.get("NewImage")) for row in rows]
        assert ordered(images) == ordered(public.changes(start, stop))


def ordered(images: list[tuple[Any, Any]]) -> list[str]:
    """The pairs that differ, in a form and an order that compare."""
    pairs = [
        [sorted(image.items()) if image else None for image in pair]
        for pair in images
        if pair[0] != pair[1]
    ]
    return sorted(map(repr, pairs))
