"""A client comes back for the rest of its answer, or wants no more of it."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson

from shared.cache.flights import LeaderLost, Located, LogGone, LogItem
from shared.completion.answer import StreamedAnswer
from shared.completion.relay import ending, error_event, event_for
from shared.completion.services import Services
from shared.completion.take_over import LogReading
from shared.errors import NotFoundError, UpstreamError
from shared.limits.caller import Caller
from shared.providers.sse import encode_event

_GONE = UpstreamError("The rest of this answer is lost; ask again.", code="answer_lost")


async def resume(services: Services, caller: Caller, answer_id: str, after: int) -> StreamedAnswer:
    """The events of an answer that follow the one with the id `after` (0 for all), live until its end.

    Raises:
        NotFoundError: The caller has no such answer, or it is over for longer than logs are kept.
    """
    located = await _locate(services, caller, answer_id)
    return StreamedAnswer({}, _events(LogReading(services, located.key, located.flight_id), answer_id, after))


async def cancel(services: Services, caller: Caller, answer_id: str) -> bool:
    """End an answer, and its upstream call when nobody else reads it; whether it was under way.

    Raises:
        NotFoundError: The caller has no such answer.
    """
    return await services.flights.cancel(await _locate(services, caller, answer_id), answer_id)


async def _locate(services: Services, caller: Caller, answer_id: str) -> Located:
    """Where an answer of this caller's key is; an admin's key finds all of its tenant."""
    located = await services.flights.locate(caller.tenant_id, answer_id)
    if located is None or (located.key_id != caller.key_id and caller.role != "admin"):
        raise NotFoundError(f"There is no answer {answer_id!r} that could be read; ask again.")
    return located


async def _events(reading: LogReading, answer_id: str, after: int) -> AsyncIterator[bytes]:
    # From the start, whatever the client has: who takes the answer over must know all that was said.
    try:
        async with aclosing(reading.items()) as items:
            async for item in items:
                if event := _event(item, answer_id, after):
                    yield event
                if item.kind == "end" or _is_cancel(item, answer_id):
                    return
    except (LeaderLost, LogGone):
        pass
    yield error_event(_GONE)


def _event(item: LogItem, answer_id: str, after: int) -> bytes:
    match item.kind:
        case "chunk" if item.index > after:
            return event_for(True, b"data: " + item.data, None, number=item.index)
        case "cancel" if _is_cancel(item, answer_id):
            return ending("cancelled")
        case "end":
            end = orjson.loads(item.data)
            return encode_event(str(end["error"]).encode()) if end["error"] else ending(end["outcome"])
        case _:
            return b""


def _is_cancel(item: LogItem, answer_id: str) -> bool:
    return item.kind == "cancel" and item.data == answer_id.encode()
