"""One place where the SDK's errors become ours: what was wrong, where, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from urllib3.exceptions import ProtocolError

from coldtable.errors import (
    AccessDenied,
    BucketNotFound,
    ColdtableError,
    ConfigError,
    Conflict,
    LimitReached,
    MomentNotRestorable,
    NoCredentials,
    NotFound,
    ParameterInvalid,
    PitrDisabled,
    ServiceFailed,
    TableNotFound,
    Throttled,
)

# IAM names some actions otherwise than the API names the operation.
_ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:HeadObject": "s3:GetObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "lambda:Invoke": "lambda:InvokeFunction",
}

_DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",  # SNS
    "Forbidden",
    "UnauthorizedOperation",
}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_NOT_FOUND = {"ResourceNotFoundException", "TableNotFoundException"}
_NO_SUCH_RUN = {"ExportNotFoundException", "ImportNotFoundException"}
_CONFLICT = {
    "AlreadyExistsException",
    "ConflictException",
    "ExportConflictException",
    "ImportConflictException",
    "OperationInProgressException",
    "ResourceInUseException",
}

_DENIED_ACTION = re.compile(r"not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z]+)")


@contextmanager
def translated(service: str, subject: str = "") -> Iterator[None]:
    """Turn any SDK error inside into a ``ColdtableError``.

    ``service`` is the IAM prefix (``dynamodb``, ``ssm`` …); ``subject`` what the call was about,
    for the message (``table orders``).
    """
    try:
        yield
    except ClientError as error:
        raise from_client_error(error, service, subject) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise NoCredentials(
            f"There are no usable AWS credentials: {error}",
            hint="Use --profile, set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY; to check: aws sts get-caller-identity",
        ) from error
    except NoRegionError as error:
        raise ConfigError(
            "No AWS region is set", hint="Use --region, or set AWS_REGION or AWS_DEFAULT_REGION"
        ) from error
    except ProfileNotFound as error:
        raise ConfigError(
            str(error), hint="To list the profiles: aws configure list-profiles"
        ) from error
    except (ConnectionError, HTTPClientError, ProtocolError) as error:
        raise ServiceFailed(
            f"{service} could not be reached{_about(subject)}: {error}",
            hint="Check the network, the region and --endpoint-url, and try again",
        ) from error
    except BotoCoreError as error:
        raise ServiceFailed(f"{service}{_about(subject)}: {error}") from error


def from_client_error(error: ClientError, service: str, subject: str) -> ColdtableError:
    """The error class for AWS's answer; AWS's own words stay in the message."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", "")) or code
    operation = error.operation_name
    if code in _DENIED:
        return _denied(text, service, operation, subject)
    if code in _BAD_CREDENTIALS:
        return NoCredentials(
            f"AWS does not accept the credentials: {text}",
            hint="They are expired or wrong. To check: aws sts get-caller-identity",
        )
    if code in _THROTTLED:
        return Throttled(
            f"{service} still throttles {operation}{_about(subject)} after every retry: {text}",
            hint="Try again in a few minutes, with fewer tables at a time",
        )
    return _by_code(code, text, service, operation, subject)


def _by_code(code: str, text: str, service: str, operation: str, subject: str) -> ColdtableError:
    about = _about(subject)
    match code:
        case "PointInTimeRecoveryUnavailableException":
            return PitrDisabled(
                f"{text}{about}",
                hint="Turn it on: aws dynamodb update-continuous-backups --table-name … "
                "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            )
        case "InvalidExportTimeException":
            return MomentNotRestorable(
                f"DynamoDB refuses the moment{about}: {text}",
                hint="To see what can be exported: aws dynamodb describe-continuous-backups",
            )
        case "NoSuchBucket" | "404" if service == "s3":
            return BucketNotFound(
                f"The bucket does not exist{about}", hint="Create it, or name another one"
            )
        case "GlacierExpeditedRetrievalNotAvailable":
            return LimitReached(
                f"S3 has no room for an expedited retrieval now{about}: {text}",
                hint="Try again later, or take another tier: --retrieve standard",
            )
        case "LimitExceededException":
            return LimitReached(
                f"{service} {operation}{about}: {text}",
                hint="300 exports may run at the same time; the next run continues"
                if operation == "ExportTableToPointInTime"
                else "Too much of it is under way: try again later",
            )
        case _ if code in _NOT_FOUND and service == "dynamodb":
            return TableNotFound(
                f"The table does not exist{about}: {text}",
                hint="Check its name, the account and the region: aws dynamodb list-tables",
            )
        case _ if code in _NOT_FOUND | _NO_SUCH_RUN:
            return NotFound(f"{service} {operation}{about}: {text}")
        case _ if code in _CONFLICT:
            return Conflict(f"{service} {operation}{about}: {text}", hint="Try again in a minute")
        case "ValidationException" | "ValidationError":
            return ParameterInvalid(f"{service} refuses {operation}{about}: {text}")
    return ServiceFailed(f"{service} {operation}{about}: {code}: {text}")


def _denied(text: str, service: str, operation: str, subject: str) -> AccessDenied:
    named = _DENIED_ACTION.search(text)
    default = f"{service}:{operation}"
    action = named.group(1) if named else _ACTIONS.get(default, default)
    if action.lower() == default.lower():
        # SNS writes SNS:Publish and SQS sqs:sendmessage.
        action = default
    return AccessDenied(
        f"Access denied: {action} is missing{_about(subject)}. AWS says: {text}",
        action=action,
        hint=f"Allow {action} in the IAM policy of the role or user that ran this",
    )


def _about(subject: str) -> str:
    return f" ({subject})" if subject else ""
