"""After a deployment: is what matters really so? Asked of the services, not of CloudFormation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from coldtable.core.configuration import POLICY, parse_configuration
from coldtable.errors import CheckFailed, ColdtableError
from coldtable.model_stack import Code, Finding
from coldtable.ops.ground import Ground
from coldtable.ports import Exporter, ParameterStore, Probe

Say = Callable[[str], None]


def check_stack(
    ground: Ground,
    outputs: Mapping[str, str],
    code: Code,
    exporter: Exporter,
    parameters: ParameterStore,
    probe: Probe,
) -> tuple[Finding, ...]:
    """Look at PITR, schedules, alarms, functions and parameters; ``CheckFailed`` lists what is off.

    A look that AWS refuses is an error of its own, not a finding.
    """
    findings = [
        *_pitr(ground, exporter),
        _schedule(ground, outputs, probe),
        _ticks(ground, outputs, probe),
        *_alarms(outputs, probe),
        _function(outputs["FunctionName"], code, probe),
        _function(outputs["TickFunctionName"], code, probe),
        *_hourly("Verify", "verifying", outputs, code, probe),
        *_hourly("Drill", "drills", outputs, code, probe),
        _parameters(ground, outputs, parameters),
    ]
    bad = [f for f in findings if not f.ok]
    if bad:
        lines = "\n".join(f"  - {f.subject}: {f.found}" for f in bad)
        hints = dict.fromkeys(f.hint for f in bad if f.hint)
        raise CheckFailed(
            f"The stack {ground.wish.stack_name} is deployed, and not as it should be:\n{lines}",
            hint="\n".join(hints),
        )
    return tuple(findings)


def _pitr(ground: Ground, exporter: Exporter) -> Sequence[Finding]:
    findings = []
    for table in (*ground.tables, *ground.others):
        pitr = exporter.pitr(table)
        days = f", {pitr.recovery_days} days" if pitr.recovery_days else ""
        findings.append(
            Finding(
                subject=f"point-in-time recovery of {table.name}",
                found=f"on{days}" if pitr.enabled else "off",
                ok=pitr.enabled,
                hint="Deploy again with --enable-pitr",
            )
        )
    return findings


def _schedule(ground: Ground, outputs: Mapping[str, str], probe: Probe) -> Finding:
    wish = ground.wish
    found = probe.schedule(outputs["ScheduleGroupName"], outputs["ScheduleName"])
    return Finding(
        subject="schedule",
        found=f"{found.state}, {found.expression} in {found.timezone}",
        ok=(found.state, found.expression, found.timezone)
        == ("ENABLED", wish.schedule, wish.timezone),
        hint=f"It should be ENABLED, {wish.schedule} in {wish.timezone}. If somebody changed it "
        "outside the stack, correct it there: CloudFormation sees no difference to mend",
    )


def _ticks(ground: Ground, outputs: Mapping[str, str], probe: Probe) -> Finding:
    found = probe.schedule(outputs["ScheduleGroupName"], outputs["TickScheduleName"])
    return Finding(
        subject="schedule of the ticks",
        found=f"{found.state}, {found.expression}",
        ok=(found.state, found.expression) == ("ENABLED", ground.wish.tick),
        hint=f"It should be ENABLED, {ground.wish.tick}. If somebody changed it outside the stack, "
        "correct it there: CloudFormation sees no difference to mend",
    )


def _hourly(
    part: str, doing: str, outputs: Mapping[str, str], code: Code, probe: Probe
) -> Iterator[Finding]:
    """A function that is only there where it was asked for, and its schedule."""
    if f"{part}FunctionName" not in outputs:
        return
    yield _function(outputs[f"{part}FunctionName"], code, probe)
    found = probe.schedule(outputs["ScheduleGroupName"], outputs[f"{part}ScheduleName"])
    yield Finding(
        subject=f"schedule of {doing}",
        found=f"{found.state}, {found.expression}",
        ok=(found.state, found.expression) == ("ENABLED", "rate(1 hour)"),
        hint="It should be ENABLED, rate(1 hour). If somebody changed it outside the stack, "
        "correct it there: CloudFormation sees no difference to mend",
    )


def _alarms(outputs: Mapping[str, str], probe: Probe) -> Sequence[Finding]:
    names = [name for key, name in outputs.items() if key.endswith("AlarmName")]
    found = {alarm.name: alarm for alarm in probe.alarms(names)}
    findings = []
    for name in names:
        alarm = found.get(name)
        heard = alarm is not None and alarm.enabled and outputs["TopicArn"] in alarm.topics
        state = "missing" if alarm is None else "actions on" if heard else "nobody hears it"
        findings.append(
            Finding(
                subject=f"alarm {name}",
                found=state,
                ok=heard,
                hint=f"aws cloudwatch enable-alarm-actions --alarm-names {name}",
            )
        )
    return findings


def _function(name: str, code: Code, probe: Probe) -> Finding:
    found = probe.function(name)
    is_ours = found.sha256 == code.sha256
    return Finding(
        subject=f"function {name}",
        found=f"{found.state}, {'this' if is_ours else 'other'} code",
        ok=found.state == "Active" and found.update in ("", "Successful") and is_ours,
        hint="Somebody changed the function outside the stack, or its code in the bucket "
        f"{code.bucket}. Find out who, then: aws lambda update-function-code --function-name "
        f"{name} --s3-bucket {code.bucket} --s3-key {code.key}",
    )


def _parameters(ground: Ground, outputs: Mapping[str, str], parameters: ParameterStore) -> Finding:
    """The functions read these: they must make sense, and mean this stack's tables and bucket."""
    path = outputs["ParameterPath"]
    try:
        found = parameters.read(path)
        meant = parse_configuration(path, found)
    except ColdtableError as problem:
        return Finding(
            subject=f"parameters below {path}", found=problem.message, ok=False, hint=problem.hint
        )
    same = set(meant.scheduled) == {t.name for t in ground.tables}
    # Without one of ours, somebody may have written a policy into its place.
    if ground.wish.policy:
        same = same and found.get(POLICY) == ground.wish.policy
    days = (meant.verify_days or 0, meant.drill_days or 0)
    same = same and days == (ground.wish.verify_days, ground.wish.drill_days)
    bucket = str(meant.defaults["bucket"].value)
    tagged = ["what has the tag"] if ground.tagged else []
    named = [arn.rpartition("/")[2] for arn in ground.patterns]
    count = [f"{len(meant.scheduled)} tables"] if meant.scheduled else []
    return Finding(
        subject=f"parameters below {path}",
        found=f"{', '.join((*count, *named, *tagged))} into {bucket}",
        ok=same and bucket == outputs["Bucket"],
        hint="They name other tables, another policy, another bucket or other VERIFY_DAYS or "
        "DRILL_DAYS than the stack: correct them",
    )
