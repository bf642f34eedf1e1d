"""The Lambda's door: what a run answers, what it raises, and what it logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coldtable.errors import (
    AccessDenied,
    ConfigError,
    NothingExported,
    ParameterInvalid,
    ParameterMissing,
    PartialError,
)
from coldtable.handler import respond
from coldtable.testing.fakes import FakeExporter, FakeParameters

PATH = "/test/stg/infra"
FIRED = datetime(2026, 11, 23, 4, tzinfo=UTC)
SCHEDULED = {"source": "coldtable.schedule", "scheduledTime": "2026-11-23T04:00:00Z"}


@pytest.fixture
def parameters() -> FakeParameters:
    plain = {
        "BACKUP_BUCKET_NAME": "archive",
        "BACKUP_DAY_STR": "0",
        "BACKUP_HOUR_STR": "3",
        "BACKUP_MINUTE_STR": "0",
        "BACKUP_SECOND_STR": "0",
        "TABLE_NAMES": "orders,users",
        "TIMEZONE": "UTC",
    }
    return FakeParameters({f"{PATH}/{name}": value for name, value in plain.items()})


@pytest.fixture
def dynamodb() -> FakeExporter:
    fake = FakeExporter(FIRED)
    fake.add_table("orders")
    return fake


def run(
    event: dict[str, Any],
    parameters: FakeParameters,
    dynamodb: FakeExporter,
    *,
    path: str = PATH,
    now: datetime = FIRED,
) -> tuple[int, dict[str, Any]]:
    answer = respond(event, path=path, parameters=parameters, exporter=dynamodb, now=now)
    assert set(answer) == {"statusCode", "body"}
    return answer["statusCode"], json.loads(answer["body"])


def test_a_good_run(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """200, and for each table its name, export, moment and place."""
    dynamodb.add_table("users")
    status, body = run(SCHEDULED, parameters, dynamodb)
    assert status == 200
    assert body["message"] == "2 exports started"
    assert [set(line) for line in body["exports"]] == [
        {"tableName", "exportArn", "exportTime", "s3Location"}
    ] * 2
    assert body["exports"][0] == {
        "tableName": "orders",
        "exportArn": next(e.arn for e in dynamodb.made if "orders" in e.arn),
        "exportTime": "2026-11-23T03:00:00+00:00",
        "s3Location": next(e.location for e in dynamodb.made if "orders" in e.arn),
    }


def test_by_hand_failures_are_answered(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """Invoked by a person, a run with failures answers 500 with both lists."""
    status, body = run({}, parameters, dynamodb)
    assert status == 500
    assert [line["tableName"] for line in body["successfulExports"]] == ["orders"]
    (failed,) = body["failedExports"]
    assert set(failed) == {"tableName", "error", "code", "hint"}
    assert (failed["tableName"], failed["code"]) == ("users", "TableNotFound")


def test_by_schedule_failures_are_raised(
    parameters: FakeParameters, dynamodb: FakeExporter
) -> None:
    """Invoked by the schedule, it raises after every table was tried, and names the failed one."""
    with pytest.raises(PartialError, match="1 of 2 tables could not be exported: users"):
        run(SCHEDULED, parameters, dynamodb)
    assert len(dynamodb.made) == 1


def test_by_schedule_nothing_exported(parameters: FakeParameters) -> None:
    """When no table could be exported the error says so too."""
    with pytest.raises(NothingExported, match="2 of 2"):
        run(SCHEDULED, parameters, FakeExporter(FIRED))


def test_the_schedule_s_time_counts_not_the_clock(
    parameters: FakeParameters, dynamodb: FakeExporter
) -> None:
    """A run that starts a day late, or is retried, exports the moment of its scheduled time."""
    dynamodb.add_table("users")
    late = FIRED + timedelta(days=1)
    _, first = run(SCHEDULED, parameters, dynamodb, now=FIRED)
    _, again = run(SCHEDULED, parameters, dynamodb, now=late)
    assert first == again
    assert len(dynamodb.made) == 2


def test_without_a_scheduled_time_it_is_now(
    parameters: FakeParameters, dynamodb: FakeExporter
) -> None:
    """By hand the moment is the most recent one, seen from now: here yesterday's."""
    dynamodb.add_table("users")
    _, body = run({}, parameters, dynamodb, now=FIRED - timedelta(hours=2))
    assert body["exports"][0]["exportTime"] == "2026-11-22T03:00:00+00:00"


@pytest.mark.parametrize("text", ["<aws.scheduler.scheduled-time>", "2026-11-23T04:00:00", 7])
def test_a_scheduled_time_that_is_none(
    parameters: FakeParameters, dynamodb: FakeExporter, text: object
) -> None:
    """A placeholder that nobody filled in, or a time without offset, is never taken for now."""
    with pytest.raises(ParameterInvalid, match="scheduledTime"):
        run({**SCHEDULED, "scheduledTime": text}, parameters, dynamodb)
    assert not dynamodb.made


def test_a_missing_parameter(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """It is raised for the schedule, and answered with its name for a person."""
    del parameters.values[f"{PATH}/BACKUP_HOUR_STR"]
    with pytest.raises(ParameterMissing, match=f"{PATH}/BACKUP_HOUR_STR") as caught:
        run(SCHEDULED, parameters, dynamodb)
    # The exception's text is all that a dead letter shows: the hint has to be in it.
    assert "\n  hint: Create it: aws ssm put-parameter" in str(caught.value)
    status, body = run({}, parameters, dynamodb)
    assert status == 500
    assert f"{PATH}/BACKUP_HOUR_STR does not exist" in body["message"]
    assert body["code"] == "ParameterMissing"
    assert body["hint"]


def test_denied_parameters(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """Access denied is never an empty set of parameters."""
    parameters.denied.add(PATH)
    with pytest.raises(AccessDenied) as caught:
        run(SCHEDULED, parameters, dynamodb)
    assert caught.value.action == "ssm:GetParametersByPath"


def test_no_path(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """A function without its path in the environment says so."""
    with pytest.raises(ConfigError, match="parameter path"):
        run(SCHEDULED, parameters, dynamodb, path="")


def test_the_log_has_table_and_export(
    parameters: FakeParameters, dynamodb: FakeExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Each start and each failure is a record with the table, and the export or the reason."""
    with caplog.at_level(logging.INFO, "coldtable"):
        run({}, parameters, dynamodb)
    records = {r.getMessage(): r.__dict__ for r in caplog.records}
    started, failed = records["export started"], records["export not started"]
    assert started["table"] == "orders"
    assert started["exportArn"] == dynamodb.made[0].arn
    assert failed["table"] == "users"
    assert failed["code"] == "TableNotFound"


def test_the_tables_of_the_tick_are_passed_over(
    parameters: FakeParameters, dynamodb: FakeExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """A table in continuous mode and a paused one are not exported; log and response say why."""
    parameters.values[f"{PATH}/TABLE_NAMES"] = "orders,users,carts"
    parameters.values[f"{PATH}/policies/users"] = '{"mode": "continuous"}'
    parameters.values[f"{PATH}/policies/carts"] = json.dumps(
        {"enabled": False, "reason": "it moves", "since": "2026-11-01T00:00:00Z", "by": "ann"}
    )
    with caplog.at_level(logging.INFO, "coldtable"):
        status, body = run(SCHEDULED, parameters, dynamodb)
    assert status == 200
    assert body["message"] == "1 export started"
    reasons = {
        "users": "it is kept in continuous mode, by the tick",
        "carts": "it is paused since 2026-11-01T00:00:00Z by ann: it moves",
    }
    assert {line["tableName"]: line["reason"] for line in body["skipped"]} == reasons
    logged = [r.__dict__ for r in caplog.records if r.getMessage() == "table skipped"]
    assert {line["table"]: line["reason"] for line in logged} == reasons
    assert [export.table_arn.rsplit("/", 1)[1] for export in dynamodb.made] == ["orders"]


def test_a_night_with_nothing_to_do(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """Where all tables are the tick's, a night starts nothing, and is no failure."""
    parameters.values[f"{PATH}/POLICY"] = '{"mode": "continuous"}'
    status, body = run(SCHEDULED, parameters, dynamodb)
    assert (status, body["message"], body["exports"]) == (200, "0 exports started", [])
    assert [line["tableName"] for line in body["skipped"]] == ["orders", "users"]
    assert not dynamodb.made


def test_each_table_goes_where_its_policy_says(
    parameters: FakeParameters, dynamodb: FakeExporter
) -> None:
    """Bucket, owner, key and prefix are the table's own; the other tables keep the common ones."""
    dynamodb.add_table("users")
    key = "1234abcd-12ab-34cd-56ef-1234567890ab"
    own = {"bucket": "far-away", "bucket_owner": "222222222222", "kms_key": key, "prefix": "x"}
    parameters.values[f"{PATH}/policies/users"] = json.dumps(own)
    assert run(SCHEDULED, parameters, dynamodb)[0] == 200
    orders, users = sorted(dynamodb.made, key=lambda export: export.table_arn)
    assert (orders.bucket, orders.owner, orders.key) == ("archive", None, None)
    assert orders.prefix == "2026/11/23/orders"
    assert (users.bucket, users.owner, users.key) == ("far-away", "222222222222", key)
    assert users.prefix == "x"


def test_a_policy_that_makes_no_sense(parameters: FakeParameters, dynamodb: FakeExporter) -> None:
    """It ends the run with its path, and is never taken for the default."""
    parameters.values[f"{PATH}/POLICY"] = '{"every_minutes": 5}'
    with pytest.raises(ParameterInvalid, match=r"POLICY: \$.every_minutes: 5 is less than 15"):
        run(SCHEDULED, parameters, dynamodb)
    assert not dynamodb.made
