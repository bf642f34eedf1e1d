"""What `coldtable policy` reads from the stack and the settings when it is not told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coldtable.errors import ParameterMissing, StackNotFound, UsageError
from coldtable.model_stack import Wish
from coldtable.ops.deploy import deploy
from coldtable.ops.iam import Ask, Deployed, Sheet, for_bucket, for_function, for_key
from coldtable.testing.cloud import FakeCloud, windows
from coldtable.testing.settled import ACCOUNT, MADE_BUCKET, REGION

from .test_iam import principals, sets

Verb = Callable[[Ask, Deployed], Sheet]

PATH = "/coldtable/prod"
OWNER = "210987654321"
KEY = f"arn:aws:kms:{REGION}:{OWNER}:key/11111111-2222-3333-4444-555555555555"
THEIRS = {"bucket": "theirs", "bucket_owner": OWNER, "kms_key": KEY}


@pytest.fixture
def cloud() -> FakeCloud:
    made = FakeCloud(recovery={"orders": 35})
    wish = Wish(tables=("orders",), prefix_template="{table}")
    deploy(wish, windows(made), "the template", b"the code")
    return made


def ask(cloud: FakeCloud, verb: Verb, **said: Any) -> Sheet:
    """The sheet for what is said, with the rest read from the fake account."""
    asked = Ask(**said)
    there = windows(cloud)
    return verb(asked, Deployed(asked, lambda: there.stacks, lambda: there.parameters))


def settle(cloud: FakeCloud, name: str, **fields: str) -> None:
    cloud.settings[f"{PATH}/{name}"] = json.dumps(fields)


def resources(sheet: Sheet, sid: str) -> set[str]:
    found: set[str] = sets(sheet.policy)[sid]["Resource"]
    return found


def test_the_stack_s_own_bucket(cloud: FakeCloud) -> None:
    """With nothing but the stack's bucket, that one is meant, and its account is not asked for."""
    sheet = ask(cloud, for_bucket)
    assert resources(sheet, "ColdtableWrites") == {f"arn:aws:s3:::{MADE_BUCKET}/*"}
    assert principals(sheet.policy)["ColdtableWrites"] == f"arn:aws:iam::{ACCOUNT}:role/role"
    assert "If another account owns the bucket" in sheet.notes[0]


def test_only_who_drills_may_delete_and_no_export(cloud: FakeCloud) -> None:
    """With --drill-days the function's role reads, writes, and removes what is noted of drills; for
    roles that are named, and without it, nothing may be deleted."""
    assert "Delete" not in json.dumps(ask(cloud, for_bucket).policy)
    wish = Wish(tables=("orders",), prefix_template="{table}", drill_days=30)
    deploy(wish, windows(cloud), "the template", b"the code")
    sheet = ask(cloud, for_bucket)
    drill = f"arn:aws:iam::{ACCOUNT}:role/drill"
    named = principals(sheet.policy)
    assert named["ColdtableForgets"] == named["ColdtableReads"] == drill
    below = f"arn:aws:s3:::{MADE_BUCKET}/coldtable/v1"
    assert resources(sheet, "ColdtableForgets") == {
        f"{below}/drill/*",
        f"{below}/restore/coldtable-drill-*",
    }
    assert "Delete" not in json.dumps(ask(cloud, for_bucket, roles=(drill,)).policy)
    assert ask(cloud, for_function, function="drill").notes[0].startswith("The stack gives its")


def test_a_bucket_of_the_same_account_hardly_needs_one(cloud: FakeCloud) -> None:
    """It is said that the roles' own policies are enough there."""
    sheet = ask(cloud, for_bucket, bucket="mine", owner=ACCOUNT)
    assert "where their own policies are enough" in sheet.notes[0]


def test_another_account_s_bucket_comes_before_ours(cloud: FakeCloud) -> None:
    """One table's bucket in another account is the one that needs a policy; --table can say so."""
    settle(cloud, "policies/users", **THEIRS)
    for said in ({}, {"tables": ("users",)}):
        sheet = ask(cloud, for_bucket, **said)
        assert resources(sheet, "ColdtableWrites") == {"arn:aws:s3:::theirs/*"}
        assert f"as account {OWNER}" in sheet.notes[0]
    assert MADE_BUCKET in ask(cloud, for_bucket, tables=("orders",)).command


def test_several_buckets_or_keys_or_none(cloud: FakeCloud) -> None:
    """Which one is meant is asked, with their names."""
    with pytest.raises(UsageError, match="The settings name 0 KMS keys"):
        ask(cloud, for_key)
    settle(cloud, "policies/users", **THEIRS)
    other = {**THEIRS, "bucket": "also-theirs", "kms_key": KEY.replace("5555", "6666")}
    settle(cloud, "policies/carts", **other)
    with pytest.raises(UsageError, match="2 buckets: also-theirs, theirs") as caught:
        ask(cloud, for_bucket)
    assert "--bucket" in caught.value.hint
    with pytest.raises(UsageError, match="2 KMS keys"):
        ask(cloud, for_key)


def test_the_key_of_the_settings_or_of_the_stack(cloud: FakeCloud) -> None:
    """The settings' key before the stack's; one that is named by its id alone is asked for."""
    cloud.settings[f"{PATH}/POLICY"] = json.dumps({"kms_key": KEY})
    sheet = ask(cloud, for_key)
    assert f"--key-id {KEY} " in sheet.command
    assert principals(sheet.policy)["KeyOfThisAccount"] == f"arn:aws:iam::{OWNER}:root"
    cloud.settings[f"{PATH}/POLICY"] = json.dumps({"kms_key": KEY.rsplit("/", 1)[-1]})
    with pytest.raises(UsageError, match="by its id alone"):
        ask(cloud, for_key)


def test_a_role_s_reach_is_all_that_the_settings_name(cloud: FakeCloud) -> None:
    """Buckets, keys, tables and tags of the settings, and a note of what the stack left out."""
    sheet = ask(cloud, for_function)
    assert sheet.notes[0].startswith("The stack gives its TickRole this")
    cloud.settings[f"{PATH}/POLICY"] = json.dumps({"tables": ["app-*"], "tagged": True})
    settle(cloud, "policies/users", **THEIRS, mode="snapshot")
    settle(cloud, "policies/carts", kms_key=KEY.rsplit("/", 1)[-1])
    sheet = ask(cloud, for_function)
    tables = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
    assert resources(sheet, "KeepTheseTables") == {f"{tables}/orders"}
    assert resources(sheet, "KeepTablesOfTheseNames") == {f"{tables}/app-*", f"{tables}/users"}
    assert "KeepTablesWithTheTag" in sets(sheet.policy)
    assert resources(sheet, "ListTheArchive") == {
        f"arn:aws:s3:::{MADE_BUCKET}",
        "arn:aws:s3:::theirs",
    }
    # The id alone is a key of this account, in whatever region the bucket lies.
    by_id = f"arn:aws:kms:*:{ACCOUNT}:key/{KEY.rsplit('/', 1)[-1]}"
    assert resources(sheet, "EncryptTheArchive") == {KEY, by_id}
    assert sheet.notes[0] == (
        f"Missing from what the stack gave the role TickRole: {tables}/app-*, {tables}/users, "
        f"tables by their tag, bucket theirs, {by_id}, {KEY}"
    )


def test_nothing_is_deployed() -> None:
    """Without a stack, and without parameters, each says what to do."""
    nowhere = FakeCloud()
    with pytest.raises(StackNotFound) as caught:
        ask(nowhere, for_bucket, bucket="mine")
    assert "--stack-name" in caught.value.hint
    with pytest.raises(ParameterMissing):
        ask(nowhere, for_bucket, path="/elsewhere", roles=("arn:aws:iam::1:role/r",))
