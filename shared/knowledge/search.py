"""Finds passages: by meaning and by words at once, in any number of a tenant's stores."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.knowledge.candidates import find_dense, find_lexical
from shared.knowledge.diversity import diversified
from shared.knowledge.embedder import Embedder
from shared.knowledge.filters import AttributeFilter
from shared.knowledge.passage import Passage
from shared.knowledge.passages import read_passages
from shared.knowledge.ranking import ChunkKey, Corpus, Ranked, rank
from shared.knowledge.replica import fresh
from shared.knowledge.reranker import Reranker, reranked
from shared.knowledge.scope import Eligible, StoreFacts, read_corpus, read_eligible, read_stores
from shared.knowledge.signals import Space, read_candidates, read_similarities
from shared.knowledge.stores import no_such_store
from shared.knowledge.terms import query_terms
from shared.postgres.database import Connection, Database
from shared.providers.failures import UpstreamFailure
from shared.telemetry import logger

__all__ = ["DENSE_WEIGHT", "Passage", "SearchQuery", "search"]

DENSE_WEIGHT = 0.5

# So many of the best are put in another order, where diversity or a reranker is asked for.
_REORDERED = 30

_log = logger("knowledge")


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """A question to stores. Passages whose score is under the threshold are left out.

    `diversity`, 0 to 1, is how much a passage loses for being like those above it.
    """

    vector_store_ids: tuple[str, ...]
    text: str
    max_results: int = 10
    filters: AttributeFilter | None = None
    score_threshold: float = 0.0
    diversity: float = 0.0


def _usual_weight(_model: str) -> float:
    return DENSE_WEIGHT


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """What is searched: `eligible` files by store, if there is a filter."""

    stores: Sequence[StoreFacts]
    eligible: Mapping[str, Eligible] | None

    def searched(self) -> list[tuple[StoreFacts, Eligible | None]]:
        """Each store that can have passages."""
        if self.eligible is None:
            return [(store, None) for store in self.stores]
        return [
            (s, self.eligible[s.vector_store_id]) for s in self.stores if s.vector_store_id in self.eligible
        ]


async def search(
    database: Database,
    embedder: Embedder,
    tenant_id: str,
    query: SearchQuery,
    *,
    dense_weight: Callable[[str], float] = _usual_weight,
    reranker: Reranker | None = None,
    replica: Database | None = None,
) -> list[Passage]:
    """The passages that answer `query` best, best first; none if nothing is near enough.

    When the question cannot be embedded, words alone decide; the log says so.

    Args:
        dense_weight: How much the vectors of a model count beside BM25, 0 to 1.
        reranker: Puts the best in its own order; thresholds then are of its scores.
        replica: Where to search instead, if it has seen every change of the stores.

    Raises:
        NotFoundError: One of the stores is not the tenant's.
        UnavailableError: PostgreSQL cannot be reached.
    """
    terms = query_terms(query.text)
    async with database.tenant(tenant_id) as connection:
        scope = await _scope(connection, tenant_id, query)
    (corpus, found), questions = await asyncio.gather(
        _lexical_leg(database, replica, tenant_id, scope, terms),
        _embed(embedder, sorted({store.embedding_model for store in scope.stores}), query.text),
    )
    spaces = _spaces(scope.stores, questions, dense_weight)
    async with fresh(database, replica, tenant_id, scope.stores) as connection:
        for store, eligible in scope.searched():
            if (question := questions.get(store.embedding_model)) is not None:
                found |= (await find_dense(connection, tenant_id, store, question, eligible)).keys()
        ranked = await _ranked(connection, tenant_id, spaces, found, corpus, terms)
        kept = await _chosen(connection, tenant_id, spaces, ranked, query, reranker)
        passages = await read_passages(connection, tenant_id, kept)
    if reranker is not None and passages:
        passages = (await reranked(reranker, query.text, passages))[: query.max_results]
    return [passage for passage in passages if passage.score >= query.score_threshold]


async def _scope(connection: Connection, tenant_id: str, query: SearchQuery) -> _Scope:
    stores = await read_stores(connection, tenant_id, query.vector_store_ids)
    known = {store.vector_store_id for store in stores}
    for vector_store_id in query.vector_store_ids:
        if vector_store_id not in known:
            raise no_such_store(vector_store_id)
    if query.filters is None:
        return _Scope(stores=stores, eligible=None)
    eligible = await read_eligible(connection, tenant_id, query.vector_store_ids, query.filters)
    return _Scope(stores=stores, eligible=eligible)


async def _lexical_leg(
    database: Database, replica: Database | None, tenant_id: str, scope: _Scope, terms: Sequence[str]
) -> tuple[Corpus, set[ChunkKey]]:
    async with fresh(database, replica, tenant_id, scope.stores) as connection:
        corpus = await read_corpus(connection, tenant_id, scope.stores, terms)
        found = set[ChunkKey]()
        for store, eligible in scope.searched():
            found |= await find_lexical(connection, store, corpus, terms, eligible)
        return corpus, found


async def _embed(embedder: Embedder, models: Sequence[str], text: str) -> dict[str, Sequence[float]]:
    """The question in each model that answers."""
    answers = await asyncio.gather(*(_embed_one(embedder, model, text) for model in models))
    return {model: vector for model, vector in zip(models, answers, strict=True) if vector is not None}


async def _embed_one(embedder: Embedder, model: str, text: str) -> Sequence[float] | None:
    try:
        (vector,) = await embedder.embed(model, [text])
    except UpstreamFailure as failure:
        _log.warning("searching by words alone", extra={"model": model, "failure": failure.kind})
        return None
    return vector


def _spaces(
    stores: Sequence[StoreFacts],
    questions: Mapping[str, Sequence[float]],
    dense_weight: Callable[[str], float],
) -> list[Space]:
    return [
        Space(
            model=model,
            dimensions=dimensions,
            stores=tuple(s for s in stores if (s.embedding_model, s.dimensions) == (model, dimensions)),
            dense_weight=dense_weight(model),
            question=questions.get(model),
        )
        for model, dimensions in sorted({(store.embedding_model, store.dimensions) for store in stores})
    ]


async def _ranked(
    connection: Connection,
    tenant_id: str,
    spaces: Sequence[Space],
    found: set[ChunkKey],
    corpus: Corpus,
    terms: Sequence[str],
) -> list[Ranked]:
    candidates = []
    for space in spaces:
        candidates += await read_candidates(connection, tenant_id, space, space.members(found), terms)
    return rank(candidates, corpus, terms)


async def _chosen(
    connection: Connection,
    tenant_id: str,
    spaces: Sequence[Space],
    ranked: Sequence[Ranked],
    query: SearchQuery,
    reranker: Reranker | None,
) -> list[Ranked]:
    """Which of the ranked are read: those asked for, or more where a reranker has the last word."""
    best = ranked[: max(_REORDERED, query.max_results)]
    count = query.max_results if reranker is None else len(best)
    if query.diversity <= 0:
        return list(best[:count])
    alike: dict[tuple[ChunkKey, ChunkKey], float] = {}
    for space in spaces:
        keys = space.members(chunk.key for chunk in best)
        alike |= await read_similarities(connection, tenant_id, space, keys)
    return diversified(best, alike, diversity=query.diversity, count=count)
