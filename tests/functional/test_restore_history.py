"""Reverting random histories, the rights that it takes, and the seams of real archives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from coldtable.cli.restore import restore
from coldtable.cli.revert import revert
from coldtable.core.request import exact_iso
from coldtable.local.process import EmbeddedAws

from .conftest import Coldtable, client
from .exporter import Account, Item, item, values
from .proxy import proxied

KEYS = ["--key", "pk:S", "--key", "sk:N"]


class History(Account):
    """An account whose table is written at random; what it was at each restore point is kept."""

    def __init__(self, aws: EmbeddedAws, number: str, seed: int) -> None:
        super().__init__(aws, number)
        self.chance = Random(seed)
        self.states: dict[datetime, Any] = {}
        self.write(60)
        last = self.keep()
        self.export(ExportTime=last)
        for _ in range(3):
            self.write(self.chance.randrange(30))
            now = self.keep()
            self.window(last, now)
            last = now
        self.write(10)

    def keep(self) -> datetime:
        """A whole second, and what the table is then."""
        moment = self.settle()
        self.states[moment] = values(self.scan())
        return moment

    def write(self, count: int) -> None:
        """Puts and deletes of few keys, so that many are written again."""
        chance = self.chance
        for _ in range(count):
            pk, sk = f"p{chance.randrange(6)}", chance.randrange(12)
            if chance.random() < 0.3:
                self.dynamodb.delete_item(TableName="orders", Key=item(pk, sk))
            else:
                self.put(pk, sk, **self.attributes())

    def attributes(self) -> Item:
        chance = self.chance
        every: list[Item] = [
            {"n": {"N": str(chance.randrange(-(10**30), 10**30))}},
            {"b": {"B": chance.randbytes(5)}},
            {"l": {"L": [{"BS": [chance.randbytes(3)]}, {"NULL": True}]}},
            {"m": {"M": {"Ä": {"M": {"x.y": {"NS": ["1", "2.5"]}}}}}},
            {"s": {"S": "".join(chance.choices('aä"\\/\n\u2028', k=6))}},
        ]
        return {k: v for one in chance.sample(every, 3) for k, v in one.items()}


def test_a_window_is_reverted_on_the_live_table(
    aws: EmbeddedAws, account: str, coldtable: Coldtable
) -> None:
    """All windows are undone in place, of every type; what was written since stays, code 3. Until
    --yes, and with --dry-run, AWS gets no call but reads."""
    here = History(aws, account, 3)
    base, *_, last = sorted(here.states)
    # The writes after the last window, as if they had not been.
    done = coldtable(
        "restore", "orders", "--at", last.isoformat(), "--to", "live", *KEYS,
        "--archive", f"s3://{here.bucket}", "--yes",
    )  # fmt: skip
    assert done.code == 0, done.err
    words = ["revert", "orders", "--from", base.isoformat(), "--to", "latest", "--in", "live"]
    words += ["--archive", f"s3://{here.bucket}", "--output", "json"]
    with proxied(aws.endpoint) as proxy:
        for more in ([], ["--dry-run"], ["--dry-run", "--yes"]):
            planned = coldtable(*words, *more, endpoint=proxy.url)
            assert planned.code == 0, planned.err
            assert planned.json["putBack"] + planned.json["deleted"] > 10
    assert len(proxy.operations) > 10
    assert proxy.changes == []
    assert values(here.scan("live")) == here.states[last]
    gone = next(
        name for name in here.states[base] if here.states[base][name] != here.states[last].get(name)
    )
    since = {"pk": {"S": gone[0]}, "sk": {"N": gone[1]}, "since": {"BOOL": True}}
    here.dynamodb.put_item(TableName="live", Item=since)
    reverted = coldtable(*words, "--yes")
    assert reverted.code == 3, reverted.err
    assert reverted.json["conflictCount"] == 1
    expected = {**here.states[base], gone: values({gone: since})[gone]}
    assert values(here.scan("live")) == expected


def test_the_named_rights_are_enough(aws: EmbeddedAws, account: str, coldtable: Coldtable) -> None:
    """A user with the IAM actions of --help, and no other, restores both ways, and reverts."""
    here = History(aws, account, 4)
    base, *_, last = sorted(here.states)
    where = ["--archive", f"s3://{here.bucket}", "--yes"]
    key, secret = user_who_may(here, restore)
    for way in ("write", "import"):
        words = ["--at", last.isoformat(), "--to", way, "--way", way, *KEYS, *where]
        done = coldtable("restore", "orders", *words, key=key, secret=secret)
        assert done.code == 0, done.err
        assert values(here.scan(way)) == here.states[last]
    key, secret = user_who_may(here, revert)
    words = ["--from", base.isoformat(), "--to", "latest", "--in", "write", *where]
    done = coldtable("revert", "orders", *words, key=key, secret=secret)
    assert done.code == 0, done.err
    assert values(here.scan("write")) == here.states[base]


def user_who_may(here: Account, command: Callable[..., Any]) -> tuple[str, str]:
    """The keys of a user who has just the rights that the command's help names."""
    iam = client(here.aws, "iam", here.number, "test")
    told = (command.__doc__ or "").partition("IAM:")[2].partition("Parameters")[0]
    actions = re.findall(r"`(\w+:\w+)`", told)
    assert len(actions) > 5
    name = command.__name__
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def test_the_seconds_before_the_first_increment_are_told(
    aws: EmbeddedAws, account: str, coldtable: Coldtable, tmp_path: Path
) -> None:
    """As people start: a full export at no whole second, and the first increment from the next one
    on. That gap is refused with its very ends, code 4, wherever the archive was copied to, by
    restore and materialize; --allow-gap accepts it, and says what may be missing."""
    here = Account(aws, account)
    here.put("a")
    done = here.export()
    here.put("b")
    start = here.settle()
    here.put("c")
    stop = here.settle()
    here.window(start, stop)
    copied = str(here.copy(tmp_path / "copied"))
    length = f"{(start - done['ExportTime']).total_seconds():.6f}".rstrip("0").rstrip(".")
    assert done["ExportTime"].microsecond
    gap = f"a gap of {length} s from {exact_iso(done['ExportTime'])} to {exact_iso(start)}"
    words = ["restore", "orders", "--to", "copy", *KEYS, "--yes"]
    fold = ["materialize", "orders", "--at", "latest", "--archive", copied]
    for refused in (
        coldtable(*words, "--at", start.isoformat(), "--archive", f"s3://{here.bucket}"),
        coldtable(*words, "--at", "latest", "--archive", f"s3://{here.bucket}"),
        coldtable(*words, "--at", "latest", "--archive", copied),
        coldtable(*fold, "--to", str(tmp_path / "folded")),
    ):
        assert refused.code == 4
    assert "nearest restore point" in refused.err
    assert f"{gap}: what was written then may be missing" in refused.err
    assert "--allow-gap accepts that" in refused.err
    assert not (tmp_path / "folded").exists()
    words += ["--at", "latest", "--allow-gap", "--output", "json", "--archive", copied]
    accepted = coldtable(*words)
    assert accepted.code == 0, accepted.err
    assert accepted.json["notes"][0].startswith(gap)
    # What was written within the gap is what is missing.
    assert {key[0] for key in here.scan("copy")} == {"a", "c"}
