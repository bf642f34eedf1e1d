"""``coldtable local``: only the embedded AWS, for people's own experiments and CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from coldtable.cli.context import Context
from coldtable.local.process import EmbeddedAws


def local(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 4566,
    state: Path | None = None,
    clock: str | None = None,
    export_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 0.3,
    context: Annotated[Context, Parameter(parse=False)],
) -> int:
    """Run the embedded AWS on 127.0.0.1 until Ctrl-C.

    Access key `test` is the root of account 000000000000, so any AWS SDK works at once; roles and
    users that you make are enforced.

    Examples:

    `coldtable local --port 8000`

    `coldtable local --state ./aws --clock +86400`

    Exit codes: 0; 1 if it cannot start; 2 if an option is wrong; 130 after Ctrl-C.

    IAM: none, since no AWS is asked.

    Parameters
    ----------
    port
        The port to listen on; 0 takes a free one.
    state
        Keep tables, buckets and history in this folder over a restart.
    clock
        Start at this time (2026-12-24T18:00Z) or so many seconds ahead (+86400); forward only.
    export_seconds
        How long an export takes.
    """
    options = ["--port", str(port), "--export-seconds", str(export_seconds)]
    if state:
        options += ["--state", str(state)]
    if clock:
        options += ["--clock", clock]
    if context.region:
        options += ["--region", context.region]
    with EmbeddedAws(options) as aws:
        exports = {k: v for k, v in aws.env().items() if k != "AWS_REGION"}

        def table() -> None:
            context.note(f"The embedded AWS listens on {aws.endpoint} until Ctrl-C.")
            for name, value in exports.items():
                print(f"export {name}={value}")  # noqa: T201  the answer

        body = {
            "endpoint": aws.endpoint,
            "account": aws.account,
            "region": aws.region,
            "environment": aws.env(),
        }
        context.answer("coldtable.local/1", body, table)
        try:
            aws.wait()
        except KeyboardInterrupt:
            context.note("Stopped.")
    return 0
