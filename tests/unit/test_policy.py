"""From parameters to a policy per table: selection, precedence, defaults, and every error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from coldtable.core.configuration import parse_configuration
from coldtable.core.policy import (
    expected_tables,
    is_left_out,
    needs_listing,
    policy_for,
    values_for,
)
from coldtable.errors import ConfigError, ParameterInvalid, ParameterMissing
from coldtable.model import Destination, View
from coldtable.model_policy import Configuration, Mode, Pause, Policy
from tests.unit.test_settings import PATH, PLAIN

PAUSED = {"enabled": False, "reason": "migration", "since": "2026-11-01T03:00:00+09:00"}
KEY = "arn:aws:kms:eu-north-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def configured(
    policy: Any = None, tables: dict[str, Any] | None = None, **simple: str | None
) -> Configuration:
    """PLAIN with these changes (``None`` takes one away), POLICY and policies/… as JSON."""
    parameters = {k: v for k, v in {**PLAIN, **simple}.items() if v is not None}
    if policy is not None:
        parameters["POLICY"] = json.dumps(policy)
    for name, own in (tables or {}).items():
        parameters[f"policies/{name}"] = json.dumps(own)
    return parse_configuration(PATH, parameters)


def kept(configuration: Configuration, table: str, tag: str | None = None) -> Policy:
    found = policy_for(configuration, table, tag)
    assert found is not None
    return found


def test_the_simple_parameters_are_a_nightly_snapshot() -> None:
    """Without POLICY: the tables of the simple parameters, started by the schedule alone."""
    found = configured(TABLE_NAMES="orders,users")
    assert kept(found, "users") == Policy(
        mode=Mode.SNAPSHOT,
        rule=found.rule,
        every=timedelta(hours=1),
        full_every=timedelta(days=30),
        view=View.NEW_AND_OLD_IMAGES,
        rpo=timedelta(days=1, hours=5),
        to=Destination(bucket="archive-bucket"),
        prefix_template="{date:%Y/%m/%d}/{table}",
        pause=None,
        scheduled=True,
        attempts=3,
    )
    assert policy_for(found, "carts") is None
    assert expected_tables(found) == ("orders", "users")
    assert not needs_listing(found)


def test_every_field() -> None:
    """Each field of POLICY reaches the policy of a table that it means."""
    found = configured(
        {
            "mode": "continuous",
            "every_minutes": 15,
            "full_every_days": 7,
            "view": "NEW_IMAGE",
            "rpo_minutes": 90,
            "bucket": "far-away",
            "bucket_owner": "222222222222",
            "kms_key": KEY,
            "prefix": "{account}/{table}/",
            "failures_before_alert": 5,
            **PAUSED,
            "by": "ops",
            "tables": ["app-*"],
        },
        HEARTBEAT_URL=" https://example.com/ping/x ",
        VERIFY_DAYS=" 30 ",
        DRILL_DAYS="90",
    )
    assert kept(found, "app-users") == Policy(
        mode=Mode.CONTINUOUS,
        rule=found.rule,
        every=timedelta(minutes=15),
        full_every=timedelta(days=7),
        view=View.NEW_IMAGE,
        rpo=timedelta(minutes=90),
        to=Destination(bucket="far-away", owner="222222222222", key=KEY),
        prefix_template="{account}/{table}",
        pause=Pause(since=datetime(2026, 10, 31, 18, tzinfo=UTC), reason="migration", by="ops"),
        attempts=5,
    )
    assert found.heartbeat_url == "https://example.com/ping/x"
    assert (found.verify_days, found.drill_days) == (30, 90)
    assert found.attempts == 5


@pytest.mark.parametrize(
    ("fields", "day", "rpo"),
    [
        ({}, "0", timedelta(days=1, hours=5)),
        ({}, "31", timedelta(days=31, hours=5)),
        ({"rpo_minutes": 2000}, "0", timedelta(minutes=2000)),
        ({"mode": "continuous"}, "0", timedelta(hours=3)),
        ({"mode": "continuous", "every_minutes": 15}, "0", timedelta(minutes=90)),
        ({"mode": "continuous", "every_minutes": 1440}, "31", timedelta(hours=49)),
    ],
)
def test_how_old_a_restore_point_may_be(fields: dict[str, Any], day: str, rpo: timedelta) -> None:
    """Unless stated: two windows and an hour, or the rule's longest period and five hours."""
    assert kept(configured(fields, BACKUP_DAY_STR=day), "orders").rpo == rpo


@pytest.mark.parametrize(
    ("policy", "tables", "name", "tag", "mode"),
    [
        # TABLE_NAMES always counts; POLICY sets its mode, and its own policy sets it again.
        ({}, {}, "orders", None, "snapshot"),
        ({"mode": "continuous"}, {}, "orders", None, "continuous"),
        ({"mode": "continuous"}, {"orders": {"mode": "snapshot"}}, "orders", None, "snapshot"),
        ({"exclude": ["orders"]}, {}, "orders", None, "snapshot"),
        ({"tagged": True}, {}, "orders", "off", "snapshot"),
        ({"tagged": True}, {}, "orders", "continuous", "continuous"),
        # Names and globs, less those excluded.
        ({}, {}, "users", None, None),
        ({"tables": ["users"]}, {}, "users", None, "snapshot"),
        ({"tables": ["use*"]}, {}, "users", None, "snapshot"),
        ({"tables": ["user?"]}, {}, "users", None, "snapshot"),
        ({"tables": ["user?"]}, {}, "users-eu", None, None),
        ({"tables": ["USERS"]}, {}, "users", None, None),
        ({"tables": ["*"], "exclude": ["tmp-*"]}, {}, "tmp-users", None, None),
        ({"tables": ["*"], "exclude": ["tmp-*"]}, {}, "users", None, "snapshot"),
        # The tag stands over POLICY, where tags count; what it may say, and nothing else.
        ({"tagged": True}, {}, "users", "continuous", "continuous"),
        ({"tagged": True, "mode": "continuous"}, {}, "users", "snapshot", "snapshot"),
        ({"tagged": True, "mode": "continuous"}, {}, "users", None, None),
        ({"tagged": True, "tables": ["*"]}, {}, "users", "off", None),
        ({"tagged": True, "exclude": ["*"]}, {}, "users", "snapshot", "snapshot"),
        ({"tagged": True}, {}, "users", " Continuous ", "continuous"),
        ({"tagged": True}, {}, "users", "yes", None),
        ({"tagged": True, "tables": ["*"]}, {}, "users", "yes", "snapshot"),
        ({"tables": ["users"]}, {}, "users", "continuous", "snapshot"),
        ({}, {}, "users", "continuous", None),
        # A table's own policy selects it by its mode, over its tag; without a mode it only adds.
        ({"tagged": True}, {"users": {"mode": "snapshot"}}, "users", "continuous", "snapshot"),
        ({"tagged": True}, {"users": {"mode": "snapshot"}}, "users", "off", "snapshot"),
        ({"exclude": ["*"]}, {"users": {"mode": "continuous"}}, "users", None, "continuous"),
        (None, {"users": {"mode": "continuous"}}, "users", None, "continuous"),
        (None, {"users": {"every_minutes": 30}}, "users", None, None),
        ({"mode": "continuous", "tables": ["*"]}, {"users": PAUSED}, "users", None, "continuous"),
    ],
)
def test_which_tables_and_in_which_mode(
    policy: Any, tables: dict[str, Any], name: str, tag: str | None, mode: str | None
) -> None:
    """Selection and mode, from policies/<table> over the tag and POLICY to TABLE_NAMES."""
    found = policy_for(configured(policy, tables), name, tag)
    assert (found and found.mode) == mode


@pytest.mark.parametrize(
    ("policy", "name", "tag", "left_out"),
    [
        ({"tables": ["*"], "exclude": ["tmp-*"]}, "tmp-users", None, True),
        ({"tables": ["a*"], "exclude": ["tmp-*"]}, "users", None, False),
        ({"tagged": True}, "users", "off", True),
        ({"tables": ["a*"]}, "users", "off", False),
        ({"tables": ["*"], "exclude": ["orders"]}, "orders", None, False),
    ],
)
def test_left_out_by_will(policy: Any, name: str, tag: str | None, left_out: bool) -> None:
    """exclude and the tag's "off" tell that nobody need hear that the table is not kept."""
    assert is_left_out(configured(policy), name, tag) is left_out


def test_the_tables_that_must_exist() -> None:
    """Those that are named one by one, and not those that a glob might mean."""
    found = configured(
        {"tables": ["users", "app-*", "gone"], "exclude": ["gone"]},
        {"carts": {"mode": "snapshot"}, "notes": {"every_minutes": 60}},
    )
    assert expected_tables(found) == ("carts", "orders", "users")
    assert needs_listing(found)
    assert not needs_listing(configured({"tables": ["users"]}))
    assert needs_listing(configured({"tagged": True}))


def test_each_value_keeps_its_origin() -> None:
    """The parameter, the tag, or the default."""
    found = configured(
        {"every_minutes": 30, "tagged": True, "view": "NEW_IMAGE"},
        {"users": {"view": "NEW_AND_OLD_IMAGES"}},
        S3_PREFIX_TEMPLATE="{table}",
    )
    origins = {k: v.origin for k, v in values_for(found, "users", "continuous").items()}
    assert origins == {
        "mode": "the tag coldtable",
        "every_minutes": f"{PATH}/POLICY",
        "view": f"{PATH}/policies/users",
        "bucket": f"{PATH}/BACKUP_BUCKET_NAME",
        "prefix": f"{PATH}/S3_PREFIX_TEMPLATE",
        "full_every_days": "default",
        "failures_before_alert": "default",
        "keep_within_days": "default",
        "keep_daily": "default",
        "keep_weekly": "default",
        "keep_monthly": "default",
        "keep_yearly": "default",
        "keep_minimum": "default",
        "keep_gone_days": "default",
        "enabled": "default",
        "rpo_minutes": "default: 2 x every_minutes + 60",
    }


def test_a_pause_is_one_thing() -> None:
    """Who is enabled again has nothing of the pause that POLICY sets for all; the rest has."""
    found = configured({**PAUSED, "by": "ops"}, {"users": {"enabled": True, "mode": "snapshot"}})
    assert kept(found, "users").pause is None
    assert set(values_for(found, "users")) & {"reason", "since", "by"} == set()
    pause = kept(found, "orders").pause
    assert pause is not None
    assert (pause.reason, pause.by) == ("migration", "ops")


@pytest.mark.parametrize(
    ("policy", "missing"),
    [
        ({"mode": "continuous", "bucket": "elsewhere", "tables": ["*"]}, set(PLAIN)),
        (
            {"mode": "continuous", "tables": ["users"]},
            set(PLAIN) - {"BACKUP_BUCKET_NAME"},
        ),
        ({"mode": "snapshot", "tables": ["*"]}, {"TEST_TABLE_NAME"}),
        ({"tagged": True}, {"TEST_TABLE_NAME"}),
    ],
)
def test_what_a_policy_makes_needless(policy: Any, missing: set[str]) -> None:
    """The rule's parameters are for snapshots, the names for who selects nothing else, and the
    bucket for who names none."""
    found = configured(policy, **dict.fromkeys(missing))
    assert found.scheduled == ()
    assert found.rule.at == (time() if "BACKUP_HOUR_STR" in missing else time(3, 30, 15))


@pytest.mark.parametrize(
    ("policy", "tables", "missing", "said"),
    [
        (None, {}, "BACKUP_HOUR_STR", "BACKUP_HOUR_STR does not exist"),
        (None, {}, "TEST_TABLE_NAME", "TABLE_NAMES does not exist"),
        ({}, {}, "TEST_TABLE_NAME", "says which tables are kept"),
        ({"exclude": ["a*"]}, {}, "TEST_TABLE_NAME", "says which tables are kept"),
        ({}, {"users": {"every_minutes": 60}}, "TEST_TABLE_NAME", "says which tables are kept"),
        ({"mode": "continuous"}, {}, "BACKUP_BUCKET_NAME", "BACKUP_BUCKET_NAME does not exist"),
        ({}, {}, "BACKUP_DAY_STR", "BACKUP_DAY_STR does not exist"),
        (
            {"mode": "continuous", "tagged": True},
            {},
            "BACKUP_MINUTE_STR",
            "BACKUP_MINUTE_STR does not exist",
        ),
        (
            {"mode": "continuous"},
            {"users": {"mode": "snapshot"}},
            "BACKUP_SECOND_STR",
            "BACKUP_SECOND_STR does not exist",
        ),
    ],
)
def test_what_is_still_needed(policy: Any, tables: Any, missing: str, said: str) -> None:
    """A parameter that something needs is never a default."""
    with pytest.raises(ParameterMissing, match=said):
        configured(policy, tables, **{missing: None})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "$: is not JSON: Expecting value"),
        ("{", "$: is not JSON"),
        ('{"mode": "snapshot",}', "$: is not JSON"),
        ('{"mode": "snapshot", "mode": "continuous"}', '$: is not JSON: "mode" occurs twice'),
        ('{"every_minutes": NaN}', "$: is not JSON: NaN"),
        ("[" * 3000, "$: is not JSON"),
        ("[]", "$: [] is not a JSON object"),
        ("null", "$: null is not a JSON object"),
        ('{"every_minutes": 5}', "$.every_minutes: 5 is less than 15"),
        ('{"every_minutes": 1441}', "$.every_minutes: 1441 is more than 1440"),
        ('{"every_minutes": "60"}', '$.every_minutes: "60" is not a whole number'),
        ('{"every_minutes": true}', "$.every_minutes: true is not a whole number"),
        ('{"every_minutes": 60.5}', "$.every_minutes: 60.5 is not a whole number"),
        ('{"every_minutes": null}', "$.every_minutes: null is not a whole number"),
        ('{"full_every_days": 0}', "$.full_every_days: 0 is less than 1"),
        ('{"full_every_days": 366}', "$.full_every_days: 366 is more than 365"),
        ('{"rpo_minutes": 1}', "$.rpo_minutes: 1 is less than 15"),
        ('{"mode": "Continuous"}', '$.mode: "Continuous" is neither "snapshot" nor "continuous"'),
        ('{"mode": ["snapshot"]}', '$.mode: ["snapshot"] is neither'),
        ('{"view": "NEW_IMAGES"}', '$.view: "NEW_IMAGES" is neither "NEW_IMAGE" nor'),
        ('{"bucket": "Archive"}', '$.bucket: "Archive" is not a bucket name'),
        ('{"bucket": 7}', "$.bucket: 7 is not text"),
        ('{"bucket_owner": 222222222222}', "$.bucket_owner: 222222222222 is not text"),
        ('{"bucket_owner": "2222"}', '$.bucket_owner: "2222" is not an account'),
        ('{"kms_key": "alias/backup"}', '$.kms_key: "alias/backup" is not the ARN'),
        ('{"prefix": "{id}"}', "the unknown field {id}"),
        ('{"tagged": "yes"}', '$.tagged: "yes" is not true or false'),
        ('{"tables": "orders"}', '$.tables: "orders" is not a list of names'),
        ('{"tables": ["orders", "a b"]}', '$.tables[1]: "a b" is not a table name'),
        ('{"tables": ["ab"]}', '$.tables[0]: "ab" is not a table name'),
        ('{"exclude": [7]}', "$.exclude[0]: 7 is not text"),
        ('{"every_minuts": 60}', "$.every_minuts: there is no such field; did you mean every_min"),
        ('{"a b": 1}', '$["a b"]: there is no such field'),
        ('{"enabled": false}', "$.reason: is missing, and a pause has it"),
        ('{"enabled": false, "reason": "x"}', "$.since: is missing, and a pause has it"),
        ('{"reason": "x"}', "$.reason: goes with enabled"),
        (
            '{"enabled": false, "reason": "x", "since": "2026-11-01"}',
            '$.since: "2026-11-01" is not a time with its offset',
        ),
        (
            '{"enabled": false, "reason": "x", "since": "0001-01-01T00:00:00+10:00"}',
            "is not a time with its offset",
        ),
        ('{"enabled": true, "by": "a\\nb"}', '$.by: "a\\nb" is not one line'),
    ],
)
def test_bad_json_is_named_by_its_path(text: str, said: str) -> None:
    """The error has the parameter's full name, the JSON path, and the value."""
    with pytest.raises(ConfigError) as caught:
        parse_configuration(PATH, {**PLAIN, "POLICY": text})
    assert f"{PATH}/POLICY: $" in caught.value.message
    assert said in caught.value.message
    assert "coldtable config validate" in caught.value.hint
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("field", ["tables", "exclude", "tagged"])
def test_only_policy_says_which_tables(field: str) -> None:
    """A single table's policy cannot select others."""
    with pytest.raises(ParameterInvalid, match=rf"policies/users: \$.{field}: belongs into POLICY"):
        configured({}, {"users": {field: True}})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("policies/ab", "'ab' cannot be a table name"),
        ("policies/a/orders", "'a/orders' cannot be a table name"),
        ("policies", "nobody reads it"),
        ("Policies/orders", "nobody reads it"),
        ("policy", "nobody reads it"),
        ("POLICY/orders", "nobody reads it"),
    ],
)
def test_names_that_only_look_like_a_policy(name: str, said: str) -> None:
    """A policy that nobody would read is an error, and not silence."""
    with pytest.raises(ParameterInvalid) as caught:
        parse_configuration(PATH, {**PLAIN, name: '{"mode": "continuous"}'})
    assert f"{PATH}/{name}: " in caught.value.message
    assert said in caught.value.message


def test_other_parameters_are_not_ours() -> None:
    """What else lies below the path is left alone."""
    assert parse_configuration(PATH, {**PLAIN, "OTHER": "{", "deep/er": "x"}).tables == {}


@pytest.mark.parametrize("text", ["ftp://a/b", "https://", "example.com", "http://[", " "])
def test_a_heartbeat_is_an_address(text: str) -> None:
    """Anything else is refused, and not shown: such an address is as good as a password."""
    with pytest.raises(ParameterInvalid) as caught:
        configured(HEARTBEAT_URL=text)
    assert "HEARTBEAT_URL: the value is not a web address" in caught.value.message


def test_all_problems_come_at_once() -> None:
    """Simple parameters, POLICY and each table's policy: whoever has five mistakes hears of five,
    and of no parameter that a better POLICY might make needless."""
    parameters = {
        "BACKUP_HOUR_STR": "99",
        "POLICY": '{"every_minutes": 5, "mdoe": "continuous"}',
        "policies/orders": "{",
        "policies/ab": "{}",
    }
    with pytest.raises(ConfigError) as caught:
        parse_configuration(PATH, parameters)
    message = caught.value.message
    assert message.startswith("5 parameters under")
    for part in ("'99'", "5 is less than 15", "mean mode?", "orders: $: is not JSON", "'ab'"):
        assert part in message
