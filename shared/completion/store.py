"""What is kept of an answer: the answer itself, its reasoning, and how far the estimate was off."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.cache.entry import Entry, storable
from shared.completion.compose import Composed
from shared.completion.services import Services
from shared.providers.catalog import Deployment
from shared.providers.reasoning_vault import needs_reasoning
from shared.providers.tokens import TokenUsage


async def keep_reasoning(
    services: Services, composed: Composed, deployment: Deployment, completion: Mapping[str, Any]
) -> None:
    """Remember how the model came to its answer, for providers that want that back on the next turn."""
    if needs_reasoning((deployment,)):
        call = composed.admitted.call
        for choice in completion["choices"]:
            await services.vault.keep(call.caller.tenant_id, call.body["messages"], choice["message"])


def learn_estimate(
    services: Services, composed: Composed, deployment: Deployment, reported: TokenUsage
) -> None:
    """Have the next estimate for this model be nearer. Sources in the prompt are no part of the estimate."""
    if reported.prompt and not composed.passages:
        estimated = composed.admitted.call.request.estimated_prompt_tokens
        services.router.observe_usage(deployment, estimated, reported.prompt)


def entry_of(
    services: Services, composed: Composed, deployment: Deployment, completion: Mapping[str, Any] | None
) -> Entry | None:
    """The entry for the cache, or `None` where the answer must not be given again.

    That is an answer cut short, one that failed, and one of another model than was asked for.
    """
    asked = composed.admitted.asked.model.name
    if completion is None or composed.caching.mode == "off" or deployment.model.name != asked:
        return None
    if not storable(completion):
        return None
    return Entry(
        completion=orjson.dumps(completion),
        provider=deployment.provider.name,
        model=deployment.model.name,
        stored_at=services.clock(),
    )
