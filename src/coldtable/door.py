"""What the doors of the Lambdas share: environment, log, answers, and what they print for
CloudWatch."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from coldtable.errors import ColdtableError, ParameterInvalid, ParameterMissing, Untold

PATH_VARIABLE = "COLDTABLE_PARAMETER_PATH"
TOPIC_VARIABLE = "COLDTABLE_TOPIC_ARN"
STACK_VARIABLE = "COLDTABLE_STACK"


def log_of(name: str) -> logging.Logger:
    """A door's log, as loud as the function is configured."""
    logging.getLogger("coldtable").setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO"))
    # At INFO it says in each cold start where it found its credentials.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    return logging.getLogger(name)


def variable(name: str) -> str:
    """A variable of the function's environment; empty if it is not there."""
    return os.environ.get(name, "")


def topic() -> str:
    """The topic that people are told through; ``ParameterInvalid`` if there is none."""
    found = variable(TOPIC_VARIABLE)
    if not found:
        raise ParameterInvalid(
            f"The function's environment has no {TOPIC_VARIABLE}, so nobody could be told anything",
            hint="Deploy again: the stack sets it",
        )
    return found


def whereabouts(context: object) -> tuple[str, str, str]:
    """Partition, region and account of the function that runs, by its own ARN."""
    arn = str(getattr(context, "invoked_function_arn", "")).split(":")
    if len(arn) < 5:
        raise ParameterInvalid(
            "The function was called without its ARN", hint="Call it as Lambda does"
        )
    return arn[1], arn[3], arn[4]


def days_of(days: int | None, path: str, name: str, option: str) -> int:
    """The number that says how often the function does its work."""
    if days is None:
        raise ParameterMissing(
            f"The parameter {path}/{name} does not exist, so nothing says how often this is done",
            hint=f"Create it, or deploy again: with {option}, or without to remove this function",
        )
    return days


def unheard(
    what: str, problems: Iterable[str], errors: Iterable[ColdtableError | None]
) -> ColdtableError | None:
    """What nobody would hear of otherwise, in one error; ``what`` says in words what was to be."""
    lines = list(problems)
    if not lines:
        return None
    return Untold(
        f"{what}: " + "; ".join(lines),
        hint="\n".join(dict.fromkeys(error.hint for error in errors if error and error.hint)),
    )


def answer(
    body: Mapping[str, Any], problem: ColdtableError | None, *, by_schedule: bool
) -> dict[str, Any]:
    """What a run answers, with the ``problem`` that nobody would hear of otherwise; to the schedule
    that is raised."""
    if problem and by_schedule:
        raise problem
    told = {**body, "problem": problem and problem.told}
    return {"statusCode": 500 if problem else 200, "body": json.dumps(told)}


def refusal(
    error: ColdtableError, log: logging.Logger, body: Mapping[str, Any], *, by_schedule: bool
) -> dict[str, Any]:
    """What a run answers that did not come to its work; to the schedule that is raised."""
    log.error(error.message, extra={"code": error.code, "hint": error.hint})
    if by_schedule:
        raise error
    return {"statusCode": 500, "body": json.dumps({**body, **error.told})}


def print_line(line: str) -> None:
    """To stdout as it is: the log's own JSON would hide it from CloudWatch."""
    sys.stdout.write(line + "\n")
