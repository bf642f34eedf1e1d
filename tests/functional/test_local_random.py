"""Random writes through boto3, from several threads, by every path and with every type.

The test keeps its own record of what must be there; the exports must agree with it.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coldtable.local.process import EmbeddedAws

from .conftest import _ACCOUNTS, client
from .exporter import Account, Item, item, key, real, values

__all__ = ["real"]
pytestmark = pytest.mark.functional
State = dict[tuple[str, str], Item]

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
NUMBER = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    st.sampled_from(["0.1", "-2.50", "1E-130", "9.9999999999999999999999999999999999999E+125"]),
)
BINARY = st.binary(max_size=4)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        TEXT.map(lambda v: {"S": v}),
        NUMBER.map(lambda v: {"N": v}),
        BINARY.map(lambda v: {"B": v}),
        st.booleans().map(lambda v: {"BOOL": v}),
        st.just({"NULL": True}),
        st.sets(TEXT, min_size=1, max_size=3).map(lambda v: {"SS": sorted(v)}),
        st.sets(st.integers(), min_size=1, max_size=3).map(lambda v: {"NS": [str(n) for n in v]}),
        st.sets(BINARY, min_size=1, max_size=3).map(lambda v: {"BS": sorted(v)}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: {"L": v}),
        st.dictionaries(TEXT, inner, max_size=3).map(lambda v: {"M": v}),
    ),
    max_leaves=5,
)
WAYS = st.sampled_from(["put", "update", "delete", "batch", "transaction", "statement"])
# How, which two of the thread's items, and the value that they get.
WRITE = st.tuples(WAYS, st.integers(0, 2), st.integers(3, 5), VALUE)
ROUND = st.lists(st.lists(WRITE, max_size=5), min_size=3, max_size=3)


class Writer:
    """Writes to items that are its own, and remembers what they must be."""

    def __init__(self, here: Account, name: str, writes: list[Any], state: State) -> None:
        self.state = state
        self._name = name
        self._writes = writes
        self._dynamodb = client(here.aws, "dynamodb", here.number, "test")

    def run(self) -> None:
        """Everything in order; the first refusal ends it."""
        for way, first, second, value in self._writes:
            getattr(self, f"_{way}")(f"{self._name}{first}", f"{self._name}{second}", value)

    def _set(self, pk: str, value: Any) -> Item:
        made = item(pk, v=value)
        self.state[(pk, "1")] = made
        return made

    def _put(self, first: str, _: str, value: Any) -> None:
        self._dynamodb.put_item(TableName="orders", Item=self._set(first, value))

    def _update(self, first: str, _: str, value: Any) -> None:
        self._set(first, value)
        self._dynamodb.update_item(
            TableName="orders",
            Key=item(first),
            UpdateExpression="SET v = :v",
            ExpressionAttributeValues={":v": value},
        )

    def _delete(self, first: str, _: str, __: Any) -> None:
        self.state.pop((first, "1"), None)
        self._dynamodb.delete_item(TableName="orders", Key=item(first))

    def _batch(self, first: str, second: str, value: Any) -> None:
        self.state.pop((second, "1"), None)
        writes = [
            {"PutRequest": {"Item": self._set(first, value)}},
            {"DeleteRequest": {"Key": item(second)}},
        ]
        self._dynamodb.batch_write_item(RequestItems={"orders": writes})

    def _transaction(self, first: str, second: str, value: Any) -> None:
        self.state.pop((first, "1"), None)
        self._dynamodb.transact_write_items(
            TransactItems=[
                {"Delete": {"TableName": "orders", "Key": item(first)}},
                {"Put": {"TableName": "orders", "Item": self._set(second, value)}},
            ]
        )

    def _statement(self, first: str, _: str, value: Any) -> None:
        """PartiQL: an update of what is there, an insert of what is not."""
        there = (first, "1") in self.state
        self._set(first, value)
        if there:
            self._dynamodb.execute_statement(
                Statement='UPDATE "orders" SET v=? WHERE pk=? AND sk=1',
                Parameters=[value, {"S": first}],
            )
        else:
            self._dynamodb.execute_statement(
                Statement="INSERT INTO \"orders\" VALUE {'pk': ?, 'sk': 1, 'v': ?}",
                Parameters=[{"S": first}, value],
            )


@settings(
    max_examples=8,
    deadline=None,
    # Shrinking would take minutes here: each example is a second of real exports.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rounds=st.lists(ROUND, min_size=2, max_size=2))
def test_exports_are_the_states_that_were_written(
    real: EmbeddedAws, rounds: list[list[list[Any]]]
) -> None:
    """Full at T is the state recorded at T; full(T0) and the incremental [T0, T1) make full(T1)."""
    here = Account(real, str(next(_ACCOUNTS)))
    state: State = {}
    moments: list[tuple[datetime, State]] = []
    for writes in rounds:
        writers = [
            Writer(here, name, todo, state) for name, todo in zip("abc", writes, strict=True)
        ]
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(Writer.run, writers))
        moments.append((here.settle(), dict(state)))
        here.aws.advance(1000)
    for moment, expected in moments:
        assert values(here.state(here.export(ExportTime=moment))) == values(expected)
    for (start, before), (stop, after) in itertools.pairwise(moments):
        built = dict(before)
        for row in here.rows(here.window(start, stop)):
            if "NewImage" in row:
                built[key(row["NewImage"])] = row["NewImage"]
            else:
                del built[key(row["Keys"])]
        assert values(built) == values(after)
