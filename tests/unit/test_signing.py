"""Our signer makes what botocore's makes; AWS would refuse anything else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from coldtable.aws.signing import Signer
from coldtable.errors import NoCredentials

NOW = 1_790_000_000.0


def theirs(endpoint: str, credentials: Credentials, operation: str, body: bytes, stamp: str) -> Any:
    """The headers that botocore signs the same request with."""
    request = AWSRequest(
        "POST",
        endpoint,
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        },
    )
    auth = SigV4Auth(credentials, "dynamodb", "eu-north-1")
    # What add_auth does, at a time of our own.
    request.context["timestamp"] = stamp
    auth._modify_request_before_signing(request)  # type: ignore[attr-defined]
    canonical = auth.canonical_request(request)
    text = auth.string_to_sign(request, canonical)
    auth._inject_signature_to_request(request, auth.signature(text, request))  # type: ignore[attr-defined]
    found: HTTPHeaders = request.headers
    return found


@pytest.mark.parametrize("token", [None, "a-session-token/with+odd=characters"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dynamodb.eu-north-1.amazonaws.com",
        "https://dynamodb.eu-north-1.amazonaws.com:443/",
        "http://127.0.0.1:4566",
        "https://vpce-1.dynamodb.eu-north-1.vpce.amazonaws.com:8443",
    ],
)
def test_signatures_are_botocore_s(endpoint: str, token: str | None) -> None:
    """The same request at the same time has the same headers, whatever the body."""
    credentials = Credentials("AKIDEXAMPLE", "secret/with+odd=characters", token)
    signer = Signer(
        endpoint=endpoint,
        region="eu-north-1",
        credentials=credentials.get_frozen_credentials,
    )
    chance = random.Random(1)
    for operation in ("BatchWriteItem", "PutItem", "Scan"):
        body = chance.randbytes(chance.randrange(5000))
        ours = signer.headers(operation, body, NOW)
        expected = theirs(endpoint, credentials, operation, body, ours["x-amz-date"])
        for name, value in expected.items():
            assert ours[name.lower()] == value
        assert ours["authorization"] == expected["Authorization"]


def test_the_key_follows_the_day_and_the_credentials() -> None:
    """New credentials and a new day are signed with, though the signing key is remembered."""
    now = [Credentials("A", "one")]
    signer = Signer(
        endpoint="https://dynamodb.eu-north-1.amazonaws.com",
        region="eu-north-1",
        credentials=lambda: now[0].get_frozen_credentials(),
    )
    for credentials, when in [
        (Credentials("A", "one"), NOW),
        (Credentials("A", "one"), NOW + 86_400),
        (Credentials("B", "two", "t"), NOW + 86_400),
        (Credentials("A", "one"), NOW),
    ]:
        now[0] = credentials
        ours = signer.headers("Scan", b"{}", when)
        expected = theirs(signer.endpoint, credentials, "Scan", b"{}", ours["x-amz-date"])
        assert ours["authorization"] == expected["Authorization"]


def test_no_credentials_is_said() -> None:
    """Without credentials there is an error of ours, with a hint."""
    signer = Signer(endpoint="https://x", region="eu-north-1", credentials=lambda: None)
    with pytest.raises(NoCredentials) as caught:
        signer.headers("Scan", b"{}", NOW)
    assert caught.value.hint
