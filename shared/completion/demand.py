"""What a chat may use at most, and is expected to use: held before the call, settled after it."""

from collections.abc import Sequence

from shared.completion.call import Call
from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.knowledge.context import CONTEXT_LIMIT
from shared.ledger.prices import cost_microdollars
from shared.limits.limits import Demand
from shared.providers.catalog import Deployment
from shared.providers.model_rows import ChatModel

# The longest that a request counts as under way when nobody settles it.
LEASE_SECONDS = 600.0

# Over what a provider counts for one image that is given by its address.
_IMAGE_CEILING = 4_000

# Sources are bounded by estimated tokens (`compose`), of which a tokeniser may make twice as many.
_SOURCES_CEILING = 2 * CONTEXT_LIMIT


def demand_of(call: Call[ChatRequest], deployments: Sequence[Deployment], *, prompt_ratio: float) -> Demand:
    """Tokens as they are likely, money as it is at most: a rate may be off a little, a budget may not.

    Args:
        call: The chat; when it came in decides between peak and ordinary prices.
        deployments: All that could answer it; the dearest counts.
        prompt_ratio: Tokens that the model counts to one of Weir's estimate.
    """
    request = call.request
    tokens = round(request.estimated_prompt_tokens * prompt_ratio) + request.estimated_completion_tokens
    costs = [_ceiling(call, deployment) for deployment in deployments]
    return Demand(tokens=tokens, cost_microdollars=max(costs, default=0), lease_seconds=LEASE_SECONDS)


def embeddings_demand(call: Call[EmbeddingsRequest], deployments: Sequence[Deployment]) -> Demand:
    """The same for embeddings, which have no answer to foresee."""
    costs = [
        cost_microdollars(
            deployment.model.price,
            prompt_tokens=call.body_bytes,
            cached_tokens=0,
            completion_tokens=0,
            at=call.started,
        )
        for deployment in deployments
    ]
    tokens = call.request.estimated_tokens
    return Demand(tokens=tokens, cost_microdollars=max(costs, default=0), lease_seconds=LEASE_SECONDS)


def _ceiling(call: Call[ChatRequest], deployment: Deployment) -> int:
    model, request = deployment.model, call.request
    longest = model.max_output_tokens if isinstance(model, ChatModel) else None
    answer = request.completion_limit or min(longest or model.context_window, model.context_window)
    return cost_microdollars(
        model.price,
        prompt_tokens=min(_prompt_ceiling(call), model.context_window),
        cached_tokens=0,
        completion_tokens=answer * request.answers,
        at=call.started,
    )


def _prompt_ceiling(call: Call[ChatRequest]) -> int:
    """No tokeniser makes more tokens of a text than it has bytes, and JSON only adds to these."""
    images = sum(message.images for message in call.request.messages)
    sources = _SOURCES_CEILING if call.request.weir.knowledge else 0
    return call.body_bytes + images * _IMAGE_CEILING + sources
