"""How a question flows: the one pipeline that every way of asking calls.

admit (and peek) -> compose -> recall, fly -> route -> stream (or deliver) -> settle
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

from shared.cache.entry import Entry
from shared.cache.flights import Follow, Hit, Lead, LogWriter
from shared.completion.admit import admit, allowed_route
from shared.completion.answer import Answer
from shared.completion.call import Call
from shared.completion.compose import Composed, compose
from shared.completion.deliver import LeftToOthersError
from shared.completion.fly import fly
from shared.completion.join import NotAnsweredError, join
from shared.completion.originate import originate
from shared.completion.peek import peek
from shared.completion.refund import refund
from shared.completion.replay import replay
from shared.completion.request import ChatRequest
from shared.completion.semantic import recall
from shared.completion.services import Services
from shared.errors import WeirError
from shared.providers.failures import UpstreamFailure

# A request that joined flights which came to nothing asks for itself after so many.
_FLIGHTS = 3


async def complete(services: Services, call: Call[ChatRequest]) -> Answer:
    """Answer one chat request. Cancelled, it ends the upstream call, unless others wait for the same answer.

    Raises:
        WeirError: The request cannot be answered; the error is fit to be shown to the caller.
    """
    route = allowed_route(services, call)
    peeked = peek(services, call, route)
    admitted = await admit(services, call, route)
    try:
        composed = await compose(services, admitted, peeked.key if peeked else None)
        if peeked and (entry := await peeked.entry):
            return await replay(services, composed, entry, "hit")
        return await _answer(services, composed)
    except LeftToOthersError:
        raise asyncio.CancelledError from None
    except (WeirError, asyncio.CancelledError):
        await refund(services, admitted)
        raise
    except UpstreamFailure as failure:
        await refund(services, admitted)
        raise failure.for_caller() from failure


async def _answer(services: Services, composed: Composed) -> Answer:
    if composed.caching.mode == "semantic":
        recalled = await recall(services, composed)
        if isinstance(recalled, Entry):
            return await replay(services, composed, recalled, "semantic")
        composed = replace(composed, explored=recalled)
    for _ in range(_FLIGHTS):
        boarding = await fly(services, composed)
        match boarding:
            case Hit(entry):
                return await replay(services, composed, entry, "hit")
            case Lead(writer):
                return await _lead(services, composed, writer)
            case Follow():
                with suppress(NotAnsweredError):
                    return await join(services, composed, boarding)
            case None:
                break
    return await originate(services, composed, None)


async def _lead(services: Services, composed: Composed, writer: LogWriter) -> Answer:
    try:
        return await originate(services, composed, writer)
    except LeftToOthersError:
        raise
    except BaseException:
        # Who joined asks for itself, or takes over.
        await writer.abandon()
        raise
