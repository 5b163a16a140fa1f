"""The semantic cache in the pipeline: asked once the exact one has nothing, taught by the model's answer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from shared.cache.entry import Entry
from shared.completion.compose import Composed
from shared.completion.services import Services
from shared.errors import WeirError
from shared.providers.failures import UpstreamFailure
from shared.telemetry import logger

if TYPE_CHECKING:
    from shared.cache.semantic import Explore

_log = logger("semantic-cache")

# Seconds for which a question waits for its vector: about as long as a model takes to begin.
_EMBEDDING_SECONDS = 1.5


async def recall(services: Services, composed: Composed) -> "Entry | Explore | None":
    """The stored answer to a question that asks the same in other words, or what the model's is to teach.

    `None`: neither; the answer is stored or under way word for word, or there is nothing to compare by
    meaning. Never an error: a part that is gone makes a miss.
    """
    # Imported by the first request that wants it, for most processes never need it.
    from shared.cache.semantic import Serve
    from shared.cache.semantic_question import question_of

    if await services.flights.known(composed.flight_key):
        return None
    question = question_of(
        composed.body_to_compare,
        tenant_id=composed.admitted.call.caller.tenant_id,
        model=composed.admitted.asked.model.name,
    )
    if question is None:
        return None
    found = await services.semantic_cache.recall(
        _embed_for(services, composed),
        question,
        error_bound=composed.caching.error_bound,
        now=services.clock(),
    )
    return found.entry if isinstance(found, Serve) else found


async def learn(services: Services, composed: Composed, explored: "Explore", entry: Entry | None) -> None:
    """Store the model's answer once its caller is served; `None`: it may not be given again."""
    if entry is None:
        return
    await services.background.afterwards(
        services.semantic_cache.learn(
            _embed_for(services, composed),
            explored,
            entry,
            ttl_seconds=composed.caching.ttl_seconds,
            now=services.clock(),
        )
    )


def _embed_for(
    services: Services, composed: Composed
) -> Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]:
    """Embeds at the caller's cost, and says in the log why where it cannot."""
    model = services.embedding_model
    embedder = services.embedder(composed.admitted.call.caller, "semantic_cache", seconds=_EMBEDDING_SECONDS)

    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        try:
            return await embedder.embed(model, texts)
        except (UpstreamFailure, WeirError) as error:
            _log.warning("going on without the semantic cache", extra={"model": model, "failure": str(error)})
            raise error.for_caller() if isinstance(error, UpstreamFailure) else error from error

    return embed
