"""What was deployed, looked at through each service's own Describe calls."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coldtable.aws.errors import translated
from coldtable.model_stack import AlarmState, FunctionState, ScheduleState

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_scheduler import EventBridgeSchedulerClient


class AwsProbe:
    """Implements ``ports.Probe``."""

    def __init__(
        self,
        scheduler: EventBridgeSchedulerClient,
        functions: LambdaClient,
        alarms: CloudWatchClient,
    ) -> None:
        self._scheduler = scheduler
        self._functions = functions
        self._alarms = alarms

    def schedule(self, group: str, name: str) -> ScheduleState:
        """See ``ports.Probe.schedule``."""
        with translated("scheduler", f"schedule {group}/{name}"):
            found = self._scheduler.get_schedule(GroupName=group, Name=name)
        return ScheduleState(
            state=found["State"],
            expression=found["ScheduleExpression"],
            timezone=found.get("ScheduleExpressionTimezone", "UTC"),
        )

    def function(self, name: str) -> FunctionState:
        """See ``ports.Probe.function``. Lambda gives the code's SHA-256 as base64 [MODEL]."""
        with translated("lambda", f"function {name}"):
            found = self._functions.get_function_configuration(FunctionName=name)
        return FunctionState(
            state=found.get("State", ""),
            update=found.get("LastUpdateStatus", ""),
            sha256=base64.b64decode(found["CodeSha256"]).hex(),
        )

    def alarms(self, names: Sequence[str]) -> tuple[AlarmState, ...]:
        """See ``ports.Probe.alarms``."""
        with translated("cloudwatch", f"alarms {', '.join(names)}"):
            found = self._alarms.describe_alarms(AlarmNames=list(names))
        return tuple(
            AlarmState(
                name=alarm["AlarmName"],
                enabled=alarm["ActionsEnabled"],
                topics=tuple(alarm["AlarmActions"]),
            )
            for alarm in found["MetricAlarms"]
        )
