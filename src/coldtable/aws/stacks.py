"""CloudFormation stacks and change sets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from coldtable.aws.errors import translated
from coldtable.model_stack import Change, ChangeSet, Stack, StackEvent, StackResource

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ChangeTypeDef, StackEventTypeDef


class CloudFormationStacks:
    """Implements ``ports.Stacks``."""

    def __init__(self, client: CloudFormationClient) -> None:
        self._client = client

    def describe(self, stack: str) -> Stack | None:
        """See ``ports.Stacks.describe``.

        CloudFormation has no error of its own for a stack that is not there: it is a
        ValidationError with a text.
        """
        with translated("cloudformation", f"stack {stack}"):
            try:
                found = self._client.describe_stacks(StackName=stack)["Stacks"][0]
            except ClientError as error:
                if "does not exist" in error.response["Error"].get("Message", ""):
                    return None
                raise
        return Stack(
            id=found["StackId"],
            name=found["StackName"],
            status=found["StackStatus"],
            reason=found.get("StackStatusReason", ""),
            parameters={
                p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])
            },
            outputs={o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])},
        )

    def propose(
        self, name: str, template: str, parameters: Mapping[str, str], *, create: bool
    ) -> ChangeSet:
        """See ``ports.Stacks.propose``."""
        with translated("cloudformation", f"stack {name}"):
            made = self._client.create_change_set(
                StackName=name,
                ChangeSetName=f"coldtable-{uuid.uuid4().hex[:12]}",
                ChangeSetType="CREATE" if create else "UPDATE",
                TemplateBody=template,
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": value}
                    for key, value in parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM"],
            )
        return self.look_again(
            ChangeSet(id=made["Id"], stack_id=made["StackId"], status="CREATE_PENDING")
        )

    # The change set's own id would do for the three below. The stack's beside it makes IAM check
    # the action on the stack, which is what a policy can name.

    def look_again(self, made: ChangeSet) -> ChangeSet:
        """See ``ports.Stacks.look_again``."""
        pages = self._client.get_paginator("describe_change_set")
        changes: list[Change] = []
        with translated("cloudformation", made.id):
            for page in pages.paginate(ChangeSetName=made.id, StackName=made.stack_id):
                changes += map(_change, page.get("Changes", []))
        return ChangeSet(
            id=made.id,
            stack_id=made.stack_id,
            status=page["Status"],
            reason=page.get("StatusReason", ""),
            changes=tuple(changes),
        )

    def execute(self, made: ChangeSet) -> None:
        """See ``ports.Stacks.execute``."""
        with translated("cloudformation", made.id):
            self._client.execute_change_set(ChangeSetName=made.id, StackName=made.stack_id)

    def discard(self, made: ChangeSet) -> None:
        """See ``ports.Stacks.discard``."""
        with translated("cloudformation", made.id):
            self._client.delete_change_set(ChangeSetName=made.id, StackName=made.stack_id)

    def events(self, stack_id: str, after: str | None) -> tuple[StackEvent, ...]:
        """See ``ports.Stacks.events``. AWS answers the newest first, in pages."""
        pages = self._client.get_paginator("describe_stack_events")
        newest_first: list[StackEvent] = []
        with translated("cloudformation", stack_id):
            for page in pages.paginate(StackName=stack_id):
                for found in page["StackEvents"]:
                    if found["EventId"] == after:
                        return tuple(reversed(newest_first))
                    newest_first.append(_event(found))
        return tuple(reversed(newest_first))

    def resources(self, stack_id: str) -> tuple[StackResource, ...]:
        """See ``ports.Stacks.resources``."""
        pages = self._client.get_paginator("list_stack_resources")
        with translated("cloudformation", stack_id):
            return tuple(
                StackResource(
                    resource=found["LogicalResourceId"],
                    kind=found["ResourceType"],
                    physical_id=found.get("PhysicalResourceId", ""),
                )
                for page in pages.paginate(StackName=stack_id)
                for found in page["StackResourceSummaries"]
                if found["ResourceStatus"] != "DELETE_COMPLETE"
            )

    def delete(self, stack_id: str) -> None:
        """See ``ports.Stacks.delete``."""
        with translated("cloudformation", stack_id):
            self._client.delete_stack(StackName=stack_id)


def _change(found: ChangeTypeDef) -> Change:
    change = found["ResourceChange"]
    return Change(
        action=change["Action"],
        resource=change["LogicalResourceId"],
        kind=change["ResourceType"],
        physical_id=change.get("PhysicalResourceId", ""),
        replacement=change.get("Replacement", ""),
    )


def _event(found: StackEventTypeDef) -> StackEvent:
    return StackEvent(
        id=found["EventId"],
        resource=found.get("LogicalResourceId", ""),
        kind=found.get("ResourceType", ""),
        status=found.get("ResourceStatus", ""),
        reason=found.get("ResourceStatusReason", ""),
        physical_id=found.get("PhysicalResourceId", ""),
    )
