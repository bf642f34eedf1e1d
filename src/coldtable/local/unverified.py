"""What the embedded AWS does as we believe that AWS does it, without having seen it.

For ``docs/local-aws.md``. The history and its exports keep their own list in ``pitr/``. Each entry
is a subject and what we chose; the module that does it says UNVERIFIED at the place.
"""

from __future__ import annotations

UNVERIFIED: tuple[tuple[str, str], ...] = (
    ("ssm:GetParametersByPath", "is judged on parameter/PATH, the path as it was given"),
    ("logs:CreateLogStream and others on a group", "are judged on log-group:NAME:log-stream:"),
    ("at() in the past", "is accepted and never fires"),
    ("at() in a skipped local hour", "fires when the clocks would show that time"),
    ("cron with L-n and LW", "mean what they mean in Quartz"),
    ("an update of a rate() schedule", "keeps its grid and does not fire at once"),
    ("words of the scheduler's refusals", "for a bad expression, zone or an untrusting role"),
    ("a scheduler's call that is refused (4xx)", "is not retried and goes to the DLQ at once"),
    ("ERROR_CODE in the scheduler's dead letter", "is the code of the target's API"),
    ("the body of the scheduler's dead letter", "is the target's input, placeholders filled"),
    ("a Lambda target without Input", "gets the event of a scheduled rule, source aws.scheduler"),
    ("the request id in a Lambda dead letter", "belongs to the event and not to an attempt"),
    ("the state reason of an alarm", "has its own words"),
)

# What is other than on AWS, on purpose.
DIFFERENT: tuple[tuple[str, str], ...] = (
    ("plain HTTP", "counts as TLS for aws:SecureTransport: loopback is the only way in"),
    ("back-off", "of Lambda and the scheduler is fractions of a second"),
    ("a schedule", "fires within half a second of its time, and flexible windows do not delay it"),
    ("alarms", "are judged twice a second over periods that end now, not at minute borders"),
    ("python runtimes", "run on the local Python; layers fall back to ministack's own runner"),
    ("a function's network and disk", "are the machine's"),
    ("a deployment's role", "CloudFormation acts as the account's root"),
)
