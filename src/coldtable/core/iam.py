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
from typing import Any, Literal

from coldtable.core.records import ROOT as RECORDS
from coldtable.model_policy import DRILL_PREFIX, TAG, Mode

Statement = dict[str, Any]
Document = dict[str, Any]

# What an export does in the bucket. PutObjectAcl and AbortMultipartUpload are DynamoDB's own wish
# [DOC-REQ]: the functions never call them themselves.
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
    principal = {"Principal": more.pop("Principal")} if "Principal" in more else {}
    return {
        "Sid": sid,
        "Effect": "Allow",
        **principal,
        "Action": _one_or_all(found),
        "Resource": _one_or_all(listed),
        **more,
    }


def bucket_policy(
    bucket: str,
    writers: Sequence[str],
    readers: Sequence[str] = (),
    drillers: Sequence[str] = (),
    *,
    partition: str = "aws",
) -> Document:
    """What the bucket of another account must allow, and that it speaks TLS alone.

    ``writers`` are ARNs of those that export, ``readers`` of those that list and read: the tick
    does both. ``drillers`` may remove what is noted of a drill while it is under way. Deny, and not
    a condition of the Allows: a request whose transport is not told, as one of DynamoDB's own, is
    let through.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return policy(
        *_granted("ColdtableWrites", _WRITES, f"{arn}/*", writers),
        *_granted("ColdtableReads", _READS, f"{arn}/*", readers),
        *_granted("ColdtableLists", _LISTS, arn, readers),
        *_granted("ColdtableForgets", "s3:DeleteObject", _passing(arn), drillers),
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

    ``tables`` are those of ``TABLE_NAMES``; ``patterns`` mean further ones of the tick's, and
    ``tagged`` any that has the tag. ``keys`` are the KMS keys of the buckets, ``parameter_key``
    that of SecureString settings. The tick has no ``queue``, and the nightly run no ``topic``.
    """

    account: str
    region: str
    tables: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    tagged: bool = False
    buckets: tuple[str, ...]
    path: str
    log: str
    queue: str
    topic: str
    keys: tuple[str, ...] = ()
    parameter_key: str | None = None
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def bucket_arns(self) -> list[str]:
        """The ARNs of the buckets."""
        return [f"arn:{self.partition}:s3:::{bucket}" for bucket in self.buckets]

    @property
    def object_arns(self) -> list[str]:
        """The ARNs of everything in the buckets."""
        return [f"{arn}/*" for arn in self.bucket_arns]


def export_policy(reach: Reach) -> Document:
    """What the nightly function's role may do."""
    actions = "dynamodb:DescribeContinuousBackups DescribeTable ExportTableToPointInTime"
    return policy(
        *_if(reach.tables, "ExportTheseTables", actions),
        # A moment for which AWS's memory of tokens is too short is looked for in its list. Listing
        # has no resource that it could be narrowed to [POLICY].
        allow("FindExports", "dynamodb:ListExports", "*"),
        allow(
            "FollowTheExports",
            "dynamodb:DescribeExport",
            reach.arn("dynamodb", "table/*/export/*"),
        ),
        allow("WriteTheArchive", _WRITES, reach.object_arns),
        *_work(reach),
        allow("ReportWhatFailed", "sqs:SendMessage", reach.queue),
    )


def tick_policy(reach: Reach) -> Document:
    """What the tick's role may do."""
    keep = (
        "dynamodb:DescribeContinuousBackups DescribeTable DescribeTimeToLive "
        "ExportTableToPointInTime ListTagsOfResource"
    )
    tagged = {f"aws:ResourceTag/{TAG}": [str(mode) for mode in (Mode.SNAPSHOT, Mode.CONTINUOUS)]}
    return policy(
        *_if(reach.tables, "KeepTheseTables", keep),
        *_if(reach.patterns, "KeepTablesOfTheseNames", keep),
        *_if(
            reach.tagged and reach.arn("dynamodb", "table/*"),
            "KeepTablesWithTheTag",
            keep,
            Condition={"StringEqualsIgnoreCase": tagged},
        ),
        # These have no resource that they could be narrowed to [POLICY].
        allow("FindTables", "dynamodb:ListExports ListTables", "*"),
        *_if(reach.tagged and "*", "FindTags", "tag:GetResources"),
        allow(
            "FollowTheExports",
            "dynamodb:DescribeExport",
            reach.arn("dynamodb", "table/*/export/*"),
        ),
        allow("KeepTheArchive", f"{_WRITES} GetObject", reach.object_arns),
        allow("ListTheArchive", _LISTS, reach.bucket_arns),
        allow("TellPeople", "sns:Publish", reach.topic),
        *_work(reach),
    )


def verify_policy(reach: Reach) -> Document:
    """What the verifying function's role may do: nothing to any table, and nothing to an export."""
    records = [f"{arn}/{RECORDS}/*" for arn in reach.bucket_arns]
    return policy(
        allow("ReadTheArchive", _READS, reach.object_arns),
        allow("WriteTheRecords", "s3:PutObject", records),
        allow("ListTheArchive", _LISTS, reach.bucket_arns),
        allow("TellPeople", "sns:Publish", reach.topic),
        *_work(reach),
        allow("ReportWhatFailed", "sqs:SendMessage", reach.queue),
    )


def drill_policy(reach: Reach) -> Document:
    """What the drilling function's role may do: to tables of drills, and to no other one."""
    records = [f"{arn}/{RECORDS}/*" for arn in reach.bucket_arns]
    return policy(
        allow("ReadTheArchive", _READS, reach.object_arns),
        allow("WriteTheRecords", "s3:PutObject", records),
        allow(
            "ForgetWhatIsOver",
            "s3:DeleteObject",
            [place for arn in reach.bucket_arns for place in _passing(arn)],
        ),
        allow("ListTheArchive", _LISTS, reach.bucket_arns),
        # A table's ARN begins those of the imports that made it.
        allow(
            "DrillOnTablesOfItsOwn",
            "dynamodb:BatchGetItem DeleteTable DescribeImport DescribeTable ImportTable "
            "ListTagsOfResource TagResource",
            reach.arn("dynamodb", f"table/{DRILL_PREFIX}*"),
        ),
        # These have no resource that they could be narrowed to [POLICY].
        allow("FindImports", "dynamodb:ListImports", "*"),
        # ImportTable logs with its caller's rights [DOC-IMP]; GetLogEvents is our own.
        allow(
            "LogTheImports",
            "logs:CreateLogGroup CreateLogStream DescribeLogGroups DescribeLogStreams "
            "GetLogEvents PutLogEvents PutRetentionPolicy",
            reach.arn("logs", "log-group:/aws-dynamodb/*"),
        ),
        allow("TellPeople", "sns:Publish", reach.topic),
        *_work(reach),
    )


def _work(reach: Reach) -> list[Statement]:
    """What every function needs for its settings, its log and the keys."""
    return [
        allow(
            "ReadTheSettings",
            "ssm:GetParametersByPath",
            reach.arn("ssm", f"parameter{reach.path}"),
        ),
        allow("WriteTheLog", "logs:CreateLogStream PutLogEvents", reach.log),
        *_if(reach.parameter_key, "DecryptTheSettings", _DECRYPTS),
        *_if(reach.keys, "EncryptTheArchive", _ENCRYPTS),
    ]


def _if(
    resources: str | Iterable[str] | Literal[False] | None, sid: str, actions: str, **more: Any
) -> list[Statement]:
    """An Allow, if there is anything that it is about."""
    return [allow(sid, actions, resources, **more)] if resources else []


def _passing(bucket_arn: str) -> list[str]:
    """What is noted of a drill while it is under way, in this bucket."""
    return [f"{bucket_arn}/{RECORDS}/{part}" for part in ("drill/*", f"restore/{DRILL_PREFIX}*")]


def _granted(
    sid: str, actions: str, resource: str | Iterable[str], to: Sequence[str]
) -> list[Statement]:
    """A statement of a resource's policy; none if it is for nobody."""
    if not to:
        return []
    return [allow(sid, actions, resource, Principal={"AWS": _one_or_all(to)})]


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
