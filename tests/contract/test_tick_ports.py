"""The windows of the tick, faked and AWS's: tables and tags, definitions, messages, heartbeats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from coldtable.aws.directory import DynamoDbDirectory
from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.notifier import HttpBeacon
from coldtable.errors import ParameterInvalid, ServiceFailed
from coldtable.model_policy import TAG
from coldtable.ports import Exporter, TableDirectory
from coldtable.testing.world import FakeAws
from tests.functional.conftest import Boto
from tests.unit.ticking import NOON

NAMES = [f"table-{n:03}" for n in range(105)]


class Here:
    """A directory with 105 tables, of which one has the tag, and the exporter of the same AWS."""

    def __init__(self, directory: TableDirectory, exporter: Exporter) -> None:
        self.directory, self.exporter = directory, exporter


@pytest.fixture(params=["fake", "aws"])
def here(request: pytest.FixtureRequest, boto: Boto) -> Here:
    if request.param == "fake":
        fake = FakeAws(NOON)
        for name in NAMES:
            fake.create(name)
        fake.tags = {NAMES[3]: "continuous"}
        return Here(fake, fake)
    dynamodb = boto("dynamodb")
    for name in NAMES:
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            Tags=[
                {"Key": TAG if name == NAMES[3] else "other", "Value": "continuous"},
                {"Key": "team", "Value": "shop"},
            ],
        )
    directory = DynamoDbDirectory(dynamodb, lambda: boto("resourcegroupstaggingapi"))
    return Here(directory, DynamoDbExporter(dynamodb))


def test_every_table_and_tag_is_found(here: Here) -> None:
    """All names, beyond one page of a hundred; only the tables with the tag, and its value."""
    assert sorted(here.directory.names()) == NAMES
    assert dict(here.directory.tagged(TAG)) == {NAMES[3]: "continuous"}


def test_a_definition_is_fit_for_json(here: Here) -> None:
    """It names the very table, and survives JSON unchanged."""
    table = here.exporter.table(NAMES[3])
    found = here.directory.definition(table)
    assert found["table"]["TableName"] == table.name
    assert found["table"]["TableId"] == table.table_id
    assert json.loads(json.dumps(found)) == found


def test_a_definition_has_what_a_restore_needs(boto: Boto) -> None:
    """Key schema, time to live, tags and PITR, as AWS tells them."""
    dynamodb = boto("dynamodb")
    dynamodb.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    dynamodb.update_time_to_live(
        TableName="orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    dynamodb.update_continuous_backups(
        TableName="orders",
        PointInTimeRecoverySpecification={
            "PointInTimeRecoveryEnabled": True,
            "RecoveryPeriodInDays": 7,
        },
    )
    directory = DynamoDbDirectory(dynamodb, lambda: None)
    found = directory.definition(DynamoDbExporter(dynamodb).table("orders"))
    assert found["table"]["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert found["ttl"]["AttributeName"] == "until"
    assert found["tags"] == [{"Key": "team", "Value": "shop"}]
    assert found["pitr"] == {"enabled": True, "recovery_days": 7}


class Monitor(BaseHTTPRequestHandler):
    """A monitor outside: it hears, answers as it is told, and keeps quiet about it."""

    heard: list[str]
    status: int

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def monitor() -> Iterator[HTTPServer]:
    Monitor.heard, Monitor.status = [], 200
    with HTTPServer(("127.0.0.1", 0), Monitor) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_heartbeat_arrives(monitor: HTTPServer) -> None:
    """One GET of the URL, its query included; a redirect is not followed."""
    url = f"http://127.0.0.1:{monitor.server_port}/beat/abc?x=1"
    HttpBeacon().beat(url)
    Monitor.status = 302
    HttpBeacon().beat(url)
    assert Monitor.heard == ["/beat/abc?x=1"] * 2


def test_a_heartbeat_that_fails_does_not_tell_the_url(monitor: HTTPServer) -> None:
    """Refused or unreachable is ServiceFailed, and the secret part of the URL is not in it."""
    Monitor.status = 404
    url = f"http://127.0.0.1:{monitor.server_port}/beat/secret"
    with pytest.raises(ServiceFailed, match="status 404") as refused:
        HttpBeacon().beat(url)
    monitor.shutdown()
    monitor.server_close()
    with pytest.raises(ServiceFailed, match="did not reach") as unreachable:
        HttpBeacon().beat(url)
    assert "secret" not in refused.value.message + unreachable.value.message


@pytest.mark.parametrize("url", ["http://example.com/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_heartbeat_goes_over_tls_only(url: str) -> None:
    """Anything but https is refused, but for this machine's own loopback."""
    with pytest.raises(ParameterInvalid):
        HttpBeacon().beat(url)
