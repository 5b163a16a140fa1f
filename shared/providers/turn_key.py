"""By what an assistant turn is known again after its client wrote it down and sent it back.

Clients store an answer in forms of their own: content as a string or in parts, none or empty, trimmed, with
other line ends; tool calls in another order; fields they do not know dropped. What such a client sends back
must have the key under which the answer was kept.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

Message = Mapping[str, Any]

_WHITESPACE = b" \t\r\n\v\f"


def turn_key(tenant_id: str, before: Sequence[Message], turn: Message) -> str | None:
    """A digest in hex, or `None` for a turn that says nothing to know it by.

    Tool calls are known by their ids, which are random. Text is known together with what it answers, the last
    message before it: short answers ("Done.") would else stand for each other's reasoning.

    Args:
        tenant_id: Whose turn it is.
        before: The messages before it, as the caller sent them.
        turn: The assistant's message.
    """
    calls = turn.get("tool_calls")
    if isinstance(calls, Sequence) and calls:
        ids = [call.get("id") for call in calls if isinstance(call, Mapping)]
        named = sorted(name for name in ids if isinstance(name, str) and name)
        return _digest(b"calls", tenant_id, orjson.dumps(named)) if len(named) == len(calls) else None
    said = _text(turn)
    return _digest(b"text", tenant_id, _text(before[-1]) if before else b"", said) if said else None


def _text(message: Message) -> bytes:
    """What a message says, without white space, in which clients differ."""
    content = message.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(text for text in parts if isinstance(text, str))
    if not isinstance(content, str):
        return b""
    return content.encode("utf-8", "surrogatepass").translate(None, _WHITESPACE)


def _digest(kind: bytes, tenant_id: str, *parts: bytes) -> str:
    digest = hashlib.blake2b(kind, digest_size=16)
    for part in (tenant_id.encode(), *parts):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
