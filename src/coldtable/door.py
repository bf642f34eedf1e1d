"""What the doors of the Lambdas share: environment, log, and what they print for CloudWatch."""

from __future__ import annotations

import logging
import os
import sys

from coldtable.errors import ParameterInvalid

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


def print_line(line: str) -> None:
    """To stdout as it is: the log's own JSON would hide it from CloudWatch."""
    sys.stdout.write(line + "\n")
