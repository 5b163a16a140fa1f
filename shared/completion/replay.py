"""An answer that was given before, given again: nobody is asked, and nothing is billed."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from shared.cache.entry import Entry
from shared.completion.answer import Answer, BufferedAnswer, StreamedAnswer
from shared.completion.assemble import as_chunks
from shared.completion.compose import Composed
from shared.completion.headers import chat_headers
from shared.completion.relay import ending, event_for
from shared.completion.request import ChatRequest
from shared.completion.services import Services
from shared.completion.settle import Settlement, UpstreamCall, settle
from shared.ledger.usage import CacheOutcome, Outcome
from shared.providers.catalog import Deployment
from shared.providers.tokens import TokenUsage


async def replay(services: Services, composed: Composed, entry: Entry, outcome: CacheOutcome) -> Answer:
    """The stored answer, whole or as a stream."""
    admitted = composed.admitted
    completion = orjson.loads(entry.completion)
    await settle_spared(services, composed, completion, entry.provider, outcome)
    headers = chat_headers(composed, entry.provider, entry.model, outcome)
    if not admitted.call.request.stream:
        return BufferedAnswer(headers, entry.completion)
    return StreamedAnswer(headers, _events(completion, admitted.call.request))


async def settle_spared(
    services: Services,
    composed: Composed,
    completion: dict[str, Any],
    provider: str,
    cache_outcome: CacheOutcome,
    outcome: Outcome = "completed",
) -> None:
    """Bill an answer that cost this caller nothing, with the tokens that it spared."""
    usage = TokenUsage.from_body(completion.get("usage"))
    settlement = Settlement(
        calls=(UpstreamCall(answerer(composed, provider), usage),),
        estimated=not usage.total,
        outcome=outcome,
        cache_outcome=cache_outcome,
        spared=True,
    )
    await settle(services, composed.admitted, settlement)


def answerer(composed: Composed, provider: str) -> Deployment:
    """The deployment of this provider; the first one when the provider has left the catalog since."""
    deployments = composed.admitted.route.deployments
    return next((d for d in deployments if d.provider.name == provider), deployments[0])


async def _events(completion: dict[str, Any], request: ChatRequest) -> AsyncIterator[bytes]:
    yield b"".join(
        event_for(request.wants_usage, b"data: " + orjson.dumps(chunk), chunk, number=0)
        for chunk in as_chunks(completion)
    ) + ending("completed")
