"""A key's one spelling as bytes: two items have the same key if and only if it is the same.

Keys are equal by type and value: ``1.0`` is the number ``1``, and binary is its bytes.
"""

from __future__ import annotations

import binascii
import hashlib

from coldtable.core.numbers import parse_number, plain_number
from coldtable.errors import ItemInvalid

# Values of up to this many bytes stand for themselves; of longer ones only their SHA-256 is kept,
# after a byte that no UTF-8 has.
LONGEST = 250
_DIGEST = b"\xff"


def key_bytes(kind: str, text: str) -> bytes:
    """The value of a key attribute of the type ``kind`` (S, N or B), as DynamoDB JSON spells it.

    Raises ``ItemInvalid`` for what is none.
    """
    match kind:
        case "N":
            found = _number(text)
        case "B":
            found = _binary(text)
        case _:
            found = _string(text)
    if not found:
        raise ItemInvalid("a key attribute is empty")
    return found if len(found) <= LONGEST else _DIGEST + hashlib.sha256(found).digest()


def _number(text: str) -> bytes:
    try:
        parse_number(text)
    except ValueError as error:
        raise ItemInvalid(str(error)) from None
    return plain_number(text).encode()


def _binary(text: str) -> bytes:
    """The base64 that this very value has; others may have stray bits after its last byte."""
    try:
        held = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ItemInvalid(f"B is not base64: {error}") from None
    return binascii.b2a_base64(held, newline=False)


def _string(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ItemInvalid("it holds half of a surrogate pair, which is no text") from None
