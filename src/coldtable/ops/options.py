"""What can be said of a deployment's options without asking AWS: how they are spelled, and whether
one contradicts another."""

from __future__ import annotations

import re
from collections.abc import Iterator

from coldtable.core.configuration import MOST_DAYS
from coldtable.core.expression import check_expression
from coldtable.core.prefix import check_template
from coldtable.core.settings import parse_zone
from coldtable.errors import ColdtableError, ParameterInvalid, UsageError
from coldtable.model_stack import Wish

# "-export" is appended, and a function's or a schedule's name has 64 characters at most [MODEL].
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,56}")
# The same as the template's patterns, which would speak only after the code was uploaded.
EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
KMS_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
OWNER = "[0-9]{12}"
BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
HEARTBEAT = r"https://[^\s]+"
# Two in an hour at least, or the alarm of their absence would be wrong.
TICK = r"rate\((1 minute|([2-9]|[12][0-9]|30) minutes)\)"
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)


def misspelled(wish: Wish) -> Iterator[ColdtableError]:
    """Whatever can be said of the options without asking AWS."""
    if not _STACK_NAME.fullmatch(wish.stack_name):
        yield UsageError(
            f"{wish.stack_name!r} cannot be the stack's name",
            hint="Use a letter, and then up to 56 letters, digits and dashes",
        )
    if not (wish.tables or wish.tagged or wish.policy or wish.existing_parameters):
        yield UsageError(
            "No table is named",
            hint="Name each with --table, or use --tagged, --policy or --existing-parameters",
        )
    yield from _contradictions(wish)
    if not re.fullmatch(TICK, wish.tick):
        yield UsageError(
            f"--tick {wish.tick!r} cannot be used",
            hint="Give it rate(1 minute) to rate(30 minutes): an alarm goes off when none comes "
            "for an hour",
        )
    for option, every in (("--verify-days", wish.verify_days), ("--drill-days", wish.drill_days)):
        if not 0 <= every <= MOST_DAYS:
            yield UsageError(f"{option} must be 0 (never) to {MOST_DAYS}")
    if wish.heartbeat_url and not re.fullmatch(HEARTBEAT, wish.heartbeat_url):
        # It is as good as a password, so it is not shown.
        yield UsageError(
            "--heartbeat-url is not an address that begins with https://",
            hint="Give it the address that your monitor gives you",
        )
    if wish.recovery_days is not None and not wish.enable_pitr:
        yield UsageError("--recovery-days goes with --enable-pitr")
    if wish.log_days not in LOG_DAYS:
        days = ", ".join(map(str, LOG_DAYS))
        yield UsageError(
            f"CloudWatch cannot keep logs for {wish.log_days} days", hint=f"Use {days}"
        )
    for parse, text in (
        (check_expression, wish.schedule),
        (parse_zone, wish.timezone or "UTC"),
        (check_template, wish.prefix_template),
    ):
        try:
            parse(text)
        except ParameterInvalid as problem:
            yield problem
    for option, value, pattern, example in (
        ("--bucket", wish.bucket, BUCKET, "the name of a bucket, not its ARN"),
        ("--bucket-owner", wish.bucket_owner, OWNER, "the 12 digits of an account"),
        ("--code-bucket", wish.code_bucket, BUCKET, "the name of a bucket, not its ARN"),
        ("--email", wish.email, EMAIL, "one address, like oncall@example.com"),
        ("--bucket-kms-key", wish.bucket_key, KMS_KEY, "the ARN of a key, not of an alias"),
        ("--parameter-kms-key", wish.parameter_key, KMS_KEY, "the ARN of a key, not of an alias"),
    ):
        if value and not re.fullmatch(pattern, value):
            yield UsageError(f"{option} {value!r} cannot be used", hint=f"Give it {example}")


def _contradictions(wish: Wish) -> Iterator[ColdtableError]:
    """What would be written to parameters that are not ours to write."""
    if not wish.existing_parameters:
        return
    written = {
        "--tagged": wish.tagged,
        "--continuous": wish.continuous,
        "--policy": bool(wish.policy),
        "--bucket-owner": bool(wish.bucket_owner),
        "--heartbeat-url": bool(wish.heartbeat_url),
        "--verify-days": bool(wish.verify_days),
        "--drill-days": bool(wish.drill_days),
        "--table with a wildcard": any(set(name) & set("*?") for name in wish.tables),
    }
    for option in (name for name, used in written.items() if used):
        yield UsageError(
            f"{option} contradicts --existing-parameters",
            hint="The functions read POLICY, HEARTBEAT_URL, VERIFY_DAYS and DRILL_DAYS from there: "
            "change them instead",
        )
