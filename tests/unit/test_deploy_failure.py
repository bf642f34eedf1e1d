"""Deploying against an in-memory account: stacks that fail, and what is found afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from coldtable.errors import AccessDenied, CheckFailed, Conflict, StackFailed
from coldtable.model_stack import DeployReport, StackEvent, Wish
from coldtable.ops.deploy import deploy
from coldtable.testing.cloud import FakeCloud, windows

WISH = Wish(tables=("orders", "users"), prefix_template="{date:%Y/%m/%d}/{table}")

Deploy = Callable[..., DeployReport]


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(recovery={"orders": 35, "users": 7}, objects={"archive": {}})


@pytest.fixture
def run(cloud: FakeCloud) -> Deploy:
    def call(wish: Wish = WISH, *, dry_run: bool = False, **changes: object) -> DeployReport:
        wish = replace(wish, **changes)  # type: ignore[arg-type]
        return deploy(wish, windows(cloud), "the template", b"the code", dry_run=dry_run)

    return call


def _failure(reason: str, *, status: str = "CREATE_FAILED") -> StackEvent:
    return StackEvent(
        id="failed", resource="ExportRole", kind="AWS::IAM::Role", status=status, reason=reason
    )


def test_failed_stack_tells_the_first_reason(cloud: FakeCloud, run: Deploy) -> None:
    """The error is the resource that failed first and AWS's words, not just ROLLBACK_COMPLETE."""
    cloud.fails = _failure("Role limit exceeded")
    with pytest.raises(StackFailed) as caught:
        run()
    assert caught.value.message == (
        "The stack coldtable ended in ROLLBACK_COMPLETE: "
        "ExportRole (AWS::IAM::Role): Role limit exceeded"
    )


def test_denied_resource_names_the_action(cloud: FakeCloud, run: Deploy) -> None:
    """A stack that fails for want of a permission is AccessDenied with the IAM action."""
    cloud.fails = _failure(
        "User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole"
    )
    with pytest.raises(AccessDenied) as caught:
        run()
    assert caught.value.action == "iam:CreateRole"


def test_failed_creation_is_cleared_away(cloud: FakeCloud, run: Deploy) -> None:
    """ROLLBACK_COMPLETE can only be deleted: the next deployment does it and creates anew."""
    cloud.fails = _failure("Role limit exceeded")
    with pytest.raises(StackFailed):
        run()
    assert run().outcome == "created"


def test_dry_run_on_a_failed_creation_touches_nothing(cloud: FakeCloud, run: Deploy) -> None:
    """A dry run does not delete the failed stack; it says what a deployment would do."""
    cloud.fails = _failure("Role limit exceeded")
    with pytest.raises(StackFailed):
        run()
    with pytest.raises(Conflict, match="ROLLBACK_COMPLETE") as caught:
        run(dry_run=True)
    assert "created anew" in caught.value.hint
    assert cloud.live["coldtable"].status == "ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("UPDATE_IN_PROGRESS", "Wait until that has ended"),
        ("UPDATE_ROLLBACK_FAILED", "Repair it in the CloudFormation console"),
        ("DELETE_FAILED", "coldtable destroy --stack-name coldtable"),
    ],
)
def test_stack_that_cannot_be_changed(
    cloud: FakeCloud, run: Deploy, status: str, hint: str
) -> None:
    """A stack that is busy or broken is a conflict, with what can be done about it."""
    run()
    cloud.live["coldtable"] = replace(cloud.live["coldtable"], status=status)
    with pytest.raises(Conflict, match=status) as caught:
        run(day=3)
    assert hint in caught.value.hint


def test_refused_change_set_tells_why(cloud: FakeCloud, run: Deploy) -> None:
    """A change set that fails for another reason than being empty is an error, and is removed."""
    run()
    cloud.empty_reason = "Transform failed"
    with pytest.raises(StackFailed, match="Transform failed"):
        run()
    assert cloud.calls[-1] == "discard"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda c: c.schedules.update(
                {k: replace(v, state="DISABLED", timezone="UTC") for k, v in c.schedules.items()}
            ),
            "schedule: DISABLED",
        ),
        (
            lambda c: c.heard.pop("coldtable-export-errors"),
            "alarm coldtable-export-errors: missing",
        ),
        (
            lambda c: c.heard.update({k: replace(v, enabled=False) for k, v in c.heard.items()}),
            "nobody hears it",
        ),
        (
            lambda c: c.functions.update(
                {k: replace(v, sha256="00") for k, v in c.functions.items()}
            ),
            "Active, other code",
        ),
        (
            lambda c: c.functions.update(
                {k: replace(v, state="Inactive") for k, v in c.functions.items()}
            ),
            "Inactive, this code",
        ),
        (
            lambda c: c.settings.update({"/coldtable/prod/TABLE_NAMES": "users"}),
            "1 tables into",
        ),
        (
            lambda c: c.settings.pop("/coldtable/prod/BACKUP_HOUR_STR"),
            "BACKUP_HOUR_STR does not exist",
        ),
    ],
)
def test_what_is_off_is_found(
    cloud: FakeCloud, run: Deploy, spoil: Callable[[FakeCloud], object], words: str
) -> None:
    """What somebody changed behind the stack's back fails the check, with what was found."""
    run()
    spoil(cloud)
    with pytest.raises(CheckFailed) as caught:
        run()
    assert words in caught.value.message
    assert caught.value.hint
