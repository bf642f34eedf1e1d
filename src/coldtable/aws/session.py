"""Clients of the AWS SDK: made late, with our own retries, honouring both region variables."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from coldtable.aws.errors import translated

if TYPE_CHECKING:
    from types_boto3_sts import STSClient

    from coldtable.aws.signing import Signer

# botocore's defaults changed between releases (DynamoDB 4 attempts, others 3), so ours are
# explicit. Export calls throttle after about 20 quick ones [QUIRKS]. Ten attempts take a minute of
# back-off at the most, six a quarter of that: enough for whoever waits at a terminal.
PATIENT, AT_A_TERMINAL = 10, 6


@cache
def _models(data_path: str | None) -> Loader:
    """The SDK's models of the services, which all sessions of a process read but once: that is
    most of what a client costs."""
    return create_loader(data_path)


class AwsSession:
    """Where clients come from. One per process; making a client costs tens of milliseconds."""

    def __init__(
        self,
        *,
        profile: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        connections: int = 10,
        attempts: int = PATIENT,
    ) -> None:
        # boto3's own session is botocore's with resources on top, which nothing here needs: the
        # import alone costs a cold start about 20 ms.
        self._session = Session(profile=profile)
        self._region = region or os.environ.get("AWS_REGION")
        self._endpoint_url = endpoint_url
        self._keys = (access_key, secret_key)
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=connections,
            user_agent_extra="coldtable",
        )

    @property
    def region(self) -> str | None:
        """The region that clients are made for, if one is set anywhere."""
        with translated("the AWS configuration"):
            found: str | None = self._region or self._session.get_config_variable("region")
        return found

    def client(self, service: str) -> Any:
        """A client of ``service``. The caller annotates it with its type."""
        access_key, secret_key = self._keys
        with translated(service):
            models = _models(self._session.get_config_variable("data_path"))
            self._session.register_component("data_loader", models)
            return self._session.create_client(
                service,
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                config=self._config,
            )

    def caller(self) -> str:
        """The ARN of whoever the credentials belong to: STS tells it without any permission."""
        sts: STSClient = self.client("sts")
        with translated("sts"):
            return sts.get_caller_identity()["Arn"]

    def signer(self, service: str) -> Signer:
        """What signs requests to ``service`` outside of the SDK, as its client would."""
        from botocore.httpsession import get_cert_path

        from coldtable.aws.signing import Signer

        client, (access_key, secret_key) = self.client(service), self._keys
        with translated(service):
            found = (
                Credentials(access_key, secret_key)
                if access_key and secret_key
                else self._session.get_credentials()
            )

        def credentials() -> ReadOnlyCredentials | None:
            with translated(service):
                return found.get_frozen_credentials() if found else None

        return Signer(
            endpoint=client.meta.endpoint_url,
            region=client.meta.region_name,
            credentials=credentials,
            ca_bundle=self._session.get_config_variable("ca_bundle") or get_cert_path(True),
        )
