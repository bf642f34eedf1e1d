"""IAM policies as data: what a bucket, a key, the functions' roles and the deployer must allow.

The functions' policies are those of ``infra/template.yaml`` and the deployer's is that of
``docs/deployer-permissions.md``; tests hold each pair equal.

Sources: an export writes with its caller's rights and needs the three S3 actions [DOC-REQ]; a key
needs GenerateDataKey and Decrypt, because an upload in parts is read back when it is put together
[fact sheet, 8]; the rest are the calls of this program.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Statement = dict[str, Any]
Document = dict[str, Any]

# What an export does in the bucket. PutObjectAcl and AbortMultipartUpload are DynamoDB's own wish
# [DOC-REQ]: this program never calls them.
_WRITES = "s3:AbortMultipartUpload PutObject PutObjectAcl"
# The catalog's records and AWS's manifests; without ListBucket a missing object is a refusal.
_READS, _LISTS = "s3:GetObject", "s3:ListBucket"
_ENCRYPTS, _DECRYPTS = "kms:Decrypt GenerateDataKey", "kms:Decrypt"


def policy(*statements: Statement) -> Document:
    """A policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: str, resources: str | Iterable[str], **more: Any) -> Statement:
    """An Allow. ``actions`` are those of one service: ``s3:GetObject PutObject``."""
    service, _, names = actions.partition(":")
    found = [f"{service}:{name}" for name in names.split()]
    listed = [resources] if isinstance(resources, str) else list(resources)
    return {
        "Sid": sid,
        "Effect": "Allow",
        **more,
        "Action": _one_or_all(found),
        "Resource": _one_or_all(listed),
    }


def bucket_policy(
    bucket: str, writers: Sequence[str], readers: Sequence[str] = (), *, partition: str = "aws"
) -> Document:
    """What the bucket of another account must allow, and that it speaks TLS alone.

    ``writers`` are ARNs of those that export, ``readers`` of those that list and read: the tick
    does both. Deny, and not a condition of the Allows: a request whose transport is not told, as
    one of DynamoDB's own, is let through.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return policy(
        *_granted("ColdtableWrites", _WRITES, f"{arn}/*", writers),
        *_granted("ColdtableReads", _READS, f"{arn}/*", readers),
        *_granted("ColdtableLists", _LISTS, arn, readers),
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def key_policy(
    account: str, writers: Sequence[str], readers: Sequence[str] = (), *, partition: str = "aws"
) -> Document:
    """A whole policy for a KMS key of ``account``: its administration, and the use by these ARNs.

    The first statement is the one that every new key has: without it nobody could ever change the
    key again. In a key's policy ``*`` is the key itself.
    """
    only_read = [arn for arn in readers if arn not in writers]
    root = f"arn:{partition}:iam::{account}:root"
    return policy(
        allow("KeyOfThisAccount", "kms:*", "*", Principal={"AWS": root}),
        *_granted("ColdtableEncrypts", _ENCRYPTS, "*", writers),
        *_granted("ColdtableDecrypts", _DECRYPTS, "*", only_read),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the functions work with: ARNs, but for ``buckets`` and ``path``, which are names.

    ``keys`` are the KMS keys of the buckets, ``parameter_key`` that of SecureString settings.
    """

    account: str
    region: str
    tables: tuple[str, ...]
    buckets: tuple[str, ...]
    path: str
    log: str
    queue: str
    topic: str
    keys: tuple[str, ...] = ()
    parameter_key: str | None = None
    partition: str = "aws"


def export_policy(reach: Reach) -> Document:
    """What the nightly function's role may do."""
    return policy(
        allow(
            "ExportTheseTables",
            "dynamodb:DescribeContinuousBackups DescribeTable ExportTableToPointInTime",
            reach.tables,
        ),
        *_work(reach),
    )


def tick_policy(reach: Reach) -> Document:
    """What the tick's role may do. It looks at whatever tables there are, and exports its own."""
    buckets = [f"arn:{reach.partition}:s3:::{bucket}" for bucket in reach.buckets]
    return policy(
        allow(
            "ExportTheseTables",
            "dynamodb:DescribeContinuousBackups DescribeTable DescribeTimeToLive "
            "ExportTableToPointInTime ListTagsOfResource",
            reach.tables,
        ),
        allow(
            "FollowTheExports",
            "dynamodb:DescribeExport",
            [f"{table}/export/*" for table in reach.tables],
        ),
        # These have no resource to be scoped to [POLICY].
        allow("FindTablesAndExports", "dynamodb:ListExports ListTables", "*"),
        allow("FindTaggedTables", "tag:GetResources", "*"),
        allow("ReadTheArchive", _READS, _objects(reach)),
        allow("ListTheArchive", _LISTS, buckets),
        allow("TellPeople", "sns:Publish", reach.topic),
        *_work(reach),
    )


def _work(reach: Reach) -> list[Statement]:
    """What every function needs for its exports and for itself."""
    partition, place = reach.partition, f"{reach.region}:{reach.account}"
    found = [
        allow("WriteTheArchive", _WRITES, _objects(reach)),
        allow(
            "ReadTheSettings",
            "ssm:GetParametersByPath",
            f"arn:{partition}:ssm:{place}:parameter{reach.path}",
        ),
        allow("WriteTheLog", "logs:CreateLogStream PutLogEvents", reach.log),
        allow("ReportWhatFailed", "sqs:SendMessage", reach.queue),
    ]
    if reach.parameter_key:
        found.append(allow("DecryptTheSettings", _DECRYPTS, reach.parameter_key))
    if reach.keys:
        found.append(allow("EncryptTheArchive", _ENCRYPTS, reach.keys))
    return found


def _objects(reach: Reach) -> list[str]:
    return [f"arn:{reach.partition}:s3:::{bucket}/*" for bucket in reach.buckets]


def _granted(sid: str, actions: str, resource: str, to: Sequence[str]) -> list[Statement]:
    """A statement of a resource's policy; none if it is for nobody."""
    if not to:
        return []
    return [allow(sid, actions, resource, Principal={"AWS": _one_or_all(to)})]


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
