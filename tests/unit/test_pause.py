"""Pausing and resuming: one parameter is changed, in one respect, and only if it must be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import policy_for
from coldtable.errors import NoPolicy, ParameterInvalid
from coldtable.ops.pause import PauseReport, Wish, set_paused
from coldtable.testing.fakes import FakeParameters
from coldtable.testing.world import FakeAws
from tests.unit.test_export import NOON
from tests.unit.test_policy import PAUSED
from tests.unit.test_settings import PATH, PLAIN

OWN = {"mode": "continuous", "every_minutes": 120, "bucket": "far-away"}
STAMP = {"reason": "it moves", "since": "2026-11-23T12:00:00Z", "by": "ann"}


class Here:
    """The parameters of an installation, and the tags of its tables."""

    def __init__(self, policy: Any = None, **tables: Any) -> None:
        self.parameters = FakeParameters({f"{PATH}/{k}": v for k, v in PLAIN.items()})
        if policy is not None:
            self.parameters.values[f"{PATH}/POLICY"] = json.dumps(policy)
        for name, own in tables.items():
            self.parameters.values[f"{PATH}/policies/{name}"] = json.dumps(own)
        self.aws = FakeAws(NOON)

    def set(self, table: str = "orders", *, paused: bool, reason: str = "it moves") -> PauseReport:
        wish = Wish(table=table, paused=paused, reason=reason, by="ann")
        store = self.parameters
        return set_paused(wish, PATH, NOON, store, store, self.aws)

    def own(self, table: str = "orders") -> Any:
        text = self.parameters.values.get(f"{PATH}/policies/{table}")
        return text and json.loads(text)

    def is_paused(self, table: str = "orders") -> bool:
        found = parse_configuration(PATH, self.parameters.read(PATH))
        policy = policy_for(found, table, self.aws.tags.get(table))
        assert policy
        return policy.pause is not None


@pytest.mark.parametrize("own", [None, OWN, {**OWN, **STAMP, "enabled": True}])
def test_a_pause_keeps_the_other_fields(own: Any) -> None:
    """It adds when, why and by whom; a table without a policy gets one with nothing else."""
    here = Here(**({"orders": own} if own else {}))
    report = here.set(paused=True)
    assert here.own() == {**(OWN if own else {}), "enabled": False, **STAMP}
    assert report.changed
    assert report.pause
    assert (report.pause.since, report.pause.reason, report.pause.by) == (NOON, "it moves", "ann")
    assert report.parameter == f"{PATH}/policies/orders"
    assert here.is_paused()


def test_there_and_back() -> None:
    """After a resume the table is kept as before; why and by whom stays, for whoever asks."""
    here = Here(orders=OWN)
    here.set(paused=True)
    report = here.set(paused=False, reason="it has moved")
    assert (report.changed, report.pause) == (True, None)
    assert here.own() == {**OWN, "enabled": True, **STAMP, "reason": "it has moved"}
    assert not here.is_paused()


def test_paused_already() -> None:
    """Nothing is written; the pause that holds is told, not the one that was wanted."""
    here = Here()
    here.set(paused=True)
    before = dict(here.parameters.values)
    report = here.set(paused=True, reason="another")
    assert not report.changed
    assert report.pause
    assert report.pause.reason == "it moves"
    assert here.parameters.values == before


def test_not_paused_at_all() -> None:
    """Resuming it says so, and writes nothing."""
    here = Here()
    report = here.set(paused=False)
    assert (report.changed, report.pause, here.own()) == (False, None, None)


def test_one_table_of_many_that_are_paused() -> None:
    """Where POLICY pauses all, one table can be resumed alone."""
    here = Here({**PAUSED, "tables": ["*"]})
    assert here.set("users", paused=False).changed
    assert not here.is_paused("users")
    assert here.is_paused("orders")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (None, "Table users is covered by no policy"),
        ({"tables": ["*"], "exclude": ["users"]}, "Table users is left out"),
        ({"tagged": True}, "Table users is covered by no policy"),
    ],
)
@pytest.mark.parametrize("paused", [True, False])
def test_a_table_that_is_not_kept(policy: Any, said: str, paused: bool) -> None:
    """It is an error, and nothing is written: a policy would look as if it were kept."""
    here = Here(policy)
    with pytest.raises(NoPolicy, match=said) as caught:
        here.set("users", paused=paused)
    assert caught.value.exit_code == 12
    assert here.own("users") is None


def test_a_table_that_is_kept_by_its_tag() -> None:
    """Where tags count the table's tag is asked for."""
    here = Here({"tagged": True})
    here.aws.tags["users"] = "continuous"
    assert here.set("users", paused=True).changed
    assert here.is_paused("users")


def test_what_ssm_would_refuse() -> None:
    """Double braces and more than 4 KB are refused before anything is sent."""
    here = Here()
    with pytest.raises(ParameterInvalid, match=r"\{\{…\}\} in it"):
        here.set(paused=True, reason="see {{this}}")
    long = Here(orders={"prefix": "a" * 900, "by": "b" * 250, "enabled": True})
    long.parameters.values[f"{PATH}/policies/orders"] += " " * 4000
    assert long.set(paused=True).changed  # white space is not kept
    full = Here()
    with pytest.raises(ParameterInvalid, match="a standard parameter holds 4096"):
        full.set(paused=True, reason="é" * 5000)
    assert here.own() is None
    assert full.own() is None


def test_a_broken_configuration() -> None:
    """Nobody writes into what cannot be read."""
    here = Here()
    here.parameters.values[f"{PATH}/policies/orders"] = "{"
    with pytest.raises(ParameterInvalid, match=r"policies/orders: \$: is not JSON"):
        here.set(paused=True)
