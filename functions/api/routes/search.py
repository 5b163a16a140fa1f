"""/v1/vector_stores/{vector_store_id}/search."""

import asyncio
from collections.abc import Iterable

from fastapi import APIRouter, Response

from api.caller import WithCaller, WithServices
from api.schemas.fields import VectorStorePath
from api.schemas.search import SearchRequest, SearchResultPage, result_page
from shared.errors import InvalidRequestError
from shared.knowledge.passage import Passage
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.stores import note_use
from shared.providers.tokens import estimate_tokens

router = APIRouter()


@router.post("/vector_stores/{vector_store_id}/search")
async def search_store(
    vector_store_id: VectorStorePath,
    body: SearchRequest,
    response: Response,
    services: WithServices,
    caller: WithCaller,
) -> SearchResultPage:
    """The passages of a store that answer a query best, by meaning and by words."""
    longest = max(map(len, body.queries))
    if longest > services.limits.query_limit_chars:
        raise InvalidRequestError(
            f"A query may have {services.limits.query_limit_chars:,} characters, not {longest:,}.",
            param="query",
        )
    allowance = await services.limiter.take(caller, sum(map(estimate_tokens, body.queries)))
    response.headers.update(allowance.headers())
    found = await asyncio.gather(
        *(
            search(
                services.database,
                services.embedder(caller),
                caller.tenant_id,
                SearchQuery(
                    vector_store_ids=(vector_store_id,),
                    text=text,
                    max_results=body.max_num_results,
                    filters=body.filters,
                    score_threshold=body.ranking_options.score_threshold,
                ),
                dense_weight=lambda model: services.models.embedding_model(model).hybrid_weight,
            )
            for text in body.queries
        )
    )
    async with services.database.tenant(caller.tenant_id) as connection:
        await note_use(connection, vector_store_id, services.clock())
    return result_page(body.queries, best(found, body.max_num_results))


def best(found: Iterable[Iterable[Passage]], count: int) -> list[Passage]:
    """The best of several searches, best first; of what was found twice, the better."""
    passages = sorted((p for passages in found for p in passages), key=lambda p: p.score, reverse=True)
    unique = {(p.file_id, p.char_start, p.char_end): p for p in reversed(passages)}
    return sorted(unique.values(), key=lambda p: p.score, reverse=True)[:count]
