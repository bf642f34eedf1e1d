"""``AWS::Lambda::Function``: the dead-letter queue and the reserved concurrency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .cfn_calls import Calls, dropped

Properties = Mapping[str, Any]


def complete(calls: Calls, name: str, old: Properties, new: Properties) -> None:
    """Set what the provisioner ignored."""
    path = f"/functions/{name}"
    dead = new.get("DeadLetterConfig")
    if dead != old.get("DeadLetterConfig"):
        body = json.dumps({"DeadLetterConfig": dead or {"TargetArn": ""}}).encode()
        calls.http("lambda", "PUT", f"/2015-03-31{path}/configuration", body=body)
    reserved = new.get("ReservedConcurrentExecutions")
    if reserved is not None and reserved != old.get("ReservedConcurrentExecutions"):
        body = json.dumps({"ReservedConcurrentExecutions": int(reserved)}).encode()
        calls.http("lambda", "PUT", f"/2017-10-31{path}/concurrency", body=body)
    elif dropped("ReservedConcurrentExecutions", old, new):
        calls.http("lambda", "DELETE", f"/2017-10-31{path}/concurrency")
