"""The bootstrap of an emulated Python function; run by path with ``python -I -S``, never imported.

Arguments: the folder with boto3 and awslambdaric, and the file that holds the clock's offset.
The function sees the standard library, its own zip and that folder, in Lambda's order.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

packages, clock_file = sys.argv[1:3]
sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], packages]

from awslambdaric import bootstrap  # noqa: E402
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: E402


class _Clock:
    """Holds this process to the emulator's time."""

    def __init__(self) -> None:
        self.traveller: Any = None

    def set(self) -> None:
        with open(clock_file) as file:
            offset = float(file.read() or 0)
        if not offset:
            return
        import time_machine  # only a moved clock pays for this import

        if self.traveller is None:
            self.traveller = time_machine.travel(time.time() + offset, tick=True).start()
        else:
            self.traveller.move_to(time_machine.escape_hatch.time.time() + offset)


class _Client(LambdaRuntimeClient):  # type: ignore[misc]
    def wait_next_invocation(self) -> Any:
        request = super().wait_next_invocation()
        clock.set()
        return request


clock = _Clock()
clock.set()
bootstrap.run(os.environ["_HANDLER"], _Client(os.environ["AWS_LAMBDA_RUNTIME_API"], False))
