"""``coldtable demo``: one night of a real installation, on the embedded AWS."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from coldtable.cli.context import Context, print_table
from coldtable.cli.deploy import template, windows
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.core.request import exact_iso, iso
from coldtable.demo.continuous import Growth, check_growth, check_restored, keep_continuously
from coldtable.demo.scene import TABLE, Item, Scene
from coldtable.demo.story import (
    MOMENT,
    SCHEDULE,
    STACK,
    TICK,
    ZONE,
    Proof,
    Stage,
    check,
    next_night,
    plain,
    play,
)
from coldtable.errors import CheckFailed, ColdtableError
from coldtable.local.process import EmbeddedAws
from coldtable.model_stack import DeployReport, Wish
from coldtable.ops.code import build_zip
from coldtable.ops.deploy import deploy

PATH = "/coldtable/demo"


def demo(
    *,
    keep: bool = False,
    without: str | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Watch the whole system work, on an AWS that runs on this machine alone.

    Starts the embedded AWS on a free loopback port, deploys a table and the real stack, writes
    items before and after the moment, lets the schedule fire, and proves that the export holds the
    earlier state. Needs no AWS account and no credentials; takes some seconds.

    Examples:

    `coldtable demo --keep`

    `coldtable demo --without s3:PutObject`

    Exit codes: 0; else that of what went wrong in the story, 130 after Ctrl-C.

    IAM: none, since no AWS is asked.

    Parameters
    ----------
    keep
        Leave the embedded AWS running when the story is over, until Ctrl-C.
    without
        Take this IAM action away from the role that has it, and see what a failed night looks
        like: dynamodb:ExportTableToPointInTime, s3:PutObject, lambda:InvokeFunction …
    """
    from coldtable.aws.errors import translated

    night = next_night(datetime.now(UTC))
    with EmbeddedAws(["--clock", night.evening.isoformat()]) as aws, translated("demo"):
        context.note(f"The embedded AWS listens on {aws.endpoint}. No Docker, no account.")
        inside = _inside(context, aws)
        scene = Scene(inside.session, time.sleep)
        report = _build(inside, scene, without)
        try:
            stage = _stage(inside, aws, scene)
            proof = play(stage, night, report.outputs["DeadLetterQueueUrl"])
            _must_be_right(check(proof, night))
            growth = keep_continuously(stage, proof.export.bucket, PATH)
            _must_be_right(check_growth(growth))
            back = _restore(inside, stage, proof.export.bucket, growth)
            _must_be_right(check_restored(back, growth))
            _answer(inside, proof, growth, back)
        except ColdtableError as problem:
            if keep:
                inside.note(f"\n{problem}")
                _keep(inside, aws, report)
            raise
        if keep:
            _keep(inside, aws, report)
    return 0


def _restore(
    inside: Context, stage: Stage, bucket: str, growth: Growth
) -> dict[datetime, dict[str, Item]]:
    """The table as it was at the restore points of interest, each restored into a new table."""
    from coldtable.cli.archive import open_archive
    from coldtable.cli.restore import restore_windows
    from coldtable.model_restore import Compare
    from coldtable.ops.restore import restore_table
    from coldtable.ops.restore_plan import RestoreWish, plan_table

    windows = restore_windows(inside, open_archive(inside, f"s3://{bucket}"), None)
    windows = replace(windows, say=inside.detail)
    found = {}
    for number, point in enumerate(sorted(growth.states), 1):
        name = f"{TABLE}-restored-{number}"
        wish = RestoreWish(table=TABLE, at=point, to=name, compare=Compare.FULL)
        report = restore_table(plan_table(wish, windows), windows, lambda _progress: None)
        inside.note(
            f"{stage.clock()}  restored as of {exact_iso(point)} into {name} in "
            f"{report.seconds:.1f} s: {report.comparison.checked} items are the archive's"
        )
        found[point] = plain(stage.scene.items(name))
    return found


def _must_be_right(wrong: list[str]) -> None:
    if wrong:
        raise CheckFailed("The demo is not as it should be: " + "; ".join(wrong))


def _inside(context: Context, aws: EmbeddedAws) -> Context:
    """The same output options, on the embedded AWS. The user's own AWS settings stay out of it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    return replace(
        context,
        profile=None,
        region=aws.region,
        endpoint_url=aws.endpoint,
        access_key="test",
        secret_key="test",  # noqa: S106  the embedded AWS's, for everybody
    )


def _build(inside: Context, scene: Scene, without: str | None) -> DeployReport:
    """The demo's table and the real stack; one action less, if so wished."""
    scene.build_table(inside.detail)
    inside.note(f"The table {TABLE} has point-in-time recovery.")
    report = _deploy(inside)
    inside.note(
        f"The stack {STACK} is {report.outcome}: {len(report.changes)} resources, "
        f"{len(report.findings)} checks passed. Every day at 04:00 in {ZONE} it exports the "
        f"table as it was at {MOMENT:%H:%M}."
    )
    if without:
        role = scene.take_away(without, STACK)
        inside.note(f"The role {role} has lost {without}.")
    return report


def _stage(inside: Context, aws: EmbeddedAws, scene: Scene) -> Stage:
    from coldtable.aws.exporter import DynamoDbExporter
    from coldtable.aws.objects import S3Objects

    return Stage(
        aws=aws,
        scene=scene,
        exporter=DynamoDbExporter(inside.session.client("dynamodb")),
        objects=lambda bucket: S3Objects(inside.session.client("s3"), bucket),
        pause=time.sleep,
        tell=inside.note,
    )


def _deploy(inside: Context) -> DeployReport:
    wish = Wish(
        tables=(TABLE,),
        stack_name=STACK,
        schedule=SCHEDULE,
        timezone=ZONE.key,
        at=MOMENT,
        prefix_template=DEFAULT_TEMPLATE,
        parameter_path=PATH,
        tick=TICK,
    )
    quiet = replace(windows(inside), say=inside.detail)
    return deploy(wish, quiet, template(), build_zip())


def _answer(
    inside: Context,
    proof: Proof,
    growth: Growth,
    back: Mapping[datetime, Mapping[str, Item]],
) -> None:
    body = {
        "export": proof.export.arn,
        "moment": iso(proof.export.moment) if proof.export.moment else None,
        "location": proof.export.location,
        "objects": list(proof.keys),
        "itemsExported": proof.exported,
        "itemsNow": proof.now,
        "chain": {
            "base": exact_iso(growth.healed.chains[0].base),
            "windows": growth.healed.chains[0].windows,
            "newest": exact_iso(growth.healed.chains[0].end),
            "gaps": len(growth.healed.gaps),
            "told": list(growth.told),
        },
        "restored": {exact_iso(point): items for point, items in back.items()},
    }

    def table() -> None:
        out = sys.stdout.write
        out(f"\nObjects in s3://{proof.export.bucket}\n")
        for key in proof.keys:
            out(f"  {key}\n")
        manifest = proof.manifest
        out(
            f"\nThe manifest: {manifest.items} items in {len(manifest.files)} files as of "
            f"{iso(manifest.moment or proof.export.started or datetime.now(UTC))}; "
            "every MD5, gzip CRC and count is right\n\n"
        )
        print_table(["ORDER", "IN THE EXPORT", "IN THE TABLE NOW"], _rows(proof))
        out("\nThe export holds the table as it was at the moment.\n")
        grown, healed = growth.grown.chains[0], growth.healed.chains[0]
        out(f"\nThe chain: {grown.windows} windows before the outage, {healed.windows} after it, ")
        out(f"and no gap.\nPeople were told: {'; '.join(growth.told)}\n")
        points = " and of ".join(map(exact_iso, back))
        out(f"\nThe tables restored as of {points} hold what the table held then.\n")

    inside.answer("coldtable.demo/1", body, table)


def _rows(proof: Proof) -> list[list[str]]:
    def show(item: dict[str, Any] | None) -> str:
        if item is None:
            return "-"
        rest = {name: value for name, value in item.items() if name != "id"}
        return json.dumps(rest, sort_keys=True)

    ids = sorted({*proof.exported, *proof.now})
    return [[i, show(proof.exported.get(i)), show(proof.now.get(i))] for i in ids]


def _keep(inside: Context, aws: EmbeddedAws, report: DeployReport) -> None:
    inside.note("\nThe embedded AWS goes on until Ctrl-C. In another terminal:\n")
    for name, value in aws.env().items():
        inside.note(f"  export {name}={value}")
    inside.note(
        "  aws dynamodb list-exports\n"
        f"  aws s3 ls --recursive s3://{report.outputs['Bucket']}\n"
        "  aws scheduler list-schedules\n"
        f"  aws ssm get-parameters-by-path --path {PATH}\n"
        f"  aws logs filter-log-events --log-group-name {report.outputs['LogGroupName']}\n"
        "  aws cloudwatch describe-alarms\n"
        f"  aws sqs receive-message --endpoint-url {aws.endpoint} --queue-url "
        f"{report.outputs['DeadLetterQueueUrl']}\n"
    )
    try:
        aws.wait()
    except KeyboardInterrupt:
        inside.note("Stopped.")
