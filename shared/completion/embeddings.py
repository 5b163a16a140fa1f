"""Embeddings, by the same steps as a chat: admit, route, settle."""

from shared.completion.admit import check_allowed, reserve
from shared.completion.answer import BufferedAnswer
from shared.completion.call import Call
from shared.completion.demand import embeddings_demand
from shared.completion.headers import answer_headers
from shared.completion.refund import refund
from shared.completion.request import EmbeddingsRequest
from shared.completion.services import Services
from shared.completion.settle import Settlement, UpstreamCall, settle
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage
from shared.routing.route import Route

_PATH = "/embeddings"


async def embed(services: Services, call: Call[EmbeddingsRequest]) -> BufferedAnswer:
    """Answer one embeddings request.

    Raises:
        WeirError: The request cannot be answered; the error is fit to be shown to the caller.
    """
    check_allowed(call)
    route = Route.of(services.models.embedding(call.request.model))
    admitted = await reserve(services, call, route, embeddings_demand(call, route.deployments))
    try:
        answer = await services.router.send(
            admitted.route,
            _PATH,
            call.body,
            tenant_id=call.caller.tenant_id,
            deadline=admitted.deadline,
        )
    except UpstreamFailure as failure:
        await refund(services, admitted)
        raise failure.for_caller() from failure
    reported = TokenUsage.from_body(answer.answer.get("usage"))
    estimate = TokenUsage(prompt=admitted.reservation.demand.tokens)
    settlement = Settlement(
        calls=(UpstreamCall(answer.deployment, reported if reported.total else estimate),),
        estimated=not reported.total,
        outcome="completed",
        cache_outcome="off",
    )
    await settle(services, admitted, settlement)
    deployment = answer.deployment
    headers = answer_headers(admitted, deployment.provider.name, deployment.model.name, "off")
    return BufferedAnswer(headers, answer.content)
