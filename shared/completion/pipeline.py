"""How a question flows: the one pipeline that every way of asking calls.

admit -> compose -> route -> stream (or deliver) -> settle
"""

import asyncio

from shared.completion.admit import admit
from shared.completion.answer import Answer, StreamedAnswer
from shared.completion.call import Call
from shared.completion.compose import compose
from shared.completion.deliver import deliver
from shared.completion.headers import answer_headers
from shared.completion.refund import refund
from shared.completion.relay import Relay
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.completion.settle import abandoned, settle
from shared.errors import WeirError
from shared.providers.failures import UpstreamFailure

_PATH = "/chat/completions"


async def complete(services: Services, call: Call[ChatRequest]) -> Answer:
    """Answer one chat request.

    Raises:
        WeirError: The request cannot be answered; the error is fit to be shown to the caller.
    """
    admitted = await admit(services, call)
    try:
        composed = await compose(services, admitted)
        if call.request.stream:
            under_way = await services.router.stream(admitted.deployments, _PATH, composed.body)
            relay = Relay(services, composed, under_way)
            return StreamedAnswer(answer_headers(admitted, under_way.deployment), relay.events())
        whole = await services.router.send(admitted.deployments, _PATH, composed.body)
        return await deliver(services, composed, whole)
    except asyncio.CancelledError:
        await settle(services, admitted, abandoned(admitted))
        raise
    except WeirError:
        await refund(services, admitted)
        raise
    except UpstreamFailure as failure:
        await refund(services, admitted)
        raise failure.for_caller() from failure
