"""The command line: global options, the commands, and what becomes of an error."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console

import coldtable
from coldtable.cli.catalog import catalog
from coldtable.cli.config import config
from coldtable.cli.context import Context, Output
from coldtable.cli.demo import demo
from coldtable.cli.deploy import deploy
from coldtable.cli.destroy import destroy
from coldtable.cli.drill import drill
from coldtable.cli.expire import run_expire
from coldtable.cli.export import export
from coldtable.cli.hold import hold
from coldtable.cli.local import local
from coldtable.cli.materialize import materialize
from coldtable.cli.pause import pause, resume
from coldtable.cli.policy import policy
from coldtable.cli.report import report
from coldtable.cli.restore import restore
from coldtable.cli.revert import revert
from coldtable.cli.status import show_status
from coldtable.cli.tick import run_tick
from coldtable.cli.verify import verify
from coldtable.errors import ColdtableError

GLOBAL = Group("Global options", sort_key=9)


def _default(value: Any) -> str | None:
    """What help says of an option's default: nothing of what is off or empty without it."""
    return None if value in (None, False, (), "") else str(value)


app = App(
    name="coldtable",
    help=(
        "Keep DynamoDB tables in S3 for good: scheduled, verified exports of their "
        "point-in-time state."
    ),
    version=coldtable.__version__,
    version_flags=["--version"],
    default_parameter=Parameter(negative=(), show_default=_default),
    help_format="markdown",
)

# Their modules import the AWS SDK only when they run: `coldtable --help` need not wait for it.
for command in (
    deploy,
    destroy,
    export,
    verify,
    restore,
    drill,
    revert,
    materialize,
    hold,
    report,
    pause,
    resume,
    config,
    policy,
    catalog,
    demo,
    local,
):
    app.command(command)
app.command(run_tick, name="tick")
app.command(run_expire, name="expire")
app.command(show_status, name="status")


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    profile: Annotated[str | None, Parameter(group=GLOBAL)] = None,
    region: Annotated[str | None, Parameter(group=GLOBAL)] = None,
    endpoint_url: Annotated[str | None, Parameter(group=GLOBAL)] = None,
    output: Annotated[Output, Parameter(group=GLOBAL)] = "table",
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], group=GLOBAL)] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], group=GLOBAL)] = False,
    # Read by main() too, which is there before anything is parsed.
    debug: Annotated[bool, Parameter(group=GLOBAL)] = False,  # noqa: ARG001
) -> Any:
    """Run one command.

    Parameters
    ----------
    profile
        The profile of the AWS configuration to use.
    region
        The AWS region; else AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
    endpoint_url
        Talk to this address instead of AWS, for example that of `coldtable local`.
    output
        How the answer is written on stdout: a table for people, or JSON.
    verbose
        Say more on stderr.
    quiet
        Say nothing on stderr but errors.
    debug
        Show the traceback of an error.
    """
    context = Context(
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
        output=output,
        verbosity=int(verbose) - int(quiet),
    )
    command, bound, injected = app.parse_args(tokens, exit_on_error=False, print_error=False)
    return command(*bound.args, **bound.kwargs, **dict.fromkeys(injected, context))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of ``docs/exit-codes.md``."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminated)
    # The log is the Lambda's. Here the report says it all, and Python would print a bare
    # "export not started" of its own accord.
    logging.getLogger("coldtable").addHandler(logging.NullHandler())
    sys.exit(_exit_code(tokens, debug="--debug" in tokens))


def _exit_code(tokens: list[str], *, debug: bool) -> int:
    try:
        result = app.meta(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        _say(str(error), "To see the options: coldtable --help, or coldtable COMMAND --help")
        return 2
    except ColdtableError as error:
        if debug:
            traceback.print_exc()
        _say(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        _say("Interrupted", "")
        return 130
    except BrokenPipeError:
        # Whoever read our answer has gone; Python would complain about stdout again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # The door: nothing passes it as a traceback.
        if debug:
            raise
        _say(
            f"Internal error: {type(error).__name__}: {error}",
            "This is a bug in coldtable. Run it again with --debug, and report what it prints",
        )
        return 1
    return result if isinstance(result, int) else 0


def _say(message: str, hint: str) -> None:
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    err.print("error: ", style="bold red", end="")
    err.print(message, markup=False)
    for line in filter(None, hint.splitlines()):
        err.print(f"  hint: {line}", markup=False)


def _terminated(_signal: int, _frame: object) -> None:
    # SystemExit, so that every `with` on the way out cleans up.
    sys.exit(143)
