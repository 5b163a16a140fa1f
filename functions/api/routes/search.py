"""/v1/vector_stores/{vector_store_id}/search."""

import asyncio
from collections.abc import Iterable, Sequence

from fastapi import APIRouter, Request, Response

from api.caller import WithCaller, WithServices
from api.schemas.fields import VectorStorePath
from api.schemas.search import SearchRequest, SearchResultPage, result_page
from api.services import Services
from shared.errors import InvalidRequestError
from shared.http.request_id import request_id
from shared.knowledge.passage import Passage
from shared.knowledge.reranker import WatchedReranker
from shared.knowledge.rewriting import rewritten
from shared.knowledge.search import SearchQuery, search
from shared.knowledge.search_models import outcome_of
from shared.knowledge.stores import note_use
from shared.limits.caller import Caller
from shared.limits.limits import UNLIMITED, Demand
from shared.providers.tokens import estimate_tokens

router = APIRouter()

# What limits are counted under where no model is asked for; and the longest that a search takes.
_SEARCH, _LEASE_SECONDS = "search", 60.0

_RERANK = "weir.rerank"


@router.post("/vector_stores/{vector_store_id}/search")
async def search_store(
    vector_store_id: VectorStorePath,
    body: SearchRequest,
    request: Request,
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
    reranker = services.search_models(caller).reranker(body.weir.rerank, param=_RERANK)
    tokens = sum(map(estimate_tokens, body.queries))
    reservation = await services.limiter.reserve(
        caller,
        request_id(request.scope),
        _SEARCH,
        UNLIMITED,
        Demand(tokens=tokens, cost_microdollars=0, lease_seconds=_LEASE_SECONDS),
        services.clock(),
    )
    response.headers.update(reservation.allowance.headers())
    try:
        queries = await _queries(services, caller, body)
        found = await asyncio.gather(
            *(_search(services, caller, vector_store_id, body, text, reranker) for text in queries)
        )
    finally:
        # Its embeddings are billed, and charged to budgets, by themselves.
        await services.limiter.settle(reservation, tokens=tokens, cost_microdollars=0)
    async with services.database.tenant(caller.tenant_id) as connection:
        await note_use(connection, vector_store_id, services.clock())
    # The answer to one query is in its order already, which diversity may have changed.
    passages = found[0] if len(found) == 1 else best(found, body.max_num_results)
    return result_page(queries, passages, outcome_of(body.weir.rerank, reranker, param=_RERANK))


async def _queries(services: Services, caller: Caller, body: SearchRequest) -> Sequence[str]:
    """What is searched: as it was asked, or as a model would ask it, if that is wanted and one is set."""
    name = services.search.rewrite_model
    if not (body.rewrite_query and name):
        return body.queries
    model = services.search_models(caller).chat(name)
    return await asyncio.gather(*(rewritten(model, text) for text in body.queries))


async def _search(
    services: Services,
    caller: Caller,
    vector_store_id: str,
    body: SearchRequest,
    text: str,
    reranker: WatchedReranker | None,
) -> list[Passage]:
    return await search(
        services.database,
        services.embedder(caller),
        caller.tenant_id,
        SearchQuery(
            vector_store_ids=(vector_store_id,),
            text=text,
            max_results=body.max_num_results,
            filters=body.filters,
            score_threshold=body.ranking_options.score_threshold,
            diversity=body.weir.diversity,
        ),
        dense_weight=lambda model: services.models.embedding_model(model).hybrid_weight,
        reranker=reranker,
        replica=services.replica,
    )


def best(found: Iterable[Iterable[Passage]], count: int) -> list[Passage]:
    """The best of several searches, best first; of what was found twice, the better."""
    passages = sorted((p for passages in found for p in passages), key=lambda p: p.score, reverse=True)
    unique = {(p.file_id, p.char_start, p.char_end): p for p in reversed(passages)}
    return sorted(unique.values(), key=lambda p: p.score, reverse=True)[:count]
