"""The exact cache's key: a digest of everything that decides an answer, and of nothing else.

Two bodies share a key when they are the same JSON value: the order of fields is ignored and numbers count by
value (`0`, `0.0` and `-0.0` are one, as are `1e3` and `1000`; `true` is no number). Fields that Weir does not
know are included. Left out is what says how an answer travels or who pays for it, not what it says.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import orjson

# Part of every key: one step up for each change of the key's or of the entry's form.
_VERSION = 1

# `service_tier` changes price and speed, `user_id` (DeepSeek) separates the provider's own caches.
TRANSPORT_FIELDS = frozenset(
    {
        "metadata",
        "model",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
        "user_id",
        "weir",
    }
)

# orjson writes 254 levels; it reads 1,024.
_DEPTH = 200

_WALKED = frozenset({float, dict, list, tuple})


class _UnusualError(Exception):
    """A value that orjson cannot write."""


def exact_key(body: Mapping[str, Any], *, tenant_id: str, model: str) -> str:
    """SHA-256 in hex of what decides the answer.

    Args:
        body: The whole body that would be sent, decoded from JSON. A field of it that is null counts as left
            out, as OpenAI has it; further down null is a value.
        tenant_id: Whose answer it is.
        model: The model's resolved name; `model` of the body is ignored, so aliases share.
    """
    asked = {
        name: value for name, value in body.items() if value is not None and name not in TRANSPORT_FIELDS
    }
    whole = [_VERSION, tenant_id, model, asked]
    try:
        text = orjson.dumps(_normal(whole, 0), option=orjson.OPT_SORT_KEYS)
    except (_UnusualError, TypeError):
        # A prefix that no JSON list begins with keeps the two forms apart.
        text = b"tagged:" + _tagged(whole)
    return hashlib.sha256(text).hexdigest()


def _normal(value: Any, depth: int) -> Any:
    """The value with numbers in one form; what needs no change is not copied."""
    if isinstance(value, float):
        return _number(value)
    if depth > _DEPTH:
        raise _UnusualError
    if isinstance(value, dict):
        for inner in value.values():
            if type(inner) in _WALKED:
                return {
                    name: _normal(inner, depth + 1) if type(inner) in _WALKED else inner
                    for name, inner in value.items()
                }
        return value
    return [_normal(inner, depth + 1) if type(inner) in _WALKED else inner for inner in value]


def _number(value: float) -> int | float:
    if value.is_integer():
        return int(value)
    if not math.isfinite(value):
        raise _UnusualError
    return value


def _tagged(whole: Any) -> bytes:
    """Any JSON value as tagged, length-prefixed text, whatever its depth and the size of its numbers."""
    parts: list[bytes] = []
    waiting: list[Any] = [whole]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            parts.append(b"{%d:" % len(value))
            for name in sorted(value, reverse=True):
                waiting += (value[name], name)
        elif isinstance(value, (list, tuple)):
            parts.append(b"[%d:" % len(value))
            waiting += reversed(value)
        else:
            parts.append(_scalar(value))
    return b"".join(parts)


def _scalar(value: Any) -> bytes:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(text), text)
    if value is None or isinstance(value, (bool, int, float)):
        # Hex, since Python refuses to write a number of over 4,300 digits.
        text = (hex(value) if type(value) is int else repr(value)).encode()
        return b"v%d:%b" % (len(text), text)
    raise TypeError(f"{type(value).__name__} is no JSON value")
