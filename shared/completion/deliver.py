"""Gives a whole upstream answer to the caller, and settles it."""

import orjson

from shared.completion.annotate import annotations
from shared.completion.answer import BufferedAnswer
from shared.completion.compose import Composed
from shared.completion.headers import answer_headers
from shared.completion.services import Services
from shared.completion.settle import Settlement, settle
from shared.providers.failures import UpstreamFailure
from shared.providers.tokens import TokenUsage, estimate_tokens
from shared.routing.router import Buffered


async def deliver(services: Services, composed: Composed, upstream: Buffered) -> BufferedAnswer:
    """The answer as the provider gave it, with citations when there are passages to cite.

    Raises:
        UpstreamFailure: What the provider sent is not a chat completion.
    """
    try:
        answer = orjson.loads(upstream.content)
        message = answer["choices"][0]["message"]
        text = content if isinstance(content := message.get("content"), str) else ""
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise UpstreamFailure(
            "broken", upstream.deployment.provider.name, "the answer is no chat completion"
        ) from error
    content = upstream.content
    if composed.passages:
        message["annotations"] = annotations(text, composed.passages)
        content = orjson.dumps(answer)
    reported = TokenUsage.from_body(answer.get("usage"))
    request = composed.admitted.call.request
    estimate = TokenUsage(prompt=request.estimated_prompt_tokens, completion=estimate_tokens(text))
    settlement = Settlement(
        deployment=upstream.deployment,
        usage=reported if reported.total else estimate,
        estimated=not reported.total,
        outcome="completed",
        cache_outcome="off",
    )
    await settle(services, composed.admitted, settlement)
    return BufferedAnswer(answer_headers(composed.admitted, upstream.deployment), content)
