"""Changing a policy's JSON as SSM keeps it."""

from __future__ import annotations

import json
import re
from datetime import datetime

from coldtable.core.policy_fields import BY_NAME, PAUSE
from coldtable.errors import ParameterInvalid, UsageError

# A standard parameter's value [MODEL]; a larger one would be an advanced parameter, and cost.
LONGEST_VALUE = 4096
# SSM takes it for a reference to another parameter, and refuses the value [MODEL].
_REFERENCE = re.compile(r"\{\{.*\}\}", re.DOTALL)


def with_enabled(
    own: str | None, *, enabled: bool, reason: str, since: datetime, by: str = ""
) -> str:
    """The JSON ``own`` (``None``: there is none yet), paused or enabled since then and for that.

    Every other field stays as it is. ``own`` is good, as ``parse_configuration`` would say.
    """
    fields = json.loads(own or "{}")
    kept = {name: value for name, value in fields.items() if name not in PAUSE}
    stamp = {"enabled": enabled, "reason": reason, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps({**kept, **stamp, **({"by": by} if by else {})})


def check_line(what: str, text: str) -> str:
    """The text, stripped, if it can be a pause's ``reason`` or ``by``."""
    line = text.strip()
    field = BY_NAME["reason"]
    if not re.fullmatch(field.pattern, line):
        raise UsageError(f"{what} {text!r} is not {field.looks}")
    return line


def check_storable(name: str, value: str) -> None:
    """Raise ``ParameterInvalid`` if SSM would refuse this value for ``name``, or charge for it."""
    size = len(value.encode())
    if size > LONGEST_VALUE:
        raise ParameterInvalid(
            f"{name} would take {size} bytes, and a standard parameter holds {LONGEST_VALUE}",
            hint="Use globs instead of names, or give tables policies of their own",
        )
    if _REFERENCE.search(value):
        raise ParameterInvalid(
            f"{name} would have {{{{…}}}} in it, which SSM refuses",
            hint="Write the text without double braces",
        )
