"""Users who may do some things and nothing else."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class User(NamedTuple):
    """A user's access key."""

    key: str
    secret: str


def operator(iam: Any, *actions: str) -> User:
    """A user who may do these actions, on anything."""
    iam.create_user(UserName="operator")
    allow(iam, *actions)
    made = iam.create_access_key(UserName="operator")["AccessKey"]
    return User(key=made["AccessKeyId"], secret=made["SecretAccessKey"])


def allow(iam: Any, *actions: str) -> None:
    """From now on the operator may do these actions, and nothing else."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="operator", PolicyName="some", PolicyDocument=json.dumps(document))
