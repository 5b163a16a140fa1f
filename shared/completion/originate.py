"""Fifth and sixth step, for who asks upstream: route, then stream or deliver."""

from shared.cache.flights import LogWriter
from shared.completion.answer import Answer, StreamedAnswer
from shared.completion.compose import Composed
from shared.completion.deliver import PATH, deliver, head_of
from shared.completion.headers import answer_headers
from shared.completion.production import Production
from shared.completion.relay import relay
from shared.completion.services import Services
from shared.completion.succession import Succession
from shared.ledger.usage import CacheOutcome


async def originate(services: Services, composed: Composed, writer: LogWriter | None) -> Answer:
    """A provider's answer, in the log for others where there is one.

    Raises:
        UpstreamFailure: Nobody answered; the log has no end.
    """
    call, admitted = composed.admitted.call, composed.admitted
    outcome: CacheOutcome = "off" if composed.caching.mode == "off" else "miss"
    if not call.request.stream:
        return await deliver(services, composed, writer, outcome)
    under_way = await services.router.stream(
        admitted.route, PATH, composed.body, tenant_id=call.caller.tenant_id, deadline=admitted.deadline
    )
    if writer:
        writer.publish(call.request_id, call.caller.key_id)
        writer.keep_body(Succession.of(composed).encode())
        writer.add([head_of(under_way.deployment)])
    production = Production(services, composed, under_way, writer, outcome)
    deployment = under_way.deployment
    headers = answer_headers(admitted, deployment.provider.name, deployment.model.name, outcome)
    return StreamedAnswer(headers, relay(production, call.request, numbered=writer is not None))
