"""Messages from one service to another's queue, topic or function, with a role's rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from .interface import Inner, Reply, Scope


async def send_to_queue(
    inner: Inner,
    scope: Scope,
    queue_arn: str,
    body: str,
    attributes: Mapping[str, tuple[str, str]],
    *,
    access_key: str | None = None,
) -> Reply:
    """SendMessage. ``attributes`` maps a name to its type and text."""
    _, _, _, region, account, name = queue_arn.split(":", 5)
    request = {
        "QueueUrl": f"http://127.0.0.1/{account}/{name}",
        "MessageBody": body,
        "MessageAttributes": {
            key: {"DataType": kind, "StringValue": value}
            for key, (kind, value) in attributes.items()
        },
    }
    return await inner.call(
        Scope(account=scope.account, region=region),
        "sqs",
        "POST",
        "/",
        headers={
            "x-amz-target": "AmazonSQS.SendMessage",
            "content-type": "application/x-amz-json-1.0",
        },
        body=json.dumps(request).encode(),
        access_key=access_key,
    )


async def publish(
    inner: Inner, scope: Scope, topic_arn: str, body: str, *, access_key: str | None = None
) -> Reply:
    """SNS Publish."""
    form = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": topic_arn, "Message": body}
    return await inner.call(
        scope,
        "sns",
        "POST",
        "/",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
        access_key=access_key,
    )


async def invoke_later(
    inner: Inner, scope: Scope, function_arn: str, payload: str, *, access_key: str | None = None
) -> Reply:
    """Lambda Invoke with invocation type Event."""
    region = function_arn.split(":")[3]
    return await inner.call(
        Scope(account=scope.account, region=region),
        "lambda",
        "POST",
        f"/2015-03-31/functions/{quote(function_arn, safe='')}/invocations",
        headers={"x-amz-invocation-type": "Event", "content-type": "application/json"},
        body=payload.encode(),
        access_key=access_key,
    )


async def send(
    inner: Inner,
    scope: Scope,
    target_arn: str,
    body: str,
    attributes: Mapping[str, tuple[str, str]],
    *,
    access_key: str | None = None,
) -> Reply:
    """To a queue, a topic or a function; any other ARN answers 400."""
    service = target_arn.split(":")[2] if target_arn.count(":") >= 5 else ""
    if service == "sqs":
        return await send_to_queue(
            inner, scope, target_arn, body, attributes, access_key=access_key
        )
    if service == "sns":
        return await publish(inner, scope, target_arn, body, access_key=access_key)
    if service == "lambda":
        return await invoke_later(inner, scope, target_arn, body, access_key=access_key)
    return Reply(status=400, body=f"{target_arn} is no target of the emulator".encode())
