"""Embeddings, by the same steps as a chat: admit, route, settle."""

import orjson

from shared.completion.admit import admit_to
from shared.completion.answer import BufferedAnswer
from shared.completion.call import Call
from shared.completion.headers import answer_headers
from shared.completion.refund import refund
from shared.completion.request import EmbeddingsRequest
from shared.completion.services import Services
from shared.completion.settle import Settlement, settle
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage

_PATH = "/embeddings"


async def embed(services: Services, call: Call[EmbeddingsRequest]) -> BufferedAnswer:
    """Answer one embeddings request.

    Raises:
        WeirError: The request cannot be answered; the error is fit to be shown to the caller.
    """
    admitted = await admit_to(services, call, lambda: services.models.embedding(call.request.model))
    try:
        answer = await services.router.send(admitted.deployments, _PATH, call.body)
    except UpstreamFailure as failure:
        await refund(services, admitted)
        raise failure.for_caller() from failure
    reported = _usage(answer.content)
    settlement = Settlement(
        deployment=answer.deployment,
        usage=reported if reported.total else TokenUsage(prompt=admitted.estimated_tokens),
        estimated=not reported.total,
        outcome="completed",
        cache_outcome="off",
    )
    await settle(services, admitted, settlement)
    return BufferedAnswer(answer_headers(admitted, answer.deployment), answer.content)


def _usage(content: bytes) -> TokenUsage:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return TokenUsage()
    return TokenUsage.from_body(answer.get("usage") if isinstance(answer, dict) else None)
