"""From the options of a deployment to the configuration that its functions will read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coldtable.core import settings as names
from coldtable.core.configuration import POLICY, parse_configuration
from coldtable.core.prefix import DEFAULT_TEMPLATE
from coldtable.core.settings import parse_table_names
from coldtable.errors import ConfigError, UsageError
from coldtable.model_policy import Configuration
from coldtable.model_stack import Wish

_GLOB = re.compile(r"[A-Za-z0-9_.*?-]{1,255}")
# Stands for the bucket that the stack will make.
A_BUCKET = "made-by-the-stack"


def complete(wish: Wish) -> Wish:
    """The wish with its globs, ``tagged``, ``continuous``, the bucket's owner and key in its
    policy, and names alone in its tables. Raises what is wrong with one of them."""
    given = [one.strip() for text in wish.tables for one in text.split(",")]
    globs = [one for one in given if set(one) & set("*?")]
    named = parse_table_names(",".join(one for one in given if one not in globs))
    bad = [one for one in globs if not _GLOB.fullmatch(one)]
    if bad:
        raise UsageError(
            f"{', '.join(map(repr, bad))} cannot be part of a table name",
            hint="A glob has letters, digits, _.- and the wildcards * and ?",
        )
    return replace(wish, tables=named, policy=_policy_text(wish, globs))


def configuration(wish: Wish, kept: Mapping[str, str]) -> Configuration:
    """What the functions will read once this complete ``wish`` is deployed, and ``kept`` is still
    there beside it."""
    found = {
        names.BUCKET: wish.bucket or A_BUCKET,
        # What is wrong with these is told elsewhere, in the words of their options.
        names.DAY: "0",
        names.HOUR: "0",
        names.MINUTE: "0",
        names.SECOND: "0",
        names.ZONE: "UTC",
        names.PREFIX: DEFAULT_TEMPLATE,
        names.TABLES: ",".join(wish.tables),
        POLICY: wish.policy,
    }
    written = {name: value for name, value in found.items() if value}
    return parse_configuration(wish.parameter_path, {**written, **kept})


def _policy_text(wish: Wish, globs: Sequence[str]) -> str:
    """POLICY on one line; empty where the simple parameters say all."""
    said = wish.policy.strip()
    beside = wish.tables and (wish.continuous or wish.bucket_owner or wish.bucket_key)
    if not (said or globs or wish.tagged or beside):
        return ""
    try:
        fields = json.loads(said or "{}")
    except ValueError as error:
        raise ConfigError(f"--policy: this is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ConfigError("--policy: this is not a JSON object")
    if wish.continuous and fields.setdefault("mode", "continuous") != "continuous":
        raise UsageError(
            "--continuous contradicts the mode of --policy", hint="Leave one of them away"
        )
    for field, option, value in (
        ("bucket_owner", "--bucket-owner", wish.bucket_owner),
        # The bucket's default does not do for exports: they are asked for with a key, or AES256.
        ("kms_key", "--bucket-kms-key", wish.bucket_key),
    ):
        # A key may be named by its id, the end of its ARN.
        if value and not value.endswith(str(fields.setdefault(field, value))):
            raise UsageError(
                f"{option} contradicts the {field} of --policy", hint="Leave one of them away"
            )
    if wish.tagged:
        fields["tagged"] = True
    stated = fields.get("tables", [])
    if globs and isinstance(stated, list):
        fields["tables"] = [*stated, *globs]
    return json.dumps(fields, separators=(",", ":"))
