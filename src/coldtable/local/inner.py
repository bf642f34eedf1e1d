"""Signed calls into ministack, without a socket: the ``Inner`` of ``interface.py``."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack import app as ministack
from ministack.core import iam_evaluator, responses
from ministack.services import dynamodb

from .interface import ApiError, Caller, Reply, Scope
from .seams import dynamodb as dynamodb_seam
from .seams import iam
from .seams import s3 as s3_seam


class AsgiInner:
    """``Inner`` over ministack's ASGI application in this process."""

    def __init__(self, gateway: str, default_account: str) -> None:
        """``gateway`` is the host and port that requests name, ``127.0.0.1:PORT``."""
        self._gateway = gateway
        self._default_account = default_account

    async def dynamodb(
        self, scope: Scope, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}

        async def ask() -> tuple[int, Mapping[str, str], bytes]:
            responses.set_request_account_id(scope.account)
            responses.set_request_region(scope.region)
            dynamodb_seam.passing.set(True)
            answer: tuple[int, Mapping[str, str], bytes] = await dynamodb.handle_request(
                "POST", "/", headers, json.dumps(request).encode(), {}
            )
            return answer

        status, _, body = await asyncio.create_task(ask())
        answer: dict[str, Any] = json.loads(body or b"{}")
        if status >= 300:
            code = str(answer.get("__type", "InternalServerError")).rsplit("#", 1)[-1]
            text = str(answer.get("message") or answer.get("Message") or "")
            raise ApiError(code, text, status=status)
        return answer

    async def call(
        self,
        scope: Scope,
        service: str,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        access_key: str | None = None,
    ) -> Reply:
        url = f"http://{self._gateway}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(
            method, url, headers={**(headers or {}), "host": self._gateway}, data=body
        )
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(self._credentials(scope, access_key), service, scope.region).add_auth(request)
        names = [(k.lower(), str(v)) for k, v in request.headers.items()]
        if "content-length" not in {name for name, _ in names}:
            names.append(("content-length", str(len(body))))
        asgi = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.encode("latin-1"), v.encode("utf-8")) for k, v in names],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }

        async def ask() -> Reply:
            s3_seam.inside.set(access_key is None)
            return await _exchange(asgi, body)

        # A task of its own: ministack keeps the caller in context variables.
        return await asyncio.create_task(ask())

    def deny_reason(self, caller: Caller, action: str, resource: str) -> str | None:
        return contextvars.Context().run(_deny_reason, caller, action, resource)

    def _credentials(self, scope: Scope, access_key: str | None) -> Credentials:
        if access_key is None:
            # An account's own number is its root key; the default account's is "test" too.
            return Credentials(scope.account, "test")
        found = resolve(scope.account, access_key)
        return Credentials(found.access_key_id, found.secret_access_key, found.session_token)


def resolve(account: str, access_key: str) -> Any:
    """ministack's credential for an access key. Raises ``ApiError`` when there is none."""
    if iam_evaluator.is_root_access_key(access_key):
        access_key = account
    owner = responses._account_from_sts_session(access_key)
    owner = owner or iam_evaluator.find_iam_access_key_account(access_key) or account
    found = iam_evaluator.resolve_credential(access_key, owner)
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        raise ApiError(found.code, found.message, status=403)
    return found


def _deny_reason(caller: Caller, action: str, resource: str) -> str | None:
    if not ministack.AUTH:
        return None
    responses.set_request_account_id(caller.scope.account)
    responses.set_request_region(caller.scope.region)
    iam_evaluator.pin_request_origin("127.0.0.1", True)
    key = caller.access_key
    if iam_evaluator.is_root_access_key(key):
        key = caller.scope.account
    service = action.split(":", 1)[0]
    denied = iam_evaluator.enforce(key, action, service, caller.scope.region, resource_arn=resource)
    if denied is None:
        return None
    if isinstance(denied, iam_evaluator.AuthError):
        return str(denied.message)
    explicit = denied.decision == "Deny"
    return iam.denial_text(service, action, denied.principal_arn, resource, explicit=explicit)


async def _exchange(asgi: dict[str, Any], body: bytes) -> Reply:
    status = 500
    headers: dict[str, str] = {}
    parts: list[bytes] = []
    sent = False
    done = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await done.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                (k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in message["headers"]
            )
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await ministack.app(asgi, receive, send)
    done.set()
    return Reply(status=status, headers=headers, body=b"".join(parts))
