"""Proves at start that ministack is the one that our seams were made for."""

from __future__ import annotations

import importlib.metadata
import inspect

PINNED = "1.5.33"


class SeamBroken(Exception):
    """ministack is not as we need it; the message names the seam."""

    def __init__(self, seam: str, why: str) -> None:
        found = importlib.metadata.version("ministack")
        super().__init__(
            f"the seam {seam} is broken: {why}. coldtable reaches into ministack {PINNED}, "
            f"and {found} is installed. Install it with: pip install 'ministack=={PINNED}'"
        )


# Seam -> (module, attribute, parameters that we pass or replace).
_EXPECTED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "iam resource": (
        "ministack.core.iam_actions",
        "extract_resource_arn",
        ("service", "method", "path", "headers", "body", "query_params", "region", "account_id"),
    ),
    "iam enforcement": (
        "ministack.core.iam_evaluator",
        "enforce",
        ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"),
    ),
    "credential": (
        "ministack.core.iam_evaluator",
        "resolve_credential",
        ("access_key_id", "account_id", "session_token"),
    ),
    "request origin": ("ministack.app", "pin_request_origin", ("source_ip", "secure_transport")),
    "signature age": ("ministack.core.sigv4", "request_time_failure", ("signature", "now")),
}


def check_signatures() -> None:
    """Every attribute that we use or replace exists with the parameters we expect.

    Runs before anything is replaced. Raises ``SeamBroken``.
    """
    version = importlib.metadata.version("ministack")
    if version != PINNED:
        raise SeamBroken("version", f"it is {version}")
    for seam, (module_name, name, parameters) in _EXPECTED.items():
        module = importlib.import_module(module_name)
        found = getattr(module, name, None)
        if found is None:
            raise SeamBroken(seam, f"{module_name}.{name} is gone")
        actual = tuple(inspect.signature(found).parameters)
        if actual != parameters:
            raise SeamBroken(seam, f"{module_name}.{name} takes {actual}, not {parameters}")
