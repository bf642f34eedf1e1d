"""What a deployment stands on, and whether it fits into one stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coldtable.errors import LimitReached
from coldtable.model import Pitr, Table
from coldtable.model_stack import Wish

# A parameter of a stack, and a standard parameter of SSM, hold 4,096 bytes.
LONGEST_VALUE = 4096
# A role's inline policies together, without white space (IAM quotas).
LONGEST_POLICY = 10_240
# What the template's larger policy takes without the tables' ARNs and the parameter path, at the
# longest names of everything else; a test holds it against the template.
POLICY_FRAME = 2_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is there, and good enough to deploy on.

    ``wish`` is complete: its tables, bucket, policy and time zone are those that will count.
    ``tables`` are those of ``TABLE_NAMES``; ``others`` those that are kept today because the
    policy, a glob or the tag means them; ``patterns`` the ARNs, wildcards included, of all that
    the policy names. ``unprotected`` are the tables whose PITR is to be turned on, or its period
    lengthened. ``unseen_owner`` is the other account that owns the bucket, if that could not be
    looked at with the deployer's rights. ``templates`` are the prefix templates of all exports into
    the stack's bucket.
    """

    wish: Wish
    tables: tuple[Table, ...]
    unprotected: tuple[Table, ...]
    account: str
    region: str
    others: tuple[Table, ...] = ()
    patterns: tuple[str, ...] = ()
    tagged: bool = False
    unseen_owner: str | None = None
    templates: tuple[str, ...] = ()


def needs_pitr(wish: Wish, pitr: Pitr) -> bool:
    """Whether PITR is off, or its period shorter than wanted. It is never shortened: that would
    throw history away at once [DOC-PITR]."""
    wanted = wish.recovery_days or 0
    return not pitr.enabled or (pitr.recovery_days or wanted) < wanted


def pack_arns(tables: Sequence[Table]) -> tuple[str, str]:
    """The ARNs, joined with commas, over the template's two parameters for them."""
    arns = sorted(t.arn for t in tables)
    fits = len(arns)
    while fits > 1 and len(",".join(arns[:fits])) > LONGEST_VALUE:
        fits -= 1
    return ",".join(arns[:fits]), ",".join(arns[fits:])


def check_sizes(tables: Sequence[Table], patterns: Sequence[str], path: str) -> None:
    """Raise ``LimitReached`` if the tables do not fit into one stack and one role."""
    first, rest = pack_arns(tables)
    listed = len(",".join(t.name for t in tables))
    policy = (
        POLICY_FRAME
        + len(path)
        + sum(len(f'"{arn}",') for arn in (*(t.arn for t in tables), *patterns))
    )
    count = len(tables) + len(patterns)
    too_long = [
        f"{what} would take {size} characters of {limit}"
        for what, size, limit in (
            ("the ARNs", max(len(first), len(rest)), LONGEST_VALUE),
            ("the names", listed, LONGEST_VALUE),
            ("the policy's names and globs", len(",".join(patterns)), LONGEST_VALUE),
            ("the role's policy", policy, LONGEST_POLICY),
        )
        if size > limit
    ]
    if too_long:
        raise LimitReached(
            f"{count} tables are too many for one stack: " + "; ".join(too_long),
            hint="Mean them by a glob or by their tag, or deploy them as several stacks, each with "
            "its own --stack-name, --parameter-path and part of the tables; one --bucket can "
            "serve all",
        )
