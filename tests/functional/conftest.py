"""One embedded AWS for the whole run; tests keep apart by account ids and unique names."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config

from coldtable.local.process import EmbeddedAws

_ACCOUNTS = itertools.count(100000000001)


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
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=region or aws.region,
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


def until(ask: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """Ask until the answer is true and return it; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {seconds:g} s")
        time.sleep(0.05)
    return answer
