"""The handler that one writes first: what ours is measured against.

Clients at module level, one GetParameter per parameter, STS for the account, one table after the
other, today at the configured time.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import boto3

PATH = os.environ["COLDTABLE_PARAMETER_PATH"]

ssm = boto3.client("ssm")
sts = boto3.client("sts")
dynamodb = boto3.client("dynamodb")


def parameter(name: str) -> str:
    return str(ssm.get_parameter(Name=f"{PATH}/{name}", WithDecryption=True)["Parameter"]["Value"])


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    bucket = parameter("BACKUP_BUCKET_NAME")
    hour, minute, second = (
        int(parameter(f"BACKUP_{unit}_STR")) for unit in ("HOUR", "MINUTE", "SECOND")
    )
    parameter("BACKUP_DAY_STR")
    tables = parameter("TABLE_NAMES").split(",")
    zone = ZoneInfo("UTC")
    moment = datetime.now(zone).replace(hour=hour, minute=minute, second=second, microsecond=0)
    account = sts.get_caller_identity()["Account"]
    region = dynamodb.meta.region_name
    exports = []
    for table in tables:
        answer = dynamodb.export_table_to_point_in_time(
            TableArn=f"arn:aws:dynamodb:{region}:{account}:table/{table}",
            ExportTime=moment,
            S3Bucket=bucket,
            S3Prefix=f"{moment:%Y/%m/%d}/{table}",
        )
        exports.append({"tableName": table, "exportArn": answer["ExportDescription"]["ExportArn"]})
    return {"statusCode": 200, "body": json.dumps({"exports": exports})}
