"""The demo's AWS: the table's stack, its items, a role to break, and the traces of a failed run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from coldtable.errors import UsageError
from coldtable.ops.stack import Workshop, execute, propose

if TYPE_CHECKING:
    from coldtable.aws.session import AwsSession

TABLE = "orders"
TABLE_STACK = "coldtable-demo-table"

Item = dict[str, Any]


class Scene:
    """Everything the story touches on AWS, besides coldtable itself."""

    def __init__(self, session: AwsSession, pause: Callable[[float], None]) -> None:
        self._session = session
        self._pause = pause
        self._dynamodb = session.client("dynamodb")

    def build_table(self, say: Callable[[str], None]) -> None:
        """The demo's own stack: a table with point-in-time recovery."""
        from coldtable.aws.stacks import CloudFormationStacks

        stacks = CloudFormationStacks(self._session.client("cloudformation"))
        shop = Workshop(stacks=stacks, pause=self._pause, say=say)
        template = (files("coldtable.infra") / "demo.yaml").read_text("utf-8")
        made = propose(shop, TABLE_STACK, template, {"TableName": TABLE}, create=True)
        if made:
            execute(shop, made)

    def put(self, *items: Item) -> None:
        """Write items as they are, in DynamoDB's own JSON."""
        for item in items:
            self._dynamodb.put_item(TableName=TABLE, Item=item)

    def remove(self, item_id: str) -> None:
        self._dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": item_id}})

    def write_parameter(self, name: str, value: str) -> None:
        """A setting, as the AWS CLI would write it."""
        self._session.client("ssm").put_parameter(Name=name, Value=value, Type="String")

    def items(self, table: str = TABLE) -> dict[str, Item]:
        """The table now: id to item."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return {item["id"]["S"]: item for page in pages for item in page["Items"]}

    def export_arns(self, table_arn: str) -> list[str]:
        """Every export of the table, newest first."""
        found = self._dynamodb.list_exports(TableArn=table_arn)
        return [summary["ExportArn"] for summary in found["ExportSummaries"]]

    def take_away(self, action: str, stack: str) -> str:
        """Remove an IAM action from the role of the stack that has it; that role's name."""
        iam, cloudformation = self._session.client("iam"), self._session.client("cloudformation")
        known: set[str] = set()
        for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
            if resource["ResourceType"] != "AWS::IAM::Role":
                continue
            role = resource["PhysicalResourceId"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                policy = _document(iam.get_role_policy(RoleName=role, PolicyName=name))
                known |= _actions(policy)
                if action in _actions(policy):
                    document = json.dumps(_without(policy, action))
                    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
                    return str(role)
        raise UsageError(
            f"--without {action}: no role of the stack has that action",
            hint=f"The roles have {', '.join(sorted(known))}",
        )

    def dead_letters(self, queue_url: str) -> list[str]:
        """Why runs ended in the dead-letter queue: Lambda's and the scheduler's records."""
        sqs = self._session.client("sqs")
        found = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return [_reason(message) for message in found.get("Messages", [])]

    def alarms(self, stack: str) -> dict[str, str]:
        """The stack's alarms and their states."""
        found = self._session.client("cloudwatch").describe_alarms(AlarmNamePrefix=stack)
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found["MetricAlarms"]}


def _document(answer: Mapping[str, Any]) -> dict[str, Any]:
    document = answer["PolicyDocument"]
    if isinstance(document, str):
        document = json.loads(unquote(document))
    return copy.deepcopy(document)


def _actions(policy: Mapping[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in _listed(statement)}


def _listed(statement: Mapping[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)


def _without(policy: dict[str, Any], action: str) -> dict[str, Any]:
    statements = []
    for statement in policy["Statement"]:
        left = [a for a in _listed(statement) if a != action]
        if left:
            statements.append({**statement, "Action": left})
    return {**policy, "Statement": statements}


def _reason(message: Mapping[str, Any]) -> str:
    """The scheduler puts its reason into an attribute, Lambda into the record's payload."""
    attribute = message.get("MessageAttributes", {}).get("ERROR_MESSAGE", {}).get("StringValue")
    if attribute:
        return str(attribute)
    try:
        payload = json.loads(message["Body"])["responsePayload"]
        return f"{payload['errorType']}: {payload['errorMessage']}"
    except (KeyError, TypeError, ValueError):
        return str(message["Body"])
