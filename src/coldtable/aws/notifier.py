"""Where people hear of incidents: an SNS topic; and where a monitor hears that we are alive."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from coldtable.aws.errors import translated
from coldtable.errors import ParameterInvalid, ServiceFailed

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_SECONDS = 5


class SnsNotifier:
    """Implements ``ports.Notifier``."""

    def __init__(self, client: SNSClient, topic: str) -> None:
        self._client = client
        self._topic = topic

    def tell(self, subject: str, text: str) -> None:
        """See ``ports.Notifier.tell``."""
        with translated("sns", f"topic {self._topic}"):
            self._client.publish(TopicArn=self._topic, Subject=subject, Message=text)


class HttpBeacon:
    """Implements ``ports.Beacon`` with one GET. Redirects are not followed."""

    def beat(self, url: str) -> None:
        """See ``ports.Beacon.beat``."""
        parts = urlsplit(url)
        # Over plain HTTP only to this machine, for tests and local agents.
        plain = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not parts.hostname or not (plain or parts.scheme == "https"):
            raise ParameterInvalid(
                "HEARTBEAT_URL is not an https URL", hint="Use the URL that your monitor gives you"
            )
        kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
        connection = kind(parts.hostname, parts.port, timeout=_SECONDS)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET", path, headers={"User-Agent": "coldtable"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            # The URL is a secret of sorts: whoever has it can send heartbeats.
            raise ServiceFailed(f"The heartbeat did not reach {parts.hostname}: {error}") from None
        finally:
            connection.close()
        if status >= 400:
            raise ServiceFailed(f"The heartbeat was refused by {parts.hostname}: status {status}")
