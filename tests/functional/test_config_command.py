"""``coldtable config``, ``pause``, ``resume`` over HTTP, with the rights that their help names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functional.conftest import Boto, Coldtable, NewTable
from tests.unit.test_settings import PLAIN

PATH = "/coldtable/prod"


@pytest.fixture
def put(boto: Boto) -> Any:
    """Writes parameters below the path."""

    def write(**values: str) -> None:
        for name, value in values.items():
            boto("ssm").put_parameter(
                Name=f"{PATH}/{name.replace('__', '/')}", Value=value, Type="String", Overwrite=True
            )

    write(**PLAIN)
    return write


def test_a_good_configuration(coldtable: Coldtable, put: Any) -> None:
    """Exit code 0, and what may surprise on stderr."""
    put(POLICY='{"mode": "continuous", "every_minutes": 15}')
    answer = coldtable("config", "validate")
    assert (answer.code, answer.out) == (0, f"{PATH}: good\n")
    assert f"warning: {PATH}/POLICY: $.every_minutes: 96 exports a day" in answer.err


def test_a_bad_configuration(coldtable: Coldtable, put: Any) -> None:
    """Exit code 10, and every problem of every parameter, with its path."""
    put(
        POLICY='{"every_minutes": 5, "veiw": "NEW_IMAGE"}',
        policies__users="{",
        BACKUP_HOUR_STR="24",
    )
    answer = coldtable("config", "validate", "--output", "json")
    assert answer.code == 10
    messages = "\n".join(problem["message"] for problem in answer.json["problems"])
    assert len(answer.json["problems"]) == 4
    for said in (
        f"{PATH}/POLICY: $.every_minutes: 5 is less than 15",
        f"{PATH}/POLICY: $.veiw: there is no such field; did you mean view?",
        f"{PATH}/policies/users: $: is not JSON",
        f"{PATH}/BACKUP_HOUR_STR: '24' is not a whole number from 0 to 23",
    ):
        assert said in messages
        assert said in answer.err


def test_nothing_there(coldtable: Coldtable) -> None:
    """An empty path is no good configuration."""
    answer = coldtable("config", "validate", "--parameter-path", "/not/there")
    assert answer.code == 10
    assert "There are no parameters under /not/there" in answer.err


def test_where_each_value_is_from(
    coldtable: Coldtable, put: Any, boto: Boto, new_table: NewTable
) -> None:
    """Of one table: its own policy, its tag, POLICY, the simple parameters, the defaults."""
    name = new_table()
    arn = boto("dynamodb").describe_table(TableName=name)["Table"]["TableArn"]
    tag = {"Key": "coldtable", "Value": "continuous"}
    boto("dynamodb").tag_resource(ResourceArn=arn, Tags=[tag])
    put(POLICY='{"tagged": true, "every_minutes": 120, "full_every_days": 60}')
    put(**{f"policies__{name}": '{"full_every_days": 90}'})
    answer = coldtable("config", "show", name, "--output", "json")
    assert (answer.code, answer.json["schema"]) == (0, "coldtable.config/1")
    found = {k: (v["value"], v["origin"]) for k, v in answer.json["values"].items()}
    assert found["mode"] == ("continuous", "the tag coldtable")
    assert found["full_every_days"] == (90, f"{PATH}/policies/{name}")
    assert found["every_minutes"] == (120, f"{PATH}/POLICY")
    assert found["bucket"] == ("archive-bucket", f"{PATH}/BACKUP_BUCKET_NAME")
    assert found["rpo_minutes"] == (300, "default: 2 x every_minutes + 60")
    assert found["view"] == ("NEW_AND_OLD_IMAGES", "default")
    assert found["nightly"][0] is False
    lines = coldtable("config", "show", name, "--origin").out.splitlines()
    assert lines[0].split() == ["NAME", "VALUE", "ORIGIN"]
    assert ["mode", "continuous", "the", "tag", "coldtable"] in [line.split() for line in lines]
    assert lines[0].split()[:2] == coldtable("config", "show", name).out.splitlines()[0].split()


def test_what_counts_for_all(coldtable: Coldtable, put: Any) -> None:
    """Selection, moments, defaults and each table's own values; no secret of the heartbeat."""
    put(
        POLICY='{"tables": ["app-*"], "exclude": ["app-tmp"]}',
        policies__users='{"mode": "continuous"}',
        HEARTBEAT_URL="https://example.com/ping/secret",
    )
    answer = coldtable("config", "show", "--output", "json")
    found = {k: v["value"] for k, v in answer.json["values"].items()}
    assert found["nightly"] == ["orders"]
    assert found["tables"] == ["app-*"]
    assert found["exclude"] == ["app-tmp"]
    assert found["rule"] == "every day at 03:30:15 Asia/Tokyo"
    assert found["policies/users mode"] == "continuous"
    assert found["heartbeat"] == "example.com"
    assert "secret" not in answer.out
    assert answer.json["values"]["nightly"]["origin"] == f"{PATH}/TEST_TABLE_NAME"
    assert "secret" not in coldtable("config", "show", "--origin").out


def test_a_table_that_is_not_kept(coldtable: Coldtable, put: Any) -> None:
    """Exit code 12, with how to change that; for showing as for pausing."""
    put()
    for words in (["config", "show", "users"], ["pause", "users", "--reason", "x"]):
        answer = coldtable(*words)
        assert answer.code == 12
        assert "Table users is covered by no policy" in answer.err
        assert "hint: Name it in TABLE_NAMES" in answer.err


def test_pause_and_resume(coldtable: Coldtable, put: Any, boto: Boto, account: str) -> None:
    """The policy of the table is written, with who it was; doing it again says so."""
    put(policies__orders='{"every_minutes": 90}')
    paused = coldtable("pause", "orders", "--reason", "it moves", "--output", "json")
    assert paused.code == 0
    assert paused.json["schema"] == "coldtable.pause/1"
    assert (paused.json["paused"], paused.json["changed"]) == (True, True)
    text = boto("ssm").get_parameter(Name=f"{PATH}/policies/orders")["Parameter"]["Value"]
    own = json.loads(text)
    assert own == {
        "every_minutes": 90,
        "enabled": False,
        "reason": "it moves",
        "since": paused.json["pause"]["since"],
        "by": f"arn:aws:iam::{account}:root",
    }
    again = coldtable("pause", "orders", "--reason", "more")
    assert again.code == 0
    assert again.out.startswith("orders: Nothing changed: it is paused since ")
    assert "it moves" in again.out
    resumed = coldtable("resume", "orders", "--reason", "it has moved", "--by", "ann")
    assert (resumed.code, resumed.out) == (0, "orders: it is resumed\n")
    assert coldtable("resume", "orders", "--reason", "x").out == (
        "orders: Nothing changed: it is not paused\n"
    )


@pytest.mark.parametrize(
    ("words", "allowed", "missing"),
    [
        (["config", "validate"], [], "ssm:GetParametersByPath"),
        (["config", "show", "orders"], ["ssm:GetParametersByPath"], "tag:GetResources"),
        (
            ["pause", "orders", "--reason", "x"],
            ["ssm:GetParametersByPath", "tag:GetResources"],
            "ssm:PutParameter",
        ),
    ],
)
def test_the_rights_that_the_help_names(
    coldtable: Coldtable,
    put: Any,
    boto: Boto,
    words: list[str],
    allowed: list[str],
    missing: str,
) -> None:
    """Without one of them exit code 11 and its name; with all of them it works."""
    put(POLICY='{"tagged": true}')
    iam = boto("iam")
    iam.create_user(UserName="operator")
    key = iam.create_access_key(UserName="operator")["AccessKey"]

    def may(*actions: str) -> None:
        statements = [
            {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": f"*{PATH}"},
            {"Effect": "Allow", "Action": "ssm:PutParameter", "Resource": f"*{PATH}/policies/*"},
            {"Effect": "Allow", "Action": "tag:GetResources", "Resource": "*"},
        ]
        document = {
            "Version": "2012-10-17",
            "Statement": [s for s in statements if s["Action"] in actions] or statements[-1:],
        }
        iam.put_user_policy(
            UserName="operator", PolicyName="some", PolicyDocument=json.dumps(document)
        )

    def run() -> Any:
        return coldtable(*words, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    may(*allowed)
    answer = run()
    assert answer.code == 11
    assert f"{missing} is missing" in answer.err
    may(*allowed, missing)
    assert run().code == 0
