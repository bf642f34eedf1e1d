"""The export run: every table on its own, all of them reported, nothing started twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from threading import Barrier
from zoneinfo import ZoneInfo

import pytest

from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.errors import AccessDenied, NothingExported, PartialError, Throttled
from coldtable.model import (
    Export,
    ExportReport,
    ExportRequest,
    ExportStatus,
    MomentRule,
    Settings,
)
from coldtable.ops.export import export_tables, report_error
from coldtable.ops.follow import failure_of, follow_exports
from coldtable.testing.fakes import FakeExporter
from coldtable.testing.world import FakeAws

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOMENT = datetime(2026, 11, 22, 18, tzinfo=UTC)  # 03:00 on the 23rd in Tokyo


@pytest.fixture
def dynamodb() -> FakeExporter:
    return FakeExporter(NOON)


def settings(*tables: str, bucket: str = "archive", zone: str = "Asia/Tokyo") -> Settings:
    return Settings(
        path="/coldtable/prod",
        bucket=bucket,
        tables=tables,
        rule=MomentRule(day=None, at=time(3), zone=ZoneInfo(zone)),
        prefix_template=DEFAULT_TEMPLATE,
    )


def test_the_prefix_has_the_local_date(dynamodb: FakeExporter) -> None:
    """The folder is the moment's date in the settings' zone, not in UTC."""
    dynamodb.add_table("orders")
    report = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    (line,) = report.started
    assert line.export.prefix == "2026/11/23/orders"
    assert line.export.moment == MOMENT
    assert line.export.location == (
        f"s3://archive/2026/11/23/orders/AWSDynamoDB/{line.export.export_id}"
    )


def test_one_failure_does_not_stop_the_others(dynamodb: FakeExporter) -> None:
    """Tables without PITR, unknown ones and refused ones are reported; the rest is started."""
    names = ["orders", "gone", "users", "plain", "secret"]
    for name in ("orders", "users", "secret"):
        dynamodb.add_table(name)
    dynamodb.add_table("plain", pitr=False)
    dynamodb.refuse("secret", AccessDenied("no", action="dynamodb:ExportTableToPointInTime"))
    report = export_tables(settings(*names), names, MOMENT, dynamodb, NOON)
    assert [line.table for line in report.started] == ["orders", "users"]
    assert [(line.table, line.code) for line in report.failed] == [
        ("gone", "TableNotFound"),
        ("plain", "PitrDisabled"),
        ("secret", "AccessDenied"),
    ]
    assert "update-continuous-backups --table-name plain" in report.failed[1].hint
    assert isinstance(report_error(report), PartialError)


class _Together(FakeExporter):
    """Starts an export only when as many starts as there are tables wait for it."""

    def __init__(self, tables: int) -> None:
        super().__init__(NOON)
        self._all_here = Barrier(tables, timeout=5)

    def start(self, request: ExportRequest) -> Export:
        self._all_here.wait()
        return super().start(request)


def test_tables_are_exported_at_the_same_time() -> None:
    """Many tables wait for AWS together; the report still has them in the order of the settings."""
    names = [f"table-{n:02}" for n in range(10)]
    dynamodb = _Together(len(names))
    for name in names:
        dynamodb.add_table(name)
    report = export_tables(settings(*names), names, MOMENT, dynamodb, NOON)
    assert [line.table for line in report.started] == names


def test_the_same_run_twice_is_one_export(dynamodb: FakeExporter) -> None:
    """Repeating a run repeats its token, and AWS returns the export that there is."""
    dynamodb.add_table("orders")
    first = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    again = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    assert first.started == again.started
    assert len(dynamodb.made) == 1


@pytest.mark.parametrize(
    ("bucket", "zone", "moment"),
    [
        ("other-bucket", "Asia/Tokyo", MOMENT),
        ("archive", "America/New_York", MOMENT),
        ("archive", "Asia/Tokyo", MOMENT - timedelta(seconds=1)),
    ],
)
def test_anything_else_is_another_export(
    dynamodb: FakeExporter, bucket: str, zone: str, moment: datetime
) -> None:
    """Another bucket, prefix or moment has another token: no conflict, a second export."""
    dynamodb.add_table("orders")
    export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    other = settings("orders", bucket=bucket, zone=zone)
    report = export_tables(other, ["orders"], moment, dynamodb, NOON)
    assert not report.failed
    assert len(dynamodb.made) == 2


def test_a_recreated_table_is_another_table(dynamodb: FakeExporter) -> None:
    """The token has the table's id: a new table of the same name is exported anew."""
    dynamodb.add_table("orders")
    export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    dynamodb.add_table("orders")
    export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    assert len(dynamodb.made) == 2


def test_a_failed_export_is_asked_for_anew(dynamodb: FakeExporter) -> None:
    """A failed export's token only returns the failed one, so the next token is used."""
    dynamodb.add_table("orders")
    (first,) = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON).started
    dynamodb.finish(first.export.arn, ExportStatus.FAILED, "S3NoSuchBucket")
    (second,) = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON).started
    assert second.export.arn != first.export.arn
    assert second.export.status is ExportStatus.IN_PROGRESS


def test_failing_for_ever_ends(dynamodb: FakeExporter) -> None:
    """After five failed exports of one moment the run says so, with AWS's reason and a hint."""
    dynamodb.add_table("orders")
    for _ in range(5):
        (line,) = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON).started
        dynamodb.finish(line.export.arn, ExportStatus.FAILED, "S3NoSuchBucket")
    report = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON)
    assert "S3NoSuchBucket" in report.failed[0].error
    assert "Create the bucket archive" in report.failed[0].hint
    assert len(dynamodb.made) == 5


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (NOON - timedelta(days=36), "its history begins at 2026-10-19T12:00:00+00:00"),
        (NOON - timedelta(minutes=4), "its history ends at 2026-11-23T11:55:00+00:00"),
        (NOON + timedelta(days=1), "its history ends at 2026-11-23T11:55:00+00:00"),
    ],
)
def test_a_moment_outside_the_history(dynamodb: FakeExporter, moment: datetime, said: str) -> None:
    """Too old or too new is an error with the moment and both ends, and nothing is exported."""
    dynamodb.add_table("orders")
    report = export_tables(settings("orders"), ["orders"], moment, dynamodb, NOON)
    (line,) = report.failed
    assert line.code == "MomentNotRestorable"
    assert said in line.error
    for part in (moment, NOON - timedelta(days=35), NOON - timedelta(minutes=5)):
        assert part.isoformat(timespec="seconds") in line.error
    assert dynamodb.made == []


def test_latest_is_each_table_s_own(dynamodb: FakeExporter) -> None:
    """Without a moment each table is exported at the end of its history."""
    dynamodb.add_table("orders")
    report = export_tables(settings("orders"), ["orders"], None, dynamodb, NOON)
    assert report.started[0].export.moment == NOON - timedelta(minutes=5)


@pytest.mark.parametrize(("age", "calls"), [(timedelta(hours=9), 60), (timedelta(hours=0.5), 90)])
def test_calls_a_table(dynamodb: FakeExporter, age: timedelta, calls: int) -> None:
    """A table costs two calls, who it is and the export; a third if the moment is not settled."""
    names = [f"table-{n}" for n in range(30)]
    for name in names:
        dynamodb.add_table(name)
    report = export_tables(settings(*names), names, NOON - age, dynamodb, NOON)
    assert len(report.started) == 30
    assert len(dynamodb.calls) == calls


@pytest.mark.parametrize(
    ("errors", "exit_code"),
    [
        ([AccessDenied("no", action="a:B"), AccessDenied("no", action="a:B")], 11),
        ([AccessDenied("no", action="a:B"), Throttled("slow")], 1),
    ],
)
def test_when_nothing_worked_the_shared_exit_code_counts(
    dynamodb: FakeExporter, errors: list[AccessDenied | Throttled], exit_code: int
) -> None:
    """Every table refused for one reason exits with that reason's code, else with 1."""
    for number, error in enumerate(errors):
        dynamodb.add_table(f"table-{number}")
        dynamodb.refuse(f"table-{number}", error)
    names = [f"table-{n}" for n in range(len(errors))]
    problem = report_error(export_tables(settings(*names), names, MOMENT, dynamodb, NOON))
    assert isinstance(problem, NothingExported)
    assert problem.exit_code == exit_code
    assert NothingExported.exit_code == 1


def test_following_ends_when_all_have_ended(dynamodb: FakeExporter) -> None:
    """Following describes only what still runs, with growing pauses, and keeps the order."""
    names = ["a-table", "b-table"]
    for name in names:
        dynamodb.add_table(name)
    report = export_tables(settings(*names), names, MOMENT, dynamodb, NOON)
    first, second = (line.export for line in report.started)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            dynamodb.finish(second.arn, ExportStatus.FAILED, "S3AccessDenied")
        if len(pauses) == 20:
            dynamodb.finish(first.arn, ExportStatus.COMPLETED)

    ended = follow_exports([first, second], dynamodb, pause)
    assert [e.arn for e in ended] == [first.arn, second.arn]
    assert pauses == sorted(pauses)
    assert max(pauses) == 20.0
    assert failure_of(ended[0]) is None
    problem = failure_of(ended[1])
    assert isinstance(problem, AccessDenied)
    assert problem.action == "s3:PutObject"
    assert "arn:aws:s3:::archive/*" in problem.hint


@pytest.mark.parametrize(
    ("message", "owner", "action", "hint"),
    [
        ("Access Denied (Service: Amazon S3)", None, "s3:PutObject", "name bucket_owner"),
        ("Access Denied (Service: Amazon S3)", "210987654321", "s3:PutObject", "policy bucket)"),
        ("User: x is not authorized to perform: kms:Decrypt", None, "kms:Decrypt", "policy key"),
    ],
)
def test_a_refused_export_says_which_policy(
    dynamodb: FakeExporter, message: str, owner: str | None, action: str, hint: str
) -> None:
    """The action is the one that AWS names, and the hint ends with the policy to look at."""
    dynamodb.add_table("orders")
    (line,) = export_tables(settings("orders"), ["orders"], MOMENT, dynamodb, NOON).started
    failed = replace(
        line.export,
        status=ExportStatus.FAILED,
        failure_code="S3AccessDenied",
        failure_message=message,
        owner=owner,
    )
    problem = failure_of(failed)
    assert isinstance(problem, AccessDenied)
    assert problem.action == action
    assert problem.hint.endswith(hint)


def test_an_old_moment_is_found_and_not_paid_for_again() -> None:
    """A monthly moment that a daily schedule asks for every day is one export, also after AWS has
    forgotten its token; after a failure of it the next token is used."""
    aws = FakeAws(NOON)
    aws.create("orders")
    aws.pass_time(timedelta(hours=2))
    moment = aws.now - timedelta(hours=1)

    def run() -> ExportReport:
        return export_tables(settings("orders"), ["orders"], moment, aws, aws.now)

    aws.failures = ["InternalError"]
    run()
    for _ in range(5):
        aws.pass_time(timedelta(days=1))
        run()
    assert len(aws.started) == 2
    assert aws.paid_twice() == []
    assert aws.started[0].token != aws.started[1].token
