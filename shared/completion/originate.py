"""Fifth and sixth step, for who asks upstream: route, then stream or deliver."""

import asyncio
from dataclasses import replace

from shared.cache.flights import LogWriter
from shared.completion.answer import Answer, StreamedAnswer
from shared.completion.compose import Composed
from shared.completion.deliver import PATH, deliver, head_of
from shared.completion.headers import chat_headers
from shared.completion.production import Production
from shared.completion.relay import relay
from shared.completion.services import Services
from shared.completion.settle import abandoned, settle
from shared.completion.succession import Succession
from shared.ledger.usage import CacheOutcome
from shared.providers.reasoning_vault import needs_reasoning


async def originate(services: Services, composed: Composed, writer: LogWriter | None) -> Answer:
    """A provider's answer, in the log for others where there is one.

    Raises:
        UpstreamFailure: Nobody answered; the log has no end.
        LeftToOthersError: The caller left, and others wait for the answer.
    """
    composed = await _with_reasoning(services, composed)
    try:
        if composed.admitted.call.request.stream:
            return await _stream(services, composed, writer)
        return await deliver(services, composed, writer, _outcome(composed))
    except asyncio.CancelledError:
        await settle(services, composed.admitted, abandoned(composed.admitted))
        raise


async def _with_reasoning(services: Services, composed: Composed) -> Composed:
    """Put back what the model thought on earlier turns; the cache is asked before, in the caller's words."""
    if not needs_reasoning(composed.admitted.route.deployments):
        return composed
    tenant_id = composed.admitted.call.caller.tenant_id
    messages = await services.vault.fill(tenant_id, composed.body["messages"])
    return replace(composed, body={**composed.body, "messages": messages})


async def _stream(services: Services, composed: Composed, writer: LogWriter | None) -> StreamedAnswer:
    call, admitted = composed.admitted.call, composed.admitted
    if writer:
        writer.publish(call.request_id, call.caller.key_id)
        writer.keep_body(Succession.of(composed).encode())
    under_way = await services.router.stream(
        admitted.route, PATH, composed.body, tenant_id=call.caller.tenant_id, deadline=admitted.deadline
    )
    if writer:
        writer.add([head_of(under_way.deployment)])
    production = Production(services, composed, under_way, writer, _outcome(composed))
    deployment = under_way.deployment
    headers = chat_headers(composed, deployment.provider.name, deployment.model.name, _outcome(composed))
    return StreamedAnswer(headers, relay(production, call.request, numbered=writer is not None))


def _outcome(composed: Composed) -> CacheOutcome:
    return "off" if composed.caching.mode == "off" else "miss"
