"""An answer as its caller sees it, as server-sent events."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from shared.completion.production import Production
from shared.completion.request import ChatRequest
from shared.errors import ConflictError, WeirError
from shared.providers.sse import DONE, encode_event


async def relay(production: Production, request: ChatRequest, *, numbered: bool) -> AsyncIterator[bytes]:
    """The events of a production, several to a piece when they came together.

    Ends with `[DONE]`, or with an error event of OpenAI's shape and without. To close it early is to leave.

    Args:
        production: The answer.
        request: Says whether the caller asked for usage.
        numbered: Whether events carry the `id` by which a client comes back.
    """
    batches = production.batches()
    try:
        async for batch in batches:
            shown = b"".join(
                event_for(request.wants_usage, p.raw, p.chunk, number=p.index if numbered else 0)
                for p in batch
            )
            if shown:
                yield shown
    finally:
        await batches.aclose()  # type: ignore[attr-defined]
    if production.failure:
        yield error_event(production.failure.for_caller())
    else:
        yield ending(production.outcome or "")


def event_for(wants_usage: bool, raw: bytes, chunk: Mapping[str, Any] | None, *, number: int) -> bytes:
    """One event for this caller: empty when it holds nothing but usage that was not asked for.

    Args:
        wants_usage: Whether the caller asked for usage.
        raw: The event as it came, without its empty line.
        chunk: What it says; `None` for a comment.
        number: Its `id`, or 0 for none.
    """
    if chunk is not None and not wants_usage and chunk.get("usage"):
        if not chunk.get("choices"):
            return b""
        raw = b"data: " + orjson.dumps({name: value for name, value in chunk.items() if name != "usage"})
    return (b"id: %d\n%s\n\n" % (number, raw)) if number else raw + b"\n\n"


def ending(outcome: str) -> bytes:
    """What follows the last event: `[DONE]`, or the error that the answer was cancelled."""
    if outcome == "completed":
        return encode_event(DONE)
    return error_event(ConflictError("The answer was cancelled before its end.", code="cancelled"))


def error_event(error: WeirError) -> bytes:
    """An error after the first byte: an event of OpenAI's error shape."""
    return encode_event(orjson.dumps(error.body()))
