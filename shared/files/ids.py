"""Identifiers like OpenAI's, whose text order is the order in which they were made."""

import re
import secrets
from datetime import datetime
from typing import Literal

Prefix = Literal["file-", "vs_", "vsfb_", "batch_"]

# Crockford's base 32 in lower case: digits sort before letters in every collation.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26

# Wider than what `new_id` makes, so that an id made up by a caller is unknown rather than malformed.
_SHAPE = r"[A-Za-z0-9_-]{1,64}"


def new_id(prefix: Prefix, now: datetime) -> str:
    """`prefix` and 26 characters: 48 bits of milliseconds, then 80 random bits (a ULID, https://github.com/ulid/spec)."""
    number = int(now.timestamp() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return prefix + "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def is_id(prefix: Prefix, value: str) -> bool:
    """Whether `value` could be an id of this kind."""
    return re.fullmatch(prefix + _SHAPE, value) is not None
