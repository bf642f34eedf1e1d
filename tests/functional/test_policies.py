"""The policies that `coldtable policy` prints are enough, and nothing in them is too much."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from coldtable.aws.directory import DynamoDbDirectory
from coldtable.aws.exporter import DynamoDbExporter
from coldtable.aws.notifier import SnsNotifier
from coldtable.aws.objects import S3Objects
from coldtable.aws.parameters import SsmParameters
from coldtable.errors import AccessDenied, ColdtableError
from coldtable.local.process import EmbeddedAws
from coldtable.model import Destination, Table
from coldtable.ops.pace import Watch
from coldtable.ops.tick import TickReport, World, tick
from tests.unit.ticking import policy as continuous

from .conftest import Coldtable, client, until

pytestmark = pytest.mark.functional

Document = dict[str, Any]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """An emulator whose exports take no time, and whose history is never behind."""
    with EmbeddedAws(["--restorable-lag", "0", "--export-seconds", "0"]) as running:
        yield running


# Actions that DynamoDB asks for [DOC-REQ] and whose lack nothing here can show: an ACL is not set,
# and an upload is only given up when an export breaks off in the middle of a file.
FOR_DYNAMODB = {"s3:AbortMultipartUpload", "s3:PutObjectAcl"}
# What Lambda itself does with the role: tests/functional/test_night.py.
FOR_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents"}


@dataclass
class Scene:
    """A role that runs ticks, and a bucket in another account (``theirs``)."""

    aws: EmbeddedAws
    account: str
    owner: str
    run: Coldtable
    tables: int = 0
    key: str = ""
    kms: Any = None
    _keys: tuple[str, str, str] | None = None

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{self.account}:role/ticker"

    @property
    def theirs(self) -> str:
        return f"their-{self.owner}"

    def root(self, service: str, *, of: str = "", region: str | None = None) -> Any:
        """A client of an account's root, this one's unless told otherwise."""
        return client(self.aws, service, of or self.account, "test", region=region)

    def client(self, service: str) -> Any:
        """A client of the role, assumed as Lambda assumes it."""
        if self._keys is None:
            found = self.root("sts").assume_role(RoleArn=self.role, RoleSessionName="tick")
            given = found["Credentials"]
            self._keys = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        return client(self.aws, service, *self._keys)

    def printed(self, *words: str) -> Document:
        """The policy that the command prints, with nothing but these words."""
        answer = self.run("--quiet", "policy", *words)
        assert (answer.code, answer.err) == (0, "")
        return answer.json

    def lambda_policy(self, *words: str, bucket: str = "") -> Document:
        """The printed policy of the tick's role for every table here."""
        tables = f"arn:aws:dynamodb:us-east-1:{self.account}:table/t-*"
        return self.printed(
            *("lambda", "--bucket", bucket or self.theirs, "--table", tables),
            *("--parameter-path", "/p", "--tagged", *words),
        )

    def may(self, document: Document) -> None:
        """The role's policy is this, and no other."""
        self.root("iam").put_role_policy(
            RoleName="ticker", PolicyName="p", PolicyDocument=json.dumps(document)
        )

    def let_in(self, document: Document, bucket: str = "") -> None:
        """The other account's bucket has this policy."""
        s3 = self.root("s3", of=self.owner)
        s3.put_bucket_policy(Bucket=bucket or self.theirs, Policy=json.dumps(document))

    def new_key(self, *, region: str = "us-east-1") -> str:
        """A KMS key of the other account."""
        self.kms = self.root("kms", of=self.owner, region=region)
        self.key = self.kms.create_key()["KeyMetadata"]["Arn"]
        return str(self.key)

    def use_key(self, document: Document) -> None:
        """The newest key has this policy."""
        self.kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=json.dumps(document))

    def encrypt(self, bucket: str, key: str) -> None:
        """The other account's bucket is encrypted with this key by default."""
        by = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        self.root("s3", of=self.owner).put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": by}]
            },
        )

    def new_table(self) -> str:
        self.tables += 1
        name, dynamodb = f"t-{self.tables:03d}", self.root("dynamodb")
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        return name

    def tick(self, table: str, to: Destination) -> TickReport:
        """One tick of the role over this table, with the ports that the function has."""
        dynamodb = self.client("dynamodb")
        world = World(
            exporter=DynamoDbExporter(dynamodb),
            directory=DynamoDbDirectory(dynamodb, lambda: self.client("resourcegroupstaggingapi")),
            objects=lambda to: S3Objects(self.client("s3"), to.bucket, owner=to.owner),
            notifier=SnsNotifier(self.client("sns"), self.topic),
            watch=Watch(read=lambda: 0.0, pause=lambda _s: None, deadline=1e9),
            now=self.aws.now(),
        )
        return tick({table: continuous(to=to)}, world)

    @property
    def topic(self) -> str:
        return f"arn:aws:sns:us-east-1:{self.account}:coldtable-AlarmTopic-1"

    def night(self, to: Destination) -> str:
        """A table's first export, from start to proof. What went wrong, or nothing."""
        table = self.new_table()
        self.aws.advance(timedelta(minutes=1))
        if said := _problem(self.tick(table, to), "started"):
            return said
        dynamodb = self.root("dynamodb")
        arn = f"arn:aws:dynamodb:us-east-1:{self.account}:table/{table}"

        def over() -> bool:
            found = dynamodb.list_exports(TableArn=arn)["ExportSummaries"]
            return all(export["ExportStatus"] != "IN_PROGRESS" for export in found)

        until(over)
        return _problem(self.tick(table, to), "verified")

    def all_calls(self, to: Destination) -> str:
        """A night, and the calls of the function that are not of every night."""
        directory = DynamoDbDirectory(
            self.client("dynamodb"), lambda: self.client("resourcegroupstaggingapi")
        )
        arn = f"arn:aws:dynamodb:us-east-1:{self.account}:table/{self.new_table()}"
        table = Table(name="", arn=arn, table_id="")
        try:
            SsmParameters(self.client("ssm")).read("/p")
            list(directory.names())
            directory.tagged("coldtable")
            list(DynamoDbExporter(self.client("dynamodb")).exports(table))
            SnsNotifier(self.client("sns"), self.topic).tell("subject", "text")
        except ColdtableError as error:
            return error.message
        return self.night(to)


def _problem(report: TickReport, wanted: str) -> str:
    (line,) = report.tables
    if line.error:
        return line.error.message
    wrong = [step.text for step in line.steps if step.kind != wanted]
    return "; ".join(wrong) or ("" if line.steps else "nothing was done")


@pytest.fixture
def scene(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> Scene:
    made = Scene(aws, account, f"9{account[1:]}", coldtable)
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    made.root("iam").create_role(
        RoleName="ticker",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    made.root("s3", of=made.owner).create_bucket(Bucket=made.theirs)
    made.root("sns").create_topic(Name="coldtable-AlarmTopic-1")
    return made


def without(document: Document, action: str) -> Document:
    """The policy less one action."""
    found = deepcopy(document)
    for statement in found["Statement"]:
        actions = statement["Action"]
        listed = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [one for one in listed if one != action] or "none:None"
    return found


def actions(document: Document) -> list[str]:
    """Everything that it allows, each once."""
    listed = [s["Action"] for s in document["Statement"] if s["Effect"] == "Allow"]
    found = [a for one in listed for a in ([one] if isinstance(one, str) else one)]
    return list(dict.fromkeys(found))


def missed(
    document: Document, put: Callable[[Document], None], night: Callable[[], str]
) -> set[str]:
    """The actions without which something went wrong that names them."""
    found = set()
    for action in actions(document):
        put(without(document, action))
        said = night()
        if said:
            assert action in said or "Access Denied" in said, (action, said)
            found.add(action)
    return found


def test_another_account_s_bucket(scene: Scene) -> None:
    """Refused without its policy; with the printed ones it is exported to, proven and noted in."""
    to = Destination(bucket=scene.theirs, owner=scene.owner)
    scene.may(scene.lambda_policy())
    said = scene.night(to)
    assert f"s3:ListBucket is missing (bucket {to.bucket} of account {to.owner})" in said
    scene.let_in(scene.printed("bucket", "--bucket", to.bucket, "--role", scene.role))
    assert scene.night(to) == ""


@pytest.mark.parametrize("kind", ["lambda", "bucket"])
def test_nothing_is_superfluous(scene: Scene, kind: str) -> None:
    """Without any one action of a printed policy something fails, and says which is missing."""
    to = Destination(bucket=scene.theirs, owner=scene.owner)
    mine = scene.lambda_policy()
    theirs = scene.printed("bucket", "--bucket", to.bucket, "--role", scene.role)
    scene.may(mine)
    scene.let_in(theirs)
    assert scene.all_calls(to) == ""
    if kind == "lambda":
        needed = missed(mine, scene.may, lambda: scene.all_calls(to))
        assert set(actions(mine)) - needed == {*FOR_DYNAMODB, *FOR_LAMBDA}
    else:
        needed = missed(theirs, scene.let_in, lambda: scene.night(to))
        assert set(actions(theirs)) - needed == FOR_DYNAMODB


def test_only_the_owner_who_is_named(scene: Scene) -> None:
    """A bucket of somebody else than the settings say is refused, and the error says whose it
    should be; without an owner DynamoDB refuses it (UNVERIFIED on AWS)."""
    to = Destination(bucket=scene.theirs, owner=scene.owner)
    scene.may(scene.lambda_policy())
    scene.let_in(scene.printed("bucket", "--bucket", to.bucket, "--role", scene.role))
    wrong = replace(to, owner=scene.account)
    assert f"of account {scene.account})" in scene.night(wrong)
    assert scene.night(replace(to, owner=None)).startswith("S3AccessDenied: ")


def test_another_region_s_bucket_with_its_key(scene: Scene) -> None:
    """A bucket and a key in another account and region: exports are encrypted with the key, and
    so are the catalog's records, by the bucket's default."""
    far = scene.root("s3", of=scene.owner, region="eu-west-1")
    bucket = f"far-{scene.owner}"
    far.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    key = scene.new_key(region="eu-west-1")
    scene.encrypt(bucket, key)
    to = Destination(bucket=bucket, owner=scene.owner, key=key)
    scene.let_in(scene.printed("bucket", "--bucket", bucket, "--role", scene.role), bucket)
    scene.use_key(scene.printed("key", "--kms-key", key, "--role", scene.role))
    scene.may(scene.lambda_policy("--kms-key", key, bucket=bucket))
    assert scene.night(to) == ""
    found = far.list_objects_v2(Bucket=bucket)["Contents"]
    heads = [far.head_object(Bucket=bucket, Key=one["Key"]) for one in found]
    assert {head.get("SSEKMSKeyId") for head in heads} == {key}
    assert any(one["Key"].startswith("coldtable/v1/table/") for one in found)


def test_both_rights_to_the_key_are_needed(scene: Scene) -> None:
    """Without GenerateDataKey or Decrypt, in the role's or in the key's policy, the export fails
    and says which is missing; the printed policies are enough."""
    key = scene.new_key()
    to = Destination(bucket=scene.theirs, owner=scene.owner, key=key)
    scene.let_in(scene.printed("bucket", "--bucket", to.bucket, "--role", scene.role))
    mine = scene.lambda_policy("--kms-key", key)
    theirs = scene.printed("key", "--kms-key", key, "--role", scene.role)
    scene.may(mine)
    scene.use_key(theirs)
    assert scene.night(to) == ""
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        scene.may(without(mine, action))
        assert f"{action} on resource: {key} because no identity-based" in scene.night(to)
        scene.may(mine)
        scene.use_key(without(theirs, action))
        assert f"{action} on resource: {key} because no resource-based" in scene.night(to)
        scene.use_key(theirs)


def test_a_reader_reads_and_no_more(scene: Scene) -> None:
    """`--reader` may list, get and decrypt what others wrote, and write nothing."""
    key, reader = scene.new_key(), scene.role
    writer = reader.replace("ticker", "somebody-else")
    named = ("--role", writer, "--reader", reader)
    scene.encrypt(scene.theirs, key)
    scene.root("s3", of=scene.owner).put_object(Bucket=scene.theirs, Key="k", Body=b"x")
    scene.let_in(scene.printed("bucket", "--bucket", scene.theirs, *named))
    scene.use_key(scene.printed("key", "--kms-key", key, *named))
    scene.may(scene.lambda_policy("--kms-key", key))
    store = S3Objects(scene.client("s3"), scene.theirs, owner=scene.owner)
    assert [b"".join(store.read(found)) for found in store.keys("")] == [b"x"]
    with pytest.raises(AccessDenied) as refused:
        store.put("k", b"y")
    assert refused.value.action == "s3:PutObject"
    assert "coldtable policy bucket" in refused.value.hint


def test_a_person_exports_there_too(scene: Scene) -> None:
    """A user with the nightly function's rights, and to read, exports by hand into the other
    account's bucket with its key, and proves the manifests there."""
    key, table = scene.new_key(), scene.new_table()
    user = f"arn:aws:iam::{scene.account}:user/person"
    iam = scene.root("iam")
    iam.create_user(UserName="person")
    made = iam.create_access_key(UserName="person")["AccessKey"]
    mine = scene.lambda_policy("--kms-key", key)
    iam.put_user_policy(UserName="person", PolicyName="p", PolicyDocument=json.dumps(mine))
    scene.let_in(scene.printed("bucket", "--bucket", scene.theirs, "--role", user))
    scene.use_key(scene.printed("key", "--kms-key", key, "--role", user))
    scene.aws.advance(timedelta(minutes=1))
    words = ("export", table, "--at", "latest", "--wait", "--bucket", scene.theirs)
    theirs = ("--bucket-owner", scene.owner, "--kms-key", key)
    who = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    answer = scene.run(*words, *theirs, **who)
    assert answer.code == 0, answer.err
    assert "manifests agree" in answer.err
    answer = scene.run(*words, **who)
    assert answer.code == 11
    assert "name bucket_owner" in answer.err
