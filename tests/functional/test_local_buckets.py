"""Whose bucket, whose key: exports into another account, bucket policies, customer managed keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coldtable.local.process import EmbeddedAws

from .conftest import Boto, client, until
from .test_local_iam import Guest, _table

WRITES = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]
USES = ["kms:GenerateDataKey", "kms:Decrypt"]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class Scene:
    """A table and a role here, a bucket here (``own-N``) and one in another account."""

    boto: Boto
    guest: Guest
    account: str
    arn: str
    theirs: str
    owner: str
    owner_s3: Any

    @property
    def own(self) -> str:
        return f"own-{self.account}"

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{self.account}:role/guest"

    def may(self, *statements: dict[str, Any], writes: bool = True) -> None:
        """The role may export, write to both buckets unless told otherwise, and this."""
        buckets = [f"arn:aws:s3:::{bucket}/*" for bucket in (self.own, self.theirs)]
        grants = [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}, *statements]
        if writes:
            grants.append({"Effect": "Allow", "Action": WRITES, "Resource": buckets})
        self.boto("iam").put_role_policy(
            RoleName="guest", PolicyName="p", PolicyDocument=document(*grants)
        )

    def theirs_allows(self, principal: str, **more: Any) -> None:
        """The other bucket's policy."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": principal},
            "Action": WRITES,
            "Resource": f"arn:aws:s3:::{self.theirs}/*",
        }
        self.owner_s3.put_bucket_policy(Bucket=self.theirs, Policy=document({**statement, **more}))

    def export(self, **request: Any) -> dict[str, Any]:
        """An export by the role, to its end."""
        dynamodb = self.guest.client("dynamodb")
        started = dynamodb.export_table_to_point_in_time(
            **{"TableArn": self.arn, "S3Bucket": self.own, **request}
        )["ExportDescription"]

        def ended() -> dict[str, Any] | None:
            found = dynamodb.describe_export(ExportArn=started["ExportArn"])["ExportDescription"]
            return None if found["ExportStatus"] == "IN_PROGRESS" else found

        done: dict[str, Any] = until(ended)
        return done

    def outcome(self, **request: Any) -> str:
        """COMPLETED, or the failure's code."""
        done = self.export(**request)
        return str(done.get("FailureCode") or done["ExportStatus"])

    def across(self, **request: Any) -> str:
        """The outcome of an export into the other account's bucket."""
        return self.outcome(S3Bucket=self.theirs, S3BucketOwner=self.owner, **request)


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """An emulator whose exports take no time."""
    with EmbeddedAws(["--export-seconds", "0"]) as running:
        yield running


@pytest.fixture
def scene(aws: EmbeddedAws, boto: Boto, account: str) -> Scene:
    owner = f"9{account[1:]}"
    owner_s3 = client(aws, "s3", owner, "test")
    made = Scene(
        boto,
        Guest(aws, boto, account),
        account,
        _table(boto, "t-1"),
        f"their-{owner}",
        owner,
        owner_s3,
    )
    boto("s3").create_bucket(Bucket=made.own)
    owner_s3.create_bucket(Bucket=made.theirs)
    made.may()
    return made


def test_another_account_s_bucket_wants_a_policy(scene: Scene) -> None:
    """No policy, no export; one that names the account or the very role lets it in."""
    assert scene.across() == "S3AccessDenied"
    for principal in (f"arn:aws:iam::{scene.account}:root", scene.account, scene.role):
        scene.theirs_allows(principal)
        assert scene.across() == "COMPLETED"
    keys = scene.owner_s3.list_objects_v2(Bucket=scene.theirs)
    assert keys["KeyCount"] > 8


def test_another_account_s_policy_for_somebody_else_does_not_help(scene: Scene) -> None:
    """Another role of the account, and a Deny for this one beside an Allow for the account."""
    scene.theirs_allows(scene.role.replace("guest", "other"))
    assert scene.across() == "S3AccessDenied"
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{scene.account}:root"},
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{scene.theirs}/*",
    }
    deny = {**allow, "Effect": "Deny", "Principal": {"AWS": scene.role}}
    scene.owner_s3.put_bucket_policy(Bucket=scene.theirs, Policy=document(allow, deny))
    assert scene.across() == "S3AccessDenied"


def test_both_accounts_must_allow(scene: Scene) -> None:
    """The bucket's policy alone is not enough; the failure says who may not do what."""
    scene.theirs_allows(scene.role)
    scene.may(writes=False)
    done = scene.export(S3Bucket=scene.theirs, S3BucketOwner=scene.owner)
    assert done["FailureCode"] == "S3AccessDenied"
    assert (
        "assumed-role/guest/visit is not authorized to perform: s3:PutObject"
        in (done["FailureMessage"])
    )


@pytest.mark.parametrize(
    ("key", "value", "outcome"),
    [
        ("aws:PrincipalArn", "{role}", "COMPLETED"),
        ("aws:PrincipalArn", "{role}x", "S3AccessDenied"),
        ("aws:PrincipalAccount", "{account}", "COMPLETED"),
        ("s3:ResourceAccount", "{owner}", "COMPLETED"),
        ("s3:x-amz-server-side-encryption", "AES256", "COMPLETED"),
        ("s3:x-amz-server-side-encryption", "aws:kms", "S3AccessDenied"),
    ],
)
def test_conditions_of_another_account_s_policy(
    scene: Scene, key: str, value: str, outcome: str
) -> None:
    """They are compared with the role, the accounts and the write's encryption."""
    wanted = value.format(role=scene.role, account=scene.account, owner=scene.owner)
    scene.theirs_allows(scene.account, Condition={"StringEquals": {key: wanted}})
    assert scene.across() == outcome


def test_a_bucket_s_deny_holds_for_its_root_too(aws: EmbeddedAws, scene: Scene) -> None:
    """Nobody deletes, but the root can take the policy away; faults are no business of policies."""
    s3 = scene.boto("s3")
    s3.put_object(Bucket=scene.own, Key="k", Body=b"1")
    deny = {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteObject", "s3:GetObject"]}
    s3.put_bucket_policy(
        Bucket=scene.own, Policy=document({**deny, "Resource": f"arn:aws:s3:::{scene.own}/*"})
    )
    with pytest.raises(ClientError, match=":root is not authorized to perform: s3:DeleteObject"):
        s3.delete_object(Bucket=scene.own, Key="k")
    aws.fault(object={"bucket": scene.own, "key": "k", "how": "flip", "account": scene.account})
    s3.delete_bucket_policy(Bucket=scene.own)
    assert s3.get_object(Bucket=scene.own, Key="k")["Body"].read() == b"\xce"
    s3.delete_object(Bucket=scene.own, Key="k")


def test_the_owner_must_be_named_and_right(scene: Scene) -> None:
    """Without S3BucketOwner it is the caller's own account (UNVERIFIED); a wrong one is refused."""
    scene.theirs_allows(scene.role)
    assert scene.outcome(S3Bucket=scene.theirs) == "S3AccessDenied"
    assert scene.outcome(S3Bucket=scene.theirs, S3BucketOwner=scene.account) == "S3AccessDenied"
    assert scene.outcome(S3BucketOwner=scene.owner) == "S3AccessDenied"
    assert scene.outcome(S3BucketOwner=scene.account) == "COMPLETED"


def test_every_call_may_say_whose_bucket_it_expects(scene: Scene) -> None:
    """ExpectedBucketOwner of somebody else is refused with 403, for bucket and object."""
    s3 = scene.boto("s3")
    s3.put_object(Bucket=scene.own, Key="k", Body=b"", ExpectedBucketOwner=scene.account)
    for operation in ("list_objects_v2", "delete_objects"):
        more = {"Delete": {"Objects": [{"Key": "k"}]}} if operation == "delete_objects" else {}
        with pytest.raises(ClientError) as caught:
            getattr(s3, operation)(Bucket=scene.own, ExpectedBucketOwner=scene.owner, **more)
        error = caught.value.response["Error"]
        assert (error["Code"], error["Message"]) == ("AccessDenied", "Access Denied")
    with pytest.raises(ClientError, match="Access Denied"):
        s3.get_object(Bucket=scene.own, Key="k", ExpectedBucketOwner=scene.owner)


def _key(scene: Scene) -> str:
    made = scene.boto("kms").create_key()["KeyMetadata"]
    return str(made["Arn"])


def test_a_customer_managed_key_wants_the_caller_s_rights(scene: Scene) -> None:
    """Without kms:GenerateDataKey the export fails and says so; with both rights it is written."""
    key = _key(scene)
    request = {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": key}
    done = scene.export(**request)
    assert done["FailureCode"] == "S3AccessDenied"
    assert (
        f"assumed-role/guest/visit is not authorized to perform: kms:GenerateDataKey on resource: "
        f"{key} because no identity-based policy allows the kms:GenerateDataKey action (Service: "
        "Amazon S3; Status Code: 403"
    ) in done["FailureMessage"]
    # The parts of a multipart upload are decrypted when it is completed.
    scene.may({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key})
    assert "kms:Decrypt" in scene.export(**request)["FailureMessage"]
    scene.may({"Effect": "Allow", "Action": USES, "Resource": key})
    assert scene.outcome(**request) == "COMPLETED"
    head = scene.boto("s3").head_object(Bucket=scene.own, Key=_newest(scene))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_the_key_s_own_policy_decides_too(scene: Scene) -> None:
    """One that names nobody here refuses; one that names the role needs no other right."""
    key = _key(scene)
    request = {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": key}

    def policy(principal: str) -> None:
        allow = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*"}
        scene.boto("kms").put_key_policy(
            KeyId=key,
            PolicyName="default",
            Policy=document({**allow, "Resource": "*"}),
            BypassPolicyLockoutSafetyCheck=True,
        )

    policy(scene.role)
    assert scene.outcome(**request) == "COMPLETED"
    scene.may({"Effect": "Allow", "Action": USES, "Resource": key})
    policy(f"arn:aws:iam::{scene.account}:user/admin")
    done = scene.export(**request)
    assert done["FailureCode"] == "S3AccessDenied"
    assert "because no resource-based policy allows" in done["FailureMessage"]


def test_a_user_s_policies_count_in_another_account(scene: Scene) -> None:
    """A user, and not a role, writes into the other account's bucket with its key, if allowed."""
    key = client(scene.guest._aws, "kms", scene.owner, "test").create_key()["KeyMetadata"]["Arn"]
    user = f"arn:aws:iam::{scene.account}:user/writer"
    iam = scene.boto("iam")
    iam.create_user(UserName="writer")
    made = iam.create_access_key(UserName="writer")["AccessKey"]
    s3 = scene.boto("s3", key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    scene.theirs_allows(user)
    allow = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": USES, "Resource": "*"}
    client(scene.guest._aws, "kms", scene.owner, "test").put_key_policy(
        KeyId=key, PolicyName="default", Policy=document(allow), BypassPolicyLockoutSafetyCheck=True
    )
    put = {"Bucket": scene.theirs, "Key": "k", "Body": b"", "ServerSideEncryption": "aws:kms"}

    def may(*actions: str) -> None:
        grant = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_user_policy(UserName="writer", PolicyName="p", PolicyDocument=document(grant))

    may("s3:*")
    with pytest.raises(ClientError, match="no identity-based policy allows the kms:Generate"):
        s3.put_object(**put, SSEKMSKeyId=key)
    may("s3:*", *USES)
    s3.put_object(**put, SSEKMSKeyId=key)


def test_a_key_that_is_off_or_elsewhere_fails_the_export(scene: Scene) -> None:
    """KmsNotFoundException for an unknown key and for another region's [QUIRKS]."""
    key = _key(scene)
    scene.may({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
    unknown = key[:-12] + "0" * 12
    elsewhere = key.replace("us-east-1", "eu-west-1")
    for key_id, code, text in (
        (unknown, "KmsNotFoundException", f"Key '{unknown}' does not exist (Service: Amazon S3;"),
        (elsewhere, "KmsNotFoundException", "Invalid arn eu-west-1 (Service: Amazon S3;"),
    ):
        done = scene.export(S3SseAlgorithm="KMS", S3SseKmsKeyId=key_id)
        assert done["FailureCode"] == code
        assert done["FailureMessage"].startswith(text)
    scene.boto("kms").disable_key(KeyId=key)
    assert scene.outcome(S3SseAlgorithm="KMS", S3SseKmsKeyId=key) == "KmsDisabledException"
    assert scene.outcome(S3SseAlgorithm="KMS") == "COMPLETED"


def test_a_bucket_may_lie_in_another_region(scene: Scene) -> None:
    """Plain, and with a key, which must be one of the bucket's region. [DOC-REQ]"""
    far = f"far-{scene.account}"
    scene.boto("s3", region="eu-west-1").create_bucket(
        Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    scene.may(
        {"Effect": "Allow", "Action": WRITES, "Resource": f"arn:aws:s3:::{far}/*"},
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
    )
    assert scene.outcome(S3Bucket=far) == "COMPLETED"
    key = scene.boto("kms", region="eu-west-1").create_key()["KeyMetadata"]["Arn"]
    request = {"S3Bucket": far, "S3SseAlgorithm": "KMS"}
    assert scene.outcome(**request, S3SseKmsKeyId=key) == "COMPLETED"
    assert scene.outcome(**request, S3SseKmsKeyId=_key(scene)) == "KmsNotFoundException"


def test_a_bucket_s_default_key_counts_for_writing_and_reading(scene: Scene) -> None:
    """A role needs the right to the key to put into such a bucket, and to read from it."""
    key = _key(scene)
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    scene.boto("s3").put_bucket_encryption(
        Bucket=scene.own,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )
    scene.boto("s3").put_object(Bucket=scene.own, Key="k", Body=b"x")
    scene.may({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    s3 = scene.guest.client("s3")
    refused = "not authorized to perform: kms:{} on resource"
    with pytest.raises(ClientError, match=refused.format("GenerateDataKey")):
        s3.put_object(Bucket=scene.own, Key="k", Body=b"y")
    with pytest.raises(ClientError, match=refused.format("Decrypt")):
        s3.get_object(Bucket=scene.own, Key="k")
    scene.may(
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": USES, "Resource": key},
    )
    s3.put_object(Bucket=scene.own, Key="k", Body=b"y")
    assert s3.get_object(Bucket=scene.own, Key="k")["Body"].read() == b"y"


def test_a_note_is_written_once(scene: Scene) -> None:
    """``If-None-Match: *`` on an object that is there: 412 PreconditionFailed, nothing changed."""
    s3 = scene.boto("s3")
    s3.put_object(Bucket=scene.own, Key="note", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=scene.own, Key="note", Body=b"2", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert s3.get_object(Bucket=scene.own, Key="note")["Body"].read() == b"1"


def test_a_listing_starts_after_a_key_and_folds_folders(scene: Scene) -> None:
    """StartAfter and Delimiter together, as a walk over exports by date needs them."""
    s3 = scene.boto("s3")
    for key in ("e/1/a", "e/1/b", "e/2/a", "e/3"):
        s3.put_object(Bucket=scene.own, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=scene.own, Prefix="e/", Delimiter="/", StartAfter="e/1/b")
    assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["e/2/"]
    assert [one["Key"] for one in page["Contents"]] == ["e/3"]


def _newest(scene: Scene) -> str:
    found = scene.boto("s3").list_objects_v2(Bucket=scene.own)["Contents"]
    return str(max(found, key=lambda one: one["LastModified"])["Key"])
