"""What a complete stack of the fake cloud shows and writes: its outputs and its settings."""

from __future__ import annotations

from collections.abc import Mapping

from coldtable.model_stack import Stack

ACCOUNT, REGION = "123456789012", "eu-central-1"
MADE_BUCKET = "coldtable-archivebucket-1"


def outputs_of(stack: Stack) -> dict[str, str]:
    """The outputs of a stack with these parameters."""
    return {
        "Bucket": stack.parameters["BucketName"] or MADE_BUCKET,
        "FunctionName": f"{stack.name}-export",
        "TickFunctionName": f"{stack.name}-tick",
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{stack.name}",
        "DeadLetterQueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{stack.name}",
        "ScheduleGroupName": stack.name,
        "ScheduleName": f"{stack.name}-export",
        "TickScheduleName": f"{stack.name}-tick",
        "ParameterPath": stack.parameters["ParameterPath"],
        "LogGroupName": f"/aws/lambda/{stack.name}-export",
        "ErrorsAlarmName": f"{stack.name}-export-errors",
        "UndeliveredAlarmName": f"{stack.name}-export-undelivered",
        "TickErrorsAlarmName": f"{stack.name}-tick-errors",
        "TickAbsentAlarmName": f"{stack.name}-tick-absent",
        **(_hourly(stack.name, "Verify") if stack.parameters["VerifyDays"] != "0" else {}),
        **(_hourly(stack.name, "Drill") if stack.parameters["DrillDays"] != "0" else {}),
    }


def _hourly(name: str, part: str) -> dict[str, str]:
    own = f"{name}-{part.lower()}"
    return {
        f"{part}FunctionName": own,
        f"{part}ScheduleName": own,
        f"{part}ErrorsAlarmName": f"{own}-errors",
        f"{part}BehindAlarmName": f"{own}-behind",
    }


def settings_of(given: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, str]:
    """The settings below its path that it writes; those without a value are not there."""
    always = {
        "BACKUP_BUCKET_NAME": outputs["Bucket"],
        "BACKUP_DAY_STR": given["BackupDay"],
        "BACKUP_HOUR_STR": given["BackupHour"],
        "BACKUP_MINUTE_STR": given["BackupMinute"],
        "BACKUP_SECOND_STR": given["BackupSecond"],
        "TIMEZONE": given["TimeZone"],
        "S3_PREFIX_TEMPLATE": given["S3PrefixTemplate"],
    }
    if_given = {
        "TABLE_NAMES": given["TableNames"],
        "POLICY": given["Policy"],
        "HEARTBEAT_URL": given["HeartbeatUrl"],
        "VERIFY_DAYS": given["VerifyDays"].removeprefix("0"),
        "DRILL_DAYS": given["DrillDays"].removeprefix("0"),
    }
    return always | {name: value for name, value in if_given.items() if value}
