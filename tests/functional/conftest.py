"""One embedded AWS for the whole run; tests keep apart by account ids and unique names."""

from __future__ import annotations

import functools
import itertools
import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config

from coldtable.cli.app import main
from coldtable.local.process import EmbeddedAws

_ACCOUNTS = itertools.count(100000000001)

# Of a run in the background a shell takes Ctrl-C away, and so it would from what tests start and
# interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Boto(Protocol):
    """A factory of boto3 clients: ``boto("s3")``; other credentials and region on demand."""

    def __call__(
        self,
        service: str,
        *,
        key: str = ...,
        secret: str = ...,
        token: str | None = ...,
        region: str | None = ...,
    ) -> Any: ...


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    """The emulator of this run. Its clock only moves forward: take times from ``aws.now()``."""
    with EmbeddedAws(["--restorable-lag", "0", "--min-window", "0"]) as running:
        yield running


def client(
    aws: EmbeddedAws,
    service: str,
    key: str,
    secret: str,
    token: str | None = None,
    region: str | None = None,
) -> Any:
    """A boto3 client; the same one for the same arguments."""
    return _client(aws.endpoint, region or aws.region, service, key, secret, token)


@functools.cache
def _session() -> Any:
    # One for all: reading the services' models is most of what a client costs.
    return boto3.session.Session()


@functools.lru_cache(256)
def _client(
    endpoint: str, region: str, service: str, key: str, secret: str, token: str | None
) -> Any:
    return _session().client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60),
    )


@pytest.fixture
def account() -> str:
    """A fresh, empty 12-digit account. The number is its own root's access key."""
    return str(next(_ACCOUNTS))


@pytest.fixture
def boto(aws: EmbeddedAws, account: str) -> Boto:
    """boto3 clients of this test's own account; ``key="test"`` is the default account's root."""

    def make(
        service: str,
        *,
        key: str = "",
        secret: str = "test",  # noqa: S107
        token: str | None = None,
        region: str | None = None,
    ) -> Any:
        return client(aws, service, key or account, secret, token, region)

    return make


@pytest.fixture
def fresh_aws() -> Iterator[Callable[..., EmbeddedAws]]:
    """Starts emulators of one's own, for tests that stop, reset or move them far."""
    running: list[EmbeddedAws] = []

    def start(*options: str) -> EmbeddedAws:
        running.append(EmbeddedAws(options).start())
        return running[-1]

    yield start
    for one in running:
        one.stop()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Coldtable(Protocol):
    """Runs ``coldtable`` with these words; with other credentials or another way to AWS."""

    def __call__(
        self, *words: str, key: str = ..., secret: str = ..., endpoint: str = ...
    ) -> Answer: ...


@pytest.fixture
def coldtable(
    aws: EmbeddedAws,
    account: str,
    boto: Boto,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Coldtable]:
    """The command line, as this test's own account's root. Its stack is gone afterwards: a
    schedule that stayed would fire whenever another test moves the clock."""

    def run(
        *words: str,
        key: str = account,
        secret: str = "test",  # noqa: S107
        endpoint: str = aws.endpoint,
    ) -> Answer:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        where = ["--endpoint-url", endpoint, "--region", aws.region]
        with pytest.raises(SystemExit) as caught:
            main([*where, *words])
        out, err = capsys.readouterr()
        return Answer(code=int(caught.value.code or 0), out=out, err=err)

    yield run
    boto("cloudformation").delete_stack(StackName="coldtable")


class NewTable(Protocol):
    """Creates a table with the key ``id`` and returns its name."""

    def __call__(self, *, pitr: bool = ...) -> str: ...


@pytest.fixture
def new_table(boto: Boto) -> NewTable:
    """A table of an unused name in this test's account, with PITR on unless told otherwise."""

    def create(*, pitr: bool = True) -> str:
        name = f"t-{uuid.uuid4().hex[:8]}"
        dynamodb = boto("dynamodb")
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        if pitr:
            dynamodb.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        return name

    return create


def until(ask: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """Ask until the answer is true and return it; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {seconds:g} s")
        time.sleep(0.05)
    return answer
