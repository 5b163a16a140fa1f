"""What a chat may use at most, and is expected to use: held before the call, settled after it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from shared.completion.request import ChatRequest, EmbeddingsRequest
from shared.ledger.prices import cost_microdollars
from shared.limits.limits import Demand
from shared.providers.catalog import ChatModel, Deployment

# The longest that a request counts as under way when nobody settles it.
LEASE_SECONDS = 600.0

# Over what a provider counts for one image that is given by its address.
_IMAGE_CEILING = 4_000


def demand_of(
    request: ChatRequest,
    body: Mapping[str, Any],
    deployments: Sequence[Deployment],
    *,
    prompt_ratio: float,
    at: datetime,
) -> Demand:
    """Tokens as they are likely, money as it is at most: a rate may be off a little, a budget may not.

    Args:
        request: The chat.
        body: Its body as decoded.
        deployments: All that could answer it; the dearest counts.
        prompt_ratio: Tokens that the model counts to one of Weir's estimate.
        at: When it came in, which decides between peak and ordinary prices.
    """
    tokens = round(request.estimated_prompt_tokens * prompt_ratio) + request.estimated_completion_tokens
    costs = [_ceiling(request, body, deployment, at) for deployment in deployments]
    return Demand(tokens=tokens, cost_microdollars=max(costs, default=0), lease_seconds=LEASE_SECONDS)


def embeddings_demand(
    request: EmbeddingsRequest,
    body: Mapping[str, Any],
    deployments: Sequence[Deployment],
    *,
    at: datetime,
) -> Demand:
    """The same for embeddings: no token of a text is shorter than a byte."""
    costs = [
        cost_microdollars(
            deployment.model.price,
            prompt_tokens=len(orjson.dumps(body)),
            cached_tokens=0,
            completion_tokens=0,
            at=at,
        )
        for deployment in deployments
    ]
    return Demand(
        tokens=request.estimated_tokens, cost_microdollars=max(costs, default=0), lease_seconds=LEASE_SECONDS
    )


def _ceiling(request: ChatRequest, body: Mapping[str, Any], deployment: Deployment, at: datetime) -> int:
    model = deployment.model
    # No tokeniser makes more tokens of a text than it has bytes.
    images = sum(message.images for message in request.messages)
    prompt = min(len(orjson.dumps(body)) + images * _IMAGE_CEILING, model.context_window)
    longest = model.max_output_tokens if isinstance(model, ChatModel) else None
    answer = request.completion_limit or min(longest or model.context_window, model.context_window)
    return cost_microdollars(
        model.price,
        prompt_tokens=prompt,
        cached_tokens=0,
        completion_tokens=answer * request.answers,
        at=at,
    )
